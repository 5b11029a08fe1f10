//! Bytes that break a rule, one for each rule, and values that don't fit their type.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

use asbackup_codec::Step;
use asbackup_codec::wire::{self, *};
use asbackup_model::{BytesType, RecordLayout, UserKey, Value, particle};

/// Returns a message with these fields and ops, each given as its bytes.
fn message(header: MessageHeader, fields: &[&[u8]], ops: &[&[u8]]) -> Vec<u8> {
    let count = |parts: &[&[u8]]| u16::try_from(parts.len()).unwrap();
    let mut out = MessageHeader { fields: count(fields), ops: count(ops), ..header }.encode().to_vec();
    out.extend(fields.concat());
    out.extend(ops.concat());
    out
}

fn field_bytes(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_field(&mut out, kind, data);
    out
}

fn op_bytes(particle: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_op(&mut out, op::READ, particle, b"b", value);
    out
}

fn record(fields: &[&[u8]], ops: &[&[u8]]) -> Vec<u8> {
    let (namespace, digest) = (field_bytes(field::NAMESPACE, b"test"), field_bytes(field::DIGEST, &[7; 20]));
    message(MessageHeader::default(), &[&[&namespace[..], &digest], fields].concat(), ops)
}

#[track_caller]
fn check(input: &[u8], rule: Rule, text: &str) {
    let Step::Damaged(error) = decode_answer(input, &mut RecordLayout::new()) else { panic!("not damaged") };
    assert_eq!(error.rule(), rule);
    assert_eq!(error.to_string(), format!("{text} at byte {}", error.at()));
}

#[test]
fn each_rule_of_a_message_is_kept() {
    let mut header = record(&[], &[]);
    header[0] = 23;
    check(&header, Rule::HeaderBytes(23), "message header of 23 bytes instead of 22");
    check(&record(&[&[0, 0, 0, 0, 1]], &[]), Rule::EmptyField, "field of length 0");
    let op = [0, 0, 0, 4, 1, 1, 0, 1, b'b'];
    check(&record(&[], &[&op]), Rule::OpBytes(4), "op of length 4, too short for its name");
    let with_update_time = [0, 0, 0, 12, 1, 1, 1, 1, b'b'];
    check(&record(&[], &[&with_update_time]), Rule::OpBytes(12), "op of length 12, too short for its name");
    check(
        &record(&[&[0x08, 0, 0, 0, 1]], &[]),
        Rule::MessageBytes,
        "message over the limit of 134217728 bytes",
    );
    let digest = field_bytes(field::DIGEST, &[7; 19]);
    let rule = Rule::FieldBytes { kind: field::DIGEST, bytes: 19 };
    check(&record(&[&digest], &[]), rule, "field of type 4 with 19 bytes of data");
    let (namespace, digest) = (field_bytes(field::NAMESPACE, b"test"), field_bytes(field::DIGEST, &[7; 20]));
    let without = |field: &[u8]| message(MessageHeader::default(), &[field], &[]);
    check(&without(&digest), Rule::MissingField(field::NAMESPACE), "message without a field of type 0");
    check(&without(&namespace), Rule::MissingField(field::DIGEST), "message without a field of type 4");
    let done = MessageHeader { info3: info3::PARTITION_DONE, generation: 4096, ..MessageHeader::default() };
    check(&message(done, &[], &[]), Rule::Partition(4096), "partition 4096, over the limit of 4095");
}

#[test]
fn each_rule_of_a_frame_is_kept() {
    for (bytes, rule, text) in [
        ([3, 3, 0, 0, 0, 0, 0, 0], Rule::FrameVersion(3), "frame of version 3 instead of 2 at byte 0"),
        ([2, 5, 0, 0, 0, 0, 0, 0], Rule::FrameKind(5), "frame of unknown type 5 at byte 1"),
        (
            [2, 3, 0, 0, 8, 0, 0, 1],
            Rule::FrameBytes(134_217_729),
            "frame body of 134217729 bytes, over the limit of 134217728 at byte 2",
        ),
        (
            [2, 3, 1, 0, 0, 0, 0, 0],
            Rule::FrameBytes(1 << 40),
            "frame body of 1099511627776 bytes, over the limit of 134217728 at byte 2",
        ),
    ] {
        let error = FrameHeader::decode(bytes).unwrap_err();
        assert_eq!((error.rule(), error.to_string().as_str()), (rule, text));
    }
    for kind in [FrameKind::Info, FrameKind::Security, FrameKind::Message, FrameKind::Compressed] {
        let header = FrameHeader { kind, body_bytes: MAX_BODY_BYTES };
        assert_eq!(FrameHeader::decode(header.encode()), Ok(header));
    }
}

