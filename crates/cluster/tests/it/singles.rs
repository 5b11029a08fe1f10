//! Writing rows one by one, with failures.

use std::time::Duration;

use asbackup_cluster::{ErrorKind, RowResult, WriteDeadlines};
use asbackup_codec::wire::{ExistsRule, ResultCode};
use asbackup_testserver::{Command, Fault, FaultAction};

use crate::batches::{DEADLINES, IN_DOUBT, OK, rows, target};
use crate::support::stored;

const NOT_SENT: RowResult = RowResult::Unanswered { in_doubt: false };

#[tokio::test]
async fn rows_are_written_without_batches() {
    let (server, cluster) = target().await;
    let mut batch = rows(50, ExistsRule::CreateOnly).await;
    server
        .faults()
        .add(Fault::new(Command::Batch, FaultAction::ErrorCode(ResultCode::BATCH_DISABLED)).times(u64::MAX));
    let node = &cluster.nodes()[0];
    node.write_one_by_one(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), [OK; 50]);
    assert_eq!(stored(&server).len(), 50);

    node.write_one_by_one(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), [RowResult::Answered(ResultCode::EXISTS); 50]);
}

#[tokio::test]
async fn each_row_has_its_own_answer() {
    let (server, cluster) = target().await;
    let mut batch = rows(3, ExistsRule::Update).await;
    let overload = FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD);
    server.faults().add(Fault::new(Command::Write, overload).nth(2));
    cluster.nodes()[0].write_one_by_one(&mut batch, &DEADLINES, 0).await.unwrap();
    assert_eq!(batch.results(), [OK, RowResult::Answered(ResultCode::DEVICE_OVERLOAD), OK]);
}

#[tokio::test]
async fn a_broken_connection_leaves_one_row_in_doubt() {
    for (bytes, kind) in [(0, ErrorKind::Network), (20, ErrorKind::Network)] {
        let (server, cluster) = target().await;
        let mut batch = rows(4, ExistsRule::Update).await;
        server.faults().add(Fault::new(Command::Write, FaultAction::CutAfter(bytes)).nth(3));
        let node = &cluster.nodes()[0];
        let error = node.write_one_by_one(&mut batch, &DEADLINES, 0).await.unwrap_err();
        assert_eq!((error.kind(), error.node()), (kind, Some(node.name())));
        assert_eq!(batch.results(), [OK, OK, IN_DOUBT, NOT_SENT]);
    }
}

#[tokio::test]
async fn deadlines_are_those_of_one_row() {
    let short = Duration::from_millis(20);
    for deadlines in [
        WriteDeadlines { socket_timeout: short, total_timeout: Duration::ZERO },
        WriteDeadlines { socket_timeout: Duration::from_secs(10), total_timeout: short },
    ] {
        let (server, cluster) = target().await;
        let mut batch = rows(2, ExistsRule::Update).await;
        let late = FaultAction::Delay(Duration::from_secs(60));
        server.faults().add(Fault::new(Command::Write, late));
        let error = cluster.nodes()[0].write_one_by_one(&mut batch, &deadlines, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(batch.results(), [IN_DOUBT, NOT_SENT]);
    }
}
