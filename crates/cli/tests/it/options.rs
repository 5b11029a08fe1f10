//! What the options of a restore do, from the flag to the report.

use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use serde_json::json;

use crate::jobs::{RECORDS, back_up, index, restore, server};

/// Refuses the first rows of the next batch.
fn refuse(server: &TestServer, rows: u32, code: ResultCode) {
    server.faults().add(Fault::new(Command::Batch, FaultAction::FailRows { rows, code }));
}

#[test]
fn ignored_records_are_0_with_a_warning_and_3_if_asked() {
    for (flags, code, outcome) in [
        ("--ignore-record-error", 0, "complete"),
        ("--ignore-record-error --fail-if-ignored", 3, "partial"),
        ("--dead-letter {}/../refused.asb --fail-if-ignored", 3, "partial"),
    ] {
        let (server, dir) = (server(), tempfile::tempdir().unwrap());
        let out = dir.path().join("out");
        back_up(&server, "", &out).expect(0);
        refuse(&server, 4, ResultCode::RECORD_TOO_BIG);
        let ran = restore(&server, &format!("--report json {flags}"), &out);
        let report = ran.expect(code).report();
        assert_eq!((&report["outcome"], &report["error"]), (&json!(outcome), &json!(null)));
        let records = &report["records"];
        assert_eq!(records["ignored"], json!({"record_too_big": 4}));
        assert_eq!((&records["inserted"], &records["failed"]), (&json!(RECORDS - 4), &json!({})));
        assert_eq!((&records["unfinished"], &records["unaccounted"]), (&json!(0), &json!(0)));
        assert_eq!(report["warnings"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn ignored_records_are_in_the_text_report() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    refuse(&server, 4, ResultCode::BIN_NAME);
    let ran = restore(&server, "--ignore-record-error", dir.path()).expect(0);
    ran.says(&["4 ignored (bin_name 4)", "warning: 4 records were refused by the server"]);
}

#[test]
fn many_of_the_same_refusal_are_3_although_they_are_ignored() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    let refuse = FaultAction::FailRows { rows: u32::MAX, code: ResultCode::FORBIDDEN };
    server.faults().add(Fault::new(Command::Batch, refuse).times(u64::MAX));
    let ran = restore(&server, "--ignore-record-error --report json", dir.path()).expect(3);
    assert_eq!(ran.report()["error"]["kind"], "Refused");
    ran.says(&["refused 1000 records in a row: 22 forbidden", "hint: ", "nsup-period"]);
}

#[test]
fn index_conflicts_are_dealt_with_as_asked() {
    for (what, code, key) in [("fail", 3, "failed"), ("keep", 0, "kept"), ("replace", 0, "replaced")] {
        let (server, dir) = (server(), tempfile::tempdir().unwrap());
        back_up(&server, "", dir.path()).expect(0);
        server.store().add_index(index("copy", b"other"));
        let flags = format!("--report json --index-conflict {what}");
        let report = restore(&server, &flags, dir.path()).expect(code).report();
        let mut expected = json!({
            "read": 1, "created": 0, "same": 0, "kept": 0, "replaced": 0, "not_restored": 0, "failed": 0
        });
        expected[key] = json!(1);
        assert_eq!(report["indexes"], expected, "{what}");
        let bin: &[u8] = if what == "replace" { b"number" } else { b"other" };
        assert_eq!(server.store().indexes("copy"), [index("copy", bin)]);
    }
}

#[test]
fn what_is_not_wanted_is_skipped_and_counted_by_reason() {
    for (flags, skipped, (indexes, udfs)) in [
        ("--set-list nowhere", json!({"set": RECORDS}), (0, 0)),
        ("--bin-list nothing", json!({"bins": RECORDS}), (0, 0)),
        ("--no-records", json!({"class": RECORDS}), (0, 0)),
        ("--no-indexes", json!({}), (1, 0)),
        ("--no-udfs", json!({}), (0, 1)),
    ] {
        let (server, dir) = (server(), tempfile::tempdir().unwrap());
        back_up(&server, "", dir.path()).expect(0);
        let report = restore(&server, &format!("--report json {flags}"), dir.path()).expect(0).report();
        assert_eq!(report["records"]["skipped"], skipped, "{flags}");
        assert_eq!(report["records"]["unaccounted"], 0);
        assert_eq!(report["indexes"]["not_restored"], indexes, "{flags}");
        assert_eq!(report["udfs"]["not_restored"], udfs, "{flags}");
        let inserted = if skipped == json!({}) { RECORDS } else { 0 };
        assert_eq!(server.store().record_count("copy"), inserted, "{flags}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_2() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "-r", dir.path()).expect(0);
    restore(&server, "-s a,b,a", dir.path()).expect(2).says(&[r#""a" is named twice"#, "--set-list"]);
    restore(&server, "-B a,a", dir.path()).expect(2).says(&[r#""a" is named twice"#, "--bin-list"]);
    let all = "-R -I --no-udfs";
    restore(&server, all, dir.path()).expect(2).says(&["nothing is left to do"]);
    back_up(&server, &format!("-r {all}"), dir.path()).expect(2).says(&["nothing is left to do"]);
    assert_eq!(server.store().record_count("copy"), 0);
}

#[test]
fn server_without_batches_can_be_written_to() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    let refuse = FaultAction::ErrorCode(ResultCode::BATCH_DISABLED);
    server.faults().add(Fault::new(Command::Batch, refuse).times(u64::MAX));
    restore(&server, "", dir.path()).expect(1).says(&["--disable-batch-writes"]);
    let flags = "--disable-batch-writes --report json";
    let report = restore(&server, flags, dir.path()).expect(0).report();
    assert_eq!(report["records"]["inserted"], RECORDS);
    assert_eq!(server.store().record_count("copy"), RECORDS);
}
