//! What a restore, or a validation, may be asked for.

use std::{num::NonZeroUsize, time::Duration};

use asbackup_codec::wire::WriteRules;

use super::Parallelism;

/// What to restore, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RestoreConfig {
    /// From which namespace into which. Default: each entry goes where it came from.
    pub rename: Option<Rename>,
    /// Files that are read at once. Default: 1.
    pub readers: Parallelism,
    /// Limits of batch writes.
    pub batches: BatchLimits,
    /// When an existing record gives way. Default: it is updated if the backup's generation is greater.
    pub rules: WriteRules,
    /// How long a write's socket may stay silent. Default: 10 s.
    pub socket_timeout: Duration,
    /// How long one attempt of a write may take in all. Default: 10 s.
    pub total_timeout: Duration,
    /// How writes are tried again.
    pub retry: WriteRetry,
}

impl RestoreConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rename: None,
            readers: Parallelism::ONE,
            batches: BatchLimits { rows: DEFAULT_BATCH_ROWS, in_flight: DEFAULT_BATCHES_IN_FLIGHT },
            rules: WriteRules::default(),
            socket_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(10),
            retry: WriteRetry { max_retries: 10, first_pause: Duration::from_secs(1), multiplier: 2.0 },
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

/// Entries of one namespace are written into another; entries of any third one end the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The namespace in the backup.
    pub from: String,
    /// The namespace in the cluster.
    pub to: String,
}

/// Limits of batch writes. A batch also ends at 1 MiB, and all that are under way share 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in one batch. Default: 128.
    pub rows: NonZeroUsize,
    /// Batches under way at once. Default: 32.
    pub in_flight: NonZeroUsize,
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
}

impl ValidateConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { readers: Parallelism::ONE }
    }
}

impl Default for ValidateConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Rename {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.from, self.to)
    }
}
