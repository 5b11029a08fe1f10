//! Scans.

use std::time::{Duration, Instant};

use asbackup_codec::wire::{
    Content, FrameKind, QueryRequest, ResultCode, begin_frame, end_frame, info1, info3, monitor_set_filter,
    op, put_field, put_op,
};
use asbackup_model::particle::INTEGER;
use asbackup_model::{Digest, PartitionId};
use asbackup_testserver::{SampleRecords, TestServer};

use crate::client::{Client, Reply, digest, int, server, store};

fn all() -> QueryRequest<'static> {
    QueryRequest { namespace: b"test", from_start: PartitionId::all().collect(), ..QueryRequest::default() }
}

/// Returns a server with 2,000 sample records.
fn loaded() -> TestServer {
    let server = TestServer::builder().namespace("test").frame_bytes(10_000).start().unwrap();
    server.store().load("test", SampleRecords { count: 2000, record_bytes: 200 });
    server
}

/// Returns the digests of the records, and the code of the last message.
fn digests(replies: &[Reply]) -> (Vec<Digest>, ResultCode) {
    let (last, records) = replies.split_last().unwrap();
    assert_eq!(last.header.info3, info3::LAST);
    (records.iter().map(|reply| reply.digest.unwrap()).collect(), last.result())
}

#[test]
fn every_record_comes_once_and_in_order() {
    let server = loaded();
    let (found, last) = digests(&Client::connect(&server).scan(&all()));
    assert_eq!((found.len(), last), (2000, ResultCode::OK));
    assert!(found.is_sorted_by_key(|digest| (digest.partition(), *digest)));
}

#[test]
fn frames_end_with_the_record_that_fills_them() {
    let server = loaded();
    let mut client = Client::connect(&server);
    let mut request = Vec::new();
    all().encode(&mut request);
    client.send(&request);
    let mut sizes = Vec::new();
    loop {
        let body = client.frame().unwrap().1;
        if body.len() == 22 {
            break;
        }
        sizes.push(body.len());
    }
    let (_last, full) = sizes.split_last().unwrap();
    // The frame's own header counts.
    assert!(full.iter().all(|size| (10_000 - 8..10_000 + 200).contains(size)), "{sizes:?}");
    assert!(full.len() > 30);
}

#[test]
fn a_scan_goes_on_behind_a_digest() {
    let server = loaded();
    let mut client = Client::connect(&server);
    let (whole, _) = digests(&client.scan(&all()));
    let middle = whole[1000];
    let later: Vec<PartitionId> = PartitionId::all().filter(|id| *id > middle.partition()).collect();
    let request = QueryRequest { from_start: later, after: vec![middle], ..all() };
    assert_eq!(digests(&client.scan(&request)).0, whole[1001..]);
}

#[test]
fn partitions_and_maximum_are_kept_to() {
    let server = loaded();
    let mut client = Client::connect(&server);
    let some: Vec<PartitionId> = PartitionId::all().skip(100).take(500).collect();
    let (found, _) = digests(&client.scan(&QueryRequest { from_start: some.clone(), ..all() }));
    assert!(!found.is_empty() && found.iter().all(|digest| some.contains(&digest.partition())));
    let (first, last) = digests(&client.scan(&QueryRequest { max_records: 7, ..all() }));
    assert_eq!((first.len(), last), (7, ResultCode::OK));
}

#[test]
fn expired_records_and_other_sets_are_left_out() {
    let server = server();
    store(server.store(), digest(1), "one", 1, 0);
    store(server.store(), digest(2), "two", 1, 0);
    store(server.store(), digest(3), "", 1, 0);
    store(server.store(), digest(4), "one", 1, 100);
    store(server.store(), digest(5), "<ERO~MRT", 1, 0);
    let mut client = Client::connect(&server);
    let mut found = |set, filter| digests(&client.scan(&QueryRequest { set, filter, ..all() })).0;
    assert_eq!(found(None, None), [digest(1), digest(2), digest(3), digest(5)]);
    assert_eq!(found(None, Some(monitor_set_filter())), [digest(1), digest(2), digest(3)]);
    assert_eq!(found(Some(&b"one"[..]), Some(monitor_set_filter())), [digest(1)]);
}

