//! Owned records for tests, and generators of them for property tests.
//!
//! The product itself never owns a record: it passes views on. Tests build and compare them.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    BinSlot, BytesType, Digest, IndexKind, IndexedType, KeySlot, RecordLayout, RecordView, SecondaryIndex,
    Span, UdfModule, UserKey, Value, ValueSlot, VoidTime, particle,
};

/// A record that owns its bytes and can be compared, NaNs included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// See [`RecordView::namespace`].
    pub namespace: Vec<u8>,
    /// See [`RecordView::set`].
    pub set: Option<Vec<u8>>,
    /// See [`RecordView::digest`].
    pub digest: Digest,
    /// See [`RecordView::key`].
    pub key: Option<OwnedKey>,
    /// See [`RecordView::generation`].
    pub generation: u16,
    /// See [`RecordView::void_time`].
    pub void_time: VoidTime,
    /// Names and values of the bins in order.
    pub bins: Vec<(Vec<u8>, OwnedValue)>,
}

/// A user key that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedKey {
    /// See [`UserKey::Integer`].
    Integer(i64),
    /// The bits of a [`UserKey::Float`].
    Float(u64),
    /// See [`UserKey::String`].
    String(Vec<u8>),
    /// See [`UserKey::Bytes`].
    Bytes(Vec<u8>),
}

/// A value that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedValue {
    /// See [`Value::Nil`].
    Nil,
    /// See [`Value::Bool`].
    Bool(bool),
    /// See [`Value::Integer`].
    Integer(i64),
    /// The bits of a [`Value::Float`].
    Float(u64),
    /// See [`Value::String`].
    String(Vec<u8>),
    /// See [`Value::GeoJson`].
    GeoJson(Vec<u8>),
    /// See [`Value::Bytes`].
    Bytes(BytesType, Vec<u8>),
}

impl Record {
    /// Returns a layout that holds all of the record: its view needs no input, `layout.view(&[])`.
    #[must_use]
    pub fn layout(&self) -> RecordLayout {
        let mut layout = RecordLayout::new();
        layout.namespace = push(&mut layout.decoded, &self.namespace);
        layout.set = self.set.as_ref().map(|set| push(&mut layout.decoded, set));
        layout.digest = self.digest;
        layout.key = self.key.as_ref().map(|key| key.slot(&mut layout.decoded));
        layout.generation = self.generation;
        layout.void_time = self.void_time;
        for (name, value) in &self.bins {
            let name = push(&mut layout.decoded, name);
            let value = value.slot(&mut layout.decoded);
            layout.bins.push(BinSlot { name, value });
        }
        layout
    }
}

impl From<RecordView<'_>> for Record {
    fn from(view: RecordView<'_>) -> Self {
        Self {
            namespace: view.namespace.to_vec(),
            set: view.set.map(<[u8]>::to_vec),
            digest: view.digest,
            key: view.key.map(OwnedKey::from),
            generation: view.generation,
            void_time: view.void_time,
            bins: view.bins.iter().map(|bin| (bin.name.to_vec(), bin.value.into())).collect(),
        }
    }
}

impl OwnedKey {
    fn slot(&self, decoded: &mut Vec<u8>) -> KeySlot {
        match self {
            Self::Integer(value) => KeySlot::Integer(*value),
            Self::Float(bits) => KeySlot::Float(f64::from_bits(*bits)),
            Self::String(bytes) => KeySlot::String(push(decoded, bytes)),
            Self::Bytes(bytes) => KeySlot::Bytes(push(decoded, bytes)),
        }
    }
}

impl From<UserKey<'_>> for OwnedKey {
    fn from(key: UserKey<'_>) -> Self {
        match key {
            UserKey::Integer(value) => Self::Integer(value),
            UserKey::Float(value) => Self::Float(value.to_bits()),
            UserKey::String(bytes) => Self::String(bytes.to_vec()),
            UserKey::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl OwnedValue {
    fn slot(&self, decoded: &mut Vec<u8>) -> ValueSlot {
        match self {
            Self::Nil => ValueSlot::Nil,
            Self::Bool(value) => ValueSlot::Bool(*value),
            Self::Integer(value) => ValueSlot::Integer(*value),
            Self::Float(bits) => ValueSlot::Float(f64::from_bits(*bits)),
            Self::String(bytes) => ValueSlot::String(push(decoded, bytes)),
            Self::GeoJson(bytes) => ValueSlot::GeoJson(push(decoded, bytes)),
            Self::Bytes(kind, bytes) => ValueSlot::Bytes(*kind, push(decoded, bytes)),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Float(value) => Self::Float(value.to_bits()),
            Value::String(bytes) => Self::String(bytes.to_vec()),
            Value::GeoJson(bytes) => Self::GeoJson(bytes.to_vec()),
            Value::Bytes(kind, bytes) => Self::Bytes(kind, bytes.to_vec()),
        }
    }
}

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

fn push(decoded: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let length = |bytes: usize| u32::try_from(bytes).expect("a record of a test is small");
    let span = Span::Decoded { start: length(decoded.len()), len: length(bytes.len()) };
    decoded.extend_from_slice(bytes);
    span
}
