//! Whole jobs against the test server.

use std::{fs, path::Path};

use asbackup_codec::wire::ResultCode;
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
use asbackup_testserver::{
    Advertised, Command, Fault, FaultAction, SampleRecords, TestServer, TestServerBuilder,
};
use serde_json::json;

use crate::tool::{Ran, asbackup, asrestore, run, without_times};

pub(crate) const RECORDS: u64 = 1000;

/// A file with a key.
pub(crate) const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys/a_rsa_pkcs8.pem");

/// Returns a server whose namespace `test` holds records, an index and a UDF module, and whose namespace `copy` is
/// empty.
pub(crate) fn server() -> TestServer {
    fill(TestServer::builder())
}

/// Starts a server with the namespaces of [`server`] and what is in them.
pub(crate) fn fill(builder: TestServerBuilder) -> TestServer {
    let server = builder.namespace("test").namespace("copy").start().expect("it starts");
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 200 });
    server.store().add_index(index("test", b"number"));
    server.store().add_udf(UdfModule { name: b"count.lua".to_vec(), content: b"-- counts".to_vec() });
    server
}

pub(crate) fn index(namespace: &str, bin: &[u8]) -> SecondaryIndex {
    SecondaryIndex {
        namespace: namespace.into(),
        set: None,
        name: b"by_number".to_vec(),
        kind: IndexKind::Default,
        bin: bin.to_vec(),
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
    }
}

/// Returns the flags that lead to a server.
pub(crate) fn at(server: &TestServer) -> String {
    format!("-h {}", server.address())
}

pub(crate) fn back_up(server: &TestServer, flags: &str, dir: &Path) -> Ran {
    run(asbackup(), &format!("{} -n test -d {{}} --log-level error {flags}", at(server)), dir)
}

pub(crate) fn restore(server: &TestServer, flags: &str, dir: &Path) -> Ran {
    run(asrestore(), &format!("{} -n test,copy -d {{}} --log-level error {flags}", at(server)), dir)
}

#[test]
fn estimate_is_what_the_backup_takes() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let estimate = |flags: &str| {
        let line = format!("{} -n test --estimate --log-level error {flags}", at(&server));
        run(asbackup(), &line, dir.path()).expect(0)
    };
    let report = estimate("--report json").report();
    let backup = back_up(&server, "--report json", dir.path()).expect(0).report();
    assert_eq!((&report["command"], &report["outcome"]), (&json!("estimate"), &json!("complete")));
    let found = &report["estimate"];
    assert_eq!((&found["records"], &found["samples"]), (&json!(RECORDS), &json!(RECORDS)));
    // All records were read, so nothing is left to chance.
    for bound in ["mean", "low_95", "high_95", "low_99", "high_99"] {
        assert_eq!(found["bytes"][bound], backup["bytes"]["stored"], "{bound}");
    }
    let encryption = format!("-y aes256 --encryption-key-file {KEY}");
    let encrypted = estimate(&format!("{encryption} --report json")).report();
    let backup = back_up(&server, &format!("{encryption} -r --report json"), dir.path()).expect(0).report();
    assert_eq!(encrypted["estimate"]["bytes"]["mean"], backup["bytes"]["stored"]);
    let plain = encrypted["estimate"]["bytes"]["mean"].as_u64().unwrap() - 2 * 16;
    assert_eq!(json!(plain), found["bytes"]["mean"], "two files have a block before them");
    estimate("").says(&["estimate complete", "1,000 in all, 1,000 sampled", "99 % sure"]);
    assert!(estimate("--estimate-samples 100").stderr.contains("1,000 in all, "), "with a part of them");
}

#[test]
fn report_file_may_lie_in_the_directory_of_the_backup() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let flags = "-n test -d {}/out --report json --report-file {}/out/report.json";
    run(asbackup(), &format!("{} {flags}", at(&server)), dir.path()).expect(0);
    let text = fs::read_to_string(dir.path().join("out/report.json")).unwrap();
    assert!(text.contains(r#""outcome":"complete""#), "{text}");
    fs::create_dir(dir.path().join("empty")).unwrap();
    let flags = flags.replace("out", "empty");
    run(asbackup(), &format!("{} {flags}", at(&server)), dir.path()).expect(0);
}

#[test]
fn estimate_checks_the_encryption_as_a_backup_does() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    for (flags, words) in [
        (format!("--encryption-key-file {KEY}"), "an encryption key is given, but no cipher"),
        ("-y aes128".to_owned(), "a cipher is given, but no encryption key"),
        ("-y aes128 --encryption-key-file {}/none".to_owned(), "cannot read the encryption key"),
    ] {
        let line = format!("{} -n test --estimate {flags}", at(&server));
        run(asbackup(), &line, dir.path()).expect(2).says(&[words, "--encrypt"]);
    }
}

