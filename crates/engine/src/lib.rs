//! Backup and restore for the Aerospike database.
//!
//! A [`Client`] starts jobs and hands each back at once: a [`Job`] tells its progress, can be cancelled, and is waited
//! for. The run of a backup begins in `backup.rs`, that of a restore in `restore.rs`.
//!
//! ```no_run
//! use asbackup::{BackupConfig, Client, Cluster, ClusterConfig, Local, Parallelism, Seed};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::connect(ClusterConfig::new([Seed::parse("127.0.0.1", 3000)?])).await?;
//! let client = Client::new(cluster);
//! let mut config = BackupConfig::new("test");
//! config.readers = Parallelism::new(8)?;
//! let job = client.backup(config, Local::directory("backups"));
//! println!("{:?}", job.progress());
//! let report = job.wait().await?;
//! println!("{} records", report.records.written);
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! Each row has a program in the folder `examples`, which `cargo run -p asbackup --example NAME` runs.
//!
//! | For | Look at | Example |
//! | --- | --- | --- |
//! | a backup | [`Client::backup`], [`BackupConfig`], [`BackupReport`] | `backup` |
//! | a restore, also into another namespace | [`Client::restore`], [`RestoreConfig`], [`Rename`] | `restore` |
//! | a check of a backup without a cluster | [`validate()`], [`ValidateConfig`], [`Finding`] | `validate` |
//! | the size of a backup beforehand | [`Client::estimate`], [`Sampling`] | `estimate` |
//! | encryption, and where its key comes from | [`Envelope::encryption`], [`KeySource`], [`SecretAgent`] | `encryption` |
//! | compression | [`Envelope::compression`], [`Zstd`] | `compression` |
//! | some partitions, nodes or racks | [`BackupConfig::scope`], [`Scope`], [`PartitionList`] | `partitions` |
//! | what has changed since the last backup | [`BackupConfig::modified`], [`Modified`] | `incremental` |
//! | a backup in shares, on several machines | [`BackupConfig::shard`], [`Shard`], [`complete()`], [`RestoreConfig::shard`] | `shares` |
//! | some sets, bins or classes of entries | [`BackupConfig::sets`], [`BinSelection`], [`EntryClass`] | `selection` |
//! | records per second, bandwidth | [`Limits`] | `limits` |
//! | files of limited size, and going on after a failure | [`BackupConfig::file_limit`], [`Checkpoint`], [`ExistingFiles::Continue`], [`StateRule`] | `resume` |
//! | progress, cancelling, waiting | [`Job`], [`Progress`] | `progress` |
//! | what happens in a job, as it happens | [`Job::events`], [`Event`] | `events` |
//! | several jobs at once | [`Client::with_scan_permits`], [`ScanPermits`], [`Client::with_id`] | `jobs` |
//! | programs without an async runtime | [`blocking`] | `blocking` |
//! | TLS and logins | [`ClusterConfig::tls`], [`ClusterConfig::auth`], [`TlsConfig`], [`Auth`] | |
//!
//! What fails is an [`Error`]: [`Error::kind`] is for programs, its text and hint for people. Logs go to `tracing`.
//! Whoever knows backup-go finds the names of its fields and ours in `docs/library.md`.

mod backup;
pub mod blocking;
mod checkpoint;
mod complete;
mod config;
mod error;
mod estimate;
mod event;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod inspect;
mod job;
mod key;
mod limit;
mod manifest;
mod naming;
mod pipeline;
mod plan;
mod progress;
mod remove;
mod report;
mod restore;
mod restore_state;
mod secret;
mod sink;
mod source;
mod transcode;
mod validate;

use std::{sync::Arc, time::SystemTime};

use event::watch_nodes;
use job::{JobContext, Outcome};
use tracing::{Span as LogSpan, error_span};

