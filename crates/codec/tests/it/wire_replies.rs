//! Replies that a server CE 8.1 sent.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

use asbackup_codec::Step;
use asbackup_codec::wire::*;
use asbackup_model::RecordLayout;

/// Reads a file of testdata/wire.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/wire/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns kind and body of each frame of a recorded stream.
pub(crate) fn recorded(mut stream: &[u8]) -> Vec<(FrameKind, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = stream.split_first_chunk() {
        let header = FrameHeader::decode(*head).unwrap();
        assert_eq!(header.encode(), *head);
        let (body, rest) = rest.split_at(header.body_bytes as usize);
        frames.push((header.kind, body));
        stream = rest;
    }
    assert!(stream.is_empty());
    frames
}

/// Returns the bodies of a recorded stream of messages, one behind the other.
pub(crate) fn bodies(stream: &[u8]) -> Vec<u8> {
    let frames = recorded(stream);
    assert!(frames.iter().all(|(kind, _)| *kind == FrameKind::Message));
    frames.into_iter().flat_map(|(_, body)| body.to_vec()).collect()
}

#[test]
fn batch_replies_name_their_rows() {
    let stream = file("batch_two.resp.bin");
    let bodies = bodies(&stream);
    let mut body = &bodies[..];
    let mut answers = Vec::new();
    while !body.is_empty() {
        let Step::Done { value, used } = decode_batch_answer(body) else { panic!("not whole") };
        answers.push(value);
        body = &body[used..];
    }
    let row = |index, result| BatchAnswer::Row(RowAnswer { index, result });
    let expected =
        [row(0, ResultCode::OK), row(1, ResultCode::GENERATION), BatchAnswer::Last(ResultCode::OK)];
    assert_eq!(answers, expected);
}

/// What a scan's answer says, as text: easy to compare, and independent of the buffer.
pub(crate) fn scan_answers(mut body: &[u8]) -> Vec<String> {
    let mut layout = RecordLayout::new();
    let mut answers = Vec::new();
    while !body.is_empty() {
        let Step::Done { value, used } = decode_answer(body, &mut layout) else { panic!("not whole") };
        answers.push(describe(value, &layout, body));
        body = &body[used..];
    }
    answers
}

pub(crate) fn describe(answer: Answer, layout: &RecordLayout, input: &[u8]) -> String {
    if answer != Answer::Record {
        return format!("{answer:?}");
    }
    let record = layout.view(input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut line =
        format!("{} {} {}", text(record.namespace), record.set.map_or("-".into(), text), record.digest);
    line += &format!(" {:?} {} {}", record.key, record.generation, record.void_time.0);
    for bin in record.bins.iter() {
        line += &format!(" {}={:?}", text(bin.name), bin.value);
    }
    line
}

#[test]
fn scan_of_one_partition() {
    let user1 =
        "test demo 03161f352c8ab85448952c896ecdaa122b3c4e71 Some(String([117, 115, 101, 114, 49])) 4 0";
    assert_eq!(
        scan_answers(&bodies(&file("scan_one_partition.resp.bin"))),
        [&format!("{user1} i=Integer(5) b=String([120])"), "Last(0 ok)"],
    );
}

#[test]
fn scan_with_max_records() {
    let language = |digest, generation, kind, number| {
        format!(
            "test lang {digest} None {generation} 0 lb=Bytes({kind}, [1, 2, 3, 4, 5]) n=Integer({number})"
        )
    };
    assert_eq!(
        scan_answers(&bodies(&file("scan_max_records.resp.bin"))),
        [
            language("1791ba618f890e37dd66ee0319792b4b6b605497", 1, "Erlang", 12),
            language("a901e6e9e37ad73a529588e87ac235443d9373a7", 1, "Ruby", 10),
            "test demo ff31c926fbef445648ce63ca72a698a5473425c1 Some(Bytes([1, 2, 3])) 4 534064270 b=Integer(1)".into(),
            "Last(0 ok)".into(),
        ],
    );
}

#[test]
fn writes_are_answered_by_a_header() {
    for name in ["put_int", "put_float", "put_string", "put_geo", "put_list", "put_nil"] {
        assert_eq!(write_result(name), ResultCode::OK, "{name}");
    }
    for name in ["put_policy_gt_update", "put_policy_gt_updateonly", "put_policy_gt_replaceonly"] {
        assert_eq!(write_result(name), ResultCode::GENERATION, "{name}");
    }
    // The recorded HLL is broken on purpose.
    assert_eq!(write_result("put_hll"), ResultCode::PARAMETER);
    assert_eq!(write_result("batch_one"), ResultCode::OK);
}

fn write_result(name: &str) -> ResultCode {
    let body = bodies(&file(&format!("{name}.resp.bin")));
    match Message::decode(&body) {
        Step::Done { value, used } if used == body.len() => value.header.result,
        other => panic!("{name}: {other:?}"),
    }
}

/// A cut stream asks for more, never for more than is missing, and its front gives the same answers.
#[test]
fn every_split_point_gives_the_same_answers() {
    for name in ["scan_one_partition", "scan_max_records"] {
        let body = bodies(&file(&format!("{name}.resp.bin")));
        let expected = scan_answers(&body);
        for split in 0..=body.len() {
            assert_eq!(answers_in_two(&body, split), expected, "{name} split at byte {split}");
        }
    }
    let body = bodies(&file("batch_two.resp.bin"));
    for split in 0..BATCH_ROW_BYTES {
        let Step::Need(missing) = decode_batch_answer(&body[..split]) else {
            panic!("split at byte {split}")
        };
        assert!((1..=BATCH_ROW_BYTES - split).contains(&missing), "split at byte {split}: {missing}");
    }
}

/// Gives the decoder the front first, and what is left of it together with the rest when it asks for more.
fn answers_in_two(body: &[u8], split: usize) -> Vec<String> {
    let (mut layout, mut answers) = (RecordLayout::new(), Vec::new());
    let (mut at, mut end) = (0, split);
    while at < body.len() {
        match decode_answer(&body[at..end], &mut layout) {
            Step::Done { value, used } => {
                answers.push(describe(value, &layout, &body[at..end]));
                at += used;
            }
            Step::Need(missing) => {
                assert!(missing > 0 && end + missing <= body.len(), "{missing} further bytes at {end}");
                end = body.len();
            }
            Step::Damaged(error) => panic!("{error}"),
        }
    }
    answers
}

/// The first row's answer of batch_two: a header and one op with a name of one byte.
const BATCH_ROW_BYTES: usize = 31;