#[test]
fn each_rule_of_a_query_is_kept() {
    let namespace = field_bytes(field::NAMESPACE, b"test");
    let query = |kind, data: &[u8]| {
        let bytes = message(MessageHeader::default(), &[&namespace, &field_bytes(kind, data)], &[]);
        let Step::Done { value, .. } = Message::decode(&bytes) else { panic!("not whole") };
        QueryRequest::decode(&value).map(|_| ()).unwrap_err().rule()
    };
    for (kind, bytes) in [
        (field::PARTITIONS, 3),
        (field::DIGESTS, 21),
        (field::MAX_RECORDS, 4),
        (field::RECORDS_PER_SECOND, 8),
        (field::SOCKET_TIMEOUT, 0),
        (field::TASK_ID, 7),
    ] {
        assert_eq!(query(kind, &vec![0; bytes]), Rule::FieldBytes { kind, bytes });
    }
    assert_eq!(query(field::PARTITIONS, &[0x00, 0x10]), Rule::Partition(4096));
    let empty = MessageHeader::default().encode();
    let Step::Done { value, .. } = Message::decode(&empty) else { panic!("not whole") };
    assert_eq!(QueryRequest::decode(&value).unwrap_err().rule(), Rule::MissingField(field::NAMESPACE));
}

#[test]
fn each_rule_of_a_batch_is_kept() {
    let rules = |data: &[u8]| match BatchRows::new(data) {
        Err(error) => vec![error.rule()],
        Ok(rows) => rows.filter_map(Result::err).map(|error| error.rule()).collect(),
    };
    assert_eq!(rules(&[0, 0, 0, 1]), [Rule::BatchTruncated]);
    assert_eq!(
        rules(&[0, 0, 0, 2, 0]),
        [Rule::BatchTruncated],
        "the rows end with the first that is damaged"
    );
    let mut repeat = vec![0, 0, 0, 1, 0];
    repeat.extend([0; 24]);
    repeat.push(1);
    assert_eq!(rules(&repeat), [Rule::BatchRepeat]);
}

#[test]
fn rows_may_repeat_and_announce_what_they_hold() {
    let mut data = vec![0, 0, 0, 2, 5];
    data.extend([&[0, 0, 0, 9][..], &[1; 20], &[0x1e, 1, 2, 3, 4, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0]].concat());
    data.extend([&[0, 0, 0, 8][..], &[2; 20], &[1]].concat());
    let rows: Vec<_> = BatchRows::new(&data).unwrap().collect::<Result<_, _>>().unwrap();
    let header = rows[0].message.header;
    assert_eq!((header.info1, header.info2, header.info3, header.info4), (1, 2, 3, 4));
    assert_eq!((header.generation, header.ttl), (5, 6));
    assert_eq!((rows[0].index, rows[1].index, rows[1].digest.0), (9, 8, [2; 20]));
    assert_eq!(rows[1].message, rows[0].message);
}

/// Returns the value of a scan's bin, and checks that a single op says the same.
#[track_caller]
fn check_value(particle: u8, bytes: &[u8], expected: Value<'_>) {
    let input = record(&[], &[&op_bytes(particle, bytes)]);
    let mut layout = RecordLayout::new();
    assert_eq!(decode_answer(&input, &mut layout), Step::Done { value: Answer::Record, used: input.len() });
    assert_eq!(layout.view(&input).bins.iter().next().unwrap().value, expected);
    assert_eq!(decode_value(particle, bytes), expected);
}