pub use asbackup_cluster::{
    Addresses, Auth, Cluster, ClusterConfig, Error as ClusterError, Identity, InfoRetry, Seed, Tls,
    TlsConfig, TlsVersions,
};
pub use asbackup_codec::{
    asb::Spelling,
    wire::{ExistsRule, GenerationRule, WriteRules},
};
pub use asbackup_model::Digest;
pub use asbackup_storage::Local;
pub use config::{
    AgentAddress, AgentTls, BackupConfig, BatchLimits, BinSelection, ByteSize, Checkpoint, CompleteConfig,
    Effect, Encryption, EncryptionMode, EntryClass, Envelope, ExistingFiles, ExpectedCompression, ExtraFiles,
    FilePrefix, FilterExpression, IndexConflict, KeySource, KeyText, Lifetime, Limits, ManifestRule,
    MetadataOrder, Modified, Names, NamesError, NoFilter, NoTimeBetween, NodeSelector, OutOfRange,
    Parallelism, PartitionList, PrefixError, RackId, RecordErrors, Rename, RestoreConfig, Sampling,
    ScanRetry, Scope, ScopeError, SecretAgent, SecretEncoding, SecretName, SecretNameError, Shard,
    ShardError, Start, StateConfig, StatePlace, StateRule, UnknownLevel, ValidateConfig, Verification,
    WriteRetry, Writes, Zstd,
};
pub use error::{Error, ErrorKind, Place as ErrorPlace};
pub use event::{Event, Events, Phase};
pub use inspect::InspectConfig;
pub use job::Job;
pub use limit::ScanPermits;
pub use manifest::{Completeness, ManifestFacts};
pub use progress::{Moved, Progress};
pub use report::{
    BackedUp, BackupReport, Bytes, CompleteReport, Completed, Copied, Decoded, Estimate, EstimateReport,
    Finding, FindingKind, IndexesRestored, InspectReport, Inspected, InspectedFile, InspectedIndex,
    InspectedUdf, Place, Rates, RemovalReport, RestoreReport, Restored, SizeRange, Source, SourceDirectory,
    Span, Target, Troubles, UdfsRestored, ValidateReport,
};
pub use secrecy::{ExposeSecret, SecretSlice};
pub use secret::{SecretError, SecretErrorCause};

/// Starts jobs on a cluster. Cheap to clone; any number of jobs may run at once.
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Cluster,
    clock: Clock,
    scan_permits: Option<ScanPermits>,
    id: Option<Arc<str>>,
}

impl Client {
    /// Returns a client of that cluster.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, clock: Clock(SystemTime::now), scan_permits: None, id: None }
    }

    /// Sets the clock by which records expire and reports are dated. Default: the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = Clock(clock);
        self
    }

    /// Sets how many scans may run at once, in all jobs of all clients with these permits. Default: as many as there are.
    #[must_use]
    pub fn with_scan_permits(mut self, permits: ScanPermits) -> Self {
        self.scan_permits = Some(permits);
        self
    }

    /// Sets a name for the jobs that are started from here on: what they log is in a span `job` with this `id`, within
    /// the span in which they were started. Default: none, and no such span.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into().into());
        self
    }

    /// Starts a backup and returns at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping a job cancels it"]
    pub fn backup(&self, config: BackupConfig, target: Local) -> Job<BackupReport> {
        let (cluster, started) = (self.cluster.clone(), self.clock.now());
        let scans = self.scan_permits.clone();
        self.start(|job| {
            let job = job.limited(config.limits, scans);
            backup::run(cluster, config, target, started, job)
        })
    }

    /// Starts to estimate how large a backup would be, and returns at once. It reads a sample of the records and writes
    /// nothing; of what the configuration says, the target's rules don't count.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping a job cancels it"]
    pub fn estimate(&self, config: BackupConfig, sampling: Sampling) -> Job<EstimateReport> {
        let (cluster, started) = (self.cluster.clone(), self.clock.now());
        let scans = self.scan_permits.clone();
        self.start(|job| {
            let job = job.limited(config.limits, scans);
            estimate::run(cluster, config, sampling, started, job)
        })
    }

    /// Starts a restore and returns at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping a job cancels it"]
    pub fn restore(&self, config: RestoreConfig, source: Local) -> Job<RestoreReport> {
        let (cluster, clock) = (self.cluster.clone(), self.clock);
        self.start(|job| {
            let job = job.limited(config.limits, None);
            restore::run(cluster, config, source, clock, job)
        })
    }

    fn start<R, F>(&self, run: impl FnOnce(JobContext) -> F) -> Job<R>
    where
        R: Send + Sync + 'static,
        F: Future<Output = Outcome<R>> + Send + 'static,
    {
        // Whatever level is logged, the id is there.
        let span = self.id.as_deref().map_or_else(LogSpan::none, |id| error_span!("job", id));
        let cluster = self.cluster.clone();
        let watched = |job: JobContext| {
            let run = run(job.clone());
            async move {
                tokio::select! {
                    biased;
                    outcome = run => outcome,
                    never = watch_nodes(&cluster, &job) => match never {},
                }
            }
        };
        span.in_scope(|| Job::start(watched))
    }
}

