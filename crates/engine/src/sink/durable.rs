//! Backup files that outlive their writer: settled while they are written, and gone on with by a later run.

use asbackup_codec::envelope::{AesCtr, AesKey, BLOCK_BYTES};
use asbackup_storage::Local;

use super::{
    file::{BackupFile, EntryCounts, Stored, Wrapping},
    frames::Frames,
};
use crate::{Error, ErrorKind, event::Event, job::JobContext};

impl BackupFile {
    /// Makes durable what was written so far, and returns how many bytes that is: they end with a frame, and with an
    /// entry. The file stays from then on, unless it is removed by name.
    pub(crate) fn settle(&mut self, job: &JobContext) -> Result<u64, Error> {
        self.flush(job)?;
        self.stored.upload.settle()?;
        Ok(self.stored.upload.bytes())
    }

    /// Goes on with a file of an earlier run behind its first `bytes`, which hold these entries.
    pub(crate) fn reopen(
        target: &Local,
        (name, bytes): (String, u64),
        counts: EntryCounts,
        wrapping: &Wrapping,
        job: &JobContext,
    ) -> Result<Self, Error> {
        job.events.tell(Event::FileOpened { name: name.clone() });
        let mut upload = target.reopen(&name, bytes).map_err(|error| gone(&name, error))?;
        let mut hash = wrapping.hashing().begin();
        let mut first = Vec::with_capacity(BLOCK_BYTES);
        upload.read_back(|bytes| {
            hash.update(bytes);
            first.extend(bytes.iter().take(BLOCK_BYTES - first.len()));
        })?;
        let cipher = wrapping.key.as_ref().map(|key| cipher_at(key, &first, bytes)).transpose();
        let cipher = cipher.map_err(|error| gone(&name, error))?;
        job.counters.bytes_stored.add(bytes);
        Ok(Self {
            name,
            frames: wrapping.frames.clone().map(Frames::new),
            stored: Stored { upload, cipher, hash },
            counts,
        })
    }
}

/// Returns the cipher of a file that begins with `first`, for what comes behind its first `bytes`.
fn cipher_at(key: &AesKey, first: &[u8], bytes: u64) -> Result<AesCtr, std::io::Error> {
    let first = first
        .try_into()
        .map_err(|_| std::io::Error::other("its durable bytes are fewer than those that tell the counter"))?;
    let mut cipher = AesCtr::open(key, first);
    cipher.seek(bytes);
    Ok(cipher)
}

/// Returns the error of a file that isn't what the state says.
pub(super) fn gone(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::of(
        ErrorKind::Integrity,
        format!("{name} isn't as the state says: the backup can't be gone on with"),
    )
    .place(|place| place.file = Some(name.to_owned()))
    .hint("start anew in an empty directory, or with --remove-files")
    .source(error)
    .build()
}
