//! What a restore, or a validation, may be asked for.

use std::{collections::BTreeSet, num::NonZeroUsize, path::PathBuf, time::Duration};

use asbackup_codec::wire::WriteRules;

use super::{
    Encryption, EntryClass, ExpectedCompression, Limits, Names, Parallelism, Shard, StateConfig, StateRule,
};

/// What to restore, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RestoreConfig {
    /// From which namespace into which. Default: each entry goes where it came from.
    pub rename: Option<Rename>,
    /// Which share of the backup's files is restored, if several jobs restore one directory, here or on other machines: in
    /// the order of their names, each N-th file is that of one share. The first takes indexes and UDF modules that have
    /// files of their own. Not of a single file or stream. Default: all of them.
    pub shard: Option<Shard>,
    /// Classes of entries that are decoded and not restored. Default: none.
    pub left_out: BTreeSet<EntryClass>,
    /// The sets whose records are restored; records without a set are in none. Default: all records.
    pub sets: Option<Names>,
    /// The bins that are restored. Default: all. A record without any of them isn't written.
    pub bins: Option<Names>,
    /// What is added to the time that is left of records that expire; whole seconds count. Default: nothing.
    pub extra_ttl: Duration,
    /// Whether indexes and UDF modules come before records or after them, if they are in files of their own. Default:
    /// before, since an index that is built while records come in costs less than one that is built afterwards.
    pub metadata: MetadataOrder,
    /// What becomes of an index whose name another one has already. Default: it fails, so that somebody decides.
    pub index_conflict: IndexConflict,
    /// Files that are read at once. Default: 1.
    pub readers: Parallelism,
    /// The requests that records are written with.
    pub writes: Writes,
    /// What a record does to the job that the server refuses. Default: the job stops.
    pub record_errors: RecordErrors,
    /// The file in which refused records are kept, with their reasons in one beside it whose name ends in `.reasons`. They
    /// are left out then, as with [`RecordErrors::Ignore`]. Default: they aren't kept.
    pub dead_letter: Option<PathBuf>,
    /// When an existing record gives way. Default: it is updated if the backup's generation is greater.
    pub rules: WriteRules,
    /// How long a write's socket may stay silent. Default: 10 s.
    pub socket_timeout: Duration,
    /// How long one attempt of a write may take in all. Default: 10 s.
    pub total_timeout: Duration,
    /// How writes are tried again.
    pub retry: WriteRetry,
    /// How fast it may be at most. Default: no limits. While the server is overloaded it is slower by itself.
    pub limits: Limits,
    /// Whether a backup must have a manifest. Default: no.
    pub manifest: ManifestRule,
    /// What happens to data files that the manifest doesn't name. Default: they are refused.
    pub extra_files: ExtraFiles,
    /// How the backup is encrypted. Default: not at all; one that is encrypted is refused then, and one that isn't is
    /// refused if this is set, since whoever sets it relies on it.
    pub encryption: Option<Encryption>,
    /// How the backup must be compressed. Default: in any way, since that is detected.
    pub expected_compression: Option<ExpectedCompression>,
    /// When the hashes of a backup's files are checked. Default: while they are read.
    pub verification: Verification,
    /// Whether anything is written. Default: it is.
    pub effect: Effect,
    /// Whether a state is kept, by which an interrupted job goes on. Default: beside the data.
    pub state: StateRule,
}

impl RestoreConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rename: None,
            shard: None,
            left_out: BTreeSet::new(),
            sets: None,
            bins: None,
            extra_ttl: Duration::ZERO,
            metadata: MetadataOrder::First,
            index_conflict: IndexConflict::Fail,
            readers: Parallelism::ONE,
            writes: Writes::Batches(BatchLimits::default()),
            record_errors: RecordErrors::Stop,
            dead_letter: None,
            rules: WriteRules::default(),
            socket_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(10),
            retry: WriteRetry { max_retries: 10, first_pause: Duration::from_secs(1), multiplier: 2.0 },
            limits: Limits::default(),
            manifest: ManifestRule::Optional,
            extra_files: ExtraFiles::Refuse,
            encryption: None,
            expected_compression: None,
            verification: Verification::WhileReading,
            effect: Effect::Write,
            state: StateRule::Kept(StateConfig::new()),
        }
    }
}

