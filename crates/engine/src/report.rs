//! What a job did, once it has ended in whatever way. The JSON form is that of `--report json`; see docs/report.md.

use std::time::{Duration, SystemTime};

use asbackup_storage::Local;
use serde::Serialize;

use crate::{
    complete::Done,
    manifest::{Completeness, Manifest, ManifestFacts},
    naming,
    progress::{Counters, Moved, Named},
    restore_state::{IndexCounts, UdfCounts},
};

/// When a job ran.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// End, RFC 3339 in UTC.
    pub finished: String,
    /// Time between the two, by a clock that doesn't jump.
    pub duration_ms: u64,
}

/// Where the data lies.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Kind of storage.
    pub kind: &'static str,
    /// Path of the directory or file.
    pub path: String,
    /// How many files were read or written.
    pub files: u64,
}

/// Where a backup was written.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Name of the manifest; none if the backup isn't complete.
    pub manifest: Option<String>,
}

/// What a backup did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Namespace.
    pub namespace: String,
    /// The share of the backup that this job was, such as `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Where to.
    pub target: Target,
    /// Records.
    pub records: BackedUp,
    /// Secondary indexes.
    pub indexes: Copied,
    /// UDF modules.
    pub udfs: Copied,
    /// Values that the format can't say in full, by kind.
    pub inexact: Named,
    /// What went wrong on the way.
    pub errors: Troubles,
    /// Bytes.
    pub bytes: Bytes,
    /// Averages over the whole run.
    pub rates: Rates,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Path of the state, if the job failed and can be gone on with.
    #[serde(skip)]
    pub state_file: Option<String>,
}

/// Counts of a backup's records: read = written + skipped + failed + unfinished + unaccounted.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BackedUp {
    /// Records that the cluster sent.
    pub read: u64,
    /// Records in complete files; of a job that failed, those that are durable, if it can be gone on with.
    pub written: u64,
    /// Records left out, by reason.
    pub skipped: Named,
    /// Records that could not be written.
    pub failed: u64,
    /// Records that were read when the job ended before its time.
    pub unfinished: u64,
    /// What the identity lacks: anything but 0 is a mistake of this library.
    pub unaccounted: i64,
    /// The cluster's own estimate at the start.
    pub estimated_total: u64,
}

/// Counts of indexes or UDFs in a backup.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Copied {
    /// How many the cluster has.
    pub read: u64,
    /// How many were written.
    pub written: u64,
}

/// What a restore did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Namespace, or `from,to`; empty if each entry went where it came from.
    pub namespace: String,
    /// The share of the backup that this job restored, such as `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Where from.
    pub source: Source,
    /// Records.
    pub records: Restored,
    /// Secondary indexes.
    pub indexes: IndexesRestored,
    /// UDF modules.
    pub udfs: UdfsRestored,
    /// What went wrong on the way.
    pub errors: Troubles,
    /// Bytes.
    pub bytes: Bytes,
    /// Averages over the whole run.
    pub rates: Rates,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Whether nothing was written, as asked: what is counted as written would have been.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Where the state lies by which the job can be gone on with; none after success.
    #[serde(skip)]
    pub state_file: Option<String>,
}

/// How large a backup would be.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EstimateReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Namespace.
    pub namespace: String,
    /// The estimate.
    pub estimate: Estimate,
}

/// An estimate from a sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Records that a backup would read: the cluster's own count, or what a scan without bins counted.
    pub records: u64,
    /// Records that were read to see how large they are.
    pub samples: u64,
    /// Mean size of their text.
    pub bytes_per_record: f64,
    /// Bytes of text that one stored byte holds.
    pub ratio: f64,
    /// Stored bytes of all data files, compressed and encrypted as the backup would be.
    pub bytes: SizeRange,
}

