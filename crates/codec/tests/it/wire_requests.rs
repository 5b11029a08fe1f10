//! Requests against those that the Go client v8.7 sent to a server.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

use asbackup_codec::Step;
use asbackup_codec::wire::*;
use asbackup_model::{BinSlot, Digest, PartitionId, RecordLayout, Span, UserKey, ValueSlot};

use super::wire_replies::{file, recorded};

const UPDATE: WriteRules = WriteRules { exists: ExistsRule::Update, generation: GenerationRule::Ignore };
const NEWER: WriteRules = WriteRules { exists: ExistsRule::Update, generation: GenerationRule::Newer };

/// Returns the message of a recorded request with one frame.
fn message(request: &[u8]) -> Message<'_> {
    match Message::decode(&request[FRAME_BYTES..]) {
        Step::Done { value, used } if used == request.len() - FRAME_BYTES => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn scan_of_one_partition_is_the_recorded_one() {
    let expected = file("scan_one_partition.req.bin");
    let query = QueryRequest {
        namespace: b"test",
        set: Some(b"demo"),
        from_start: vec![PartitionId::new(1539).unwrap()],
        filter: Some(monitor_set_filter()),
        socket_timeout_ms: 30_000,
        task_id: 0x60de_c078_ba79_e708,
        ..QueryRequest::default()
    };
    let mut out = Vec::new();
    query.encode(&mut out);
    assert_eq!(out, expected);
    assert_eq!(QueryRequest::decode(&message(&expected)).unwrap(), query);
}

#[test]
fn scan_with_max_records_is_the_recorded_one() {
    let expected = file("scan_max_records.req.bin");
    let query = QueryRequest {
        namespace: b"test",
        from_start: PartitionId::all().collect(),
        filter: Some(monitor_set_filter()),
        max_records: 3,
        socket_timeout_ms: 30_000,
        task_id: 0x680b_122f_7554_6296,
        ..QueryRequest::default()
    };
    let mut out = Vec::new();
    query.encode(&mut out);
    assert_eq!(out, expected);
    assert_eq!(QueryRequest::decode(&message(&expected)).unwrap(), query);
}

#[test]
fn every_part_of_a_query_survives() {
    let query = QueryRequest {
        namespace: b"test",
        set: None,
        bins: vec![b"a", b"\xff"],
        content: Content::Metadata,
        from_start: vec![PartitionId::new(4095).unwrap()],
        after: vec![Digest([7; 20]), Digest([8; 20])],
        filter: Some(b"\x93"),
        max_records: 1 << 40,
        records_per_second: 5,
        socket_timeout_ms: 6,
        task_id: u64::MAX,
    };
    let mut out = Vec::new();
    query.encode(&mut out);
    assert_eq!(QueryRequest::decode(&message(&out)).unwrap(), query);
}

/// Encodes the write of a recorded request from what its message says, under `rules`.
#[track_caller]
fn check_write(name: &str, rules: WriteRules) {
    let expected = file(name);
    let recorded = message(&expected);
    let (layout, answer) = as_record(&recorded);
    let mut out = Vec::new();
    encode_write(
        &mut out,
        &layout.view(&answer),
        b"test",
        rules,
        recorded.header.ttl,
        recorded.header.timeout_ms,
    );
    assert_eq!(out, expected, "{name}");
    let (mut row, mut alone) = (Vec::new(), Vec::new());
    encode_row(&mut row, &layout.view(&answer), b"test", rules);
    encode_row_alone(&mut alone, &row, recorded.header.ttl, recorded.header.timeout_ms);
    assert_eq!(alone, expected, "{name}, as a row");
}

/// Turns a write into the answer of a scan, so that its record can be decoded.
fn as_record(write: &Message<'_>) -> (RecordLayout, Vec<u8>) {
    let header = MessageHeader { info2: 0, info3: 0, ..write.header };
    let mut answer = header.encode().to_vec();
    write.fields().for_each(|field| put_field(&mut answer, field.kind, field.data));
    for op in write.ops() {
        // A scan's GeoJSON has flags and cells in front, and so has a write's.
        put_op(&mut answer, op::READ, op.particle, op.name, op.value);
    }
    let mut layout = RecordLayout::new();
    assert_eq!(decode_answer(&answer, &mut layout), Step::Done { value: Answer::Record, used: answer.len() },);
    (layout, answer)
}

#[test]
fn writes_are_the_recorded_ones() {
    for name in ["put_int", "put_float", "put_string", "put_geo", "put_hll", "put_list"] {
        check_write(&format!("{name}.req.bin"), UPDATE);
    }
    check_write("put_policy_gt_update.req.bin", NEWER);
}

#[test]
fn replace_and_create_only_set_their_bits() {
    let newer = |exists| WriteRules { exists, generation: GenerationRule::Newer };
    for (rules, bits) in [
        (newer(ExistsRule::Replace), (info2::WRITE | info2::GENERATION_GREATER, info3::CREATE_OR_REPLACE)),
        (newer(ExistsRule::CreateOnly), (info2::WRITE | info2::GENERATION_GREATER | info2::CREATE_ONLY, 0)),
        (UPDATE, (info2::WRITE, 0)),
    ] {
        let (layout, answer) = as_record(&message(&file("put_policy_gt_update.req.bin")));
        let mut out = Vec::new();
        encode_write(&mut out, &layout.view(&answer), b"test", rules, 0, 0);
        let header = message(&out).header;
        assert_eq!((header.info2, header.info3), bits);
        let generation = if rules.generation == GenerationRule::Newer { 3 } else { 0 };
        assert_eq!(header.generation, generation);
    }
}

#[test]
fn a_bin_without_a_value_is_not_written() {
    let recorded = file("put_nil.req.bin");
    assert_eq!(message(&recorded).header.ops, 2);
    let (layout, answer) = as_record(&message(&recorded));
    let mut out = Vec::new();
    encode_write(&mut out, &layout.view(&answer), b"test", UPDATE, 0, 0);
    let names: Vec<_> = message(&out).ops().map(|op| op.name).collect();
    assert_eq!(names, [b"keep"]);
}

#[test]
fn a_row_may_have_some_of_the_bins() {
    let recorded = file("put_nil.req.bin");
    let (layout, answer) = as_record(&message(&recorded));
    let record = layout.view(&answer);
    let rows = |keep: fn(&[u8]) -> bool| {
        let (mut row, mut alone) = (Vec::new(), Vec::new());
        let bins = record.bins.iter().filter(|bin| keep(bin.name));
        encode_row_of_bins(&mut row, &record, bins, b"test", UPDATE);
        encode_row_alone(&mut alone, &row, 0, 0);
        message(&alone).ops().count()
    };
    assert_eq!((rows(|name| name == b"keep"), rows(|name| name == b"other"), rows(|_| true)), (1, 0, 1));
}

#[test]
fn what_is_no_row_makes_no_write() {
    let mut out = Vec::new();
    encode_row_alone(&mut out, &[0; ROW_BYTES - 1], 0, 0);
    assert!(out.is_empty());
    // A length that leads behind the end takes the fields for whatever is there.
    encode_row_alone(&mut out, &[&[0; ROW_BYTES][..], &[255; 4], &[0]].concat(), 0, 0);
    assert!(!out.is_empty());
}

#[test]
fn an_empty_set_name_is_the_null_set() {
    let mut layout = RecordLayout::new();
    layout.bins.push(BinSlot { name: Span::input(0, 0), value: ValueSlot::Bool(true) });
    let encode = |layout: &RecordLayout| {
        let (mut write, mut row) = (Vec::new(), Vec::new());
        encode_write(&mut write, &layout.view(&[]), b"test", UPDATE, ttl::NEVER, 0);
        encode_row(&mut row, &layout.view(&[]), b"test", UPDATE);
        (write, row)
    };
    let without = encode(&layout);
    layout.set = Some(Span::input(0, 0));
    assert_eq!(encode(&layout), without);
}

#[test]
fn batch_is_the_recorded_one_but_for_the_ops_in_the_replies() {
    let expected = file("batch_two.req.bin");
    let recorded = message(&expected);
    let rows: Vec<_> =
        BatchRows::new(recorded.field(field::BATCH).unwrap()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 2);
    let mut out = Vec::new();
    let start = begin_batch(&mut out, recorded.header.timeout_ms);
    for row in &rows {
        let mut with_digest = row.message.header.encode().to_vec();
        with_digest[19] += 1;
        put_field(&mut with_digest, field::DIGEST, &row.digest.0);
        row.message.fields().for_each(|field| put_field(&mut with_digest, field.kind, field.data));
        row.message.ops().for_each(|op| put_op(&mut with_digest, op::READ, op.particle, op.name, op.value));
        with_digest[2..4].fill(0);
        let mut layout = RecordLayout::new();
        assert!(matches!(decode_answer(&with_digest, &mut layout), Step::Done { .. }));
        let row_start = out.len();
        encode_row(&mut out, &layout.view(&with_digest), b"test", NEWER);
        patch_row(&mut out[row_start..], row.index, row.message.header.ttl);
        out[row_start + 26] |= info2::RESPOND_ALL_OPS;
    }
    end_batch(&mut out, start, 2);
    assert_eq!(out, expected);
}

#[test]
fn a_server_reads_the_recorded_batch() {
    let batch = file("batch_two.req.bin");
    let mut rows = BatchRows::new(message(&batch).field(field::BATCH).unwrap()).unwrap();
    assert_eq!((rows.left(), rows.flags()), (2, 5));
    let first = rows.next().unwrap().unwrap();
    assert_eq!((first.index, first.digest.partition().number()), (0, 1539));
    assert_eq!((first.message.header.generation, first.message.header.ttl), (100, ttl::NEVER));
    assert_eq!(decode_key(first.message.field(field::USER_KEY).unwrap()), Some(UserKey::String(b"user1")));
    let bins: Vec<_> = first.message.ops().map(|op| (op.code, op.name, op.value)).collect();
    assert_eq!(bins, [(op::WRITE, &b"b"[..], &b"x"[..])]);
}

#[test]
fn info_requests_are_the_recorded_ones() {
    let expected = file("connect.req.bin");
    let mut out = Vec::new();
    for commands in [&["build"][..], &["node", "partition-generation", "build"]] {
        info::encode_request(&mut out, commands);
    }
    assert!(expected.starts_with(&out));
    assert_eq!(recorded(&expected).len(), 8);
}
