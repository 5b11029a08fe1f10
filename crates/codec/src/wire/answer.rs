//! Answers to a scan: records, partitions that failed, the end. One pass, no allocation.

use asbackup_model::{BinSlot, Digest, PartitionId, RecordLayout, RecordView, VoidTime};

use super::frame::{MAX_BODY_BYTES, put_u16};
use super::message::{Field, MessageHeader, OPS_AT, OpHead, step};
use super::value::{Nil, key_slot, put_bins, put_key, span, value_slot};
use super::{DecodeError, ResultCode, Rule, field, info3, op, put_field};
use crate::Step;
use crate::cursor::{Cursor, Stop};

/// One message of the answer to a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A record; it is in the layout that was given.
    Record,
    /// The server says something about a partition: with a code other than 0 it isn't available here.
    PartitionDone {
        /// The partition.
        partition: PartitionId,
        /// Why.
        result: ResultCode,
    },
    /// The scan is over, with this result.
    Last(ResultCode),
}

/// Decodes the message at the front of `input`. On [`Answer::Record`] the record is `layout.view(input)`; otherwise
/// the layout holds nothing of use.
#[inline]
pub fn decode_answer(input: &[u8], layout: &mut RecordLayout) -> Step<Answer, DecodeError> {
    let mut cursor = Cursor::new(input, MAX_BODY_BYTES as usize);
    let answer = read_answer(&mut cursor, layout);
    step(answer, &cursor)
}

fn read_answer(cursor: &mut Cursor<'_>, layout: &mut RecordLayout) -> Result<Answer, Stop> {
    let header = MessageHeader::read(cursor)?;
    if header.info3 & (info3::LAST | info3::PARTITION_DONE) != 0 || header.result != ResultCode::OK {
        return read_marker(&header, cursor);
    }
    layout.clear();
    // The server counts in 16 bits; what is above them has no meaning.
    let [_, _, high, low] = header.generation.to_be_bytes();
    layout.generation = u16::from_be_bytes([high, low]);
    layout.void_time = VoidTime(u64::from(header.ttl));
    read_fields(header.fields, cursor, layout)?;
    for _ in 0..header.ops {
        layout.bins.push(read_bin(cursor)?);
    }
    Ok(Answer::Record)
}

#[inline]
fn read_fields(count: u16, cursor: &mut Cursor<'_>, layout: &mut RecordLayout) -> Result<(), Stop> {
    let (mut namespace, mut digest) = (None, None);
    for _ in 0..count {
        let Field { kind, data } = Field::read(cursor)?;
        let end = cursor.at();
        match kind {
            field::NAMESPACE => namespace = Some(span(end, data.len())),
            field::SET if !data.is_empty() => layout.set = Some(span(end, data.len())),
            field::USER_KEY => layout.key = key_slot(data, end),
            field::DIGEST => match data.try_into() {
                Ok(bytes) => digest = Some(Digest(bytes)),
                Err(_) => return Err(cursor.damaged(Rule::FieldBytes { kind, bytes: data.len() })),
            },
            _ => {}
        }
    }
    layout.namespace = namespace.ok_or_else(|| cursor.damaged(Rule::MissingField(field::NAMESPACE)))?;
    layout.digest = digest.ok_or_else(|| cursor.damaged(Rule::MissingField(field::DIGEST)))?;
    Ok(())
}

#[inline]
fn read_bin(cursor: &mut Cursor<'_>) -> Result<BinSlot, Stop> {
    let head = OpHead::read(cursor)?;
    cursor.take(head.name_bytes)?;
    let name = span(cursor.at(), head.name_bytes);
    cursor.take(head.gap_bytes)?;
    let value = cursor.take(head.value_bytes)?;
    Ok(BinSlot { name, value: value_slot(head.particle, value, cursor.at()) })
}

/// Reads a message that isn't a record. Without a flag it is an error, and the stream ends with it.
fn read_marker(header: &MessageHeader, cursor: &mut Cursor<'_>) -> Result<Answer, Stop> {
    for _ in 0..header.fields {
        Field::read(cursor)?;
    }
    for _ in 0..header.ops {
        let head = OpHead::read(cursor)?;
        cursor.take(head.name_bytes + head.gap_bytes)?;
        cursor.take(head.value_bytes)?;
    }
    if header.info3 & info3::LAST != 0 || header.info3 & info3::PARTITION_DONE == 0 {
        return Ok(Answer::Last(header.result));
    }
    let partition = u16::try_from(header.generation).ok().and_then(PartitionId::new);
    let partition = partition.ok_or_else(|| cursor.damaged(Rule::Partition(header.generation)))?;
    Ok(Answer::PartitionDone { partition, result: header.result })
}

/// Appends the message that a server sends for a record. A void time beyond 32 bits is sent as the largest number.
pub fn encode_record_answer(out: &mut Vec<u8>, record: &RecordView<'_>) {
    let start = out.len();
    let header = MessageHeader {
        generation: u32::from(record.generation),
        ttl: u32::try_from(record.void_time.0).unwrap_or(u32::MAX),
        fields: 2 + u16::from(record.set.is_some()) + u16::from(record.key.is_some()),
        ..MessageHeader::default()
    };
    out.extend_from_slice(&header.encode());
    put_field(out, field::NAMESPACE, record.namespace);
    put_field(out, field::DIGEST, &record.digest.0);
    if let Some(set) = record.set {
        put_field(out, field::SET, set);
    }
    if let Some(key) = &record.key {
        put_key(out, field::USER_KEY, key);
    }
    let ops = put_bins(out, op::READ, record.bins.iter(), Nil::Kept);
    put_u16(out, start + OPS_AT, ops);
}