#[test]
fn a_record_expires_when_its_time_comes() {
    let server = server();
    let mut client = Client::connect(&server);
    let write = crate::client::Request::write(digest(1), &[("a", INTEGER, &int(1))]);
    client.single(&write.with(|header| header.ttl = 100));
    assert_eq!(client.scan(&all()).len(), 2);
    server.advance_clock(Duration::from_secs(101));
    assert_eq!(client.scan(&all()).len(), 1);
}

#[test]
fn bins_are_sent_as_asked() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("a", INTEGER, &int(1)), ("b", INTEGER, &int(2))]);
    client.write(2, &[("a", INTEGER, &int(3))]);
    let replies = client.scan(&QueryRequest { bins: vec![b"b", b"none"], ..all() });
    assert_eq!(digests(&replies).0, [digest(1)]);
    assert_eq!(replies[0].bins, [("b".to_owned(), INTEGER, int(2).to_vec())]);
    let replies = client.scan(&QueryRequest { content: Content::Metadata, ..all() });
    assert_eq!(digests(&replies).0, [digest(1), digest(2)]);
    assert!(
        replies[..2].iter().all(|reply| reply.bins.is_empty() && reply.header.info1 == info1::NO_BIN_DATA)
    );
}

#[test]
fn impossible_scans_are_refused() {
    let five = PartitionId::new(5).unwrap();
    let table = [
        ("no partition", QueryRequest { from_start: Vec::new(), ..all() }, ResultCode::PARAMETER),
        ("twice", QueryRequest { from_start: vec![five, five], ..all() }, ResultCode::PARAMETER),
        ("twice by digest", QueryRequest { after: vec![digest(1)], ..all() }, ResultCode::PARAMETER),
        ("namespace", QueryRequest { namespace: b"nowhere", ..all() }, ResultCode::NAMESPACE),
        ("other filter", QueryRequest { filter: Some(b"\x92\x63\x01"), ..all() }, ResultCode::PARAMETER),
    ];
    let server = server();
    let mut client = Client::connect(&server);
    for (what, request, result) in table {
        assert_eq!(digests(&client.scan(&request)), (Vec::new(), result), "{what}");
    }
}

#[test]
fn queries_by_index_and_writing_queries_are_unsupported() {
    let server = server();
    let mut client = Client::connect(&server);
    let mut request = |info1, kind| {
        let header = asbackup_codec::wire::MessageHeader { info1, fields: 3, ops: 1, ..Default::default() };
        let mut out = Vec::new();
        let start = begin_frame(&mut out, FrameKind::Message);
        out.extend_from_slice(&header.encode());
        put_field(&mut out, 0, b"test");
        put_field(&mut out, 11, &[5, 0]);
        put_field(&mut out, kind, b"x");
        put_op(&mut out, op::READ, 0, b"a", &[]);
        end_frame(&mut out, start);
        digests(&client.many(&out))
    };
    assert_eq!(request(info1::READ, 22), (Vec::new(), ResultCode::UNSUPPORTED));
    assert_eq!(request(info1::READ, 30), (Vec::new(), ResultCode::UNSUPPORTED));
    assert_eq!(request(0, 99), (Vec::new(), ResultCode::UNSUPPORTED));
    assert_eq!(request(info1::READ, 99), (Vec::new(), ResultCode::OK));
}

#[test]
fn a_rate_spreads_the_records() {
    let server = loaded();
    let started = Instant::now();
    let request = QueryRequest { records_per_second: 8000, ..all() };
    assert_eq!(Client::connect(&server).scan(&request).len(), 2001);
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
}

#[test]
fn a_client_that_does_not_read_loses_the_connection() {
    let server = TestServer::builder().namespace("test").start().unwrap();
    server.store().load("test", SampleRecords { count: 300, record_bytes: 200_000 });
    let mut client = Client::connect(&server);
    let mut request = Vec::new();
    QueryRequest { socket_timeout_ms: 1, ..all() }.encode(&mut request);
    client.send(&request);
    // Whatever lies in the socket's buffers still comes; reading begins only when the server must have given up.
    let mut other = Client::connect(&server);
    let waiting = Instant::now();
    while waiting.elapsed() < Duration::from_millis(400) {
        other.info("node");
    }
    assert!(client.rest().len() < 300 * 200_000);
}
