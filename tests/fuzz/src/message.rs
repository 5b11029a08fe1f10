//! The decoders of what a server is asked, and of what it says about batches.

use asbackup_codec::Step;
use asbackup_codec::wire::{
    self, BatchAnswer, BatchRows, DecodeError, FRAME_BYTES, FrameHeader, HEADER_BYTES, Message,
    MessageHeader, QueryRequest, decode_batch_answer, decode_key, decode_value, field,
};
use asbackup_model::Value;

use crate::choices;

/// Reads any bytes as a request, as the rows of a batch and as the answer to a batch.
pub fn wire_message(input: &[u8]) {
    check_frame(input);
    check_rows(input);
    check_patch(input);
    let message = Message::decode(input);
    check_batch_answer(input, &message);
    match message {
        Step::Done { value, used } => {
            assert!((HEADER_BYTES..=input.len()).contains(&used), "a message of {used} bytes");
            check_cut(&input[..used]);
            check_message(&value);
        }
        Step::Need(bytes) => assert!(bytes > 0, "nothing was asked for"),
        Step::Damaged(error) => assert!(error.at() <= input.len(), "{error} is behind the end"),
    }
}

fn check_frame(input: &[u8]) {
    let Some(Ok(header)) = input.first_chunk().map(|head| FrameHeader::decode(*head)) else { return };
    assert_eq!(header.encode(), input[..FRAME_BYTES]);
}

/// Checks that filling in a row, whatever its length, touches nothing but its index and its TTL.
fn check_patch(input: &[u8]) {
    let mut row = input.to_vec();
    wire::patch_row(&mut row, 1, 2);
    wire::patch_row(&mut row, 0, 0);
    let mut zeroed = input.to_vec();
    for number in [0..4, 30..34] {
        if let Some(bytes) = zeroed.get_mut(number) {
            bytes.fill(0);
        }
    }
    assert_eq!(row, zeroed);
    assert_eq!(wire::row_digest(input).0[..], *input.get(4..24).unwrap_or(&[0; 20]));
}

/// Checks that the answer to a batch is as long as the message that it is.
fn check_batch_answer(input: &[u8], message: &Step<Message<'_>, DecodeError>) {
    match (decode_batch_answer(input), message) {
        (Step::Done { value, used }, Step::Done { value: message, used: expected }) => {
            assert_eq!(used, *expected);
            let result = match value {
                BatchAnswer::Row(row) => row.result,
                BatchAnswer::Last(result) => result,
            };
            assert_eq!(result, message.header.result);
        }
        (Step::Need(bytes), Step::Need(expected)) => assert_eq!(bytes, *expected),
        (Step::Damaged(error), Step::Damaged(expected)) => assert_eq!(error, *expected),
        (answer, message) => panic!("{answer:?} in place of {message:?}"),
    }
}

/// Checks that a cut message asks for more, and for no more than is missing.
fn check_cut(message: &[u8]) {
    let cut = choices(message).usize(0..message.len());
    match Message::decode(&message[..cut]) {
        Step::Need(missing) if (1..=message.len() - cut).contains(&missing) => {}
        other => panic!("{other:?} after {cut} of {} bytes", message.len()),
    }
}

/// Checks that a message can be walked, and written again to the same fields and ops.
fn check_message(message: &Message<'_>) {
    check_parts(message);
    let bytes = write(message);
    match Message::decode(&bytes) {
        Step::Done { value, used } if used == bytes.len() => {
            assert_eq!(value.header, message.header);
            assert!(value.fields().eq(message.fields()) && value.ops().eq(message.ops()));
        }
        other => panic!("{other:?} in place of the same message"),
    }
    if let Ok(query) = QueryRequest::decode(message) {
        check_query(&query);
    }
    for data in message.fields().filter(|field| field.kind == field::BATCH).map(|field| field.data) {
        check_rows(data);
    }
}

fn check_parts(message: &Message<'_>) {
    let MessageHeader { fields, ops, .. } = message.header;
    assert_eq!(message.fields().count(), usize::from(fields), "not all fields can be walked");
    assert_eq!(message.ops().count(), usize::from(ops), "not all ops can be walked");
    for field in message.fields() {
        assert_eq!(decode_key(field.data).is_none(), field.data.is_empty());
    }
    for op in message.ops() {
        // Bytes of an unknown type, or that don't fit their type, are sent on as they are.
        if let Value::Bytes(kind, bytes) = decode_value(op.particle, op.value) {
            assert_eq!((kind.particle(), bytes), (op.particle, op.value));
        }
    }
}

fn write(message: &Message<'_>) -> Vec<u8> {
    let mut out = message.header.encode().to_vec();
    for field in message.fields() {
        wire::put_field(&mut out, field.kind, field.data);
    }
    for op in message.ops() {
        wire::put_op(&mut out, op.code, op.particle, op.name, op.value);
    }
    out
}

fn check_query(query: &QueryRequest<'_>) {
    let mut frame = Vec::new();
    query.encode(&mut frame);
    match Message::decode(&frame[FRAME_BYTES..]) {
        Step::Done { value, used } => {
            assert_eq!(used, frame.len() - FRAME_BYTES);
            assert_eq!(QueryRequest::decode(&value).as_ref(), Ok(query));
        }
        other => panic!("{other:?} in place of the same query"),
    }
}

/// Reads the rows of a batch up to the first that is damaged.
fn check_rows(data: &[u8]) {
    let Ok(mut rows) = BatchRows::new(data) else { return };
    let announced = rows.left();
    let mut whole = 0_usize;
    for row in &mut rows {
        match row {
            Ok(row) => {
                check_parts(&row.message);
                whole += 1;
            }
            Err(error) => assert!(error.at() <= data.len(), "{error} is behind the end"),
        }
    }
    assert_eq!(rows.left(), 0);
    assert!(whole <= announced as usize && whole * SHORTEST_ROW_BYTES <= data.len());
}

/// Index, digest and flags.
const SHORTEST_ROW_BYTES: usize = 25;
