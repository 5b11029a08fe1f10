//! What a running job has done so far: counters that its tasks raise, and a snapshot of them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use asbackup_model::Inexact;

/// Counts by name; only what isn't 0 is in it.
pub(crate) type Named = BTreeMap<&'static str, u64>;

/// What a job has done so far. A consistent picture isn't promised while the job runs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Records read from the source.
    pub records_read: u64,
    /// Records that have their final answer: written, skipped, refused and so on.
    pub records_done: u64,
    /// About how many records there are to read, once that is known. Backup only.
    pub records_total: Option<u64>,
    /// Stored bytes that were written (backup) or read (restore, validate).
    pub bytes_stored: u64,
    /// Stored bytes that there are to read, once that is known. Restore and validate only.
    pub bytes_total: Option<u64>,
    /// What earlier runs had done of it, if this one goes on with them.
    pub before: Moved,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Times that it waited because the server was overloaded or had too many scans.
    pub throttle_waits: u64,
    /// Time since the start; it stands still when the job has ended.
    pub elapsed: Duration,
}

/// What runs of a job have moved. All of a job's runs together, unless it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Records read from the source.
    pub records: u64,
    /// Bytes of the decoded text.
    pub bytes_decoded: u64,
    /// Stored bytes.
    pub bytes_stored: u64,
}

impl Progress {
    /// Returns how much is done, from 0 to 1, if a total is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        self.share_of(self.records_read, self.bytes_stored)
    }

    /// Returns how much of the same was done before this run.
    #[must_use]
    pub fn share_before(&self) -> Option<f64> {
        self.share_of(self.before.records, self.before.bytes_stored)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    fn share_of(&self, records: u64, bytes: u64) -> Option<f64> {
        let (done, total) = match (self.bytes_total, self.records_total) {
            (Some(total), _) => (bytes, total),
            // Not those that are done: a backup's records are that only once their file is complete.
            (None, Some(total)) => (records, total),
            (None, None) => return None,
        };
        (total > 0).then(|| (done as f64 / total as f64).min(1.0))
    }
}

/// A counter that several tasks raise.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts from 0 again, because what was counted was undone.
    pub(crate) fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Counters by name, for what is rare.
#[derive(Debug, Default)]
pub(crate) struct NamedCounters(Mutex<Named>);

impl NamedCounters {
    pub(crate) fn add(&self, name: &'static str, count: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += count;
    }

    pub(crate) fn counts(&self) -> Named {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// All that the tasks of one job count. A job of either direction leaves at 0 what it has no use for.
#[derive(Debug)]
pub(crate) struct Counters {
    started: Instant,
    before: OnceLock<Moved>,
    pub(crate) read: Counter,
    pub(crate) written: Counter,
    pub(crate) expired: Counter,
    pub(crate) skipped: NamedCounters,
    pub(crate) ignored: NamedCounters,
    pub(crate) inserted: Counter,
    pub(crate) existed: Counter,
    pub(crate) fresher: Counter,
    pub(crate) failed: NamedCounters,
    pub(crate) in_doubt_attempts: Counter,
    pub(crate) in_doubt_records: Counter,
    pub(crate) retries: NamedCounters,
    pub(crate) throttle_waits: Counter,
    pub(crate) nan_payload: Counter,
    pub(crate) unknown_particle: Counter,
    pub(crate) indexes_read: Counter,
    pub(crate) indexes_written: Counter,
    pub(crate) indexes_same: Counter,
    pub(crate) indexes_kept: Counter,
    pub(crate) indexes_replaced: Counter,
    pub(crate) indexes_not_restored: Counter,
    pub(crate) indexes_failed: Counter,
    pub(crate) udfs_read: Counter,
    pub(crate) udfs_written: Counter,
    pub(crate) udfs_not_restored: Counter,
    pub(crate) udfs_failed: Counter,
    pub(crate) bytes_decoded: Counter,
    pub(crate) bytes_stored: Counter,
    pub(crate) files: Counter,
    /// 0: not known.
    pub(crate) records_total: Counter,
    /// 0: not known.
    pub(crate) bytes_total: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            before: OnceLock::new(),
            read: Counter::default(),
            written: Counter::default(),
            expired: Counter::default(),
            skipped: NamedCounters::default(),
            ignored: NamedCounters::default(),
            inserted: Counter::default(),
            existed: Counter::default(),
            fresher: Counter::default(),
            failed: NamedCounters::default(),
            in_doubt_attempts: Counter::default(),
            in_doubt_records: Counter::default(),
            retries: NamedCounters::default(),
            throttle_waits: Counter::default(),
            nan_payload: Counter::default(),
            unknown_particle: Counter::default(),
            indexes_read: Counter::default(),
            indexes_written: Counter::default(),
            indexes_same: Counter::default(),
            indexes_kept: Counter::default(),
            indexes_replaced: Counter::default(),
            indexes_not_restored: Counter::default(),
            indexes_failed: Counter::default(),
            udfs_read: Counter::default(),
            udfs_written: Counter::default(),
            udfs_not_restored: Counter::default(),
            udfs_failed: Counter::default(),
            bytes_decoded: Counter::default(),
            bytes_stored: Counter::default(),
            files: Counter::default(),
            records_total: Counter::default(),
            bytes_total: Counter::default(),
        }
    }

