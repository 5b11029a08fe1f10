//! Single writes, and the rules that single and batch writes share. Source: docs/format/wire.md, "Write".

use asbackup_model::RecordView;

use super::frame::put_u16;
use super::message::{MessageHeader, OPS_AT};
use super::value::{Nil, put_bins, put_key, set_to_write};
use super::{FrameKind, begin_frame, end_frame, field, info2, info3, op, put_field};

/// What becomes of a record that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExistsRule {
    /// Its other bins stay.
    Update,
    /// Its other bins go.
    Replace,
    /// It stays as it is; the answer is [`ResultCode::EXISTS`](super::ResultCode::EXISTS).
    CreateOnly,
}

/// Whether the generation of a record that exists already counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationRule {
    /// Only a higher generation is written; else the answer is
    /// [`ResultCode::GENERATION`](super::ResultCode::GENERATION).
    Newer,
    /// It doesn't count.
    Ignore,
}

/// When a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriteRules {
    /// If it exists already.
    pub exists: ExistsRule,
    /// If it exists already in another generation.
    pub generation: GenerationRule,
}

impl Default for WriteRules {
    /// Returns the rules under which no newer data is lost: an existing record is updated by a higher generation.
    fn default() -> Self {
        Self { exists: ExistsRule::Update, generation: GenerationRule::Newer }
    }
}

impl WriteRules {
    /// Returns the second info byte of a write under these rules.
    #[inline]
    pub(super) fn info2(self) -> u8 {
        let exists = if self.exists == ExistsRule::CreateOnly { info2::CREATE_ONLY } else { 0 };
        let generation = if self.generation == GenerationRule::Newer { info2::GENERATION_GREATER } else { 0 };
        info2::WRITE | exists | generation
    }

    /// Returns the third info byte.
    #[inline]
    pub(super) fn info3(self) -> u8 {
        if self.exists == ExistsRule::Replace { info3::CREATE_OR_REPLACE } else { 0 }
    }

    /// Returns the generation to send.
    #[inline]
    pub(super) fn generation(self, record: &RecordView<'_>) -> u16 {
        if self.generation == GenerationRule::Newer { record.generation } else { 0 }
    }
}

/// Appends the frame of a single write. `namespace` is the target's; `ttl` is in seconds, see [`ttl`](super::ttl);
/// bins without a value are left out, since writing them would delete those of the same name.
pub fn encode_write(
    out: &mut Vec<u8>,
    record: &RecordView<'_>,
    namespace: &[u8],
    rules: WriteRules,
    ttl: u32,
    timeout_ms: u32,
) {
    let frame = begin_frame(out, FrameKind::Message);
    let start = out.len();
    let set = set_to_write(record);
    let header = MessageHeader {
        info2: rules.info2(),
        info3: rules.info3(),
        generation: u32::from(rules.generation(record)),
        ttl,
        timeout_ms,
        fields: 2 + u16::from(set.is_some()) + u16::from(record.key.is_some()),
        ..MessageHeader::default()
    };
    out.extend_from_slice(&header.encode());
    put_field(out, field::NAMESPACE, namespace);
    if let Some(set) = set {
        put_field(out, field::SET, set);
    }
    put_field(out, field::DIGEST, &record.digest.0);
    if let Some(key) = &record.key {
        put_key(out, field::USER_KEY, key);
    }
    let ops = put_bins(out, op::WRITE, record.bins.iter(), Nil::LeftOut);
    put_u16(out, start + OPS_AT, ops);
    end_frame(out, frame);
}