/// Starts a validation, which needs no cluster, and returns at once. Damage doesn't make it fail: it is in the report.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use = "dropping a job cancels it"]
pub fn validate(config: ValidateConfig, source: Local) -> Job<ValidateReport> {
    Job::start(|job| validate::run(config, source, SystemTime::now(), job))
}

/// Starts to look at what a backup holds, without reading all of it, and returns at once. Needs no cluster. Damage that
/// shows on the way doesn't make it fail: it is in the report.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use = "dropping a job cancels it"]
pub fn inspect(source: Local) -> Job<InspectReport> {
    inspect_with(InspectConfig::new(), source)
}

/// Does the same as [`inspect()`], with a key for a backup that is encrypted.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use = "dropping a job cancels it"]
pub fn inspect_with(config: InspectConfig, source: Local) -> Job<InspectReport> {
    Job::start(|job| inspect::run(config, source, SystemTime::now(), job))
}

/// Starts to make one backup of the shares in a directory, and returns at once. Needs no cluster. All shares must be
/// there; a backup that is complete already is left as it is.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use = "dropping a job cancels it"]
pub fn complete(config: CompleteConfig, target: Local) -> Job<CompleteReport> {
    Job::start(|job| complete::run(config, target, SystemTime::now(), job))
}

/// Starts to remove all files of backups from a directory, and returns at once. Files that no backup tool wrote stay.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use = "dropping a job cancels it"]
pub fn remove_artifacts(target: Local) -> Job<RemovalReport> {
    Job::start(|job| remove::run(target, SystemTime::now(), job))
}

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
struct Clock(fn() -> SystemTime);

impl Clock {
    fn now(self) -> SystemTime {
        (self.0)()
    }

    /// Returns the seconds since 1970; 0 for a clock that stands before.
    fn unix_s(self) -> u64 {
        self.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Runs something that blocks on a thread that may block.
async fn blocking<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let span = LogSpan::current();
    let ended = tokio::task::spawn_blocking(move || span.in_scope(task)).await;
    ended.map_err(|error| Error::of(ErrorKind::Internal, "a task panicked").source(error).build())
}

/// Returns the error of a job that couldn't begin for the cluster's sake.
fn connect_error(source: ClusterError) -> Error {
    let (kind, message) = match source.is_of_login() {
        true => (ErrorKind::Auth, "the cluster refuses the login"),
        false => (ErrorKind::Connect, "the cluster doesn't answer"),
    };
    Error::of(kind, message).source(source).build()
}

/// Returns the error of a job that couldn't read the cluster to the end.
fn scan_error(source: ClusterError) -> Error {
    Error::of(ErrorKind::Scan, "the cluster can't be read to the end").source(source).build()
}
