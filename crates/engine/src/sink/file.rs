//! One backup file on its way to storage: text to frames, frames to ciphertext, ciphertext to hash and disk.

use std::{mem, sync::Arc};

use asbackup_codec::{
    asb::{self, FileOrder, Version},
    envelope::{AesCtr, AesKey, BLOCK_BYTES, Layer},
};
use asbackup_model::PartitionSet;
use asbackup_storage::{Local, Upload};
use aws_lc_rs::rand;

use super::frames::{FramePool, Frames, WaitFor};
use crate::{
    Error, ErrorKind,
    config::{ByteSize, Envelope},
    event::Event,
    job::JobContext,
    manifest::{Hashing, ListedFile, StoredHash},
    pipeline::Returns,
    source::scan::Filled,
};

/// What all files of a backup are wrapped in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrapping {
    pub(super) frames: Option<Arc<FramePool>>,
    pub(super) key: Option<AesKey>,
}

impl Wrapping {
    /// Prepares for that many files at once.
    pub(crate) fn new(
        envelope: &Envelope,
        key: Option<AesKey>,
        files: usize,
        returns: &Returns,
    ) -> Result<Self, Error> {
        let compression = envelope.compression;
        let pool = compression.map(|zstd| FramePool::start(zstd.codec_level(), files, returns.clone()));
        Ok(Self { frames: pool.transpose()?.map(Arc::new), key })
    }

    /// Returns how the files are hashed.
    pub(crate) fn hashing(&self) -> Hashing {
        Hashing::of(self.key.as_ref())
    }
}

/// A backup file that is being written. Dropping it removes it, unless it was settled.
#[derive(Debug)]
pub(crate) struct BackupFile {
    pub(super) name: String,
    pub(super) frames: Option<Frames>,
    pub(super) stored: Stored,
    /// Of what was written.
    pub(crate) counts: EntryCounts,
}

/// How many entries a file holds, records of which partitions, and how much text they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EntryCounts {
    pub(crate) records: u64,
    pub(crate) indexes: u64,
    pub(crate) udfs: u64,
    pub(crate) partitions: PartitionSet,
    /// Bytes of text, the header counted.
    pub(crate) text_bytes: u64,
}

impl EntryCounts {
    /// Counts a file that is complete.
    pub(super) fn count(&self, job: &JobContext) {
        let Self { records, indexes, udfs, text_bytes, .. } = *self;
        job.counters.bytes_decoded.add(text_bytes);
        job.counters.written.add(records);
        job.counters.indexes_written.add(indexes);
        job.counters.udfs_written.add(udfs);
        job.counters.files.add(1);
    }
}

impl BackupFile {
    /// Starts a file with its header.
    pub(crate) fn create(
        target: &Local,
        name: String,
        (version, namespace, order): (Version, &[u8], FileOrder),
        wrapping: &Wrapping,
        job: &JobContext,
    ) -> Result<Self, Error> {
        job.events.tell(Event::FileOpened { name: name.clone() });
        let mut file = Self {
            frames: wrapping.frames.clone().map(Frames::new),
            stored: Stored::begin(target.upload(&name)?, wrapping, job)?,
            name,
            counts: EntryCounts::default(),
        };
        let mut header = Vec::new();
        asb::encode_header(&mut header, version, namespace, order);
        file.counts.text_bytes += header.len() as u64;
        match &mut file.frames {
            None => file.stored.append(&mut header, job)?,
            Some(frames) => frames.begin_with(header),
        }
        Ok(file)
    }

