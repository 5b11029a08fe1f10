//! Jobs against three nodes of which one fails, or passes its partitions on: either everything is there afterwards, or
//! the job says that it isn't.

use std::{error::Error as _, num::NonZeroUsize, path::Path, time::Duration};

use asbackup::{
    BackupConfig, BackupReport, BatchLimits, Checkpoint, Client, Cluster, ClusterConfig, Error, ErrorKind,
    Job, Local, Parallelism, RestoreConfig, RestoreReport, ScanRetry, Seed, Writes,
};
use asbackup_codec::wire::ResultCode;
use asbackup_demo::sample;
use asbackup_model::PartitionId;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use tempfile::TempDir;

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, files, loaded_server, now, restore_config, server,
};

const RECORDS: u64 = 3_000;
/// The node that fails. It isn't the one by which the cluster is found.
const NODE: usize = 1;
/// Where an answer of a scan is cut or held: in the middle of it.
const HALF_WAY: usize = 100_000;

/// Starts three empty nodes. Their frames are small, so that a scan looks often at what has changed.
fn three() -> TestServer {
    TestServer::builder().namespace(NAMESPACE).nodes(3).frame_bytes(4096).start().unwrap()
}

fn three_loaded() -> TestServer {
    let server = three();
    sample::load_records(server.store(), NAMESPACE, RECORDS, now());
    sample::load_metadata(server.store(), NAMESPACE);
    server
}

async fn client(server: &TestServer) -> Client {
    let seed = Seed::parse(&server.address().to_string(), 3000).unwrap();
    let mut config = ClusterConfig::new([seed]);
    config.refresh_interval = Duration::from_millis(10);
    Client::new(Cluster::connect(config).await.unwrap())
}

/// Returns how many records lie in partitions of other nodes.
fn records_elsewhere(server: &TestServer, partitions: &[PartitionId]) -> u64 {
    let mut records = 0;
    server.store().for_each_record(NAMESPACE, |record| {
        records += u64::from(!partitions.contains(&record.digest.partition()));
    });
    records
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it should have come to that");
}

async fn held(server: &TestServer) {
    until(|| server.faults().held() > 0).await;
}

/// A backup of three nodes, one stream each.
struct Backup {
    from: TestServer,
    directory: TempDir,
    job: Job<BackupReport>,
}

impl Backup {
    fn config() -> BackupConfig {
        let mut config = backup_config();
        config.readers = Parallelism::new(3).unwrap();
        config.retry = ScanRetry { max_retries: 12, first_pause: Duration::from_millis(2) };
        config.checkpoint = Checkpoint::Off;
        config
    }

    async fn start(config: BackupConfig, prepare: impl FnOnce(&TestServer)) -> Self {
        let from = three_loaded();
        prepare(&from);
        let directory = tempfile::tempdir().unwrap();
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        Self { from, directory, job }
    }

    /// Starts a backup in which scans of the one node fail.
    async fn with_fault(action: FaultAction, times: u64) -> Self {
        let fault = Fault::new(Command::Query, action).at_node(NODE).times(times);
        Self::start(Self::config(), |from| from.faults().add(fault)).await
    }

    /// Starts a backup and waits until the one node is in the middle of a scan.
    async fn held_half_way() -> Self {
        let backup = Self::with_fault(FaultAction::HoldAfter(HALF_WAY), 1).await;
        held(&backup.from).await;
        backup
    }

    async fn until_read(&self, records: u64) {
        until(|| self.job.progress().records_read >= records).await;
    }

    /// Checks that each record was backed up once and comes back as it was, and returns how often a scan was repeated.
    async fn ends_whole(&self) -> u64 {
        let report = self.job.wait().await.unwrap();
        assert_eq!((report.records.written, report.records.unaccounted), (RECORDS, 0), "each record once");
        let into = server();
        let restored = client(&into).await.restore(restore_config(), Local::directory(self.directory.path()));
        assert_eq!(restored.wait().await.unwrap().records.inserted, RECORDS);
        assert_same(&self.from, &into, NAMESPACE);
        report.errors.retries.values().sum()
    }

    /// Checks that the backup failed and left nothing, and returns why.
    async fn fails(&self) -> String {
        let error = self.job.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Scan, "{error:?}");
        assert!(files(self.directory.path()).is_empty());
        assert_eq!(self.job.report().unwrap().records.unaccounted, 0);
        cause(&error)
    }
}

