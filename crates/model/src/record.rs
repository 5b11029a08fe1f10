//! A record as it travels: a view into a buffer, and the layout that a decoder makes such views from.
//!
//! A decoder fills one [`RecordLayout`] over and over, so that a record costs no allocation: the layout says where in
//! the input each part lies, and keeps the few bytes that aren't in the input as they are (unescaped names, decoded
//! base64). [`RecordLayout::view`] joins it with the input again.

use std::fmt;

use crate::{BytesType, Digest, UserKey, Value};

/// When a record expires: seconds since 2010-01-01T00:00:00Z, 0 for never. Source: docs/format/asb.md, "Expiry".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VoidTime(pub u64);

impl VoidTime {
    /// The void time of a record that never expires.
    pub const NEVER: Self = Self(0);

    /// Seconds from the Unix epoch to that of void times. Source: docs/format/asb.md, "Expiry".
    pub const EPOCH_UNIX_SECONDS: u64 = 1_262_304_000;
}

/// A record, borrowed from the buffers that it was decoded from.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Namespace.
    pub namespace: &'a [u8],
    /// Set; the null set is none.
    pub set: Option<&'a [u8]>,
    /// Digest.
    pub digest: Digest,
    /// The user's key, if it was stored with the record.
    pub key: Option<UserKey<'a>>,
    /// How often the record was written; the server wraps at 16 bits.
    pub generation: u16,
    /// When the record expires.
    pub void_time: VoidTime,
    /// The bins, in the order in which they came.
    pub bins: Bins<'a>,
}

/// A named value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin<'a> {
    /// Name: bytes, since nothing forces it to be UTF-8.
    pub name: &'a [u8],
    /// Value.
    pub value: Value<'a>,
}

/// The bins of a record; iterating costs no allocation.
#[derive(Debug, Clone, Copy)]
pub struct Bins<'a> {
    slots: &'a [BinSlot],
    buffers: Buffers<'a>,
}

impl<'a> Bins<'a> {
    /// Returns how many bins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether there is no bin.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the bins in the order in which they came.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Bin<'a>> {
        self.slots.iter().map(move |slot| Bin {
            name: self.buffers.bytes(slot.name),
            value: self.buffers.value(slot.value),
        })
    }
}

/// Where a run of bytes lies: in the input as it came, or among the bytes that were decoded for the record
/// ([`RecordLayout::decoded`]).
///
/// One number: a span of several parts goes through memory wherever it is returned, written in parts and read as a
/// whole, which costs the processor more than all else that is done with a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Span(u64);

impl Span {
    /// Returns the span of bytes of the input. Both numbers must be below 2^31, which entries and messages are far below;
    /// a larger one gives a span that lies in no buffer.
    #[inline]
    #[must_use]
    pub fn input(start: usize, len: usize) -> Self {
        Self(narrow(start) << HALF_BITS | narrow(len))
    }

    /// Returns the span of bytes that were decoded; as [`input`](Self::input) else.
    #[inline]
    #[must_use]
    pub fn decoded(start: usize, len: usize) -> Self {
        Self(DECODED | Self::input(start, len).0)
    }

    /// Returns the bytes, if they lie in their buffer.
    #[inline]
    #[must_use]
    pub fn of<'a>(self, input: &'a [u8], decoded: &'a [u8]) -> Option<&'a [u8]> {
        let buffer = if self.0 & DECODED == 0 { input } else { decoded };
        buffer.get(widen(self.0 >> HALF_BITS)..)?.get(..widen(self.0))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = if self.0 & DECODED == 0 { "input" } else { "decoded" };
        write!(f, "{buffer}[{}..][..{}]", widen(self.0 >> HALF_BITS), widen(self.0))
    }
}

/// Marks a span of decoded bytes.
const DECODED: u64 = 1 << 63;

/// Bits of a span's offset, and of its length.
const HALF_BITS: u32 = 31;

const HALF: u64 = (1 << HALF_BITS) - 1;

#[inline]
fn narrow(number: usize) -> u64 {
    (number as u64).min(HALF)
}

#[inline]
fn widen(half: u64) -> usize {
    usize::try_from(half & HALF).unwrap_or(usize::MAX)
}

/// A user key whose bytes are still a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeySlot {
    /// See [`UserKey::Integer`].
    Integer(i64),
    /// See [`UserKey::Float`].
    Float(f64),
    /// See [`UserKey::String`].
    String(Span),
    /// See [`UserKey::Bytes`].
    Bytes(Span),
}

