//! Whether two namespaces hold the same: every record with its digest, key, set, void time and bins, every index, every
//! UDF module.
//!
//! Not compared, since no restore can bring it back: generation and last-update time. Void times may differ by a second,
//! since the wire carries the seconds that are left; of NaNs only that they are NaNs, since the text form has no payload.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use asbackup_model::{Bin, Digest, RecordView, SecondaryIndex, Value};
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
    verdict.records = each_difference(first, second, |entry, what| verdict.add(|| format!("{entry} {what}")));
    let (expected, there) = (verdict.records, second.store.record_count(second.namespace));
    if there != expected {
        verdict.add(|| format!("there are {there} records instead of {expected}"));
    }
    verdict
}

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The record of this digest.
    Record(Digest),
    /// The index of this name.
    Index(&'a [u8]),
    /// The UDF module of this name.
    Udf(&'a [u8]),
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(digest) => write!(f, "record {digest}"),
            Self::Index(name) => write!(f, "index {}", name.escape_ascii()),
            Self::Udf(name) => write!(f, "UDF module {}", name.escape_ascii()),
        }
    }
}

/// Hands over each entry of the first side that the second lacks or has in another form, and each index and module that
/// only the second has. Returns how many records the first side has.
pub fn each_difference(
    first: Side<'_>,
    second: Side<'_>,
    mut on_difference: impl FnMut(Entry<'_>, &'static str),
) -> u64 {
    let mut records = 0;
    first.store.for_each_record(first.namespace, |record| {
        records += 1;
        let mut what = Some("is missing");
        second.store.visit_record(second.namespace, &record.digest, |other| what = difference(record, other));
        if let Some(what) = what {
            on_difference(Entry::Record(record.digest), what);
        }
    });
    let (ours, theirs) = (indexes(first), indexes(second));
    maps_differ(&ours, &theirs, |name, what| on_difference(Entry::Index(name), what));
    maps_differ(&udfs(first), &udfs(second), |name, what| on_difference(Entry::Udf(name), what));
    records
}

/// Returns the indexes by name, without the namespace.
fn indexes(side: Side<'_>) -> BTreeMap<Vec<u8>, SecondaryIndex> {
    let nowhere = |index| SecondaryIndex { namespace: Vec::new(), ..index };
    let indexes = side.store.indexes(side.namespace).into_iter().map(nowhere);
    indexes.map(|index| (index.name.clone(), index)).collect()
}

fn udfs(side: Side<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    side.store.udfs().into_iter().map(|udf| (udf.name, udf.content)).collect()
}

fn maps_differ<T: PartialEq>(
    first: &BTreeMap<Vec<u8>, T>,
    second: &BTreeMap<Vec<u8>, T>,
    mut on_difference: impl FnMut(&[u8], &'static str),
) {
    for (name, entry) in first {
        match second.get(name) {
            Some(other) if other == entry => {}
            Some(_) => on_difference(name, "differs"),
            None => on_difference(name, "is missing"),
        }
    }
    second.keys().filter(|name| !first.contains_key(*name)).for_each(|name| on_difference(name, "is new"));
}

/// Returns the first part in which two records differ.
fn difference(first: &RecordView<'_>, second: &RecordView<'_>) -> Option<&'static str> {
    if first.set != second.set {
        return Some("has another set");
    }
    if first.key != second.key {
        return Some("has another user key");
    }
    let (a, b) = (first.void_time.0, second.void_time.0);
    if (a == 0) != (b == 0) || a.abs_diff(b) > 1 {
        return Some("has another void time");
    }
    difference_of_bins(first, second)
}

/// The order of bins has no meaning, and the older tools don't keep it.
fn difference_of_bins(first: &RecordView<'_>, second: &RecordView<'_>) -> Option<&'static str> {
    let every = |matches: fn(Value<'_>, Value<'_>) -> bool| {
        let has = |bin: Bin<'_>| {
            second.bins.iter().any(|other| other.name == bin.name && matches(bin.value, other.value))
        };
        first.bins.iter().all(has)
    };
    match first.bins.len().cmp(&second.bins.len()) {
        Ordering::Less => Some("has more bins"),
        Ordering::Greater => Some("lacks bins"),
        Ordering::Equal if every(same) => None,
        Ordering::Equal if every(same_but_for_type) => Some("has bins of another type"),
        Ordering::Equal => Some("has other bins"),
    }
}

fn same_but_for_type(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        (Value::Bytes(_, a), Value::Bytes(_, b)) => a == b,
        _ => same(a, b),
    }
}

fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}
