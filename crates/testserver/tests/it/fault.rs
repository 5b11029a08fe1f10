//! Failures on request.

use std::time::{Duration, Instant};

use asbackup_codec::wire::{
    ExistsRule, FrameKind, GenerationRule, QueryRequest, ResultCode, WriteRules, begin_batch, begin_frame,
    encode_row, end_batch, end_frame, info3, patch_row, ttl,
};
use asbackup_model::PartitionId;
use asbackup_model::particle::INTEGER;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::client::{Client, digest, int, server, store};

fn partition_five() -> QueryRequest<'static> {
    let from_start = [5, 6].into_iter().filter_map(PartitionId::new).collect();
    QueryRequest { namespace: b"test", from_start, ..QueryRequest::default() }
}

/// Returns a server with two records.
fn loaded() -> TestServer {
    let server = server();
    store(server.store(), digest(1), "demo", 1, 0);
    store(server.store(), digest(2), "demo", 1, 0);
    server
}

/// Returns a batch that writes the two records again.
fn batch(server: &TestServer) -> Vec<u8> {
    let rules = WriteRules { exists: ExistsRule::Update, generation: GenerationRule::Ignore };
    let mut out = Vec::new();
    let start = begin_batch(&mut out, 0);
    let mut rows = 0;
    server.store().for_each_record("test", |record| {
        let row = out.len();
        encode_row(&mut out, record, b"test", rules);
        patch_row(&mut out[row..], rows, ttl::NEVER);
        rows += 1;
    });
    end_batch(&mut out, start, rows);
    out
}

#[test]
fn refused_means_closed_without_an_answer() {
    let server = loaded();
    server.faults().add(Fault::new(Command::Write, FaultAction::Refuse));
    let mut client = Client::connect(&server);
    assert_eq!(client.read(1).result(), ResultCode::OK);
    let mut write = Vec::new();
    crate::client::Request::write(digest(1), &[("a", INTEGER, &int(1))]).encode(&mut write);
    client.send(&write);
    assert_eq!(client.rest(), b"");
    let mut again = Client::connect(&server);
    assert_eq!(again.read(1).names(), ["keep"]);
    assert_eq!(again.write(1, &[("a", INTEGER, &int(1))]).result(), ResultCode::OK);
}

#[test]
fn an_answer_is_cut_where_the_rule_says() {
    let server = loaded();
    server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(31)));
    let mut client = Client::connect(&server);
    let mut request = Vec::new();
    partition_five().encode(&mut request);
    client.send(&request);
    assert_eq!(client.rest().len(), 31);
    assert_eq!(Client::connect(&server).scan(&partition_five()).len(), 3);
}

#[test]
fn a_write_whose_answer_is_cut_has_happened() {
    let server = loaded();
    server.faults().add(Fault::new(Command::Batch, FaultAction::CutAfter(0)));
    let mut client = Client::connect(&server);
    client.send(&batch(&server));
    assert_eq!(client.rest(), b"");
    assert_eq!(Client::connect(&server).read(1).header.generation, 2);
}

#[test]
fn a_code_answers_for_the_command() {
    let server = loaded();
    let code = |on, code| Fault::new(on, FaultAction::ErrorCode(code));
    server.faults().add(code(Command::Query, ResultCode::FORBIDDEN));
    server.faults().add(code(Command::Batch, ResultCode::BATCH_QUEUES_FULL));
    server.faults().add(code(Command::Write, ResultCode::DEVICE_OVERLOAD));
    server.faults().add(code(Command::Read, ResultCode::TIMEOUT).nth(2));
    server.faults().add(code(Command::Info, ResultCode::TIMEOUT));
    let mut client = Client::connect(&server);
    let last = |replies: Vec<crate::client::Reply>| {
        replies.iter().map(|reply| (reply.header.info3, reply.result())).collect::<Vec<_>>()
    };
    assert_eq!(last(client.scan(&partition_five())), [(info3::LAST, ResultCode::FORBIDDEN)]);
    assert_eq!(last(client.many(&batch(&server))), [(info3::LAST, ResultCode::BATCH_QUEUES_FULL)]);
    assert_eq!(client.write(1, &[("a", INTEGER, &int(1))]).result(), ResultCode::DEVICE_OVERLOAD);
    assert_eq!(client.read(1).names(), ["keep"]);
    assert_eq!(client.read(1).result(), ResultCode::TIMEOUT);
    assert_eq!(client.info("node"), "ERROR:9:injected fault");
    assert_eq!(client.info("node"), "80E901000000FC02");
}

#[test]
fn a_delay_comes_before_the_answer() {
    let server = loaded();
    server.faults().add(Fault::new(Command::Info, FaultAction::Delay(Duration::from_millis(120))));
    let mut client = Client::connect(&server);
    let started = Instant::now();
    assert_eq!(client.info("status"), "ok");
    assert!(started.elapsed() >= Duration::from_millis(120));
}

#[test]
fn rows_fail_and_the_rest_is_written() {
    let server = loaded();
    let action = FaultAction::FailRows { rows: 1, code: ResultCode::KEY_BUSY };
    server.faults().add(Fault::new(Command::Batch, action));
    let mut client = Client::connect(&server);
    let results: Vec<ResultCode> =
        client.many(&batch(&server)).iter().map(crate::client::Reply::result).collect();
    assert_eq!(results, [ResultCode::KEY_BUSY, ResultCode::OK, ResultCode::OK]);
    assert_eq!((client.read(1).header.generation, client.read(2).header.generation), (1, 2));
}

#[test]
fn unavailable_partitions_are_reported_and_left_out() {
    let server = loaded();
    let away = [5, 9].into_iter().filter_map(PartitionId::new).collect();
    server.faults().add(Fault::new(Command::Query, FaultAction::Unavailable(away)));
    let mut client = Client::connect(&server);
    let replies = client.scan(&partition_five());
    let header = replies[0].header;
    assert_eq!(replies.len(), 2);
    assert_eq!(
        (header.info3, header.result, header.generation),
        (info3::PARTITION_DONE, ResultCode::UNAVAILABLE, 5)
    );
    assert_eq!(replies[1].result(), ResultCode::OK);
    assert_eq!(client.scan(&partition_five()).len(), 3);
}

#[test]
fn security_is_answered_as_without_security() {
    let server = loaded();
    let mut request = Vec::new();
    let start = begin_frame(&mut request, FrameKind::Security);
    request.extend_from_slice(&[0; 16]);
    end_frame(&mut request, start);
    let mut client = Client::connect(&server);
    let mut result = || {
        client.send(&request);
        ResultCode(client.frame().unwrap().1[1])
    };
    assert_eq!(result(), ResultCode::SECURITY_NOT_SUPPORTED);
    server.faults().add(Fault::new(Command::Security, FaultAction::ErrorCode(ResultCode::BAD_PASSWORD)));
    assert_eq!(result(), ResultCode::BAD_PASSWORD);
}

#[test]
fn what_no_client_sends_ends_the_connection() {
    let server = loaded();
    let compressed = [2, 4, 0, 0, 0, 0, 0, 1, 0];
    let no_message = [2, 3, 0, 0, 0, 0, 0, 1, 22];
    let other_version = [1, 3, 0, 0, 0, 0, 0, 0];
    for bytes in [&compressed[..], &no_message, &other_version] {
        let mut client = Client::connect(&server);
        client.send(bytes);
        assert_eq!(client.rest(), b"");
    }
}
