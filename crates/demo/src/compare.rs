//! Whether two namespaces hold the same: every record with its digest, key, set, void time and bins, every index, every
//! UDF module.
//!
//! Not compared, since no restore can bring it back: generation and last-update time. Void times may differ by a second,
//! since the wire carries the seconds that are left; of NaNs only that they are NaNs, since the text form has no payload.

use std::fmt;

use asbackup_model::{Bin, RecordView, SecondaryIndex, Value};
use asbackup_testserver::Store;

/// A namespace of a server.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The server's store.
    pub store: &'a Store,
    /// The namespace.
    pub namespace: &'a str,
}

/// What a comparison found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verdict {
    /// Records of the first side that were looked for on the second.
    pub records: u64,
    /// How many differences there are.
    pub differences: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Returns whether both sides hold the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences == 0
    }

    fn add(&mut self, difference: impl FnOnce() -> String) {
        self.differences += 1;
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(difference());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_equal() {
            return write!(f, "equal: {} records, all indexes and UDF modules", self.records);
        }
        write!(f, "{} differences among {} records", self.differences, self.records)?;
        self.examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}

const MOST_EXAMPLES: usize = 10;

/// Compares two namespaces. Their own names may differ.
#[must_use]
pub fn compare(first: Side<'_>, second: Side<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    first.store.for_each_record(first.namespace, |record| {
        verdict.records += 1;
        let found = second.store.visit_record(second.namespace, &record.digest, |other| {
            if let Some(what) = difference(record, other) {
                verdict.add(|| format!("record {} differs in its {what}", record.digest));
            }
        });
        if !found {
            verdict.add(|| format!("record {} is missing", record.digest));
        }
    });
    let (expected, there) = (verdict.records, second.store.record_count(second.namespace));
    if there != expected {
        verdict.add(|| format!("there are {there} records instead of {expected}"));
    }
    compare_metadata(first, second, &mut verdict);
    verdict
}

fn compare_metadata(first: Side<'_>, second: Side<'_>, verdict: &mut Verdict) {
    let indexes = |side: Side<'_>, namespace: &str| {
        let mut indexes = side.store.indexes(side.namespace);
        indexes.iter_mut().for_each(|index: &mut SecondaryIndex| index.namespace = namespace.into());
        indexes.sort_by(|a, b| a.name.cmp(&b.name));
        indexes
    };
    if indexes(first, "") != indexes(second, "") {
        verdict.add(|| "the indexes differ".into());
    }
    if first.store.udfs() != second.store.udfs() {
        verdict.add(|| "the UDF modules differ".into());
    }
}

/// Returns the first part in which two records differ.
fn difference(first: &RecordView<'_>, second: &RecordView<'_>) -> Option<&'static str> {
    if first.set != second.set {
        return Some("set");
    }
    if first.key != second.key {
        return Some("user key");
    }
    let (a, b) = (first.void_time.0, second.void_time.0);
    if (a == 0) != (b == 0) || a.abs_diff(b) > 1 {
        return Some("void time");
    }
    // The order of bins has no meaning, and the older tools don't keep it.
    let has =
        |bin: Bin<'_>| second.bins.iter().any(|other| other.name == bin.name && same(bin.value, other.value));
    (first.bins.len() != second.bins.len() || !first.bins.iter().all(has)).then_some("bins")
}

fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}