#[test]
fn fewer_files_than_scans_are_written_if_asked_for() {
    for (flags, writers) in [("-w 4", 4), ("-w 4 --parallel-write 2", 2)] {
        let (server, dir) = (server(), tempfile::tempdir().unwrap());
        back_up(&server, flags, dir.path()).expect(0);
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        let of_records = names.iter().filter(|name| name.contains("_test_") && !name.starts_with("metadata"));
        assert_eq!(of_records.count(), writers, "{flags}: {names:?}");
        restore(&server, "", dir.path()).expect(0);
        assert_eq!(server.store().record_count("copy"), RECORDS);
    }
}

#[test]
fn what_was_backed_up_is_restored() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let backup = back_up(&server, "-w 2 --report json", dir.path()).expect(0).report();
    assert_eq!((&backup["command"], &backup["outcome"]), (&json!("backup"), &json!("complete")));
    assert_eq!(backup["records"]["written"], RECORDS);
    assert_eq!(backup["records"]["unaccounted"], 0);
    assert_eq!(backup["indexes"], json!({"read": 1, "written": 1}));
    assert_eq!(backup["udfs"], json!({"read": 1, "written": 1}));
    assert_eq!((&backup["state_file"], &backup["error"]), (&json!(null), &json!(null)));
    let restored = restore(&server, "--report json", dir.path()).expect(0).report();
    assert_eq!((&restored["command"], &restored["namespace"]), (&json!("restore"), &json!("test,copy")));
    assert_eq!(restored["records"]["inserted"], RECORDS);
    assert_eq!(restored["indexes"]["created"], 1);
    assert_eq!(server.store().record_count("copy"), RECORDS);
    assert_eq!(server.store().indexes("copy"), [index("copy", b"number")]);
}

#[test]
fn timeouts_of_0_are_no_timeouts_at_once() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "--socket-timeout 0 --total-timeout 0", dir.path()).expect(0);
    for flags in ["--socket-timeout 0", "--total-timeout 0", "--socket-timeout 0 --total-timeout 0"] {
        restore(&server, &format!("{flags} --no-generation"), dir.path()).expect(0);
        let single = format!("{flags} --no-generation --disable-batch-writes");
        restore(&server, &single, dir.path()).expect(0);
    }
    assert_eq!(server.store().record_count("copy"), RECORDS);
}

#[test]
fn wrapped_backup_is_restored_and_needs_its_key() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let encryption = format!("-y aes256 --encryption-key-file {KEY}");
    let flags = format!("-z zstd --compression-level 1 {encryption} --report json");
    let backup = back_up(&server, &flags, dir.path()).expect(0).report();
    let bytes = &backup["bytes"];
    assert!(bytes["stored"].as_u64() < bytes["decoded"].as_u64(), "{bytes}");
    restore(&server, "", dir.path()).expect(2).says(&["no key is given", "hint: ", "--encrypt"]);
    let wrong = format!("-y aes128 --encryption-key-file {KEY}");
    restore(&server, &wrong, dir.path()).expect(4).says(&["it is damaged, or another key or cipher"]);
    let other = format!("{encryption} -z none");
    restore(&server, &other, dir.path()).expect(2).says(&["but none is expected", "compression is detected"]);
    assert_eq!(server.store().record_count("copy"), 0);
    restore(&server, &format!("{encryption} -z zstd"), dir.path()).expect(0);
    assert_eq!(server.store().record_count("copy"), RECORDS);
}

#[test]
fn text_report_is_for_people() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let backup = back_up(&server, "", dir.path()).expect(0);
    assert_eq!(backup.stdout, "");
    let expected = "\
backup complete
  namespace       test
  records         1,000 read, 1,000 written
  indexes         1 read, 1 written
  UDF modules     1 read, 1 written
  files           2 with 0.2 MiB in DIR
  time";
    assert_eq!(without_times(&backup.stderr, dir.path()), expected);
    let expected = "\
restore complete
  namespace       test,copy
  records         1,000 read, 1,000 inserted
  indexes         1 read, 1 created
  UDF modules     1 read, 1 created
  files           2 with 0.2 MiB in DIR
  completeness    checked against the manifest
  time";
    assert_eq!(without_times(&restore(&server, "", dir.path()).expect(0).stderr, dir.path()), expected);
    let again = restore(&server, "--unique", dir.path()).expect(0);
    again.says(&["1,000 read, 0 inserted, 1,000 existed", "1 read, 0 created, 1 the same already"]);
}

