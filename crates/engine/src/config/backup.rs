//! What a backup may be asked for.

use std::{collections::BTreeSet, time::Duration};

use asbackup_codec::asb::Spelling;

use super::{ByteSize, EntryClass, FilePrefix, Parallelism};

/// What to back up, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackupConfig {
    /// Namespace. There is no default, since a backup of the wrong one is no backup.
    pub namespace: String,
    /// Classes of entries that aren't read. Default: none.
    pub left_out: BTreeSet<EntryClass>,
    /// Partition scans that run at once, in all. Default: 1, which is gentle on production.
    pub readers: Parallelism,
    /// Files that are written at once. Default: 1; a single file or stream has one writer whatever this says.
    pub writers: Parallelism,
    /// Size from which on a file is closed and the next one begun. Default: 250 MiB; none: one file per writer. It
    /// doesn't count for a single file or stream.
    pub file_limit: Option<ByteSize>,
    /// What the names of record files begin with. Default: the writer's number, as with the older tools.
    pub file_prefix: Option<FilePrefix>,
    /// How blob-like values are spelled. Default: base64, which is text.
    pub spelling: Spelling,
    /// What happens to backup files that are there already. Default: they are refused.
    pub existing: ExistingFiles,
    /// How long a scan's socket may stay silent. Default: 10 s; the server is told.
    pub socket_timeout: Duration,
    /// How a scan goes on after a failure.
    pub retry: ScanRetry,
}

impl BackupConfig {
    /// Returns the defaults for a namespace.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            left_out: BTreeSet::new(),
            readers: Parallelism::ONE,
            writers: Parallelism::ONE,
            file_limit: Some(ByteSize::mib(250)),
            file_prefix: None,
            spelling: Spelling::Base64,
            existing: ExistingFiles::Refuse,
            socket_timeout: Duration::from_secs(10),
            retry: ScanRetry { max_retries: 10, first_pause: Duration::from_millis(100) },
        }
    }
}

/// What happens to files that are in the target already, or to the one whose name was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingFiles {
    /// The backup isn't begun.
    Refuse,
    /// The backup files among them are removed, once the new ones are all complete. Other files stay. A single file is
    /// replaced in one step.
    Replace,
}

/// How a scan goes on after a failure. Pauses double up to 10 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRetry {
    /// Retries of one stream since its last record. Default: 10.
    pub max_retries: u32,
    /// The first pause. Default: 100 ms.
    pub first_pause: Duration,
}