impl Default for RestoreConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Source: absctl's `--batch-size`.
const DEFAULT_BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(128).expect("128 isn't 0");
/// Source: absctl's `--max-async-batches`.
const DEFAULT_BATCHES_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(32).expect("32 isn't 0");

/// Whether a backup must have a manifest, which says what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestRule {
    /// One without is read, and reported as unchecked.
    Optional,
    /// One without is refused.
    Required,
}

/// What happens to data files of the same namespace that lie beside a backup without being in its manifest. Files of
/// other namespaces are left out in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraFiles {
    /// The backup is refused: its manifest may be that of another one.
    Refuse,
    /// They are left out.
    LeaveOut,
}

/// When the hashes of a backup's files are checked against its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// While they are read: what a damaged file held may have been written when it turns out.
    WhileReading,
    /// All of them before the first write, and once more while they are read, in case they change.
    First,
}

/// Whether a restore changes the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It writes.
    Write,
    /// It writes nothing, and counts what it would write; what the server would say to records isn't known then. No
    /// state is kept.
    Count,
}

/// Entries of one namespace are written into another; entries of any third one end the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The namespace in the backup.
    pub from: String,
    /// The namespace in the cluster.
    pub to: String,
}

/// The requests that records are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Many records with each.
    Batches(BatchLimits),
    /// One record with each, for servers that take no batches.
    Single {
        /// Requests under way at once.
        in_flight: NonZeroUsize,
    },
}

/// Limits of batch writes. A batch also ends at 1 MiB, and all that are under way share 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in one batch. Default: 128.
    pub rows: NonZeroUsize,
    /// Batches under way at once. Default: 32.
    pub in_flight: NonZeroUsize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: DEFAULT_BATCH_ROWS, in_flight: DEFAULT_BATCHES_IN_FLIGHT }
    }
}

/// When indexes and UDF modules are restored, if they are in files of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataOrder {
    /// Before all records.
    First,
    /// After all records.
    Last,
}

/// What becomes of an index of a backup whose name another one has already. One with the same definition is always
/// left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexConflict {
    /// The one that is there stays.
    Keep,
    /// The one that is there is dropped, and that of the backup created.
    Replace,
    /// The one that is there stays, and that of the backup counts as failed.
    Fail,
}

/// What a record does to the job that the server refuses for its own sake, such as one that is too big.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordErrors {
    /// The job stops.
    Stop,
    /// It is counted and left out. The same answer to 1,000 records in a row stops the job all the same, since it isn't
    /// about single records then.
    Ignore,
}

/// How rows are written again that got a passing failure or no answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteRetry {
    /// Retries of one row. Default: 10.
    pub max_retries: u32,
    /// The first pause. Default: 1 s.
    pub first_pause: Duration,
    /// Growth of the pauses, up to 10 s. Default: 2.
    pub multiplier: f64,
}

/// What to check without a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidateConfig {
    /// Files that are read at once. Default: 1.
    pub readers: Parallelism,
    /// Whether a backup must have a manifest. Default: no.
    pub manifest: ManifestRule,
    /// What happens to data files that the manifest doesn't name. Default: they are refused.
    pub extra_files: ExtraFiles,
    /// How the backup is encrypted. Default: not at all; see [`RestoreConfig::encryption`].
    pub encryption: Option<Encryption>,
    /// How the backup must be compressed. Default: in any way, since that is detected.
    pub expected_compression: Option<ExpectedCompression>,
}

impl ValidateConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            readers: Parallelism::ONE,
            manifest: ManifestRule::Optional,
            extra_files: ExtraFiles::Refuse,
            encryption: None,
            expected_compression: None,
        }
    }
}

impl Default for ValidateConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What to make one backup of, when all its shares are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompleteConfig {
    /// How the shares are encrypted. Default: not at all. Their manifests are sealed with the key, and so is that of the
    /// whole.
    pub encryption: Option<Encryption>,
}

impl CompleteConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Display for Rename {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.from, self.to)
    }
}
