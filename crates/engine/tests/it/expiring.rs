//! Records that expire while a job is under way, or between one and the next: each is in a count of its own.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use asbackup::{BatchLimits, Checkpoint, Local, Parallelism, Writes};
use asbackup_testserver::{Command, Fault, FaultAction};

use crate::setup::{
    NAMESPACE, back_up, backup_config, client, loaded_server, restore_config, restored_sum, server,
};

const RECORDS: u64 = 6_000;
/// Every fourth record of the sample expires in an hour or a little more.
const EXPIRING: u64 = RECORDS / 4;
const LATER: Duration = Duration::from_secs(4 * 3600);

fn later() -> SystemTime {
    SystemTime::now() + LATER
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_expire_between_backup_and_restore_are_counted_as_expired() {
    let (from, into, directory) = (loaded_server(RECORDS), server(), tempfile::tempdir().unwrap());
    back_up(&from, directory.path()).await;
    let client = client(&into).await.with_clock(later);
    let report = client.restore(restore_config(), Local::directory(directory.path())).wait().await.unwrap();
    let records = &report.records;
    assert_eq!((records.read, records.expired, records.inserted), (RECORDS, EXPIRING, RECORDS - EXPIRING));
    assert_eq!((restored_sum(&report), records.unaccounted), (RECORDS, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_expire_while_they_are_scanned_are_not_read_or_expire_in_the_restore() {
    let (from, into, directory) = (loaded_server(RECORDS), server(), tempfile::tempdir().unwrap());
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(600_000)));
    let mut config = backup_config();
    config.readers = Parallelism::new(1).unwrap();
    config.checkpoint = Checkpoint::Off;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    while from.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    from.advance_clock(LATER);
    from.faults().release();
    let backup = job.wait().await.unwrap();
    let read = backup.records.read;
    assert!((RECORDS - EXPIRING + 1..RECORDS).contains(&read), "{read}");
    assert_eq!((backup.records.written, backup.records.unaccounted), (read, 0));
    let client = client(&into).await.with_clock(later);
    let report = client.restore(restore_config(), Local::directory(directory.path())).wait().await.unwrap();
    let records = &report.records;
    assert_eq!((records.read, records.inserted), (read, RECORDS - EXPIRING));
    assert_eq!((records.expired, records.unaccounted), (read - records.inserted, 0));
}

/// How far the clock of the test below is ahead.
static AHEAD_S: AtomicU64 = AtomicU64::new(0);

fn ahead() -> SystemTime {
    SystemTime::now() + Duration::from_secs(AHEAD_S.load(Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_expire_while_they_are_restored_are_expired_or_written_for_their_last_second() {
    let (from, into, directory) = (loaded_server(RECORDS), server(), tempfile::tempdir().unwrap());
    back_up(&from, directory.path()).await;
    into.faults().add(Fault::new(Command::Batch, FaultAction::HoldAfter(0)));
    let mut config = restore_config();
    config.readers = Parallelism::new(1).unwrap();
    let limits = BatchLimits { in_flight: 1.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    let client = client(&into).await.with_clock(ahead);
    let job = client.restore(config, Local::directory(directory.path()));
    while into.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    // What was read by now is written, and what is read from here on is left out.
    AHEAD_S.store(LATER.as_secs(), Relaxed);
    into.faults().release();
    let report = job.wait().await.unwrap();
    let records = &report.records;
    assert!((1..EXPIRING).contains(&records.expired), "{records:?}");
    assert_eq!((records.read, records.inserted), (RECORDS, RECORDS - records.expired));
    assert_eq!((restored_sum(&report), records.unaccounted), (RECORDS, 0));
    assert_eq!(into.store().record_count(NAMESPACE), records.inserted);
}
