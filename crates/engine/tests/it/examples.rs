//! The examples do what they say.

use std::{
    env,
    process::Command as Process,
    time::{Duration, SystemTime},
};

use asbackup::{AgentAddress, BackupConfig, ByteSize, Digest, ErrorKind, KeySource, Local, SecretName};
use asbackup_codec::wire::ResultCode;
use asbackup_demo::sample;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use tempfile::tempdir;

use crate::{
    envelope::{OTHER_KEY, testdata},
    secret::answering_agent,
    setup::{NAMESPACE, assert_same, client, data_files, files, loaded_server, now, restore_config, server},
};

#[path = "../../examples"]
#[allow(dead_code, reason = "their main functions are run by cargo alone")]
mod programs {
    pub(super) mod backup;
    pub(super) mod blocking;
    pub(super) mod compression;
    pub(super) mod encryption;
    pub(super) mod estimate;
    pub(super) mod events;
    pub(super) mod incremental;
    pub(super) mod jobs;
    pub(super) mod limits;
    pub(super) mod partitions;
    pub(super) mod progress;
    pub(super) mod restore;
    pub(super) mod resume;
    pub(super) mod selection;
    pub(super) mod shares;
    pub(super) mod validate;
}

const RECORDS: u64 = 1_000;

fn address(server: &TestServer) -> String {
    server.address().to_string()
}