/// A size and how far it may be off because a sample was read and not all. That records come and go meanwhile isn't in
/// it, nor that the cluster's own count may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SizeRange {
    /// The most likely size.
    pub mean: u64,
    /// In 95 of 100 cases it is at least this,
    pub low_95: u64,
    /// and at most this.
    pub high_95: u64,
    /// In 99 of 100 cases it is at least this,
    pub low_99: u64,
    /// and at most this.
    pub high_99: u64,
}

/// Where a restore or a validation read from.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Whether a manifest was there and holds; of several directories, whether that is so of each.
    pub completeness: Completeness,
    /// Each directory that holds a backup, if there may be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<SourceDirectory>,
}

/// One of several directories that were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SourceDirectory {
    /// Its path.
    pub path: String,
    /// How many of the files are in it.
    pub files: u64,
    /// Whether a manifest was there and holds.
    pub completeness: Completeness,
}

/// Counts of a restore's records:
/// read = expired + skipped + inserted + existed + fresher + ignored + failed + unfinished + unaccounted.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Restored {
    /// Records that were decoded.
    pub read: u64,
    /// Records whose time was over.
    pub expired: u64,
    /// Records left out, by reason.
    pub skipped: Named,
    /// Records that were created, updated or replaced.
    pub inserted: u64,
    /// Records that were there already, with the rule to create only.
    pub existed: u64,
    /// Records whose stored generation was as high or higher.
    pub fresher: u64,
    /// Records that were refused and left out, as asked, by reason.
    pub ignored: Named,
    /// Records that were refused or have no certain answer, by reason.
    pub failed: Named,
    /// Records that were read when the job ended before their final answer came.
    pub unfinished: u64,
    /// What the identity lacks: anything but 0 is a mistake of this library.
    pub unaccounted: i64,
}

/// Counts of indexes in a restore: read = created + same + kept + replaced + not_restored + failed, once it is done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct IndexesRestored {
    /// How many were decoded.
    pub read: u64,
    /// How many were created.
    pub created: u64,
    /// How many were there already with the same definition.
    pub same: u64,
    /// How many gave way to another one of their name, as asked.
    pub kept: u64,
    /// How many took the place of another one of their name, as asked.
    pub replaced: u64,
    /// How many were left out, as asked, or because the cluster is too old for them.
    pub not_restored: u64,
    /// How many could not be created.
    pub failed: u64,
}

/// Counts of UDF modules in a restore: read = created + not_restored + failed, once it is done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UdfsRestored {
    /// How many were decoded.
    pub read: u64,
    /// How many were registered.
    pub created: u64,
    /// How many were left out, as asked.
    pub not_restored: u64,
    /// How many were refused.
    pub failed: u64,
}

/// What went wrong on the way and was tried again.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Troubles {
    /// Attempts whose outcome is unknown.
    pub in_doubt_attempts: u64,
    /// Records without a final answer that an attempt with an unknown outcome may have written; they are counted as failed.
    pub in_doubt_records: u64,
    /// Retries, by reason.
    pub retries: Named,
    /// Waits because the server was overloaded or had too many scans.
    pub throttle_waits: u64,
}

/// Bytes of the decoded text and of what is stored.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Bytes {
    /// Bytes of the decoded text.
    pub decoded: u64,
    /// Bytes in storage.
    pub stored: u64,
}

/// Averages over the whole run, without what earlier runs had done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Rates {
    /// Records per second.
    pub records_per_s: u64,
    /// Bytes of the decoded text per second.
    pub decoded_bytes_per_s: u64,
    /// Stored bytes per second.
    pub stored_bytes_per_s: u64,
}

/// What a validation found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ValidateReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Where from.
    pub source: Source,
    /// Records that were decoded.
    pub records: Decoded,
    /// Secondary indexes that were decoded.
    pub indexes: Decoded,
    /// UDF modules that were decoded.
    pub udfs: Decoded,
    /// Bytes.
    pub bytes: Bytes,
    /// Averages over the whole run.
    pub rates: Rates,
    /// What is wrong, file by file; empty if all is well.
    pub findings: Vec<Finding>,
}

