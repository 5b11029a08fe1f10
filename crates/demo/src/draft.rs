//! A record in the making, which then goes into a server's store as it is.

use asbackup_model::{
    BinSlot, Digest, KeySlot, RecordLayout, RecordView, Span, UserKey, Value, ValueSlot, VoidTime,
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
        draft.layout.namespace = draft.keep(namespace);
        draft.layout.set = set.map(|set| draft.keep(set));
        draft.layout.digest = Digest::compute(set.unwrap_or_default(), key);
        draft.layout.generation = 1;
        draft
    }

    /// Stores a key with the record.
    pub(crate) fn send_key(&mut self, key: &UserKey<'_>) {
        self.layout.key = Some(match *key {
            UserKey::Integer(value) => KeySlot::Integer(value),
            UserKey::Float(value) => KeySlot::Float(value),
            UserKey::String(bytes) => KeySlot::String(self.keep(bytes)),
            UserKey::Bytes(bytes) => KeySlot::Bytes(self.keep(bytes)),
        });
    }

    /// Sets when the record expires.
    pub(crate) fn expire(&mut self, void_time: VoidTime) {
        self.layout.void_time = void_time;
    }

    /// Adds a bin.
    pub(crate) fn bin(&mut self, name: &[u8], value: Value<'_>) {
        let name = self.keep(name);
        let value = match value {
            Value::Nil => ValueSlot::Nil,
            Value::Bool(value) => ValueSlot::Bool(value),
            Value::Integer(value) => ValueSlot::Integer(value),
            Value::Float(value) => ValueSlot::Float(value),
            Value::String(bytes) => ValueSlot::String(self.keep(bytes)),
            Value::GeoJson(json) => ValueSlot::GeoJson(self.keep(json)),
            Value::Bytes(kind, bytes) => ValueSlot::Bytes(kind, self.keep(bytes)),
        };
        self.layout.bins.push(BinSlot { name, value });
    }

    /// Returns the record.
    pub(crate) fn view(&self) -> RecordView<'_> {
        self.layout.view(&[])
    }

    /// Puts bytes into the layout itself.
    fn keep(&mut self, bytes: &[u8]) -> Span {
        let offset = |at: usize| u32::try_from(at).expect("a record of tests is small");
        let span = Span::Decoded { start: offset(self.layout.decoded.len()), len: offset(bytes.len()) };
        self.layout.decoded.extend_from_slice(bytes);
        span
    }
}
