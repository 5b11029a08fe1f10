//! Batch writes: rows that are encoded long before it is known which request they go with. Source:
//! docs/format/wire.md, "Batch".

use asbackup_model::{Bin, Digest, RecordView};

use super::frame::{MAX_BODY_BYTES, put_u16, put_u32};
use super::message::{HEADER_BYTES, Message, MessageHeader, step};
use super::value::{Nil, put_bins, put_key, set_to_write};
use super::write::WriteRules;
use super::{
    DecodeError, FRAME_BYTES, FrameKind, ResultCode, Rule, begin_frame, end_frame, field, info1, info3, op,
    put_field,
};
use crate::Step;
use crate::cursor::{Cursor, Stop};

/// Bytes of a row before its fields.
pub const ROW_BYTES: usize = 38;

/// Appends a row: a record as a batch writes it, complete but for its index and its TTL, which [`patch_row`] fills in.
/// `namespace` is the target's; bins without a value are left out, since writing them would delete those of the same
/// name.
#[inline]
pub fn encode_row(out: &mut Vec<u8>, record: &RecordView<'_>, namespace: &[u8], rules: WriteRules) {
    encode_row_of_bins(out, record, record.bins.iter(), namespace, rules);
}

/// Appends a row like [`encode_row`], with these of the record's bins alone.
#[inline]
pub fn encode_row_of_bins<'a>(
    out: &mut Vec<u8>,
    record: &RecordView<'_>,
    bins: impl Iterator<Item = Bin<'a>>,
    namespace: &[u8],
    rules: WriteRules,
) {
    let start = out.len();
    let set = set_to_write(record);
    let fields = 1 + u8::from(set.is_some()) + u8::from(record.key.is_some());
    let [g0, g1] = rules.generation(record).to_be_bytes();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&record.digest.0);
    out.extend_from_slice(&[ROW_FLAGS, 0, rules.info2(), rules.info3(), g0, g1, 0, 0, 0, 0, 0, fields, 0, 0]);
    put_field(out, field::NAMESPACE, namespace);
    if let Some(set) = set {
        put_field(out, field::SET, set);
    }
    if let Some(key) = &record.key {
        put_key(out, field::USER_KEY, key);
    }
    let ops = put_bins(out, op::WRITE, bins, Nil::LeftOut);
    put_u16(out, start + ROW_OPS_AT, ops);
}

/// Fills in what a row of [`encode_row`] doesn't know: its index in the request, and its TTL in seconds, see
/// [`ttl`](super::ttl).
#[inline]
pub fn patch_row(row: &mut [u8], index: u32, ttl: u32) {
    put_u32(row, 0, index);
    put_u32(row, ROW_TTL_AT, ttl);
}

/// Returns the digest of a row of [`encode_row`]; of anything shorter, zeros.
#[must_use]
pub fn row_digest(row: &[u8]) -> Digest {
    let bytes = row.get(ROW_DIGEST_AT..).and_then(<[u8]>::first_chunk);
    Digest(bytes.copied().unwrap_or_default())
}

/// Appends the frame of the single write that a row of [`encode_row`] stands for; the bytes are those of
/// [`encode_write`](super::encode_write). Of anything shorter than a row, nothing is appended.
pub fn encode_row_alone(out: &mut Vec<u8>, row: &[u8], ttl: u32, timeout_ms: u32) {
    let Some((head, parts)) = row.split_first_chunk::<ROW_BYTES>() else { return };
    let &[
        _,
        _,
        _,
        _,
        ref digest @ ..,
        _flags,
        _info1,
        info2,
        info3,
        g0,
        g1,
        _,
        _,
        _,
        _,
        _,
        fields,
        ops0,
        ops1,
    ] = head;
    let frame = begin_frame(out, FrameKind::Message);
    let header = MessageHeader {
        info2,
        info3,
        generation: u32::from(u16::from_be_bytes([g0, g1])),
        ttl,
        timeout_ms,
        fields: u16::from(fields) + 1,
        ops: u16::from_be_bytes([ops0, ops1]),
        ..MessageHeader::default()
    };
    out.extend_from_slice(&header.encode());
    let (names, rest) = parts.split_at_checked(names_bytes(parts)).unwrap_or((parts, &[]));
    out.extend_from_slice(names);
    put_field(out, field::DIGEST, digest);
    out.extend_from_slice(rest);
    end_frame(out, frame);
}

/// Returns how many bytes the fields of namespace and set take at the front of a row's parts.
fn names_bytes(parts: &[u8]) -> usize {
    let mut bytes = 0_usize;
    while let Some(&[b0, b1, b2, b3, field::NAMESPACE | field::SET]) =
        parts.get(bytes..).and_then(<[u8]>::first_chunk)
    {
        // The length counts the type, which is behind it.
        bytes = bytes.saturating_add(4).saturating_add(u32::from_be_bytes([b0, b1, b2, b3]) as usize);
    }
    bytes
}

/// Starts the frame of a batch in `out` and returns where; rows are then appended, and [`end_batch`] ends it.
pub fn begin_batch(out: &mut Vec<u8>, timeout_ms: u32) -> usize {
    let start = begin_frame(out, FrameKind::Message);
    let header = MessageHeader { info1: info1::BATCH, timeout_ms, fields: 1, ..MessageHeader::default() };
    out.extend_from_slice(&header.encode());
    put_field(out, field::BATCH, &[0, 0, 0, 0, BATCH_FLAGS]);
    start
}

