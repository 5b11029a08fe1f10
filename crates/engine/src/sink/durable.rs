//! Backup files that outlive their writer: settled while they are written, and gone on with by a later run.

use asbackup_storage::Local;

use super::file::{BackupFile, EntryCounts};
use crate::{Error, ErrorKind, job::JobContext, manifest::StoredHash};

impl BackupFile {
    /// Makes durable what was written so far, and returns how many bytes that is. The file stays from then on, unless it
    /// is removed by name.
    pub(crate) fn settle(&mut self) -> Result<u64, Error> {
        self.upload.settle()?;
        Ok(self.upload.bytes())
    }

    /// Goes on with a file of an earlier run behind its first `bytes`, which hold these entries.
    pub(crate) fn reopen(
        target: &Local,
        name: String,
        bytes: u64,
        counts: EntryCounts,
        job: &JobContext,
    ) -> Result<Self, Error> {
        let mut upload = target.reopen(&name, bytes).map_err(|error| gone(&name, error))?;
        let mut hash = StoredHash::default();
        upload.read_back(|bytes| hash.update(bytes))?;
        job.counters.bytes_stored.add(bytes);
        Ok(Self { name, header_bytes: 0, upload, hash, counts })
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