/// Starts a server with the sample in one namespace and nothing in the other.
fn server_with(empty: &str) -> TestServer {
    let server = TestServer::builder().namespace(NAMESPACE).namespace(empty).start().unwrap();
    sample::load_records(server.store(), NAMESPACE, RECORDS, now());
    sample::load_metadata(server.store(), NAMESPACE);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_restore_and_validate() {
    let (server, directory) = (server_with("copy"), tempdir().unwrap());
    for _ in 0..2 {
        let report = programs::backup::run(&address(&server), directory.path()).await.unwrap();
        assert_eq!(report.records.written, RECORDS);
    }
    let report = programs::validate::run(directory.path()).await.unwrap();
    assert_eq!((report.records.read, report.findings.len()), (RECORDS, 0));
    programs::restore::run(&address(&server), directory.path()).await.unwrap();
    assert_same(&server, &server, "copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_made_one() {
    let (from, into, directory) = (loaded_server(RECORDS), server(), tempdir().unwrap());
    let report = programs::shares::run(&address(&from), directory.path()).await.unwrap();
    assert_eq!((report.shares, report.records.written), (2, RECORDS));
    let restored = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
    restored.wait().await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_name_the_files() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let mut told = programs::events::run(&address(&server), directory.path()).await.unwrap();
    told.sort();
    assert_eq!(told, data_files(directory.path()).into_keys().collect::<Vec<_>>());
}

async fn check_encryption(key: KeySource) {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let report = programs::encryption::run(&address(&server), directory.path(), key).await.unwrap();
    assert_eq!((report.records.read, report.findings.len()), (RECORDS, 0));
    assert!(data_files(directory.path()).values().all(|file| !file.starts_with(b"Version")));
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_with_the_key_of_a_file() {
    check_encryption(KeySource::File(testdata("keys/a_rsa_pkcs1.pem"))).await;
}

/// A process can't change its own environment safely, so another one of this test gets the key.
#[tokio::test(flavor = "multi_thread")]
async fn encryption_with_the_key_of_the_environment() {
    const VARIABLE: &str = "ASBACKUP_EXAMPLE_KEY";
    if env::var_os(VARIABLE).is_some() {
        return check_encryption(programs::encryption::key_of_environment(VARIABLE).unwrap()).await;
    }
    let mut test = Process::new(env::current_exe().unwrap());
    test.args(["--exact", "examples::encryption_with_the_key_of_the_environment"]).env(VARIABLE, OTHER_KEY);
    let output = test.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_with_the_key_of_an_agent() {
    let (port, _agent) = answering_agent(OTHER_KEY).await;
    let place = AgentAddress::Tcp { host: "127.0.0.1".to_owned(), port, tls: None };
    let name = SecretName::parse("secrets:backup:key").unwrap().unwrap();
    check_encryption(programs::encryption::key_of_agent(place, &name).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let report = programs::compression::run(&address(&server), directory.path()).await.unwrap();
    assert!(report.bytes.stored < report.bytes.decoded);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions() {
    let (server, directory) = (loaded_server(10 * RECORDS), tempdir().unwrap());
    // What its text decodes to.
    let mut digest = Digest(std::array::from_fn(|index| u8::try_from(index).unwrap() + 1));
    digest.0[..2].copy_from_slice(&[0x4e, 0x0c]);
    let (mut listed, mut behind) = (0, 0);
    server.store().for_each_record(NAMESPACE, |record| {
        let (partition, begun) = (record.digest.partition().number(), digest.partition().number());
        let rest = partition == begun && record.digest.0 > digest.0;
        listed += u64::from(matches!(partition, 0..=100 | 200) || rest);
        behind += u64::from(partition > begun || rest);
    });
    let reports = programs::partitions::run(&address(&server), directory.path()).await.unwrap();
    assert_eq!(reports.map(|report| report.records.written), [listed, behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn incremental() {
    let (from, into, directory) = (loaded_server(RECORDS), server(), tempdir().unwrap());
    let [full, changes, none] = ["full", "changes", "none"].map(|name| directory.path().join(name));
    let started = SystemTime::now();
    let back_up = programs::incremental::back_up;
    assert_eq!(back_up(&address(&from), &full, None).await.unwrap().records.written, RECORDS);
    sample::load_records(from.store(), NAMESPACE, RECORDS + 10, now());
    let written = back_up(&address(&from), &changes, Some(started)).await.unwrap().records.written;
    assert!(written >= 10, "{written}");
    let later = started + Duration::from_secs(3600);
    assert_eq!(back_up(&address(&from), &none, Some(later)).await.unwrap().records.written, 0);
    programs::incremental::restore(&address(&into), directory.path()).await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn selection() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let report = programs::selection::run(&address(&server), directory.path()).await.unwrap();
    assert!((1..RECORDS).contains(&report.records.written), "{}", report.records.written);
    assert_eq!((report.indexes.written, report.udfs.written), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let report = programs::limits::run(&address(&server), directory.path()).await.unwrap();
    assert_eq!(report.records.written, RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn resume() {
    const STATE: &str = "asbackup.state.json";
    let (server, directory) = (loaded_server(5 * RECORDS), tempdir().unwrap());
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(1_000_000)));
    let mut config = BackupConfig::new(NAMESPACE);
    config.file_limit = Some(ByteSize::mib(64));
    let job = client(&server).await.backup(config, Local::directory(directory.path()));
    while server.faults().held() == 0 || job.progress().bytes_stored < 500_000 {
        tokio::task::yield_now().await;
    }
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    server.faults().clear();
    let refused = Fault::new(Command::Query, FaultAction::ErrorCode(ResultCode::PARAMETER));
    server.faults().add(refused.times(u64::MAX));
    programs::resume::run(&address(&server), directory.path()).await.unwrap_err();
    assert!(files(directory.path()).contains_key(STATE));
    server.faults().clear();
    let report = programs::resume::run(&address(&server), directory.path()).await.unwrap();
    assert_eq!(report.records.written, 5 * RECORDS);
    assert!(!files(directory.path()).contains_key(STATE));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let [whole, cancelled] = ["whole", "cancelled"].map(|name| directory.path().join(name));
    let hour = Duration::from_secs(3600);
    let report = programs::progress::run(&address(&server), &whole, hour).await.unwrap();
    assert_eq!(report.unwrap().records.written, RECORDS);
    // The scan stops in its middle, so that the job can't be over before it is cancelled.
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(10_000)).times(u64::MAX));
    let report = programs::progress::run(&address(&server), &cancelled, Duration::ZERO).await.unwrap();
    assert!(report.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs() {
    let (server, directory) = (server_with("empty"), tempdir().unwrap());
    let namespaces = [NAMESPACE, "empty"].map(str::to_owned);
    let reports = programs::jobs::run(&address(&server), directory.path(), &namespaces).await.unwrap();
    let written: Vec<_> =
        reports.iter().map(|report| (report.namespace.as_str(), report.records.written)).collect();
    assert_eq!(written, [(NAMESPACE, RECORDS), ("empty", 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn estimate() {
    let report = programs::estimate::run(&address(&loaded_server(RECORDS))).await.unwrap();
    assert_eq!(report.estimate.records, RECORDS);
    assert!(report.estimate.bytes.low_95 > 0);
}

#[test]
fn blocking() {
    let (server, directory) = (loaded_server(RECORDS), tempdir().unwrap());
    let report = programs::blocking::run(&address(&server), directory.path()).unwrap();
    assert_eq!(report.records.written, RECORDS);
}
