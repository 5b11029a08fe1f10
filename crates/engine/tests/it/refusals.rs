//! Records that the server refuses, code by code, and what the options make of them.

use std::{num::NonZeroUsize, path::Path};

use asbackup::{
    BatchLimits, ErrorKind, Job, Local, MetadataOrder, RecordErrors, RestoreConfig, RestoreReport, Writes,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, NamespaceConfig, TestServer};

use crate::setup::{
    NAMESPACE, assert_same, back_up, client, loaded_server, restore_config, restored_sum, server,
};

async fn restore(into: &TestServer, directory: &Path, config: RestoreConfig) -> Job<RestoreReport> {
    let job = client(into).await.restore(config, Local::directory(directory));
    // Whether it failed is asked again.
    let _ = job.wait().await;
    let report = job.report().unwrap();
    assert_eq!(report.records.read, restored_sum(&report));
    job
}

fn single() -> Writes {
    Writes::Single { in_flight: NonZeroUsize::new(8).unwrap() }
}

/// The end of a restore whose first row got a code once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything is there, and the row is counted as written.
    Written,
    /// Everything is counted, and the row as one that was there.
    Fresher,
    /// Everything is counted, and the row as one that was there.
    Existed,
    /// Everything is there after one retry.
    Retried,
    /// All but the row is there, and the row is counted by name.
    Ignored,
    /// The job stops because of that record.
    Refused,
    /// The job stops because no record would fare better.
    Fatal,
}

/// Restores ten records with one code for one row, and returns how it ends.
async fn end(directory: &Path, code: ResultCode, writes: Writes, record_errors: RecordErrors) -> End {
    let into = server();
    let fault = match writes {
        Writes::Batches(_) => Fault::new(Command::Batch, FaultAction::FailRows { rows: 1, code }),
        Writes::Single { .. } => Fault::new(Command::Write, FaultAction::ErrorCode(code)),
    };
    into.faults().add(fault);
    let mut config = restore_config();
    (config.writes, config.record_errors) = (writes, record_errors);
    let job = restore(&into, directory, config).await;
    let result = job.wait().await;
    let report = job.report().unwrap();
    let records = &report.records;
    let by_name = |counts: &std::collections::BTreeMap<&'static str, u64>| counts.get(code.name()).copied();
    match result.map_err(|error| (error.kind(), error.place().code)) {
        Err((ErrorKind::Refused, Some(number)))
            if number == code.0 && by_name(&records.failed) == Some(1) =>
        {
            End::Refused
        }
        Err((ErrorKind::Write, Some(number))) if number == code.0 && by_name(&records.failed) == Some(1) => {
            End::Fatal
        }
        Err(other) => panic!("{code}: {other:?}, {records:?}"),
        Ok(_) if by_name(&records.ignored) == Some(1) && records.inserted == 9 => End::Ignored,
        Ok(_) if records.fresher == 1 => End::Fresher,
        Ok(_) if records.existed == 1 => End::Existed,
        Ok(_) if by_name(&report.errors.retries) == Some(1) && into.store().record_count(NAMESPACE) == 10 => {
            End::Retried
        }
        Ok(_) => {
            assert_eq!(records.inserted, 10, "{code}");
            End::Written
        }
    }
}