/// Ends the batch that [`begin_batch`] started at `start`.
pub fn end_batch(out: &mut [u8], start: usize, rows: u32) {
    let field_at = start + FRAME_BYTES + HEADER_BYTES;
    let field_bytes = u32::try_from(out.len().saturating_sub(field_at + 4)).unwrap_or(u32::MAX);
    put_u32(out, field_at, field_bytes);
    put_u32(out, field_at + 5, rows);
    end_frame(out, start);
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowAnswer {
    /// Index of the row in its request.
    pub index: u32,
    /// What became of it.
    pub result: ResultCode,
}

/// One message of the answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAnswer {
    /// About one row.
    Row(RowAnswer),
    /// The answer is over. A code other than 0 is about all rows that have no answer of their own.
    Last(ResultCode),
}

/// Decodes the message at the front of `input`.
pub fn decode_batch_answer(input: &[u8]) -> Step<BatchAnswer, DecodeError> {
    let mut cursor = Cursor::new(input, MAX_BODY_BYTES as usize);
    let answer = MessageHeader::read(&mut cursor).and_then(|header| {
        Message::read_body(header, &mut cursor, input)?;
        Ok(if header.info3 & info3::LAST != 0 {
            BatchAnswer::Last(header.result)
        } else {
            BatchAnswer::Row(RowAnswer { index: header.timeout_ms, result: header.result })
        })
    });
    step(answer, &cursor)
}

/// One row of a batch, as a server reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRow<'a> {
    /// Index of the row; its answer carries it.
    pub index: u32,
    /// Digest.
    pub digest: Digest,
    /// The row as the single message that it stands for.
    pub message: Message<'a>,
}

/// The rows of a batch, as a server reads them.
#[derive(Debug, Clone)]
pub struct BatchRows<'a> {
    data: &'a [u8],
    cursor: Cursor<'a>,
    left: u32,
    flags: u8,
    last: Option<Message<'a>>,
}

impl<'a> BatchRows<'a> {
    /// Starts with the data of a field of type [`field::BATCH`].
    ///
    /// # Errors
    /// If it is too short for a count and flags.
    pub fn new(data: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(data, data.len());
        let Ok([c0, c1, c2, c3, flags]) = cursor.array() else {
            return Err(DecodeError::new(Rule::BatchTruncated, data.len()));
        };
        Ok(Self { data, cursor, left: u32::from_be_bytes([c0, c1, c2, c3]), flags, last: None })
    }

    /// Returns how many rows are still to come.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Returns the flags of the batch.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    fn read(&mut self) -> Result<BatchRow<'a>, Stop> {
        let index = u32::from_be_bytes(self.cursor.array()?);
        let digest = Digest(self.cursor.array()?);
        let [flags] = self.cursor.array()?;
        let message = if flags & REPEAT != 0 {
            self.last.ok_or_else(|| self.cursor.damaged(Rule::BatchRepeat))?
        } else {
            let header = read_row_header(&mut self.cursor, flags)?;
            Message::read_body(header, &mut self.cursor, self.data)?
        };
        self.last = Some(message);
        Ok(BatchRow { index, digest, message })
    }
}

impl<'a> Iterator for BatchRows<'a> {
    type Item = Result<BatchRow<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let row = self.read().map_err(|stop| match stop {
            Stop::Damaged { rule: Rule::MessageBytes, at } => DecodeError::new(Rule::BatchTruncated, at),
            Stop::Damaged { rule, at } => DecodeError::new(rule, at),
            Stop::Need(_) => DecodeError::new(Rule::BatchTruncated, self.cursor.at()),
        });
        if row.is_err() {
            self.left = 0;
        }
        Some(row)
    }
}

/// Reads as much of a header as the flags of a row announce.
fn read_row_header(cursor: &mut Cursor<'_>, flags: u8) -> Result<MessageHeader, Stop> {
    let mut header = MessageHeader::default();
    if flags & INFO_BYTES == 0 {
        [header.info1] = cursor.array()?;
    } else {
        [header.info1, header.info2, header.info3] = cursor.array()?;
    }
    if flags & INFO4 != 0 {
        [header.info4] = cursor.array()?;
    }
    if flags & GENERATION != 0 {
        header.generation = u32::from(u16::from_be_bytes(cursor.array()?));
    }
    if flags & TTL != 0 {
        header.ttl = u32::from_be_bytes(cursor.array()?);
    }
    header.fields = u16::from_be_bytes(cursor.array()?);
    header.ops = u16::from_be_bytes(cursor.array()?);
    Ok(header)
}

const REPEAT: u8 = 1;
const INFO_BYTES: u8 = 2;
const GENERATION: u8 = 4;
const TTL: u8 = 8;
const INFO4: u8 = 16;
const ROW_FLAGS: u8 = INFO_BYTES | GENERATION | TTL;
/// The digest follows the index.
const ROW_DIGEST_AT: usize = 4;
const ROW_TTL_AT: usize = 30;
const ROW_OPS_AT: usize = 36;
/// Rows may be worked on in the thread that reads them if the namespace is in memory (1); all are answered, also after
/// one has failed (4).
const BATCH_FLAGS: u8 = 1 | 4;
