//! Limits of a job, and servers that can't keep up.

use std::{num::NonZeroU32, time::Duration};

use asbackup::{
    BackupConfig, ByteSize, ErrorKind, Local, Parallelism, RestoreConfig, ScanPermits, Verification,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction};

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, data_files, loaded_server, restore_config, server,
};

const RECORDS: u64 = 3_000;

/// A backup of a few streams.
fn parallel_backup() -> BackupConfig {
    let mut config = backup_config();
    config.readers = Parallelism::new(4).unwrap();
    config.writers = Parallelism::new(2).unwrap();
    config
}

/// Runs a backup and a restore of it, checks that all came through, and returns how long either took in ms.
async fn run(backup: BackupConfig, restore: RestoreConfig) -> (u64, u64) {
    let (from, into) = (loaded_server(RECORDS), server());
    let directory = tempfile::tempdir().unwrap();
    let storage = Local::directory(directory.path());
    let backed_up = client(&from).await.backup(backup, storage.clone()).wait().await.unwrap();
    let restored = client(&into).await.restore(restore, storage).wait().await.unwrap();
    assert_same(&from, &into, NAMESPACE);
    (backed_up.span.duration_ms, restored.span.duration_ms)
}

/// A job can't be faster than its limit, however slow the machine is.
#[tokio::test(flavor = "multi_thread")]
async fn records_per_second_hold_a_job_back() {
    let (mut backup, mut restore) = (parallel_backup(), restore_config());
    backup.limits.records_per_second = NonZeroU32::new(10_000);
    restore.limits.records_per_second = NonZeroU32::new(10_000);
    let (backup_ms, restore_ms) = run(backup, restore).await;
    assert!(backup_ms >= 300 && restore_ms >= 300, "{backup_ms} ms, {restore_ms} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn bandwidth_holds_a_job_back() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let bytes: usize = data_files(directory.path()).values().map(Vec::len).sum();
    let (mut backup, mut restore) = (parallel_backup(), restore_config());
    backup.limits.bandwidth = Some(ByteSize(3 * bytes as u64));
    restore.limits.bandwidth = Some(ByteSize(3 * bytes as u64));
    let (backup_ms, restore_ms) = run(backup, restore.clone()).await;
    // A third of a second, but for the headers of a backup's files and what a pause of the limiter makes up for.
    assert!(backup_ms >= 300 && restore_ms >= 300, "{backup_ms} ms, {restore_ms} ms");
    // What is checked before it is used is read twice.
    restore.verification = Verification::First;
    let (_, restore_ms) = run(backup_config(), restore).await;
    assert!(restore_ms >= 600, "{restore_ms} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn limited_job_can_be_cancelled() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let mut config = parallel_backup();
    config.limits.bandwidth = Some(ByteSize(1));
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    while job.progress().bytes_stored == 0 {
        tokio::task::yield_now().await;
    }
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

/// While the server is overloaded the job asks less and less often, and in the end all is there.
#[tokio::test(flavor = "multi_thread")]
async fn overload_makes_writes_rare_but_not_lost() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for action in [
        FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD),
        FaultAction::ErrorCode(ResultCode::BATCH_QUEUES_FULL),
        FaultAction::FailRows { rows: 1000, code: ResultCode::DEVICE_OVERLOAD },
    ] {
        let into = server();
        into.faults().add(Fault::new(Command::Batch, action.clone()).times(u64::MAX));
        let mut config = restore_config();
        config.retry.max_retries = 20;
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        while job.progress().throttle_waits < 7 {
            tokio::task::yield_now().await;
        }
        into.faults().clear();
        let report = job.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
        let retries: u64 = report.errors.retries.values().sum();
        // Without back-off all of them would be tried again each time; here half as many each time, down to one batch.
        assert!(retries < RECORDS * 3, "{action:?}: {retries} rows again for {RECORDS} records");
        assert!(report.errors.throttle_waits >= 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_waits_when_the_server_has_too_many() {
    let from = loaded_server(RECORDS);
    from.faults().add(Fault::new(Command::Query, FaultAction::ErrorCode(ResultCode::FORBIDDEN)).times(3));
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.throttle_pause = Duration::from_millis(1);
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.written, report.errors.throttle_waits), (RECORDS, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_share_scan_permits() {
    let from = loaded_server(RECORDS);
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(0)).times(u64::MAX));
    let client = client(&from).await.with_scan_permits(ScanPermits::new(Parallelism::new(2).unwrap()));
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let jobs = directories
        .each_ref()
        .map(|directory| client.clone().backup(parallel_backup(), Local::directory(directory.path())));
    while jobs.iter().any(|job| job.report().is_none()) {
        let held = from.faults().held();
        assert!(held <= 2, "{held} scans at once");
        // Only once both permits are in use, so that more than two would be noticed.
        if held == 2 {
            from.faults().release();
        }
        tokio::task::yield_now().await;
    }
    for job in jobs {
        assert_eq!(job.wait().await.unwrap().records.written, RECORDS);
    }
}