#[test]
fn unknown_namespace_is_2() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let flags = format!("{} -n nowhere -d {{}}/out", at(&server));
    let ran = run(asbackup(), &flags, dir.path()).expect(2);
    ran.says(&["error: the cluster has no namespace \"nowhere\"", "hint: ", "--namespace"]);
    back_up(&server, "", dir.path()).expect(0);
    run(asrestore(), &format!("{} -n test,nowhere -d {{}}", at(&server)), dir.path()).expect(2);
}

#[test]
fn target_that_holds_files_is_2_unless_they_may_be_removed() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::write(dir.path().join("0_old_7.asb"), "old").unwrap();
    back_up(&server, "", dir.path()).expect(2).says(&["isn't empty", "--remove-files"]);
    back_up(&server, "--remove-files", dir.path()).expect(0);
    assert!(dir.path().join("notes.txt").exists() && !dir.path().join("0_old_7.asb").exists());
}

#[test]
fn damaged_backup_ends_a_restore_with_4_and_its_place() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("0_test_1.asb"), "Version 3.1\n? what is this\n").unwrap();
    let ran = restore(&server, "--report json", dir.path()).expect(4);
    let report = ran.report();
    assert_eq!(report["outcome"], "damaged");
    let error = &report["error"];
    assert_eq!((&error["kind"], &error["file"]), (&json!("Format"), &json!("0_test_1.asb")));
    assert_eq!((&error["line"], &error["byte"]), (&json!(2), &json!(12)));
    ran.says(&["error: 0_test_1.asb is damaged", "  at: file 0_test_1.asb, line 2, byte 12", "--validate"]);
}

#[test]
fn refused_record_is_3_and_named() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    let refuse = FaultAction::FailRows { rows: 1, code: ResultCode::RECORD_TOO_BIG };
    server.faults().add(Fault::new(Command::Batch, refuse));
    let report = restore(&server, "--report json", dir.path()).expect(3).report();
    assert_eq!((&report["outcome"], &report["error"]["kind"]), (&json!("partial"), &json!("Refused")));
    assert_eq!(report["error"]["code"], 13);
    assert_eq!(report["error"]["digest"].as_str().map(str::len), Some(40));
    assert_eq!(report["records"]["failed"], json!({"record_too_big": 1}));
}

#[test]
fn index_that_is_refused_is_3_although_the_job_went_on() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    server.store().add_index(index("copy", b"other"));
    let ran = restore(&server, "--report json", dir.path()).expect(3);
    let report = ran.report();
    assert_eq!((&report["outcome"], &report["error"]), (&json!("partial"), &json!(null)));
    assert_eq!((&report["indexes"]["failed"], &report["records"]["inserted"]), (&json!(1), &json!(RECORDS)));
    restore(&server, "-g", dir.path()).expect(3).says(&["warning: index by_number"]);
}

#[test]
fn lost_cluster_is_1() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    server.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(100));
    let ran = back_up(&server, "--max-retries 2 --sleep-between-retries 0 --report json", dir.path());
    let report = ran.expect(1).report();
    assert_eq!((&report["outcome"], &report["error"]["kind"]), (&json!("failed"), &json!("Scan")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn alternate_addresses_are_used_on_request() {
    let builder = TestServer::builder().namespace("test").nodes(3).advertised(Advertised::OwnAsAlternate);
    let (server, dir) = (builder.start().expect("it starts"), tempfile::tempdir().unwrap());
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 200 });
    back_up(&server, "", dir.path()).expect(5).says(&["only 1366 of 4096 partitions"]);
    let report = back_up(&server, "--services-alternate --report json", dir.path()).expect(0).report();
    assert_eq!(report["records"]["written"], RECORDS);
}

#[test]
fn cluster_that_is_silent_too_long_is_5() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    server.faults().add(Fault::new(Command::Info, FaultAction::HoldAfter(0)).times(u64::MAX));
    let ran = back_up(&server, "--client-timeout 50", dir.path()).expect(5);
    ran.says(&["the cluster isn't known within 50ms"]);
}

