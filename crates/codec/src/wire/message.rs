//! Messages: a header, fields and ops. Source: docs/format/wire.md, "Message".

use super::frame::MAX_BODY_BYTES;
use super::{DecodeError, ResultCode, Rule};
use crate::Step;
use crate::cursor::{Cursor, Stop};

/// Bytes of a message's header.
pub const HEADER_BYTES: usize = 22;

/// Where a header has the number of ops.
pub(super) const OPS_AT: usize = 20;

/// The header of a message. What a number means may depend on the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// See [`info1`](super::info1).
    pub info1: u8,
    /// See [`info2`](super::info2).
    pub info2: u8,
    /// See [`info3`](super::info3).
    pub info3: u8,
    /// See [`info4`](super::info4).
    pub info4: u8,
    /// What became of the request; 0 in a request.
    pub result: ResultCode,
    /// Generation of the record; the partition in a message about one.
    pub generation: u32,
    /// Request: the TTL in seconds, see [`ttl`](super::ttl). Reply: the void time.
    pub ttl: u32,
    /// Request: the timeout in ms, 0 for the server's own. Reply: the index of the row in its batch.
    pub timeout_ms: u32,
    /// Number of fields.
    pub fields: u16,
    /// Number of ops.
    pub ops: u16,
}

impl Default for MessageHeader {
    fn default() -> Self {
        Self {
            info1: 0,
            info2: 0,
            info3: 0,
            info4: 0,
            result: ResultCode::OK,
            generation: 0,
            ttl: 0,
            timeout_ms: 0,
            fields: 0,
            ops: 0,
        }
    }
}

impl MessageHeader {
    /// Returns the bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let [g0, g1, g2, g3] = self.generation.to_be_bytes();
        let [t0, t1, t2, t3] = self.ttl.to_be_bytes();
        let [m0, m1, m2, m3] = self.timeout_ms.to_be_bytes();
        let [f0, f1] = self.fields.to_be_bytes();
        let [o0, o1] = self.ops.to_be_bytes();
        let (i1, i2, i3, i4) = (self.info1, self.info2, self.info3, self.info4);
        let result = self.result.0;
        [22, i1, i2, i3, i4, result, g0, g1, g2, g3, t0, t1, t2, t3, m0, m1, m2, m3, f0, f1, o0, o1]
    }

    /// Reads a header. The first byte says how long it is.
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let [size] = cursor.array()?;
        if usize::from(size) != HEADER_BYTES {
            return Err(cursor.damaged(Rule::HeaderBytes(size)));
        }
        let h: [u8; HEADER_BYTES - 1] = cursor.array()?;
        Ok(Self {
            info1: h[0],
            info2: h[1],
            info3: h[2],
            info4: h[3],
            result: ResultCode(h[4]),
            generation: u32::from_be_bytes([h[5], h[6], h[7], h[8]]),
            ttl: u32::from_be_bytes([h[9], h[10], h[11], h[12]]),
            timeout_ms: u32::from_be_bytes([h[13], h[14], h[15], h[16]]),
            fields: u16::from_be_bytes([h[17], h[18]]),
            ops: u16::from_be_bytes([h[19], h[20]]),
        })
    }
}

/// One message, borrowed from the body of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header.
    pub header: MessageHeader,
    pub(super) fields: &'a [u8],
    pub(super) ops: &'a [u8],
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// See [`field`](super::field).
    pub kind: u8,
    /// What it holds.
    pub data: &'a [u8],
}

/// An op of a message: what to do with a bin, or what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op<'a> {
    /// See [`op`](super::op).
    pub code: u8,
    /// Type of the value.
    pub particle: u8,
    /// Name of the bin.
    pub name: &'a [u8],
    /// The value as it is on the wire.
    pub value: &'a [u8],
}

impl<'a> Message<'a> {
    /// Returns the message at the front of `input`, which is the body of a frame or what came of it.
    #[must_use]
    pub fn decode(input: &'a [u8]) -> Step<Self, DecodeError> {
        let mut cursor = Cursor::new(input, MAX_BODY_BYTES as usize);
        let message =
            MessageHeader::read(&mut cursor).and_then(|header| Self::read_body(header, &mut cursor, input));
        step(message, &cursor)
    }

    /// Reads as many fields and ops as the header says.
    pub(super) fn read_body(
        header: MessageHeader,
        cursor: &mut Cursor<'a>,
        input: &'a [u8],
    ) -> Result<Self, Stop> {
        let start = cursor.at();
        for _ in 0..header.fields {
            Field::read(cursor)?;
        }
        let middle = cursor.at();
        for _ in 0..header.ops {
            Op::read(cursor)?;
        }
        let part = |from, to| input.get(from..to).unwrap_or_default();
        Ok(Self { header, fields: part(start, middle), ops: part(middle, cursor.at()) })
    }