#[test]
fn values_that_do_not_fit_their_type_stay_bytes() {
    for (particle, bytes) in [
        (particle::NIL, &[0][..]),
        (particle::INTEGER, &[]),
        (particle::INTEGER, &[0; 9]),
        (particle::FLOAT, &[0; 4]),
        (particle::BOOL, &[2]),
        (particle::BOOL, &[]),
        (particle::GEOJSON, &[0, 0]),
        (particle::GEOJSON, &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        (99, b"new"),
    ] {
        check_value(particle, bytes, Value::Bytes(BytesType::Unknown(particle), bytes));
    }
}

#[test]
fn values_of_each_type() {
    check_value(particle::NIL, &[], Value::Nil);
    check_value(particle::BOOL, &[0], Value::Bool(false));
    check_value(particle::BOOL, &[1], Value::Bool(true));
    check_value(particle::INTEGER, &(-2_i64).to_be_bytes(), Value::Integer(-2));
    check_value(particle::INTEGER, &[0xff], Value::Integer(255));
    check_value(particle::INTEGER, &[0xff, 0xfe], Value::Integer(-2));
    check_value(particle::INTEGER, &[0xff, 0xff, 0xff, 0xfe], Value::Integer(-2));
    check_value(particle::INTEGER, &[1, 0, 0], Value::Integer(65536));
    check_value(particle::FLOAT, &1.5_f64.to_be_bytes(), Value::Float(1.5));
    check_value(particle::STRING, b"\xff", Value::String(b"\xff"));
    check_value(particle::GEOJSON, b"\0\0\x01cccccccc{}", Value::GeoJson(b"{}"));
    for kind in [
        BytesType::Blob,
        BytesType::Java,
        BytesType::CSharp,
        BytesType::Python,
        BytesType::Ruby,
        BytesType::Php,
        BytesType::Erlang,
        BytesType::Hll,
        BytesType::Map,
        BytesType::List,
    ] {
        check_value(kind.particle(), b"\x90", Value::Bytes(kind, b"\x90"));
    }
}

#[test]
fn keys_of_unknown_types_are_bytes() {
    for (data, key) in [
        (&b""[..], None),
        (&[particle::STRING], Some(UserKey::String(b""))),
        (&[particle::BLOB, 1], Some(UserKey::Bytes(&[1]))),
        (&[particle::INTEGER, 0, 0, 0, 0, 0, 0, 0, 5], Some(UserKey::Integer(5))),
        (&[particle::INTEGER], Some(UserKey::Bytes(&[]))),
        (&[particle::FLOAT, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Some(UserKey::Float(1.5))),
        (&[particle::LIST, 0x90], Some(UserKey::Bytes(&[0x90]))),
    ] {
        assert_eq!(wire::decode_key(data), key);
        let input = record(&[&field_bytes(field::USER_KEY, data)], &[]);
        let mut layout = RecordLayout::new();
        assert!(matches!(decode_answer(&input, &mut layout), Step::Done { .. }));
        assert_eq!(layout.view(&input).key, key);
    }
}

#[test]
fn what_is_not_needed_is_skipped() {
    // A field from a later server, an empty set, and the time of the last update of a bin.
    let unknown = field_bytes(99, b"new");
    let op = [&[0, 0, 0, 14, 1, particle::STRING, 1, 1, b'b'][..], &[9; 8], b"x"].concat();
    let input = record(&[&unknown, &field_bytes(field::SET, b"")], &[&op]);
    let mut layout = RecordLayout::new();
    assert_eq!(decode_answer(&input, &mut layout), Step::Done { value: Answer::Record, used: input.len() });
    let view = layout.view(&input);
    assert_eq!(view.set, None);
    let bins: Vec<_> = view.bins.iter().map(|bin| (bin.name, bin.value)).collect();
    assert_eq!(bins, [(&b"b"[..], Value::String(b"x"))]);
}

#[test]
fn markers() {
    let answer = |info3, result, generation| {
        let header = MessageHeader { info3, result, generation, ..MessageHeader::default() };
        // A marker may carry fields and ops; they are part of it.
        let input = message(header, &[&field_bytes(99, b"x")], &[&op_bytes(particle::BLOB, b"y")]);
        match decode_answer(&input, &mut RecordLayout::new()) {
            Step::Done { value, used } if used == input.len() => value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answer(info3::LAST, ResultCode::OK, 0), Answer::Last(ResultCode::OK));
    assert_eq!(answer(0, ResultCode::FORBIDDEN, 0), Answer::Last(ResultCode::FORBIDDEN));
    let partition = asbackup_model::PartitionId::new(4095).unwrap();
    assert_eq!(
        answer(info3::PARTITION_DONE, ResultCode::UNAVAILABLE, 4095),
        Answer::PartitionDone { partition, result: ResultCode::UNAVAILABLE },
    );
}

#[test]
fn a_name_too_long_for_the_wire_is_still_too_long_for_the_server() {
    let mut out = Vec::new();
    put_op(&mut out, op::WRITE, particle::NIL, &[b'n'; 999], b"");
    assert_eq!(out.len(), 8 + 255);
    assert_eq!(out[..8], [0, 0, 1, 3, 2, 0, 0, 255]);
}
