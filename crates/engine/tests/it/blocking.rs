//! The client for programs without an async runtime.

use asbackup::{
    ClusterConfig, ErrorKind, Local, Parallelism, Sampling, ScanPermits, Seed, ValidateConfig, blocking,
};
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::setup::{NAMESPACE, assert_same, backup_config, files, loaded_server, restore_config, server};

fn client(server: &TestServer) -> blocking::Client {
    let seed = Seed::parse(&server.address().to_string(), 3000).unwrap();
    blocking::Client::connect(ClusterConfig::new([seed])).unwrap()
}

#[test]
fn backup_validate_and_restore_block_until_they_are_done() {
    let (source, target, directory) = (loaded_server(1_000), server(), tempfile::tempdir().unwrap());
    let local = Local::directory(directory.path());
    let permits = ScanPermits::new(Parallelism::ONE);
    let client_of_source = client(&source).with_scan_permits(permits);
    let estimate =
        client_of_source.estimate(backup_config(), Sampling::default()).wait().unwrap().estimate.clone();
    let job = client_of_source.backup(backup_config(), local.clone());
    assert_eq!(job.wait().unwrap().records.written, 1_000);
    assert_eq!(job.wait().unwrap().records.written, job.report().unwrap().records.written);
    assert_eq!(job.progress().records_done, 1_000);
    assert_eq!(job.report().unwrap().bytes.stored, estimate.bytes.mean);
    let valid = blocking::validate(ValidateConfig::new(), local.clone()).unwrap();
    assert!(valid.wait().unwrap().findings.is_empty());
    client(&target).restore(restore_config(), local).wait().unwrap();
    assert_same(&source, &target, NAMESPACE);
}

#[test]
fn cancelled_job_says_so_and_dropped_one_makes_no_backup() {
    let source = loaded_server(1_000);
    // The scan stops in its middle, so that the job can't be over before it is cancelled.
    source.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(10_000)).times(u64::MAX));
    let client = client(&source);
    for dropped in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let job = client.backup(backup_config(), Local::directory(directory.path()));
        if dropped {
            drop(job);
        } else {
            job.cancel();
            assert_eq!(job.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        }
        assert!(!files(directory.path()).contains_key("asbackup.manifest.json"));
    }
}

#[test]
fn cluster_that_does_not_answer_is_an_error() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seed = Seed::parse(&closed.to_string(), 3000).unwrap();
    let error = blocking::Client::connect(ClusterConfig::new([seed])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}
