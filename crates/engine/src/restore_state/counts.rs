//! The counts of a restore that go on from run to run.

use std::{collections::BTreeMap, ops::AddAssign};

use asbackup_codec::wire::ResultCode;
use serde::{Deserialize, Serialize};

use crate::{
    progress::{Counters, Named},
    transcode::to_rows::Skip,
};

/// Counts of entries that have their final answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) records: RecordCounts,
    #[serde(flatten)]
    pub(crate) metadata: MetadataCounts,
}

/// Records: read = expired + skipped + inserted + existed + fresher + ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RecordCounts {
    pub(crate) read: u64,
    pub(crate) expired: u64,
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) inserted: u64,
    pub(crate) existed: u64,
    pub(crate) fresher: u64,
    pub(crate) ignored: BTreeMap<String, u64>,
}

/// Indexes and UDF modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MetadataCounts {
    pub(crate) indexes: IndexCounts,
    pub(crate) udfs: UdfCounts,
}

/// Indexes, as the report counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct IndexCounts {
    pub(crate) read: u64,
    pub(crate) created: u64,
    pub(crate) same: u64,
    pub(crate) kept: u64,
    pub(crate) replaced: u64,
    pub(crate) not_restored: u64,
    pub(crate) failed: u64,
}

/// UDF modules, as the report counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UdfCounts {
    pub(crate) read: u64,
    pub(crate) created: u64,
    pub(crate) not_restored: u64,
    pub(crate) failed: u64,
}

impl RecordCounts {
    /// Returns the records that were left out, by reason.
    pub(crate) fn skipped(&self) -> Named {
        named(&self.skipped, Skip::ALL.map(Skip::name).into_iter())
    }

    /// Returns the records that were refused and left out as asked, by reason.
    pub(crate) fn ignored(&self) -> Named {
        named(&self.ignored, (0..=u8::MAX).map(|code| ResultCode(code).name()))
    }
}

impl MetadataCounts {
    /// Returns what a job has counted so far.
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            indexes: IndexCounts {
                read: counters.indexes_read.count(),
                created: counters.indexes_written.count(),
                same: counters.indexes_same.count(),
                kept: counters.indexes_kept.count(),
                replaced: counters.indexes_replaced.count(),
                not_restored: counters.indexes_not_restored.count(),
                failed: counters.indexes_failed.count(),
            },
            udfs: UdfCounts {
                read: counters.udfs_read.count(),
                created: counters.udfs_written.count(),
                not_restored: counters.udfs_not_restored.count(),
                failed: counters.udfs_failed.count(),
            },
        }
    }

    /// Returns what was counted since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let (a, b) = (self.indexes, earlier.indexes);
        let indexes = IndexCounts {
            read: a.read - b.read,
            created: a.created - b.created,
            same: a.same - b.same,
            kept: a.kept - b.kept,
            replaced: a.replaced - b.replaced,
            not_restored: a.not_restored - b.not_restored,
            failed: a.failed - b.failed,
        };
        let (a, b) = (self.udfs, earlier.udfs);
        let udfs = UdfCounts {
            read: a.read - b.read,
            created: a.created - b.created,
            not_restored: a.not_restored - b.not_restored,
            failed: a.failed - b.failed,
        };
        Self { indexes, udfs }
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        let (records, more) = (&mut self.records, &other.records);
        records.read += more.read;
        records.expired += more.expired;
        records.inserted += more.inserted;
        records.existed += more.existed;
        records.fresher += more.fresher;
        for (sums, counts) in [(&mut records.skipped, &more.skipped), (&mut records.ignored, &more.ignored)] {
            for (name, count) in counts {
                *sums.entry(name.clone()).or_default() += count;
            }
        }
        self.metadata += other.metadata;
    }
}

impl AddAssign for MetadataCounts {
    fn add_assign(&mut self, other: Self) {
        let (sum, more) = (&mut self.indexes, other.indexes);
        sum.read += more.read;
        sum.created += more.created;
        sum.same += more.same;
        sum.kept += more.kept;
        sum.replaced += more.replaced;
        sum.not_restored += more.not_restored;
        sum.failed += more.failed;
        let (sum, more) = (&mut self.udfs, other.udfs);
        sum.read += more.read;
        sum.created += more.created;
        sum.not_restored += more.not_restored;
        sum.failed += more.failed;
    }
}

/// Returns counts by the names that reports know. Those of a later version are counted together, so that none is lost.
fn named(counts: &BTreeMap<String, u64>, known: impl Iterator<Item = &'static str> + Clone) -> Named {
    let mut all = Named::new();
    for (name, count) in counts {
        let name = known.clone().find(|known| known == name).unwrap_or("other");
        *all.entry(name).or_default() += count;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_known_are_counted_together() {
        let counts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 2)).collect();
        let records = RecordCounts {
            skipped: counts(&["bins", "set"]),
            ignored: counts(&["record_too_big", "of_tomorrow", "of_next_year"]),
            ..RecordCounts::default()
        };
        assert_eq!(records.skipped(), [("bins", 2), ("set", 2)].into());
        assert_eq!(records.ignored(), [("record_too_big", 2), ("other", 4)].into());
    }
}
