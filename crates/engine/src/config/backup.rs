//! What a backup may be asked for.

use std::{
    collections::BTreeSet,
    num::NonZeroU64,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use asbackup_codec::asb::Spelling;

use super::{
    BinSelection, ByteSize, EntryClass, Envelope, FilePrefix, FilterExpression, Lifetime, Limits, Modified,
    Names, Parallelism, RackId, Scope, Shard,
};

/// What to back up, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackupConfig {
    /// Namespace. There is no default, since a backup of the wrong one is no backup.
    pub namespace: String,
    /// Classes of entries that aren't read. Default: none.
    pub left_out: BTreeSet<EntryClass>,
    /// The partitions that are read. Default: all of the namespace.
    pub scope: Scope,
    /// Which share of these partitions is read, if several jobs back them up into one directory, here or on other machines,
    /// and [`complete`](crate::complete()) makes one backup of it. The first share takes indexes and UDF modules. Not with
    /// nodes, racks, a number of records, or a single file. Default: all of it.
    pub shard: Option<Shard>,
    /// The sets whose records are read; records without a set are in none. Default: all records.
    pub sets: Option<Names>,
    /// The bins that are read. Default: all.
    pub bins: BinSelection,
    /// When the records that are read were last updated. Default: at any time.
    pub modified: Modified,
    /// The moment that ages such as "two days ago" in [`Self::modified`] were reckoned from, which the state keeps for
    /// [`Self::as_of_unfinished`]. Default: none, as for times that aren't ages.
    pub as_of: Option<SystemTime>,
    /// Whether records that expire are read. Default: yes.
    pub lifetime: Lifetime,
    /// A condition of the server that each record must meet. Default: none.
    pub filter: Option<FilterExpression>,
    /// About how many records are read at most: never more, and fewer if there are fewer. Only with one reader, since
    /// several can't know of each other's in time. Default: no bound.
    pub max_records: Option<NonZeroU64>,
    /// Racks whose nodes read partitions of which they have a copy, the first of them first. Not with a scope of nodes or
    /// racks, which is about owners. Default: owners read.
    pub preferred_racks: Vec<RackId>,
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
    /// What the text is wrapped in. Default: nothing.
    pub envelope: Envelope,
    /// What happens to backup files that are there already. Default: they are refused.
    pub existing: ExistingFiles,
    /// Whether and how often progress is saved, so that a run that is killed can be gone on with. Default: every 10 s.
    pub checkpoint: Checkpoint,
    /// Name of the state in which it is saved. Default: `asbackup.state.json`.
    pub state_name: Option<String>,
    /// Directory of the state. Default: that of the backup.
    pub state_directory: Option<PathBuf>,
    /// How long a scan's socket may stay silent. Default: 10 s; the server is told.
    pub socket_timeout: Duration,
    /// How long all scans together may take. Default: as long as they need.
    pub total_timeout: Option<Duration>,
    /// Most records that one request of a scan asks for. Default: no bound, which costs the server least.
    pub page_records: Option<NonZeroU64>,
    /// How a scan goes on after a failure.
    pub retry: ScanRetry,
    /// How long a scan waits if the server has too many of them. Default: 10 s, as backup-go does.
    pub throttle_pause: Duration,
    /// How fast it may be at most. Default: no limits.
    pub limits: Limits,
}

impl BackupConfig {
    /// Returns the defaults for a namespace.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            left_out: BTreeSet::new(),
            scope: Scope::Namespace,
            shard: None,
            sets: None,
            bins: BinSelection::All,
            modified: Modified::default(),
            as_of: None,
            lifetime: Lifetime::Any,
            filter: None,
            max_records: None,
            preferred_racks: Vec::new(),
            readers: Parallelism::ONE,
            writers: Parallelism::ONE,
            file_limit: Some(ByteSize::mib(250)),
            file_prefix: None,
            spelling: Spelling::Base64,
            envelope: Envelope::default(),
            existing: ExistingFiles::Refuse,
            checkpoint: Checkpoint::Every(Duration::from_secs(10)),
            state_name: None,
            state_directory: None,
            socket_timeout: Duration::from_secs(10),
            total_timeout: None,
            page_records: None,
            retry: ScanRetry { max_retries: 10, first_pause: Duration::from_millis(100) },
            throttle_pause: Duration::from_secs(10),
            limits: Limits::default(),
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
    /// They are those of an unfinished backup with the same options, which is gone on with. An empty target is begun
    /// from the start, and a complete backup with the same options is left as it is.
    Continue,
}

/// Whether progress is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// It isn't: a run that fails leaves nothing, and one that is killed can't be gone on with.
    Off,
    /// After that time for each writer, when a file is begun or complete, and when the job fails or is cancelled. Zero:
    /// after each block, which is slow.
    Every(Duration),
}

/// How a scan goes on after a failure. Pauses double up to 10 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRetry {
    /// Retries of one stream since its last record. Default: 10.
    pub max_retries: u32,
    /// The first pause. Default: 100 ms.
    pub first_pause: Duration,
}
