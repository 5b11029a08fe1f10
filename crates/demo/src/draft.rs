//! A record in the making, which then goes into a server's store as it is.

use asbackup_model::{
    BinSlot, Digest, KeySlot, RecordLayout, RecordView, UserKey, Value, ValueSlot, VoidTime,
};

/// A record in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    layout: RecordLayout,
}

impl Draft {
    /// Returns a record of a namespace and set, that never expires and has no bin yet. The digest is that of `key`,
    /// which isn't stored with the record until [`Self::send_key`] says so.
    pub(crate) fn new(namespace: &[u8], set: Option<&[u8]>, key: &UserKey<'_>) -> Self {
        let mut draft = Self::default();
        draft.layout.namespace = draft.layout.keep(namespace);
        draft.layout.set = set.map(|set| draft.layout.keep(set));
        draft.layout.digest = Digest::compute(set.unwrap_or_default(), key);
        draft.layout.generation = 1;
        draft
    }

    /// Stores a key with the record.
    pub(crate) fn send_key(&mut self, key: &UserKey<'_>) {
        self.layout.key = Some(match *key {
            UserKey::Integer(value) => KeySlot::Integer(value),
            UserKey::Float(value) => KeySlot::Float(value),
            UserKey::String(bytes) => KeySlot::String(self.layout.keep(bytes)),
            UserKey::Bytes(bytes) => KeySlot::Bytes(self.layout.keep(bytes)),
        });
    }

    /// Sets when the record expires.
    pub(crate) fn expire(&mut self, void_time: VoidTime) {
        self.layout.void_time = void_time;
    }

    /// Adds a bin.
    pub(crate) fn bin(&mut self, name: &[u8], value: Value<'_>) {
        let name = self.layout.keep(name);
        let value = match value {
            Value::Nil => ValueSlot::Nil,
            Value::Bool(value) => ValueSlot::Bool(value),
            Value::Integer(value) => ValueSlot::Integer(value),
            Value::Float(value) => ValueSlot::Float(value),
            Value::String(bytes) => ValueSlot::String(self.layout.keep(bytes)),
            Value::GeoJson(json) => ValueSlot::GeoJson(self.layout.keep(json)),
            Value::Bytes(kind, bytes) => ValueSlot::Bytes(kind, self.layout.keep(bytes)),
        };
        self.layout.bins.push(BinSlot { name, value });
    }

    /// Returns the record.
    pub(crate) fn view(&self) -> RecordView<'_> {
        self.layout.view(&[])
    }
}
