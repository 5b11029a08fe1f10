//! Generators of records and other values for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{BytesType, Digest, IndexKind, IndexedType, SecondaryIndex, UdfModule, VoidTime, particle};

pub use crate::owned::{OwnedKey, OwnedValue, Record};

/// Generates records: every type, odd bytes everywhere, no bin name twice.
pub fn record() -> impl Strategy<Value = Record> {
    let identity = (name(1..=31), proptest::option::of(name(1..=63)), any::<[u8; 20]>());
    let state = (any::<u16>(), 0..=u64::from(u32::MAX));
    let bins = vec((name(1..=15), value()), 0..12);
    (identity, proptest::option::of(key()), state, bins).prop_map(
        |((namespace, set, digest), key, (generation, void_time), mut bins)| {
            bins.sort_by(|(a, _), (b, _)| a.cmp(b));
            bins.dedup_by(|(a, _), (b, _)| a == b);
            Record {
                namespace,
                set,
                digest: Digest(digest),
                key,
                generation,
                void_time: VoidTime(void_time),
                bins,
            }
        },
    )
}

/// Generates user keys of every type.
pub fn key() -> impl Strategy<Value = OwnedKey> {
    prop_oneof![
        any::<i64>().prop_map(OwnedKey::Integer),
        float_bits().prop_map(OwnedKey::Float),
        bytes().prop_map(OwnedKey::String),
        bytes().prop_map(OwnedKey::Bytes),
    ]
}

/// Generates values of every type.
pub fn value() -> impl Strategy<Value = OwnedValue> {
    prop_oneof![
        Just(OwnedValue::Nil),
        any::<bool>().prop_map(OwnedValue::Bool),
        any::<i64>().prop_map(OwnedValue::Integer),
        (-1000..1000i64).prop_map(OwnedValue::Integer),
        float_bits().prop_map(OwnedValue::Float),
        bytes().prop_map(OwnedValue::String),
        bytes().prop_map(OwnedValue::GeoJson),
        (bytes_type(), bytes()).prop_map(|(kind, bytes)| OwnedValue::Bytes(kind, bytes)),
    ]
}

/// Generates secondary indexes, with a context, an expression, or neither.
pub fn secondary_index() -> impl Strategy<Value = SecondaryIndex> {
    let names = (name(1..=31), proptest::option::of(name(1..=63)), name(1..=63), name(1..=15));
    let kind = proptest::sample::select(vec![
        IndexKind::Default,
        IndexKind::ListElements,
        IndexKind::MapKeys,
        IndexKind::MapValues,
    ]);
    let indexed = proptest::sample::select(vec![
        IndexedType::Numeric,
        IndexedType::String,
        IndexedType::Geo2dSphere,
        IndexedType::Blob,
    ]);
    let texts = prop_oneof![
        Just((None, None)),
        index_text().prop_map(|text| (Some(text), None)),
        index_text().prop_map(|text| (None, Some(text))),
    ];
    (names, kind, indexed, texts).prop_map(|((namespace, set, name, bin), kind, indexed, texts)| {
        let (context, expression) = texts;
        SecondaryIndex { namespace, set, name, kind, bin, indexed, context, expression }
    })
}

/// Generates UDF modules.
pub fn udf_module() -> impl Strategy<Value = UdfModule> {
    (name(1..=63), bytes()).prop_map(|(name, content)| UdfModule { name, content })
}

/// Generates names: mostly plain, often with bytes that formats escape.
pub fn name(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    let plain = proptest::sample::select(b"abcxyzABC019_-".to_vec());
    let special = proptest::sample::select(b"\\ \n\r\0!;,=\xff".to_vec());
    vec(prop_oneof![6 => plain, 1 => special, 1 => any::<u8>()], length)
}

/// Generates bytes of up to 100, and now and then some thousands.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![20 => vec(any::<u8>(), 0..100), 1 => vec(any::<u8>(), 0..5000)]
}

/// Generates the bits of any double: random ones, whole numbers, decimal fractions.
pub fn float_bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<i32>().prop_map(|value| f64::from(value).to_bits()),
        (any::<i32>(), -30..30i32)
            .prop_map(|(value, power)| (f64::from(value) * 10f64.powi(power)).to_bits()),
    ]
}

fn bytes_type() -> impl Strategy<Value = BytesType> {
    proptest::sample::select(vec![
        BytesType::Blob,
        BytesType::Java,
        BytesType::CSharp,
        BytesType::Python,
        BytesType::Ruby,
        BytesType::Php,
        BytesType::Erlang,
        BytesType::Hll,
        BytesType::Map,
        BytesType::List,
        BytesType::Unknown(particle::GEOJSON + 1),
    ])
}

/// Generates what looks like base64 and isn't empty.
fn index_text() -> impl Strategy<Value = Vec<u8>> {
    vec(proptest::sample::select(b"ABCabc019+/=".to_vec()), 1..40)
}
