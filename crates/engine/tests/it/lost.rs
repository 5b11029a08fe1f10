//! Servers that go away for good, are slow, or have too much to do: the job ends within its bounds, says why, and
//! accounts for all.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use asbackup::{BatchLimits, Checkpoint, ErrorKind, Local, Parallelism, Writes};
use asbackup_codec::wire::ResultCode;
use asbackup_model::PartitionId;
use asbackup_testserver::{Command, Fault, FaultAction};

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, files, loaded_server, restore_config, server,
};

const RECORDS: u64 = 3_000;

/// Longer than any of these jobs may take, shorter than any timeout of a default configuration adds up to.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_server_that_goes_away_fails_and_leaves_nothing() {
    let from = loaded_server(RECORDS);
    from.faults()
        .add(Fault::new(Command::Query, FaultAction::Delay(Duration::from_secs(3600))).nth(2).times(9));
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.readers = Parallelism::new(2).unwrap();
    config.checkpoint = Checkpoint::Off;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    while job.progress().records_read == 0 {
        tokio::task::yield_now().await;
    }
    let lost = Instant::now();
    drop(from);
    let error = job.wait().await.unwrap_err();
    assert!(lost.elapsed() < BOUND);
    assert_eq!(error.kind(), ErrorKind::Scan, "{error:?}");
    assert!(files(directory.path()).is_empty());
    let records = &job.report().unwrap().records;
    assert_eq!((records.written, records.unaccounted), (0, 0));
    assert_eq!(records.unfinished, records.read);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_into_a_server_that_goes_away_has_lost_the_cluster() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    into.faults()
        .add(Fault::new(Command::Batch, FaultAction::Delay(Duration::from_secs(3600))).nth(3).times(99));
    let mut config = restore_config();
    let limits = BatchLimits { in_flight: 1.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    config.socket_timeout = Duration::from_millis(50);
    config.retry.max_retries = 8;
    let job = client(&into).await.restore(config, Local::directory(directory.path()));
    while job.progress().retries == 0 {
        tokio::task::yield_now().await;
    }
    let lost = Instant::now();
    drop(into);
    let error = job.wait().await.unwrap_err();
    assert!(lost.elapsed() < BOUND);
    assert_eq!(error.kind(), ErrorKind::Write, "{error:?}");
    let report = job.report().unwrap();
    assert!(report.records.failed.values().sum::<u64>() > 0);
    assert_eq!(report.records.unaccounted, 0);
    // An attempt without an answer may have been carried out, even if later ones didn't get as far.
    assert!(report.errors.in_doubt_attempts > 0);
    assert!(report.errors.in_doubt_records > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn record_in_doubt_stays_so_when_the_server_is_overloaded_afterwards() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let in_flight = 1.try_into().unwrap();
    for (writes, command, in_doubt) in [
        (Writes::Batches(BatchLimits { in_flight, ..BatchLimits::default() }), Command::Batch, 100),
        (Writes::Single { in_flight }, Command::Write, 1),
    ] {
        let into = server();
        into.faults().add(Fault::new(command, FaultAction::CutAfter(0)));
        let overload = FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD);
        into.faults().add(Fault::new(command, overload).nth(2).times(u64::MAX));
        let mut config = restore_config();
        config.writes = writes;
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Refused);
        let errors = &job.report().unwrap().errors;
        assert_eq!((errors.in_doubt_attempts, errors.in_doubt_records), (in_doubt, in_doubt));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_stay_unavailable_end_the_backup() {
    let from = loaded_server(RECORDS);
    let gone: Vec<PartitionId> = PartitionId::all().skip(7).take(3).collect();
    from.faults().add(Fault::new(Command::Query, FaultAction::Unavailable(gone)).times(u64::MAX));
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.readers = Parallelism::new(3).unwrap();
    config.checkpoint = Checkpoint::Off;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Scan);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("refused 3 of its partitions as unavailable"), "{cause}");
    assert!(files(directory.path()).is_empty());
    assert_eq!(job.report().unwrap().records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_server_is_waited_for() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let slow = |on| Fault::new(on, FaultAction::Delay(Duration::from_millis(30))).times(u64::MAX);
    from.faults().add(slow(Command::Query));
    from.faults().add(slow(Command::Info));
    back_up(&from, directory.path()).await;
    let into = server();
    into.faults().add(slow(Command::Batch));
    into.faults().add(slow(Command::Info));
    let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.inserted, report.errors.in_doubt_attempts), (RECORDS, 0));
    assert_same(&from, &into, NAMESPACE);
}

/// Restores into a server whose `nth` batch has one row that is refused, while all other batches take their time.
async fn refused_among_many(directory: &Path) {
    let into = server();
    let refused = FaultAction::FailRows { rows: 1, code: ResultCode::RECORD_TOO_BIG };
    into.faults().add(Fault::new(Command::Batch, refused).nth(3));
    into.faults()
        .add(Fault::new(Command::Batch, FaultAction::Delay(Duration::from_secs(3600))).times(u64::MAX));
    let begun = Instant::now();
    let mut config = restore_config();
    let limits = BatchLimits { rows: 10.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    let job = client(&into).await.restore(config, Local::directory(directory));
    let error = job.wait().await.unwrap_err();
    assert!(begun.elapsed() < BOUND);
    assert_eq!((error.kind(), error.place().code), (ErrorKind::Refused, Some(13)), "{error:?}");
    let records = &job.report().unwrap().records;
    assert_eq!((records.failed["record_too_big"], records.inserted, records.unaccounted), (1, 9, 0));
    assert_eq!(records.unfinished, records.read - 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_row_ends_all_batches_at_once() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    refused_among_many(directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_that_the_cluster_lacks_is_named_at_once() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = asbackup_testserver::TestServer::builder().namespace("another").start().unwrap();
    let begun = Instant::now();
    let mut config = restore_config();
    config.retry.first_pause = Duration::from_secs(3600);
    let job = client(&into).await.restore(config, Local::directory(directory.path()));
    let error = job.wait().await.unwrap_err();
    assert!(begun.elapsed() < BOUND);
    assert_eq!(error.to_string(), r#"the cluster has no namespace "test""#);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(job.report().unwrap().records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_a_wait_for_information() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let silent = || Fault::new(Command::Info, FaultAction::Delay(Duration::from_secs(3600))).times(u64::MAX);
    let into = server();
    let (reader, writer): (asbackup::Client, asbackup::Client) = (client(&from).await, client(&into).await);
    from.faults().add(silent());
    into.faults().add(silent());
    let begun = Instant::now();
    let elsewhere = directory.path().join("elsewhere");
    let backup = reader.backup(backup_config(), Local::directory(&elsewhere));
    let restore = writer.restore(restore_config(), Local::directory(directory.path()));
    while restore.progress().bytes_stored == 0 {
        tokio::task::yield_now().await;
    }
    backup.cancel();
    restore.cancel();
    assert_eq!(backup.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(restore.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(5), "an information request may take 10 s");
    let report = restore.report().unwrap();
    assert_eq!((report.indexes.read, report.indexes.created), (0, 0), "{report:?}");
}
