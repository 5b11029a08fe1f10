//! Jobs against a server that fails: either everything is there afterwards, or the job says that it isn't.

use std::{path::Path, time::Duration};

use asbackup::{Checkpoint, ErrorKind, Local, Parallelism};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, files, loaded_server, restore_config, server,
};

const RECORDS: u64 = 3_000;

async fn restored(directory: &Path) -> TestServer {
    let into = server();
    client(&into).await.restore(restore_config(), Local::directory(directory)).wait().await.unwrap();
    into
}

/// Backs up a server on which the second scan fails, and returns how often scans were tried again.
async fn backup_survives(action: FaultAction) -> u64 {
    let from = loaded_server(RECORDS);
    from.faults().add(Fault::new(Command::Query, action).nth(2).times(2));
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.readers = Parallelism::new(4).unwrap();
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.written, report.records.unaccounted), (RECORDS, 0), "each record once");
    from.faults().clear();
    assert_same(&from, &restored(directory.path()).await, NAMESPACE);
    report.errors.retries.values().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_scans_that_fail() {
    for action in [
        FaultAction::Refuse,
        FaultAction::CutAfter(0),
        FaultAction::CutAfter(5),
        FaultAction::CutAfter(20_000),
        FaultAction::CutAfter(50_001),
        FaultAction::ErrorCode(ResultCode::TIMEOUT),
        FaultAction::ErrorCode(ResultCode::QUERY_ABORTED),
        FaultAction::Delay(Duration::from_millis(50)),
    ] {
        let delayed = matches!(action, FaultAction::Delay(_));
        let retries = backup_survives(action.clone()).await;
        assert_eq!(retries > 0, !delayed, "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_that_cannot_be_whole_and_keeps_no_state_fails_and_leaves_nothing() {
    for action in
        [FaultAction::CutAfter(30_000), FaultAction::ErrorCode(ResultCode::PARAMETER), FaultAction::Refuse]
    {
        let from = loaded_server(RECORDS);
        from.faults().add(Fault::new(Command::Query, action).times(u64::MAX));
        let directory = tempfile::tempdir().unwrap();
        let mut config = backup_config();
        config.retry.max_retries = 2;
        config.checkpoint = Checkpoint::Off;
        // Whatever was read counts as progress, so with cuts far apart it would end well after all.
        config.socket_timeout = Duration::from_secs(5);
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        match job.wait().await {
            Ok(report) => assert_eq!(report.records.written, RECORDS),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Scan, "{error:?}");
                assert!(files(directory.path()).is_empty());
                let report = job.report().unwrap();
                assert_eq!((report.records.written, report.records.unaccounted), (0, 0));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_backup_that_keeps_no_state_leaves_nothing() {
    let from = loaded_server(RECORDS);
    from.faults().add(Fault::new(Command::Query, FaultAction::Delay(Duration::from_secs(3600))).nth(2));
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.readers = Parallelism::new(2).unwrap();
    config.socket_timeout = Duration::from_secs(3600);
    config.checkpoint = Checkpoint::Off;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    while job.progress().records_read == 0 {
        tokio::task::yield_now().await;
    }
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(files(directory.path()).is_empty());
    assert_eq!(job.report().unwrap().records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_batches_that_fail() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for action in [
        FaultAction::Refuse,
        FaultAction::CutAfter(0),
        FaultAction::CutAfter(100),
        FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD),
        FaultAction::FailRows { rows: 7, code: ResultCode::DEVICE_OVERLOAD },
        FaultAction::FailRows { rows: 7, code: ResultCode::KEY_BUSY },
    ] {
        let into = server();
        into.faults().add(Fault::new(Command::Batch, action.clone()).nth(3).times(2));
        let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        let records = &report.records;
        // A row that was written by an attempt without an answer is answered as fresher the next time.
        assert_eq!(records.inserted + records.fresher, RECORDS, "{action:?}");
        assert_eq!(records.unaccounted, 0);
        assert!(report.errors.retries.values().sum::<u64>() > 0, "{action:?}");
        assert_same(&from, &into, NAMESPACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_that_cannot_be_whole_fails_and_accounts_for_all() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for (action, kind) in [
        (FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD), ErrorKind::Refused),
        (FaultAction::FailRows { rows: 1, code: ResultCode::ALWAYS_FORBIDDEN }, ErrorKind::Refused),
        (FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE), ErrorKind::Write),
        (FaultAction::ErrorCode(ResultCode::BATCH_TOO_LARGE), ErrorKind::Write),
    ] {
        let into = server();
        into.faults().add(Fault::new(Command::Batch, action.clone()).nth(5).times(u64::MAX));
        let mut config = restore_config();
        config.retry.max_retries = 1;
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        assert_eq!(job.wait().await.unwrap_err().kind(), kind, "{action:?}");
        let records = &job.report().unwrap().records;
        assert!(records.failed.values().sum::<u64>() > 0, "{action:?}");
        assert_eq!(records.unaccounted, 0);
        assert!(records.inserted <= into.store().record_count(NAMESPACE));
    }
}