    /// Returns the fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.fields, self.fields.len());
        (0..self.header.fields).map_while(move |_| Field::read(&mut cursor).ok())
    }

    /// Returns the data of the first field of that type.
    #[must_use]
    pub fn field(&self, kind: u8) -> Option<&'a [u8]> {
        self.fields().find(|field| field.kind == kind).map(|field| field.data)
    }

    /// Returns the ops in order.
    pub fn ops(&self) -> impl Iterator<Item = Op<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.ops, self.ops.len());
        (0..self.header.ops).map_while(move |_| Op::read(&mut cursor).ok())
    }
}

impl<'a> Field<'a> {
    /// Reads a field: the length of what follows, the type, the data.
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Stop> {
        let [l0, l1, l2, l3, kind] = cursor.array()?;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let Some(data_bytes) = length.checked_sub(1) else {
            return Err(cursor.damaged(Rule::EmptyField));
        };
        Ok(Self { kind, data: cursor.take(data_bytes as usize)? })
    }
}

/// What comes before the name of an op.
#[derive(Clone, Copy)]
pub(super) struct OpHead {
    pub(super) code: u8,
    pub(super) particle: u8,
    pub(super) name_bytes: usize,
    /// Bytes between name and value.
    pub(super) gap_bytes: usize,
    pub(super) value_bytes: usize,
}

impl OpHead {
    /// Reads the length of what follows, code, type, flags and the length of the name.
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let [l0, l1, l2, l3, code, particle, flags, name_bytes] = cursor.array()?;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let gap_bytes = if flags & HAS_UPDATE_TIME == 0 { 0 } else { UPDATE_TIME_BYTES };
        let name_bytes = usize::from(name_bytes);
        let Some(value_bytes) = (length as usize).checked_sub(OP_HEAD_BYTES + name_bytes + gap_bytes) else {
            return Err(cursor.damaged(Rule::OpBytes(length)));
        };
        Ok(Self { code, particle, name_bytes, gap_bytes, value_bytes })
    }
}

impl<'a> Op<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Stop> {
        let head = OpHead::read(cursor)?;
        let name = cursor.take(head.name_bytes)?;
        cursor.take(head.gap_bytes)?;
        Ok(Self { code: head.code, particle: head.particle, name, value: cursor.take(head.value_bytes)? })
    }
}

/// Appends a field.
#[inline]
pub fn put_field(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    let [a, b, c, d] = length(1 + data.len());
    out.extend_from_slice(&[a, b, c, d, kind]);
    out.extend_from_slice(data);
}

/// Appends an op. A name has room for 255 bytes, a multiple of what servers accept: of a longer one these are sent, and
/// the server refuses them.
#[inline]
pub fn put_op(out: &mut Vec<u8>, code: u8, particle: u8, name: &[u8], value: &[u8]) {
    let (name, name_bytes) = bin_name(name);
    let [a, b, c, d] = length(OP_HEAD_BYTES + name.len() + value.len());
    out.extend_from_slice(&[a, b, c, d, code, particle, 0, name_bytes]);
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

/// Returns what of a name is sent, and its length.
#[inline]
fn bin_name(name: &[u8]) -> (&[u8], u8) {
    match u8::try_from(name.len()) {
        Ok(name_bytes) => (name, name_bytes),
        Err(_) => (name.get(..usize::from(u8::MAX)).unwrap_or_default(), u8::MAX),
    }
}

/// Returns a length as it is written. One over 4 GiB can't be said; the largest number makes the receiver refuse it.
#[inline]
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Makes the answer of a decoder from what was read.
#[inline]
pub(super) fn step<T>(read: Result<T, Stop>, cursor: &Cursor<'_>) -> Step<T, DecodeError> {
    match read {
        Ok(value) => Step::Done { value, used: cursor.at() },
        Err(Stop::Need(bytes)) => Step::Need(bytes),
        Err(Stop::Damaged { rule, at }) => Step::Damaged(DecodeError::new(rule, at)),
    }
}

/// What the length of an op counts before the name.
const OP_HEAD_BYTES: usize = 4;
/// Flag of an op: the time of its last update lies between name and value. Source: docs/format/wire.md, "Op".
const HAS_UPDATE_TIME: u8 = 1;
const UPDATE_TIME_BYTES: usize = 8;
