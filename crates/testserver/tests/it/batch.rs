//! Batches.

use asbackup_codec::wire::{
    FrameKind, MessageHeader, ResultCode, begin_frame, end_frame, field, info1, info2, info3, op,
};
use asbackup_model::particle::{INTEGER, NIL};

use crate::client::{Client, Reply, Request, digest, int, server, store};

/// Returns the frame of a batch whose rows are these bytes.
fn batch(count: u32, rows: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin_frame(&mut out, FrameKind::Message);
    let header = MessageHeader { info1: info1::BATCH, fields: 1, ..MessageHeader::default() };
    out.extend_from_slice(&header.encode());
    let data = [&count.to_be_bytes(), &[5][..], rows].concat();
    asbackup_codec::wire::put_field(&mut out, field::BATCH, &data);
    end_frame(&mut out, start);
    out
}

fn batch_of(requests: &[Request]) -> Vec<u8> {
    let mut rows = Vec::new();
    for (index, request) in (100..).zip(requests) {
        request.put_row(index, &mut rows);
    }
    batch(u32::try_from(requests.len()).unwrap(), &rows)
}

/// Returns index and code of each row, and the code of the last message.
fn codes(replies: &[Reply]) -> (Vec<(u32, ResultCode)>, ResultCode) {
    let (last, rows) = replies.split_last().unwrap();
    assert_eq!((last.header.info3, last.names().len()), (info3::LAST, 0));
    (rows.iter().map(|reply| (reply.header.timeout_ms, reply.result())).collect(), last.result())
}

#[test]
fn rows_of_all_kinds_are_answered_each_under_its_index() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, 0);
    let write = |number, name| Request::write(digest(number), &[(name, INTEGER, &int(1))]);
    let mut elsewhere = write(4, "a");
    elsewhere.fields[0].1 = b"nowhere".to_vec();
    let requests = [
        write(1, "a").with(|header| {
            header.info2 |= info2::GENERATION_GREATER;
            header.generation = 7;
        }),
        write(2, "a").with(|header| header.info2 |= info2::RESPOND_ALL_OPS),
        Request::read(digest(1)),
        Request::read(digest(3)),
        elsewhere,
        Request::delete(digest(1)),
    ];
    let replies = Client::connect(&server).many(&batch_of(&requests));
    let expected = [
        (100, ResultCode::GENERATION),
        (101, ResultCode::OK),
        (102, ResultCode::OK),
        (103, ResultCode::NOT_FOUND),
        (104, ResultCode::NAMESPACE),
        (105, ResultCode::OK),
    ];
    assert_eq!(codes(&replies), (expected.to_vec(), ResultCode::OK));
    assert_eq!(replies[1].bins, [("a".to_owned(), NIL, Vec::new())]);
    assert_eq!(replies[2].names(), ["keep"]);
    assert_eq!(server.store().record_count("test"), 1);
}

#[test]
fn a_row_repeats_all_but_index_and_digest_of_the_row_before() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, 0);
    store(server.store(), digest(2), "demo", 8, 0);
    let mut rows = Vec::new();
    Request::read(digest(1)).put_row(0, &mut rows);
    rows.extend_from_slice(&9_u32.to_be_bytes());
    rows.extend_from_slice(&digest(2).0);
    rows.push(1);
    let replies = Client::connect(&server).many(&batch(2, &rows));
    assert_eq!((replies[1].header.timeout_ms, replies[1].header.generation), (9, 8));
    assert_eq!(replies[1].names(), ["keep"]);
}

#[test]
fn a_row_may_have_the_first_info_byte_alone_or_a_fourth() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, 0);
    let mut rows = Vec::new();
    for flags in [0_u8, 0x10] {
        rows.extend_from_slice(&u32::from(flags).to_be_bytes());
        rows.extend_from_slice(&digest(1).0);
        rows.extend_from_slice(&[flags, info1::READ]);
        rows.extend_from_slice(&[0; 1][..usize::from(flags != 0)]);
        rows.extend_from_slice(&[0, 1, 0, 1]);
        asbackup_codec::wire::put_field(&mut rows, field::NAMESPACE, b"test");
        asbackup_codec::wire::put_op(&mut rows, op::READ, 0, b"keep", &[]);
    }
    let replies = Client::connect(&server).many(&batch(2, &rows));
    assert_eq!(codes(&replies).0, [(0, ResultCode::OK), (16, ResultCode::OK)]);
    assert!(replies[..2].iter().all(|reply| reply.names() == ["keep"]));
}

#[test]
fn impossible_batches_are_refused_as_a_whole() {
    let mut cut = Vec::new();
    Request::read(digest(1)).put_row(0, &mut cut);
    cut.pop();
    let mut repeats_nothing = vec![0; 24];
    repeats_nothing.push(1);
    let many: Vec<Request> = (0..5001).map(|_| Request::read(digest(1))).collect();
    let table = [
        (batch(0, &[]), ResultCode::PARAMETER),
        (batch(1, &cut), ResultCode::PARAMETER),
        (batch(1, &repeats_nothing), ResultCode::PARAMETER),
        (batch_of(&many), ResultCode::BATCH_TOO_LARGE),
    ];
    let server = server();
    for (request, result) in table {
        assert_eq!(codes(&Client::connect(&server).many(&request)), (Vec::new(), result));
    }
}

#[test]
fn the_longest_batch_is_answered_in_full() {
    let server = server();
    let write = |number: u32| {
        let mut request = Request::write(digest(1), &[("a", INTEGER, &int(1))]);
        request.fields[2].1[15..19].copy_from_slice(&number.to_be_bytes());
        request
    };
    let requests: Vec<Request> = (0..5000).map(write).collect();
    let (rows, last) = codes(&Client::connect(&server).many(&batch_of(&requests)));
    assert_eq!((rows.len(), last), (5000, ResultCode::OK));
    assert!(rows.iter().all(|(_, result)| *result == ResultCode::OK));
    assert_eq!(server.store().record_count("test"), 5000);
}