    pub(crate) fn add_inexact(&self, inexact: Inexact) {
        self.nan_payload.add(inexact.nan_payload);
        self.unknown_particle.add(inexact.unknown_particle);
    }

    pub(crate) fn inexact(&self) -> Named {
        let counts =
            [("nan_payload", self.nan_payload.count()), ("unknown_particle", self.unknown_particle.count())];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// What is counted so far was moved by earlier runs.
    pub(crate) fn begin_here(&self) {
        self.before.get_or_init(|| self.moved());
    }

    fn moved(&self) -> Moved {
        Moved {
            records: self.read.count(),
            bytes_decoded: self.bytes_decoded.count(),
            bytes_stored: self.bytes_stored.count(),
        }
    }

    fn before(&self) -> Moved {
        self.before.get().copied().unwrap_or_default()
    }

    /// Returns what this run has moved by itself.
    pub(crate) fn moved_here(&self) -> Moved {
        let (all, before) = (self.moved(), self.before());
        Moved {
            records: all.records.saturating_sub(before.records),
            bytes_decoded: all.bytes_decoded.saturating_sub(before.bytes_decoded),
            bytes_stored: all.bytes_stored.saturating_sub(before.bytes_stored),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn progress(&self) -> Progress {
        let known = |counter: &Counter| Some(counter.count()).filter(|count| *count > 0);
        let refused = self.ignored.sum() + self.failed.sum();
        let answered = self.inserted.count() + self.existed.count() + self.fresher.count() + refused;
        Progress {
            records_read: self.read.count(),
            records_done: self.written.count() + self.expired.count() + self.skipped.sum() + answered,
            records_total: known(&self.records_total),
            bytes_stored: self.bytes_stored.count(),
            bytes_total: known(&self.bytes_total),
            before: self.before(),
            retries: self.retries.sum(),
            throttle_waits: self.throttle_waits.count(),
            elapsed: self.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_compares_stored_with_stored() {
        let counters = Counters::new();
        assert_eq!(counters.progress().share(), None);
        counters.bytes_total.add(400);
        counters.bytes_stored.add(100);
        counters.bytes_decoded.add(4000);
        assert_eq!(counters.progress().share(), Some(0.25));
    }

    #[test]
    fn share_of_a_backup_never_passes_one() {
        let counters = Counters::new();
        counters.records_total.add(10);
        counters.read.add(5);
        assert_eq!(counters.progress().share(), Some(0.5), "though no file is complete yet");
        counters.read.add(7);
        assert_eq!(counters.progress().share(), Some(1.0));
    }
}
