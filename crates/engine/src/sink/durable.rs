//! Backup files that outlive their writer: settled while they are written, and gone on with by a later run.

use std::sync::Arc;

use asbackup_storage::{Local, Upload};

use super::{
    file::{BackupFile, EntryCounts, Stored, name_file},
    frames::{FramePool, Frames},
};
use crate::{
    Error, ErrorKind,
    event::Event,
    job::JobContext,
    manifest::{Hashing, ListedFile, StoredHash},
};

impl BackupFile {
    /// Makes durable what was written so far, and returns how many bytes that is: they end with a frame, and with an
    /// entry. The file stays from then on, unless it is removed by name.
    pub(crate) fn settle(&mut self, job: &JobContext) -> Result<u64, Error> {
        self.flush(job)?;
        self.stored.upload.settle()?;
        Ok(self.stored.upload.bytes())
    }
}

/// A file of an earlier run, cut back to its durable bytes.
#[derive(Debug)]
pub(super) struct CutFile {
    name: String,
    upload: Upload,
    hash: StoredHash,
    counts: EntryCounts,
}

impl CutFile {
    /// Cuts a file back to its first `bytes`, which hold these entries.
    pub(super) fn cut(
        target: &Local,
        (name, bytes): (String, u64),
        counts: EntryCounts,
        hashing: &Hashing,
    ) -> Result<Self, Error> {
        let mut upload = target.reopen(&name, bytes).map_err(|error| gone(&name, error))?;
        let mut hash = hashing.begin();
        upload.read_back(|bytes| hash.update(bytes))?;
        Ok(Self { name, upload, hash, counts })
    }

    /// Returns the file to go on with. Not for an encrypted one: what was cut off may be kept somewhere, and what took its
    /// place would have the same key stream. Both together could be read without the key.
    pub(super) fn go_on(self, frames: Option<Arc<FramePool>>, job: &JobContext) -> BackupFile {
        let Self { name, upload, hash, counts } = self;
        job.events.tell(Event::FileOpened { name: name.clone() });
        job.counters.bytes_stored.add(upload.bytes());
        let stored = Stored { upload, cipher: None, hash };
        BackupFile { name, frames: frames.map(Frames::new), stored, counts }
    }

    /// Gives the file its name as it is. Returns what the manifest says of it, and what was counted.
    pub(super) fn complete(self, job: &JobContext) -> Result<(ListedFile, EntryCounts), Error> {
        let Self { name, upload, hash, counts } = self;
        job.counters.bytes_stored.add(upload.bytes());
        name_file(name, upload, &hash, counts, job)
    }
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
