//! What a backup may be asked for.

use std::{collections::BTreeSet, time::Duration};

use asbackup_codec::asb::Spelling;

use super::{ByteSize, EntryClass, Envelope, Parallelism};

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
    /// Files that are written at once. Default: 1.
    pub writers: Parallelism,
    /// Size from which on a file is closed and the next one begun. Default: 250 MiB; none: one file per writer.
    pub file_limit: Option<ByteSize>,
    /// How blob-like values are spelled. Default: base64, which is text.
    pub spelling: Spelling,
    /// What the text is wrapped in. Default: nothing.
    pub envelope: Envelope,
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
            spelling: Spelling::Base64,
            envelope: Envelope::default(),
            existing: ExistingFiles::Refuse,
            socket_timeout: Duration::from_secs(10),
            retry: ScanRetry { max_retries: 10, first_pause: Duration::from_millis(100) },
        }
    }
}

/// What happens to files that are in the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingFiles {
    /// The backup isn't begun.
    Refuse,
    /// The backup files among them are removed, once the new ones are all complete. Other files stay.
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