/// What an inspection found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Where.
    pub source: Source,
    /// What is there.
    #[serde(flatten)]
    pub inspected: Inspected,
}

/// What a backup holds, as far as that shows without reading all of it.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Inspected {
    /// What the manifest says of the whole; none if there is none that is whole.
    pub manifest: Option<ManifestFacts>,
    /// The data files.
    pub files: Vec<InspectedFile>,
    /// Stored size of all data files.
    pub bytes: u64,
    /// Indexes, as far as they stand before the first record of a file that can be read.
    pub indexes: Vec<InspectedIndex>,
    /// UDF modules, likewise.
    pub udfs: Vec<InspectedUdf>,
    /// What is wrong, as far as names, sizes, headers and the manifest show it.
    pub findings: Vec<Finding>,
}

/// A data file of a backup. Counts are those of the manifest.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectedFile {
    /// Name.
    pub name: String,
    /// Stored size.
    pub bytes: u64,
    /// Version of the text format; none if the file is wrapped, or no backup.
    pub version: Option<&'static str>,
    /// Namespace that the header names.
    pub namespace: Option<String>,
    /// How many records it holds.
    pub records: Option<u64>,
    /// How many indexes it holds.
    pub indexes: Option<u64>,
    /// How many UDF modules it holds.
    pub udfs: Option<u64>,
    /// Partitions of its records.
    pub partitions: Option<String>,
}

/// An index in a backup.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectedIndex {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Set; none if it covers the whole namespace.
    pub set: Option<String>,
    /// Bin; none if an expression or a set is indexed.
    pub bin: Option<String>,
    /// `default`, `list`, `mapkeys`, `mapvalues`, or `set` for the members of a set.
    pub kind: &'static str,
    /// Type of the indexed values: `numeric`, `string`, `geo2dsphere`, `blob`.
    pub indexed: Option<&'static str>,
    /// Base64 of the indexed expression.
    pub expression: Option<String>,
}

/// A UDF module in a backup.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectedUdf {
    /// File name.
    pub name: String,
    /// Size of its source text.
    pub bytes: u64,
}

/// What a removal of backup files did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RemovalReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Where; its files are those that went.
    pub target: Place,
    /// Names of the files that went, in that order.
    pub removed: Vec<String>,
    /// How many files of others are still there.
    pub left: u64,
}

/// What became of the shares of a backup.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CompleteReport {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Namespace; empty if the backup isn't complete.
    pub namespace: String,
    /// Where; its files are the data files of all shares.
    pub target: Target,
    /// How many shares the backup was made of; 0 if it wasn't made of any, or isn't complete.
    pub shares: u16,
    /// Records in all files.
    pub records: Completed,
    /// Secondary indexes.
    pub indexes: Completed,
    /// UDF modules.
    pub udfs: Completed,
    /// Stored size of the data files.
    pub bytes: u64,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// How many entries of a kind a whole backup holds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Completed {
    /// How many.
    pub written: u64,
}

impl CompleteReport {
    pub(crate) fn new(span: Span, target: &Local, Done { manifest, warnings }: &Done) -> Self {
        let manifest = manifest.as_ref();
        let [records, indexes, udfs, bytes] = manifest.map(Manifest::counts).unwrap_or_default();
        let completed = |written| Completed { written };
        Self {
            span,
            namespace: manifest.map(|manifest| manifest.namespace().to_owned()).unwrap_or_default(),
            target: Target {
                place: Place {
                    kind: target.kind(),
                    path: target.path().display().to_string(),
                    files: manifest.map_or(0, Manifest::file_count),
                },
                manifest: manifest.map(|_| naming::manifest(None)),
            },
            shares: manifest.and_then(Manifest::all_shards).map_or(0, |shares| shares.of),
            records: completed(records),
            indexes: completed(indexes),
            udfs: completed(udfs),
            bytes,
            warnings: warnings.clone(),
        }
    }
}

