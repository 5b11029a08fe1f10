//! Servers, clients and directories for the tests.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use asbackup::{
    BackupConfig, Client, Cluster, ClusterConfig, Local, RestoreConfig, RestoreReport, ScanRetry, Seed,
    WriteRetry,
};
use asbackup_demo::{
    compare::{Side, compare},
    sample,
};
use asbackup_model::VoidTime;
use asbackup_testserver::TestServer;
use std::time::Duration;

pub(crate) const NAMESPACE: &str = "test";

/// Starts a server with an empty namespace.
pub(crate) fn server() -> TestServer {
    TestServer::builder().namespace(NAMESPACE).start().unwrap()
}

/// Starts a server with sample records, indexes and UDF modules.
pub(crate) fn loaded_server(records: u64) -> TestServer {
    let server = server();
    sample::load_records(server.store(), NAMESPACE, records, now());
    sample::load_metadata(server.store(), NAMESPACE);
    server
}

pub(crate) async fn client(server: &TestServer) -> Client {
    let seed = Seed::parse(&server.address().to_string(), 3000).unwrap();
    let mut config = ClusterConfig::new([seed]);
    config.info_retry.first_pause = Duration::from_millis(1);
    Client::new(Cluster::connect(config).await.unwrap())
}

/// The defaults, but with pauses that don't slow a test down.
pub(crate) fn backup_config() -> BackupConfig {
    let mut config = BackupConfig::new(NAMESPACE);
    config.retry = ScanRetry { max_retries: 10, first_pause: Duration::from_millis(1) };
    config
}

/// The defaults, but with pauses that don't slow a test down.
pub(crate) fn restore_config() -> RestoreConfig {
    let mut config = RestoreConfig::new();
    config.retry = WriteRetry { max_retries: 3, first_pause: Duration::from_millis(1), multiplier: 2.0 };
    config
}

/// Backs a server up into a directory.
pub(crate) async fn back_up(server: &TestServer, directory: &Path) {
    client(server).await.backup(backup_config(), Local::directory(directory)).wait().await.unwrap();
}

pub(crate) fn now() -> VoidTime {
    let unix_s = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    VoidTime(unix_s - VoidTime::EPOCH_UNIX_SECONDS)
}

#[track_caller]
pub(crate) fn assert_same(first: &TestServer, second: &TestServer, namespace: &str) {
    let verdict = compare(
        Side { store: first.store(), namespace: NAMESPACE },
        Side { store: second.store(), namespace },
    );
    assert!(verdict.is_equal(), "{verdict}");
}

/// Returns the sum of all that may become of a record; it has to be what was read.
pub(crate) fn restored_sum(report: &RestoreReport) -> u64 {
    let records = &report.records;
    let by_reason = [&records.skipped, &records.ignored, &records.failed];
    let by_reason: u64 = by_reason.iter().flat_map(|counts| counts.values()).sum();
    by_reason + records.expired + records.fresher + records.existed + records.inserted + records.unfinished
}

/// Returns the names and texts of all files in a directory.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    fs::read_dir(directory).unwrap().map(|entry| file(entry.unwrap())).collect()
}

/// Returns the names and texts of the data files in a directory.
pub(crate) fn data_files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    files(directory).into_iter().filter(|(name, _)| name.ends_with(".asb")).collect()
}