    /// Appends a block. Its bytes may be others afterwards, or gone to where they are compressed.
    pub(crate) fn write(
        &mut self,
        Filled { block, large }: &mut Filled,
        job: &JobContext,
    ) -> Result<(), Error> {
        self.counts.text_bytes += block.bytes.len() as u64;
        match &mut self.frames {
            None => self.stored.append(&mut block.bytes, job)?,
            Some(frames) => {
                frames.push(mem::take(&mut block.bytes), large.take())?;
                self.store_frames(WaitFor::Excess, job)?;
            }
        }
        self.counts.records += block.records;
        self.counts.partitions |= block.partitions;
        job.counters.add_inexact(block.inexact);
        Ok(())
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Hands all that was written to storage: frames in flight are waited for. What is stored then ends with an entry.
    pub(crate) fn flush(&mut self, job: &JobContext) -> Result<(), Error> {
        if let Some(frames) = &mut self.frames {
            frames.close()?;
        }
        self.store_frames(WaitFor::All, job)
    }

    /// Returns whether storage has that many bytes of it, frames in flight included: it is waited for them if they may
    /// decide.
    pub(crate) fn reaches(&mut self, limit: ByteSize, job: &JobContext) -> Result<bool, Error> {
        let in_flight = self.frames.as_ref().map_or(0, Frames::bytes_in_flight);
        if in_flight > 0 && self.stored.bytes() + in_flight >= limit.0 {
            self.store_frames(WaitFor::All, job)?;
        }
        Ok(self.stored.bytes() >= limit.0)
    }

    /// Makes it durable and gives it its name. Returns what the manifest says of it, and what was counted.
    pub(crate) fn complete(mut self, job: &JobContext) -> Result<(ListedFile, EntryCounts), Error> {
        self.flush(job)?;
        let Self { name, stored, counts, .. } = self;
        let Stored { upload, hash, .. } = stored;
        name_file(name, upload, &hash, counts, job)
    }

    fn store_frames(&mut self, wait: WaitFor, job: &JobContext) -> Result<(), Error> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        while let Some(mut made) = frames.take(wait)? {
            self.stored.append(&mut made.frame, job)?;
            frames.done_with(made);
        }
        Ok(())
    }
}

/// Makes a file durable and gives it its name.
pub(super) fn name_file(
    name: String,
    upload: Upload,
    hash: &StoredHash,
    counts: EntryCounts,
    job: &JobContext,
) -> Result<(ListedFile, EntryCounts), Error> {
    let EntryCounts { records, indexes, udfs, partitions, .. } = counts;
    let bytes = upload.bytes();
    upload.complete()?;
    tracing::info!(file = name, bytes, records, "file complete");
    counts.count(job);
    job.events.tell(Event::FileComplete { name: name.clone(), bytes, records });
    let listed = ListedFile { name, bytes, hash: hash.hex(), records, indexes, udfs, partitions };
    Ok((listed, counts))
}

/// What storage has of a file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) upload: Upload,
    pub(super) cipher: Option<AesCtr>,
    pub(super) hash: StoredHash,
}

impl Stored {
    fn begin(mut upload: Upload, wrapping: &Wrapping, job: &JobContext) -> Result<Self, Error> {
        let mut hash = wrapping.hashing().begin();
        let cipher = match &wrapping.key {
            None => None,
            Some(key) => {
                let (cipher, first) = new_cipher(key)?;
                upload.write(&first)?;
                job.counters.bytes_stored.add(first.len() as u64);
                hash.update(&first);
                Some(cipher)
            }
        };
        Ok(Self { upload, cipher, hash })
    }

    /// Encrypts bytes in place and appends them, as fast as the limit allows.
    fn append(&mut self, bytes: &mut [u8], job: &JobContext) -> Result<(), Error> {
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(bytes);
        }
        let upload = &mut self.upload;
        if job.token.is_cancelled() {
            // What is saved of a job that ends isn't held up.
            upload.write(bytes)?;
            job.counters.bytes_stored.add(bytes.len() as u64);
        } else {
            job.store(bytes, |portion| Ok(upload.write(portion)?))?;
        }
        self.hash.update(bytes);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.upload.bytes()
    }
}

/// Returns a cipher whose counter begins at random, and the first block of its file.
fn new_cipher(key: &AesKey) -> Result<(AesCtr, [u8; BLOCK_BYTES]), Error> {
    loop {
        let mut counter = [0; BLOCK_BYTES];
        rand::fill(&mut counter).map_err(|_| {
            Error::of(ErrorKind::Internal, "the system has no random numbers for encryption").build()
        })?;
        let (cipher, first) = AesCtr::create(key, counter);
        // One in some thousand millions looks like another kind of file.
        if Layer::of(&first) == Layer::Unknown {
            return Ok((cipher, first));
        }
    }
}
