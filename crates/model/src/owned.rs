//! Records that own their bytes, for tests.
//!
//! The product itself never owns a record: it passes views on. Tests build and compare them.

use crate::{
    BinSlot, BytesType, Digest, KeySlot, RecordLayout, RecordView, UserKey, Value, ValueSlot, VoidTime,
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
        layout.namespace = layout.keep(&self.namespace);
        layout.set = self.set.as_ref().map(|set| layout.keep(set));
        layout.digest = self.digest;
        layout.key = self.key.as_ref().map(|key| key.slot(&mut layout));
        layout.generation = self.generation;
        layout.void_time = self.void_time;
        for (name, value) in &self.bins {
            let name = layout.keep(name);
            let value = value.slot(&mut layout);
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
    fn slot(&self, layout: &mut RecordLayout) -> KeySlot {
        match self {
            Self::Integer(value) => KeySlot::Integer(*value),
            Self::Float(bits) => KeySlot::Float(f64::from_bits(*bits)),
            Self::String(bytes) => KeySlot::String(layout.keep(bytes)),
            Self::Bytes(bytes) => KeySlot::Bytes(layout.keep(bytes)),
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
    fn slot(&self, layout: &mut RecordLayout) -> ValueSlot {
        match self {
            Self::Nil => ValueSlot::Nil,
            Self::Bool(value) => ValueSlot::Bool(*value),
            Self::Integer(value) => ValueSlot::Integer(*value),
            Self::Float(bits) => ValueSlot::Float(f64::from_bits(*bits)),
            Self::String(bytes) => ValueSlot::String(layout.keep(bytes)),
            Self::GeoJson(bytes) => ValueSlot::GeoJson(layout.keep(bytes)),
            Self::Bytes(kind, bytes) => ValueSlot::Bytes(*kind, layout.keep(bytes)),
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
