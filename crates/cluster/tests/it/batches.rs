//! Writing rows, with failures.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use asbackup_cluster::{Batch, Cluster, ErrorKind, QueryProgress, RowResult, WriteDeadlines};
use asbackup_codec::wire::{ExistsRule, GenerationRule, ResultCode, WriteRules, encode_row};
use asbackup_model::VoidTime;
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};

use crate::support::{all, connect, server, spec, stored};

pub(crate) const DEADLINES: WriteDeadlines =
    WriteDeadlines { socket_timeout: Duration::from_secs(10), total_timeout: Duration::ZERO };
pub(crate) const OK: RowResult = RowResult::Answered(ResultCode::OK);
pub(crate) const IN_DOUBT: RowResult = RowResult::Unanswered { in_doubt: true };

/// Returns rows for that many records, as a scan of another server gives them.
pub(crate) async fn rows(records: u64, exists: ExistsRule) -> Batch {
    let server = server(0);
    server.store().load("test", SampleRecords { count: records, record_bytes: 300 });
    let cluster = connect(&server).await;
    let mut query = cluster.query(spec(), all());
    let rules = WriteRules { exists, generation: GenerationRule::Newer };
    let (mut batch, mut row) = (Batch::new(), Vec::new());
    let mut more = true;
    while more {
        let progress = query.next(|record| {
            row.clear();
            encode_row(&mut row, record, b"test", rules);
            batch.push(&row, record.void_time, 0);
            ControlFlow::Continue(())
        });
        more = progress.await.unwrap() == QueryProgress::More;
    }
    batch
}

pub(crate) async fn target() -> (TestServer, Cluster) {
    let server = server(0);
    let cluster = connect(&server).await;
    (server, cluster)
}

#[tokio::test]
async fn rows_are_written_and_answered() {
    let (server, cluster) = target().await;
    let mut batch = rows(500, ExistsRule::CreateOnly).await;
    let node = &cluster.nodes()[0];
    node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), vec![OK; 500]);
    assert_eq!(stored(&server).len(), 500);

    node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), vec![RowResult::Answered(ResultCode::EXISTS); 500]);
    node.write_batch(&mut Batch::new(), &DEADLINES, 0).await.unwrap();
}

#[tokio::test]
async fn the_seconds_that_are_left_are_sent() {
    let (server, cluster) = target().await;
    let source = server_record();
    let mut row = Vec::new();
    let rules = WriteRules { exists: ExistsRule::Replace, generation: GenerationRule::Ignore };
    source.store().for_each_record("test", |record| encode_row(&mut row, record, b"test", rules));
    let now = 2_000_000_000;
    let mut batch = Batch::new();
    batch.push(&row, VoidTime(now - VoidTime::EPOCH_UNIX_SECONDS + 1000), 0);
    cluster.nodes()[0].write_batch(&mut batch, &DEADLINES, now).await.unwrap();
    assert_eq!(batch.results(), [OK]);
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let expected = clock - VoidTime::EPOCH_UNIX_SECONDS + 1000;
    server.store().for_each_record("test", |record| {
        assert!(record.void_time.0.abs_diff(expected) < 60, "{} instead of {expected}", record.void_time.0);
    });
    assert_eq!(server.store().record_count("test"), 1);
}

fn server_record() -> TestServer {
    server(1)
}

#[tokio::test]
async fn rows_that_failed_are_kept_for_another_attempt() {
    let (server, cluster) = target().await;
    let mut batch = rows(10, ExistsRule::CreateOnly).await;
    let node = &cluster.nodes()[0];
    server.faults().add(Fault::new(
        Command::Batch,
        FaultAction::FailRows { rows: 4, code: ResultCode::DEVICE_OVERLOAD },
    ));
    node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    batch.retain(|index, result| {
        assert_eq!(result != OK, index < 4);
        result != OK
    });
    assert_eq!(batch.len(), 4);
    node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), [OK; 4]);
    assert_eq!(server.store().record_count("test"), 10);
}

#[tokio::test]
async fn a_code_for_the_batch_is_that_of_every_row() {
    let (server, cluster) = target().await;
    let mut batch = rows(3, ExistsRule::Update).await;
    server.faults().add(Fault::new(Command::Batch, FaultAction::ErrorCode(ResultCode::BATCH_QUEUES_FULL)));
    cluster.nodes()[0].write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), [RowResult::Answered(ResultCode::BATCH_QUEUES_FULL); 3]);
}

#[tokio::test]
async fn rows_behind_a_broken_connection_are_in_doubt() {
    let (server, cluster) = target().await;
    let mut batch = rows(20, ExistsRule::Update).await;
    let node = &cluster.nodes()[0];
    // The header of a frame and the answers to five rows, each a header.
    server.faults().add(Fault::new(Command::Batch, FaultAction::CutAfter(8 + 5 * 22)));
    let error = node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap_err();
    assert_eq!((error.kind(), error.node()), (ErrorKind::Network, Some(node.name())));
    let answered: BTreeSet<_> = (0..20).filter(|&index| batch.results()[index] != IN_DOUBT).collect();
    assert_eq!(answered, (0..5).collect());

    // The next attempt forgets what was; the connection that broke is not used again.
    node.write_batch(&mut batch, &DEADLINES, 0).await.unwrap();
    assert!(batch.results().iter().all(|result| matches!(result, RowResult::Answered(_))));
}

#[tokio::test]
async fn rows_that_were_never_sent_are_not_in_doubt() {
    let (server, cluster) = target().await;
    let mut batch = rows(2, ExistsRule::Update).await;
    let node = cluster.nodes()[0].clone();
    drop(server);
    let error = loop {
        // The threads of a server that was dropped may take a moment to end.
        match node.write_batch(&mut batch, &DEADLINES, 0).await {
            Err(error) if error.kind() == ErrorKind::Connect => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(error.is_retryable());
    assert_eq!(batch.results(), [RowResult::Unanswered { in_doubt: false }; 2]);
}

#[tokio::test]
async fn deadlines_end_an_attempt() {
    let (server, cluster) = target().await;
    let mut batch = rows(2, ExistsRule::Update).await;
    let short = Duration::from_millis(20);
    for deadlines in [
        WriteDeadlines { socket_timeout: short, total_timeout: Duration::ZERO },
        WriteDeadlines { socket_timeout: Duration::from_secs(10), total_timeout: short },
    ] {
        server.faults().add(Fault::new(Command::Batch, FaultAction::Delay(Duration::from_secs(60))));
        let error = cluster.nodes()[0].write_batch(&mut batch, &deadlines, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(batch.results(), [IN_DOUBT; 2]);
    }
}
