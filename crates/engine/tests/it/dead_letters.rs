//! Records that the server refuses, kept for another time.

use std::{fs, path::Path};

use asbackup::{BatchLimits, ErrorKind, Local, RestoreConfig, Start, StateRule, Writes};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::setup::{
    NAMESPACE, assert_same, back_up, client, data_files, loaded_server, restore_config, server,
};

const RECORDS: u64 = 3_000;

fn keeping(path: &Path) -> RestoreConfig {
    let mut config = restore_config();
    config.dead_letter = Some(path.to_owned());
    // One batch at a time, so that a refusal in front of a failure is always seen.
    let limits = BatchLimits { in_flight: 1.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    config
}

fn refuse(into: &TestServer, rows: u32, code: ResultCode, batch: u64) {
    into.faults().add(Fault::new(Command::Batch, FaultAction::FailRows { rows, code }).nth(batch));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_kept_as_they_were_and_can_be_restored() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("refused.asb");
    let into = server();
    refuse(&into, 5, ResultCode::RECORD_TOO_BIG, 2);
    refuse(&into, 2, ResultCode::BIN_NAME, 7);
    let job = client(&into).await.restore(keeping(&path), Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!(report.records.ignored, [("bin_name", 2), ("record_too_big", 5)].into());
    assert_eq!(into.store().record_count(NAMESPACE), RECORDS - 7);

    let text = fs::read(&path).unwrap();
    let header = b"Version 3.1\n# namespace test\n# first-file\n";
    let backup = data_files(directory.path()).into_values().collect::<Vec<_>>().concat();
    let reasons = fs::read_to_string(elsewhere.path().join("refused.asb.reasons")).unwrap();
    let reasons: Vec<serde_json::Value> =
        reasons.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reasons.len(), 7);
    let start = |reason: &serde_json::Value| usize::try_from(reason["byte"].as_u64().unwrap()).unwrap();
    let mut starts: Vec<_> = reasons.iter().map(start).collect();
    assert_eq!(&text[..starts[0]], header);
    starts.push(text.len());
    for (record, reason) in starts.windows(2).zip(&reasons) {
        let record = &text[record[0]..record[1]];
        assert!(backup.windows(record.len()).any(|part| part == record), "{reason}");
        assert_eq!(reason["digest"].as_str().map(str::len), Some(40));
        assert!(matches!(reason["reason"].as_str(), Some("record_too_big" | "bin_name")), "{reason}");
    }

    let again = client(&into).await.restore(restore_config(), Local::file(&path)).wait().await.unwrap();
    assert_eq!((again.records.read, again.records.inserted), (7, 7));
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_there_is_refused_unless_the_restore_goes_on() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("refused.asb");
    let into = server();
    refuse(&into, 1, ResultCode::RECORD_TOO_BIG, 1);
    let full = FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE);
    into.faults().add(Fault::new(Command::Batch, full).nth(9).times(u64::MAX));
    let restore =
        async |config| client(&into).await.restore(config, Local::directory(directory.path())).wait().await;
    assert_eq!(restore(keeping(&path)).await.unwrap_err().kind(), ErrorKind::Write);
    into.faults().clear();
    assert_eq!(restore(keeping(&path)).await.unwrap_err().kind(), ErrorKind::Config);
    refuse(&into, 1, ResultCode::BIN_NAME, 5);
    let mut config = keeping(&path);
    if let StateRule::Kept(state) = &mut config.state {
        state.start = Start::Continue;
    }
    let report = restore(config).await.unwrap();
    assert_eq!(report.records.unaccounted, 0);
    assert_eq!(report.records.ignored["bin_name"], 1);
    let reasons = fs::read_to_string(elsewhere.path().join("refused.asb.reasons")).unwrap();
    assert_eq!(reasons.lines().count(), 2, "one of each run");
    client(&into).await.restore(restore_config(), Local::file(&path)).wait().await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_cannot_be_kept_ends_the_job() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    refuse(&into, 1, ResultCode::RECORD_TOO_BIG, 1);
    let config = keeping(&directory.path().join("nowhere/refused.asb"));
    let job = client(&into).await.restore(config, Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(job.report().unwrap().records.unaccounted, 0);
}