fn cause(error: &Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_a_node_that_cuts_scans() {
    let backup = Backup::with_fault(FaultAction::CutAfter(HALF_WAY), 2).await;
    assert!(backup.ends_whole().await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_answers_that_end_within_a_record() {
    for bytes in [9, 30, 31, 5_001, 5_002, 5_003, 5_004] {
        let backup = Backup::with_fault(FaultAction::CutAfter(bytes), 1).await;
        assert_eq!(backup.ends_whole().await, 1, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_a_node_that_refuses_scans() {
    for action in [FaultAction::Refuse, FaultAction::ErrorCode(ResultCode::TIMEOUT)] {
        assert_eq!(Backup::with_fault(action, 3).await.ends_whole().await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_waits_for_a_node_that_is_slow() {
    let backup = Backup::held_half_way().await;
    backup.until_read(records_elsewhere(&backup.from, &backup.from.partitions_of(NODE))).await;
    backup.from.faults().release();
    assert_eq!(backup.ends_whole().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_asks_again_when_a_node_falls_silent() {
    let mut config = Backup::config();
    config.socket_timeout = Duration::from_millis(200);
    let fault = Fault::new(Command::Query, FaultAction::HoldAfter(HALF_WAY)).at_node(NODE);
    let backup = Backup::start(config, |from| from.faults().add(fault)).await;
    assert!(backup.ends_whole().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_a_node_that_is_killed_and_restarted() {
    let backup = Backup::held_half_way().await;
    backup.from.stop_node(NODE).unwrap();
    backup.until_read(records_elsewhere(&backup.from, &backup.from.partitions_of(NODE))).await;
    backup.from.start_node(NODE).unwrap();
    assert!(backup.ends_whole().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_a_node_whose_partitions_others_take_over() {
    let backup = Backup::held_half_way().await;
    let partitions = backup.from.partitions_of(NODE);
    backup.from.stop_node(NODE).unwrap();
    backup.from.move_partitions(&partitions[..600], 0);
    backup.from.move_partitions(&partitions[600..], 2);
    assert!(backup.ends_whole().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_survives_partitions_that_move() {
    let backup = Backup::held_half_way().await;
    let partitions = backup.from.partitions_of(NODE);
    backup.from.move_partitions(&partitions, 2);
    backup.from.faults().release();
    assert!(backup.ends_whole().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_waits_for_partitions_that_are_unavailable() {
    let mut partitions = Vec::new();
    let backup = Backup::start(Backup::config(), |from| {
        partitions = from.partitions_of(NODE)[..500].to_vec();
        from.make_unavailable(&partitions);
    });
    let backup = backup.await;
    backup.until_read(records_elsewhere(&backup.from, &partitions)).await;
    backup.from.make_available(&partitions);
    assert!(backup.ends_whole().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_without_all_partitions_is_a_failure() {
    let mut config = Backup::config();
    config.retry.max_retries = 2;
    let backup = Backup::start(config, |from| {
        let partitions = from.partitions_of(NODE);
        from.make_unavailable(&partitions[..3]);
    });
    let error = backup.await.fails().await;
    assert!(error.starts_with("the node refused 3 of its partitions as unavailable (node 80E9"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_without_a_node_is_a_failure() {
    let mut config = Backup::config();
    config.retry.max_retries = 2;
    let fault = Fault::new(Command::Query, FaultAction::HoldAfter(HALF_WAY)).at_node(NODE);
    let backup = Backup::start(config, |from| from.faults().add(fault)).await;
    held(&backup.from).await;
    backup.from.stop_node(NODE).unwrap();
    let error = backup.fails().await;
    assert!(error.starts_with("no node owns the ") || error.starts_with("no connection to "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_cluster_that_lacks_a_node_is_not_begun() {
    let from = three_loaded();
    from.stop_node(NODE).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let job = client(&from).await.backup(Backup::config(), Local::directory(directory.path()));
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().starts_with("only 2731 of 4096 partitions"), "{error}");
}

/// A restore into three nodes.
struct Restore {
    from: TestServer,
    into: TestServer,
    _directory: TempDir,
    job: Job<RestoreReport>,
}

impl Restore {
    fn config() -> RestoreConfig {
        let mut config = restore_config();
        config.writes =
            Writes::Batches(BatchLimits { rows: NonZeroUsize::new(32).unwrap(), ..BatchLimits::default() });
        config.retry.max_retries = 12;
        config.retry.first_pause = Duration::from_millis(2);
        config
    }

    async fn start(config: RestoreConfig, prepare: impl FnOnce(&TestServer)) -> Self {
        let (from, into) = (loaded_server(RECORDS), three());
        let directory = tempfile::tempdir().unwrap();
        back_up(&from, directory.path()).await;
        prepare(&into);
        let job = restore(&into, config, directory.path()).await;
        Self { from, into, _directory: directory, job }
    }

    /// Starts a restore in which batches of the one node fail.
    async fn with_fault(action: FaultAction, times: u64) -> Self {
        let fault = Fault::new(Command::Batch, action).at_node(NODE).nth(2).times(times);
        Self::start(Self::config(), |into| into.faults().add(fault)).await
    }

    async fn until_inserted(&self, records: u64) {
        until(|| self.into.store().record_count(NAMESPACE) >= records).await;
    }

    /// Checks that all records are there as they were, and returns how often a row was sent again.
    async fn ends_whole(&self) -> u64 {
        let report = self.job.wait().await.unwrap();
        let records = &report.records;
        // A row that was written by an attempt without an answer is answered as fresher the next time.
        assert_eq!((records.inserted + records.fresher, records.unaccounted), (RECORDS, 0));
        assert_same(&self.from, &self.into, NAMESPACE);
        report.errors.retries.values().sum()
    }

    /// Checks that the restore failed and accounts for every record, and returns why rows failed.
    async fn fails(&self) -> String {
        let error = self.job.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        let records = self.job.report().unwrap().records.clone();
        assert_eq!(records.unaccounted, 0);
        assert!(records.inserted < RECORDS && records.inserted <= self.into.store().record_count(NAMESPACE));
        records.failed.into_keys().collect::<Vec<_>>().join(",")
    }
}

async fn restore(into: &TestServer, config: RestoreConfig, directory: &Path) -> Job<RestoreReport> {
    client(into).await.restore(config, Local::directory(directory))
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_a_node_that_cuts_batches() {
    for bytes in [0, 9, 100] {
        let restore = Restore::with_fault(FaultAction::CutAfter(bytes), 2).await;
        assert!(restore.ends_whole().await > 0, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_a_node_that_refuses_batches() {
    let batches_full = FaultAction::ErrorCode(ResultCode::BATCH_QUEUES_FULL);
    for action in [FaultAction::Refuse, batches_full] {
        assert!(Restore::with_fault(action, 3).await.ends_whole().await > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_device_overload_of_a_node() {
    for rows in [5, 1000] {
        let overload = FaultAction::FailRows { rows, code: ResultCode::DEVICE_OVERLOAD };
        assert!(Restore::with_fault(overload, 5).await.ends_whole().await > 0, "{rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_waits_for_a_node_that_is_slow() {
    let restore = Restore::with_fault(FaultAction::HoldAfter(0), 1).await;
    held(&restore.into).await;
    // What the answer is about was written.
    restore.until_inserted(RECORDS).await;
    restore.into.faults().release();
    assert_eq!(restore.ends_whole().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_sends_again_when_a_node_falls_silent() {
    let mut config = Restore::config();
    config.socket_timeout = Duration::from_millis(200);
    let fault = Fault::new(Command::Batch, FaultAction::HoldAfter(0)).at_node(NODE);
    let restore = Restore::start(config, |into| into.faults().add(fault)).await;
    assert!(restore.ends_whole().await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_a_node_that_is_killed_and_restarted() {
    let restore = Restore::with_fault(FaultAction::HoldAfter(0), u64::MAX).await;
    held(&restore.into).await;
    restore.into.stop_node(NODE).unwrap();
    restore.into.faults().clear();
    let elsewhere = records_elsewhere(&restore.from, &restore.into.partitions_of(NODE));
    restore.until_inserted(elsewhere).await;
    restore.into.start_node(NODE).unwrap();
    assert!(restore.ends_whole().await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_survives_partitions_that_move() {
    let mut config = Restore::config();
    // The batch that is held holds all others back.
    config.writes =
        Writes::Batches(BatchLimits { rows: NonZeroUsize::new(32).unwrap(), in_flight: NonZeroUsize::MIN });
    let fault = Fault::new(Command::Batch, FaultAction::HoldAfter(0)).at_node(NODE);
    let restore = Restore::start(config, |into| into.faults().add(fault)).await;
    held(&restore.into).await;
    let partitions = restore.into.partitions_of(NODE);
    restore.into.move_partitions(&partitions, 2);
    restore.into.faults().release();
    assert!(restore.ends_whole().await > 0, "rows that were dealt before go to the former owner first");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_waits_for_partitions_that_are_unavailable() {
    let mut partitions = Vec::new();
    let restore = Restore::start(Restore::config(), |into| {
        partitions = into.partitions_of(NODE)[..500].to_vec();
        into.make_unavailable(&partitions);
    });
    let restore = restore.await;
    restore.until_inserted(records_elsewhere(&restore.from, &partitions)).await;
    restore.into.make_available(&partitions);
    assert!(restore.ends_whole().await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_without_all_partitions_is_a_failure() {
    let mut config = Restore::config();
    config.retry.max_retries = 2;
    let restore = Restore::start(config, |into| {
        let partitions = into.partitions_of(NODE);
        into.make_unavailable(&partitions);
    });
    assert_eq!(restore.await.fails().await, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_without_a_node_is_a_failure() {
    let mut config = Restore::config();
    config.retry.max_retries = 2;
    let fault = Fault::new(Command::Batch, FaultAction::HoldAfter(0)).at_node(NODE).times(u64::MAX);
    let restore = Restore::start(config, |into| into.faults().add(fault)).await;
    held(&restore.into).await;
    restore.into.stop_node(NODE).unwrap();
    let reasons = restore.fails().await;
    assert!(!reasons.is_empty());
}
