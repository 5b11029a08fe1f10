//! Awkward data: every kind of value, key, name, index and UDF module that a server can hold and a tool may lose.
//!
//! Each entry has a label that says which kind it is, so that a comparison can tell what a tool keeps and what it loses.

mod metadata;
mod stopper;
mod values;

use std::collections::BTreeMap;

use asbackup_model::{Digest, SecondaryIndex, UdfModule, UserKey, Value, VoidTime};
use asbackup_testserver::Store;

use crate::draft::Draft;

pub use stopper::Stopper;

/// Which kind each entry of the awkward data is.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Labels {
    /// Of records.
    pub records: BTreeMap<Digest, &'static str>,
    /// Of indexes, by name.
    pub indexes: BTreeMap<Vec<u8>, &'static str>,
    /// Of UDF modules, by name.
    pub udfs: BTreeMap<Vec<u8>, &'static str>,
}

impl Labels {
    /// Returns how many entries there are of each kind.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<&'static str, u64> {
        let mut totals = BTreeMap::new();
        let labels = self.records.values().chain(self.indexes.values()).chain(self.udfs.values());
        labels.for_each(|label| *totals.entry(*label).or_default() += 1);
        totals
    }
}

/// Puts the awkward data into a namespace, but for what [`Stopper`] stands for. `now` is the present time as a void time.
#[must_use]
pub fn load(store: &Store, namespace: &str, now: VoidTime) -> Labels {
    let mut loader = Loader { store, namespace, labels: Labels::default() };
    values::load(&mut loader);
    names(&mut loader);
    keys(&mut loader);
    sizes(&mut loader);
    expiry(&mut loader, now);
    metadata::indexes(namespace).into_iter().for_each(|(kind, index)| loader.index(kind, index));
    metadata::udfs().into_iter().for_each(|(kind, udf)| loader.udf(kind, udf));
    loader.labels
}

/// Where the data goes, and the labels so far.
struct Loader<'a> {
    store: &'a Store,
    namespace: &'a str,
    labels: Labels,
}

impl Loader<'_> {
    /// Adds a record whose key says its kind.
    fn record(&mut self, kind: &'static str, fill: impl FnOnce(&mut Draft)) {
        let name = format!("{kind} {}", self.labels.records.len());
        let key = UserKey::String(name.as_bytes());
        let mut draft = Draft::new(self.namespace.as_bytes(), Some(SET), &key);
        draft.send_key(&key);
        fill(&mut draft);
        self.put(kind, &draft);
    }

    /// Adds a record with this value.
    fn value(&mut self, kind: &'static str, value: Value<'_>) {
        self.record(kind, |draft| draft.bin(b"value", value));
    }

    fn put(&mut self, kind: &'static str, draft: &Draft) {
        let record = draft.view();
        let before = self.labels.records.insert(record.digest, kind);
        assert_eq!(before, None, "two awkward records have the same key");
        self.store.put(&record);
    }

    fn index(&mut self, kind: &'static str, index: SecondaryIndex) {
        self.labels.indexes.insert(index.name.clone(), kind);
        self.store.add_index(index);
    }

    fn udf(&mut self, kind: &'static str, udf: UdfModule) {
        self.labels.udfs.insert(udf.name.clone(), kind);
        self.store.add_udf(udf);
    }
}

/// Odd names of bins and sets. Servers refuse a NUL in the name of a bin, and take an empty set for none.
fn names(loader: &mut Loader<'_>) {
    for name in ODD_NAMES {
        loader.record("bin name", |draft| draft.bin(name, Value::Integer(1)));
    }
    let longest = [b's'; MAX_SET_BYTES];
    for set in ODD_NAMES.into_iter().chain([&longest[..], b"nul\0"]) {
        let key = UserKey::String(b"in an odd set");
        let mut draft = Draft::new(loader.namespace.as_bytes(), Some(set), &key);
        draft.send_key(&key);
        draft.bin(b"value", Value::Integer(1));
        loader.put("set", &draft);
    }
    let key = UserKey::String(b"in no set");
    let mut draft = Draft::new(loader.namespace.as_bytes(), None, &key);
    draft.send_key(&key);
    draft.bin(b"value", Value::Integer(1));
    loader.put("null set", &draft);
}

fn keys(loader: &mut Loader<'_>) {
    let long = [b'k'; 10_000];
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for number in [0, -1, i64::MIN, i64::MAX] {
        key(loader, "integer key", &UserKey::Integer(number));
    }
    for text in ODD_NAMES.into_iter().chain([&b""[..], b"\0", &long, &every_byte]) {
        key(loader, "string key", &UserKey::String(text));
        key(loader, "bytes key", &UserKey::Bytes(text));
    }
    for number in [0.0, -1.5, 1e300, f64::INFINITY] {
        key(loader, "float key", &UserKey::Float(number));
    }
    let key = UserKey::String(b"not stored");
    let mut draft = Draft::new(loader.namespace.as_bytes(), Some(SET), &key);
    draft.bin(b"value", Value::Integer(1));
    loader.put("no key", &draft);
}

fn key(loader: &mut Loader<'_>, kind: &'static str, key: &UserKey<'_>) {
    let mut draft = Draft::new(loader.namespace.as_bytes(), Some(SET), key);
    draft.send_key(key);
    draft.bin(b"value", Value::Integer(1));
    loader.put(kind, &draft);
}

fn sizes(loader: &mut Loader<'_>) {
    loader.record("1000 bins", |draft| {
        (0..1000).for_each(|number| draft.bin(format!("bin {number}").as_bytes(), Value::Integer(number)));
    });
    // What a server keeps with a record of 1 MiB beside the value is far less than 256 bytes.
    let large: Vec<u8> =
        (0..(1 << 20) - 256_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    loader.value("1 MiB string", Value::String(&large));
    loader.value("1 MiB blob", Value::Bytes(asbackup_model::BytesType::Blob, &large));
    loader.record("no bins", |_| ());
}

fn expiry(loader: &mut Loader<'_>, now: VoidTime) {
    for (kind, void_time) in [
        ("never expires", VoidTime::NEVER),
        ("short time to live", VoidTime(now.0 + SHORT_TTL_S)),
        ("long time to live", VoidTime(now.0 + LONG_TTL_S)),
    ] {
        loader.record(kind, |draft| {
            draft.expire(void_time);
            draft.bin(b"value", Value::Integer(1));
        });
    }
}

const SET: &[u8] = b"awkward";
const MAX_SET_BYTES: usize = 63;

/// As short as it can be without running out while the tools are at work.
const SHORT_TTL_S: u64 = 600;

/// A day below the ten years that servers allow.
const LONG_TTL_S: u64 = 3649 * 24 * 60 * 60;

/// Names with every byte that a format may trip over; the longest has the 15 bytes that a bin's name may have.
const ODD_NAMES: [&[u8]; 11] = [
    b" ",
    b"a b",
    b"\n",
    b"line\nbreak",
    b"=",
    b"key=value",
    b"\\",
    b"back\\\\slash\\",
    b"\xff\xfe",
    b"tab\tand,;:",
    b"fifteen bytes!!",
];