/// A value whose bytes are still a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueSlot {
    /// See [`Value::Nil`].
    Nil,
    /// See [`Value::Bool`].
    Bool(bool),
    /// See [`Value::Integer`].
    Integer(i64),
    /// See [`Value::Float`].
    Float(f64),
    /// See [`Value::String`].
    String(Span),
    /// See [`Value::GeoJson`].
    GeoJson(Span),
    /// See [`Value::Bytes`].
    Bytes(BytesType, Span),
}

/// A bin whose bytes are still spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinSlot {
    /// Where the name lies.
    pub name: Span,
    /// The value, or where it lies.
    pub value: ValueSlot,
}

/// Where the parts of one record lie in the input that it was decoded from. Made once and refilled for each record.
#[derive(Debug)]
pub struct RecordLayout {
    /// Namespace.
    pub namespace: Span,
    /// Set, if there is one.
    pub set: Option<Span>,
    /// Digest.
    pub digest: Digest,
    /// User key, if there is one.
    pub key: Option<KeySlot>,
    /// Generation.
    pub generation: u16,
    /// When the record expires.
    pub void_time: VoidTime,
    /// The bins in order.
    pub bins: Vec<BinSlot>,
    /// Bytes that don't lie in the input as they are: unescaped names, decoded base64.
    pub decoded: Vec<u8>,
}

impl RecordLayout {
    /// Returns an empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self {
            namespace: EMPTY,
            set: None,
            digest: Digest::default(),
            key: None,
            generation: 0,
            void_time: VoidTime::NEVER,
            bins: Vec::new(),
            decoded: Vec::new(),
        }
    }

    /// Forgets the record but keeps the memory.
    pub fn clear(&mut self) {
        self.namespace = EMPTY;
        self.set = None;
        self.digest = Digest::default();
        self.key = None;
        self.generation = 0;
        self.void_time = VoidTime::NEVER;
        self.bins.clear();
        self.decoded.clear();
    }

    /// Copies bytes into the layout itself.
    pub fn keep(&mut self, bytes: &[u8]) -> Span {
        let span = Span::decoded(self.decoded.len(), bytes.len());
        self.decoded.extend_from_slice(bytes);
        span
    }

    /// Forgets the record and frees what of the memory for decoded bytes is beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.clear();
        self.decoded.shrink_to(bytes);
    }

    /// Returns the record that this layout describes. `input` must be the bytes that the decoder was given.
    ///
    /// # Panics
    /// If a span lies outside of its buffer, which only a mistake of the decoder or another `input` can cause.
    #[must_use]
    pub fn view<'a>(&'a self, input: &'a [u8]) -> RecordView<'a> {
        let buffers = Buffers { input, decoded: &self.decoded };
        RecordView {
            namespace: buffers.bytes(self.namespace),
            set: self.set.map(|span| buffers.bytes(span)),
            digest: self.digest,
            key: self.key.map(|slot| buffers.key(slot)),
            generation: self.generation,
            void_time: self.void_time,
            bins: Bins { slots: &self.bins, buffers },
        }
    }
}

impl Default for RecordLayout {
    fn default() -> Self {
        Self::new()
    }
}

const EMPTY: Span = Span(0);

/// The two buffers that spans point into.
#[derive(Clone, Copy)]
struct Buffers<'a> {
    input: &'a [u8],
    decoded: &'a [u8],
}

impl fmt::Debug for Buffers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl<'a> Buffers<'a> {
    #[inline]
    fn bytes(self, span: Span) -> &'a [u8] {
        span.of(self.input, self.decoded).expect("a span lies in its buffer")
    }

    fn key(self, slot: KeySlot) -> UserKey<'a> {
        match slot {
            KeySlot::Integer(value) => UserKey::Integer(value),
            KeySlot::Float(value) => UserKey::Float(value),
            KeySlot::String(span) => UserKey::String(self.bytes(span)),
            KeySlot::Bytes(span) => UserKey::Bytes(self.bytes(span)),
        }
    }

    /// Inlined, so that a value is matched where it is made: as the result of a call it goes through memory, written in
    /// parts and read as a whole, which costs the processor more than all else that is done with a small value.
    #[inline(always)]
    fn value(self, slot: ValueSlot) -> Value<'a> {
        match slot {
            ValueSlot::Nil => Value::Nil,
            ValueSlot::Bool(value) => Value::Bool(value),
            ValueSlot::Integer(value) => Value::Integer(value),
            ValueSlot::Float(value) => Value::Float(value),
            ValueSlot::String(span) => Value::String(self.bytes(span)),
            ValueSlot::GeoJson(span) => Value::GeoJson(self.bytes(span)),
            ValueSlot::Bytes(kind, span) => Value::Bytes(kind, self.bytes(span)),
        }
    }
}
