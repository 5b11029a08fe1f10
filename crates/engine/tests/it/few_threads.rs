//! Jobs on a runtime of the library's user that has a single blocking thread: none of them waits for another one's.

use std::{fs, future::Future, num::NonZeroUsize, time::Duration};

use asbackup::{
    BatchLimits, Checkpoint, Local, Parallelism, RestoreConfig, ScanPermits, StateRule, ValidateConfig,
    Verification, Writes, Zstd,
};
use asbackup_testserver::{Command, Fault, FaultAction};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, loaded_server, restore_config, server,
};

const RECORDS: u64 = 10_000;

fn run(work: impl Future<Output = ()>) {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2).max_blocking_threads(1).enable_all();
    runtime.build().unwrap().block_on(work);
}

fn four() -> Parallelism {
    Parallelism::new(4).unwrap()
}

/// A restore with several readers that saves its state all the time.
fn saving() -> RestoreConfig {
    let mut config = restore_config();
    config.readers = four();
    if let StateRule::Kept(state) = &mut config.state {
        state.period = Duration::from_millis(1);
    }
    config
}

/// Streams wait for the only scan while those that have it wait for their writers.
#[test]
fn writers_and_readers_need_no_blocking_threads() {
    run(async {
        let (from, into, directory) = (loaded_server(RECORDS), server(), tempfile::tempdir().unwrap());
        let storage = Local::directory(directory.path());
        let mut config = backup_config();
        (config.readers, config.writers, config.checkpoint) =
            (four(), four(), Checkpoint::Every(Duration::ZERO));
        config.envelope.compression = Some(Zstd::level(1).unwrap());
        let client_of_source = client(&from).await.with_scan_permits(ScanPermits::new(Parallelism::ONE));
        client_of_source.backup(config, storage.clone()).wait().await.unwrap();
        let mut validation = ValidateConfig::new();
        validation.readers = four();
        let report = asbackup::validate(validation, storage.clone()).wait().await.unwrap();
        assert_eq!((report.findings.len(), report.records.read), (0, RECORDS));
        let mut config = saving();
        config.verification = Verification::First;
        client(&into).await.restore(config, storage).wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
    });
}

#[test]
fn restore_saves_its_state_while_its_readers_wait() {
    run(async {
        let (from, into, directory) = (loaded_server(RECORDS), server(), tempfile::tempdir().unwrap());
        back_up(&from, directory.path()).await;
        into.faults().add(Fault::new(Command::Batch, FaultAction::HoldAfter(0)).nth(20));
        let mut config = saving();
        // The answer that is held is waited for.
        (config.socket_timeout, config.total_timeout) = (Duration::ZERO, Duration::ZERO);
        let in_flight = NonZeroUsize::MIN;
        config.writes = Writes::Batches(BatchLimits { in_flight, ..BatchLimits::default() });
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        while into.faults().held() == 0 {
            tokio::task::yield_now().await;
        }
        let state = directory.path().join("asbackup.restore.state.json");
        let inserted = || -> Option<u64> {
            let state: Value = serde_json::from_slice(&fs::read(&state).ok()?).ok()?;
            state["counts"]["records"]["inserted"].as_u64()
        };
        while inserted().is_none_or(|inserted| inserted == 0) {
            tokio::task::yield_now().await;
        }
        into.faults().release();
        job.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
    });
}