/// How many entries of a kind were decoded.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Decoded {
    /// How many.
    pub read: u64,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// What kind of check failed.
    pub kind: FindingKind,
    /// Line of the decoded text, from 1. Only of what can't be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Byte of the decoded text, from 0. Only of what can't be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// What is wrong.
    pub message: String,
}

/// Which check a finding comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A file that the manifest lists isn't there, or a manifest that is required.
    Missing,
    /// Shares of a backup of which nobody has made one backup yet.
    Unclosed,
    /// A backup that was interrupted, and that nobody has gone on with.
    Unfinished,
    /// A data file of the same namespace isn't in the manifest.
    Extra,
    /// A file has another size than the manifest says.
    Size,
    /// A file's bytes aren't those that were written.
    Hash,
    /// A file holds another number of entries than the manifest says.
    Count,
    /// The manifest itself is damaged, or contradicts itself.
    Manifest,
    /// The text isn't a valid backup.
    Decode,
}

impl Finding {
    pub(crate) fn new(file: impl Into<String>, kind: FindingKind, message: String) -> Self {
        Self { file: file.into(), kind, line: None, byte: None, message }
    }
}

impl Span {
    /// Returns the span of a job that began at `started` and ran for `duration`.
    pub(crate) fn new(started: SystemTime, duration: Duration) -> Self {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { started: rfc3339(started), finished: rfc3339(started + duration), duration_ms }
    }
}

impl IndexesRestored {
    pub(crate) fn of(counts: IndexCounts) -> Self {
        let IndexCounts { read, created, same, kept, replaced, not_restored, failed } = counts;
        Self { read, created, same, kept, replaced, not_restored, failed }
    }
}

impl UdfsRestored {
    pub(crate) fn of(UdfCounts { read, created, not_restored, failed }: UdfCounts) -> Self {
        Self { read, created, not_restored, failed }
    }
}

impl Troubles {
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            in_doubt_attempts: counters.in_doubt_attempts.count(),
            in_doubt_records: counters.in_doubt_records.count(),
            retries: counters.retries.counts(),
            throttle_waits: counters.throttle_waits.count(),
        }
    }
}

impl Bytes {
    pub(crate) fn of(counters: &Counters) -> Self {
        Self { decoded: counters.bytes_decoded.count(), stored: counters.bytes_stored.count() }
    }
}

impl Rates {
    pub(crate) fn of(counters: &Counters, duration: Duration) -> Self {
        let per_s = |count: u64| u128::from(count) * 1000 / duration.as_millis().max(1);
        let per_s = |count: u64| u64::try_from(per_s(count)).unwrap_or(u64::MAX);
        let Moved { records, bytes_decoded, bytes_stored } = counters.moved_here();
        Self {
            records_per_s: per_s(records),
            decoded_bytes_per_s: per_s(bytes_decoded),
            stored_bytes_per_s: per_s(bytes_stored),
        }
    }
}

/// Returns `whole − sum(parts)`, which is 0 when everything is accounted for.
pub(crate) fn unaccounted(whole: u64, parts: &[u64]) -> i64 {
    let parts = parts.iter().map(|part| i128::from(*part)).sum::<i128>();
    i64::try_from(i128::from(whole) - parts).unwrap_or(i64::MAX)
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    // A clock outside of the years -9999 to 9999 has no RFC 3339 form; the report is worth more than that.
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_is_in_utc() {
        let span = Span::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            Duration::from_millis(1500),
        );
        assert_eq!(span.started, "2026-01-01T00:00:00.000Z");
        assert_eq!(span.finished, "2026-01-01T00:00:01.500Z");
        assert_eq!(span.duration_ms, 1500);
    }

    #[test]
    fn unaccounted_shows_both_directions() {
        assert_eq!(unaccounted(10, &[4, 6]), 0);
        assert_eq!(unaccounted(10, &[4, 5]), 1);
        assert_eq!(unaccounted(10, &[4, 7]), -1);
    }
}