/// Source: docs/format/wire.md, "Result codes".
const CODES: &[(End, End, &[u8])] = &[
    // Without and with `RecordErrors::Ignore`.
    (End::Written, End::Written, &[0]),
    (End::Fresher, End::Fresher, &[3]),
    (End::Existed, End::Existed, &[5]),
    (End::Retried, End::Retried, &[9, 11, 14, 15, 18, 152]),
    (End::Fatal, End::Fatal, &[8, 16, 20, 25, 50, 51, 60, 62, 66, 80, 81, 94, 150, 151]),
    (
        End::Refused,
        End::Ignored,
        &[1, 2, 4, 6, 7, 10, 12, 13, 17, 19, 21, 22, 23, 24, 26, 27, 28, 32, 49, 95, 160, 200, 206, 255],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_code_of_a_row_has_its_end() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for &(stop, ignore, codes) in CODES {
        for &code in codes {
            let code = ResultCode(code);
            for writes in [Writes::Batches(BatchLimits::default()), single()] {
                let stopped = end(directory.path(), code, writes, RecordErrors::Stop).await;
                assert_eq!(stopped, stop, "{code}, {writes:?}");
                let ignored = end(directory.path(), code, writes, RecordErrors::Ignore).await;
                assert_eq!(ignored, ignore, "{code}, ignored, {writes:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fatal_codes_that_a_flag_helps_against_name_it() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for (code, flag) in [
        (ResultCode::BATCH_DISABLED, "--disable-batch-writes"),
        (ResultCode::BATCH_TOO_LARGE, "--batch-size"),
    ] {
        let into = server();
        into.faults().add(Fault::new(Command::Batch, FaultAction::ErrorCode(code)));
        let error = restore(&into, directory.path(), restore_config()).await.wait().await.unwrap_err();
        assert!(error.hint().unwrap().contains(flag), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_records_are_counted_and_the_others_written() {
    let from = loaded_server(3_000);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    for (rows, code) in [(7, ResultCode::RECORD_TOO_BIG), (3, ResultCode::BIN_NAME)] {
        into.faults().add(Fault::new(Command::Batch, FaultAction::FailRows { rows, code }).nth(2));
        into.faults().add(Fault::new(Command::Batch, FaultAction::FailRows { rows, code }).nth(4));
    }
    let mut config = restore_config();
    config.record_errors = RecordErrors::Ignore;
    let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
    assert_eq!(report.records.ignored, [("record_too_big", 14)].into(), "the oldest rule applies");
    assert_eq!(report.records.inserted, 3_000 - 14);
    assert!(report.records.failed.is_empty());
    assert_eq!(report.warnings, ["14 records were refused by the server and left out, as asked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_of_the_same_refusal_in_a_row_stop_the_job() {
    let from = loaded_server(3_000);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let mut small = NamespaceConfig::new(NAMESPACE);
    small.max_record_bytes = 10;
    let into = TestServer::builder().namespace(small).start().unwrap();
    let mut config = restore_config();
    config.record_errors = RecordErrors::Ignore;
    let job = restore(&into, directory.path(), config).await;
    let error = job.wait().await.unwrap_err();
    assert_eq!((error.kind(), error.place().code), (ErrorKind::Refused, Some(13)));
    assert_eq!(error.to_string(), "the server refused 1000 records in a row: 13 record too big");
    assert!(error.hint().is_some());
    let report = job.report().unwrap();
    assert!(report.records.ignored["record_too_big"] >= 1_000);
    assert!(report.records.failed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn single_writes_bring_everything_back() {
    let from = loaded_server(2_000);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    let no_batches = FaultAction::ErrorCode(ResultCode::BATCH_DISABLED);
    into.faults().add(Fault::new(Command::Batch, no_batches).times(u64::MAX));
    let mut config = restore_config();
    config.writes = single();
    let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
    assert_eq!(report.records.inserted, 2_000);
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_writes_that_fail_are_tried_again() {
    let from = loaded_server(500);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for action in [
        FaultAction::Refuse,
        FaultAction::CutAfter(0),
        FaultAction::CutAfter(20),
        FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD),
        FaultAction::ErrorCode(ResultCode::KEY_BUSY),
    ] {
        let into = server();
        into.faults().add(Fault::new(Command::Write, action.clone()).nth(3).times(2));
        let mut config = restore_config();
        config.writes = single();
        let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
        // A row that was written by an attempt without an answer is answered as fresher the next time.
        assert_eq!(report.records.inserted + report.records.fresher, 500, "{action:?}");
        assert_eq!(report.errors.retries.values().sum::<u64>(), 2, "{action:?}");
        assert_same(&from, &into, NAMESPACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_writes_that_keep_failing_are_accounted_for() {
    let from = loaded_server(500);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    into.faults().add(Fault::new(Command::Write, FaultAction::CutAfter(0)).nth(50).times(u64::MAX));
    let mut config = restore_config();
    (config.writes, config.retry.max_retries) = (single(), 1);
    let job = restore(&into, directory.path(), config).await;
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Refused);
    let report = job.report().unwrap();
    assert!(report.records.failed["network"] > 0 && report.errors.in_doubt_records > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_comes_before_records_unless_told_otherwise() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for (order, indexes, udfs) in [(MetadataOrder::First, 6, 2), (MetadataOrder::Last, 0, 0)] {
        let into = server();
        // Records end the job, so what comes behind them never comes.
        into.faults().add(Fault::new(Command::Batch, FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE)));
        let mut config = restore_config();
        config.metadata = order;
        let job = restore(&into, directory.path(), config.clone()).await;
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Write);
        assert_eq!((into.store().indexes(NAMESPACE).len(), into.store().udfs().len()), (indexes, udfs));
        restore(&into, directory.path(), config).await.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
    }
}