#[test]
fn logs_go_where_the_flags_say() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let back_up = |target: &str, flags: &str| {
        let flags = format!("{} -n test -d {{}}/{target} {flags}", at(&server));
        run(asbackup(), &flags, dir.path()).expect(0).stderr
    };
    assert!(back_up("a", "").contains("backup planned"));
    assert!(!back_up("b", "--log-level warn").contains("backup planned"));
    let stderr = back_up("c", "--log-file {}/log");
    assert!(stderr.starts_with("backup complete"), "{stderr}");
    assert!(fs::read_to_string(dir.path().join("log")).unwrap().contains("backup planned"));
}

#[test]
fn manifest_is_checked_required_and_may_tolerate_extra_files() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let backup = back_up(&server, "--report json", dir.path()).expect(0).report();
    assert_eq!(backup["target"]["manifest"], "asbackup.manifest.json");
    let report = restore(&server, "--require-manifest --report json", dir.path()).expect(0).report();
    assert_eq!(report["source"]["completeness"], "checked");

    fs::write(dir.path().join("0_test_9.asb"), "Version 3.1\n# namespace test\n").unwrap();
    let report = run(asrestore(), "--validate -d {} --report json", dir.path()).expect(4).report();
    let finding =
        json!({"file": "0_test_9.asb", "kind": "extra", "message": "0_test_9.asb isn't in the manifest"});
    assert_eq!(report["findings"], json!([finding]));
    let refused = restore(&server, "--report json", dir.path()).expect(4).report();
    assert_eq!((&refused["error"]["kind"], &refused["outcome"]), (&json!("Integrity"), &json!("damaged")));
    run(asrestore(), "--validate -d {} --allow-extra", dir.path()).expect(0);
    restore(&server, "--allow-extra", dir.path()).expect(0);

    fs::remove_file(dir.path().join("asbackup.manifest.json")).unwrap();
    run(asrestore(), "--validate -d {}", dir.path()).expect(0);
    run(asrestore(), "--validate -d {} --require-manifest", dir.path()).expect(4);
    restore(&server, "--require-manifest", dir.path()).expect(4).says(&["has no manifest"]);
}

#[test]
fn dry_run_writes_nothing_and_says_so() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    let flags = "--dry-run --verify-first";
    restore(&server, flags, dir.path())
        .expect(0)
        .says(&["dry run         nothing was written", "1,000 inserted"]);
    let report = restore(&server, "--dry-run --report json", dir.path()).expect(0).report();
    assert_eq!((&report["dry_run"], &report["records"]["inserted"]), (&json!(true), &json!(RECORDS)));
    assert_eq!(server.store().record_count("copy"), 0);
    assert!(restore(&server, "--report json", dir.path()).expect(0).report().get("dry_run").is_none());
}

#[test]
fn standard_error_that_takes_nothing_costs_no_job() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let flags = at(&server);
    let mut backup = asbackup();
    backup.args(flags.split_whitespace()).args(["-n", "test", "-v", "-d"]).arg(dir.path().join("out"));
    assert_eq!(backup.stderr(full()).status().unwrap().code(), Some(0));
    run(asrestore(), "--validate --require-manifest -d {}/out", dir.path()).expect(0);
}

#[test]
fn what_is_written_about_a_job_spares_the_backup() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", &dir.path().join("out")).expect(0);
    fs::copy(dir.path().join("out/0_test_2.asb"), dir.path().join("one")).unwrap();
    let contents = || {
        let names = ["out/0_test_2.asb", "out/asbackup.manifest.json", "one"];
        names.map(|name| fs::read(dir.path().join(name)).unwrap())
    };
    let before = contents();
    for flag in ["--report-file", "--progress-file", "--log-file"] {
        for (job, file) in [
            ("-d {}/out", "out/asbackup.manifest.json"),
            ("-d {}/out", "out/0_test_2.asb"),
            ("-i {}/one", "one"),
            ("-i {}/one", "out/../one"),
        ] {
            let line = format!("--validate {job} {flag} {{}}/{file} --report json");
            run(asrestore(), &line, dir.path())
                .expect(2)
                .says(&[flag, "would write into a file of a backup"]);
        }
    }
    let unknown = "--validate --no-such-flag --report json -d {}/out --report-file {}/out/0_test_2.asb";
    run(asrestore(), unknown, dir.path()).expect(2);
    assert!(contents() == before);
    for (file, text) in [
        ("out/refused.asb", "lies in the directory of the backup"),
        ("nowhere/refused.asb", "there is no directory"),
    ] {
        let line = format!("{} -n test -d {{}}/out --dead-letter {{}}/{file}", at(&server));
        run(asrestore(), &line, dir.path()).expect(2).says(&["--dead-letter", text]);
    }
}
