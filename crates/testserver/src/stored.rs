//! A record as the store keeps it: the message that a scan sends. Source: docs/format/wire.md, "Scan".
//!
//! The fields are in a fixed order: namespace, digest, set if there is one, user key if it was sent.

use asbackup_codec::Step;
use asbackup_codec::wire::{HEADER_BYTES, Message, MessageHeader, ResultCode, field, put_field};
use asbackup_model::Digest;

/// What a stored record says besides its bins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) namespace: &'a [u8],
    pub(crate) digest: Digest,
    pub(crate) set: Option<&'a [u8]>,
    /// The field's data: particle type and value.
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) generation: u16,
    pub(crate) void_time_s: u32,
}

/// Appends everything of a record but its ops.
pub(crate) fn put_head(out: &mut Vec<u8>, head: &Head<'_>, ops: u16) {
    let header = MessageHeader {
        result: ResultCode::OK,
        generation: u32::from(head.generation),
        ttl: head.void_time_s,
        fields: 2 + u16::from(head.set.is_some()) + u16::from(head.key.is_some()),
        ops,
        ..MessageHeader::default()
    };
    out.extend_from_slice(&header.encode());
    put_field(out, field::NAMESPACE, head.namespace);
    put_field(out, field::DIGEST, &head.digest.0);
    if let Some(set) = head.set {
        put_field(out, field::SET, set);
    }
    if let Some(key) = head.key {
        put_field(out, field::USER_KEY, key);
    }
}

/// A view of a stored record. It reads single numbers without walking the whole message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a>(pub(crate) &'a [u8]);

impl<'a> Stored<'a> {
    pub(crate) fn generation(self) -> u16 {
        u16::from_be_bytes([self.0[8], self.0[9]])
    }

    pub(crate) fn void_time_s(self) -> u32 {
        u32::from_be_bytes([self.0[10], self.0[11], self.0[12], self.0[13]])
    }

    pub(crate) fn is_expired(self, now_s: u32) -> bool {
        let void_time_s = self.void_time_s();
        void_time_s != 0 && void_time_s <= now_s
    }

    pub(crate) fn set(self, namespace: &[u8]) -> Option<&'a [u8]> {
        // Behind the last field begins an op, whose bytes may look like a field.
        if self.field_count() == 2 { None } else { self.field_at(set_at(namespace), field::SET) }
    }

    /// Returns the data of the field of the user key.
    pub(crate) fn key(self, namespace: &[u8]) -> Option<&'a [u8]> {
        match self.set(namespace) {
            Some(_) if self.field_count() == 3 => None,
            Some(set) => self.field_at(set_at(namespace) + FIELD_HEAD_BYTES + set.len(), field::USER_KEY),
            None if self.field_count() == 2 => None,
            None => self.field_at(set_at(namespace), field::USER_KEY),
        }
    }

    /// Returns the data of the field at an offset if it is of that kind.
    fn field_at(self, at: usize, kind: u8) -> Option<&'a [u8]> {
        if at >= self.ops_at() || self.0[at + 4] != kind {
            return None;
        }
        let data_bytes =
            u32::from_be_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]) as usize - 1;
        Some(&self.0[at + FIELD_HEAD_BYTES..][..data_bytes])
    }

    pub(crate) fn message(self) -> Message<'a> {
        match Message::decode(self.0) {
            Step::Done { value, .. } => value,
            other => unreachable!("the store keeps whole messages only: {other:?}"),
        }
    }

    /// Returns the offset of the ops.
    pub(crate) fn ops_at(self) -> usize {
        let mut at = HEADER_BYTES;
        for _ in 0..self.field_count() {
            at +=
                4 + u32::from_be_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]) as usize;
        }
        at
    }

    pub(crate) fn op_count(self) -> u16 {
        u16::from_be_bytes([self.0[20], self.0[21]])
    }

    fn field_count(self) -> u16 {
        u16::from_be_bytes([self.0[18], self.0[19]])
    }
}

/// Returns where the field of the set is: behind those of namespace and digest, which every record has.
fn set_at(namespace: &[u8]) -> usize {
    HEADER_BYTES + FIELD_HEAD_BYTES + namespace.len() + FIELD_HEAD_BYTES + 20
}

const FIELD_HEAD_BYTES: usize = 5;
