//! Where a backup goes and comes from: pipes, single files, several directories; and what is there.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command as Sent, Fault, FaultAction, TestServer};
use serde_json::{Value, json};

use crate::{
    jobs::{KEY, RECORDS, at, back_up, index, restore, server},
    tool::{Ran, asbackup, asrestore, run},
};

/// Runs `asbackup -o - | asrestore -i -` from `test` into `copy`.
fn pipe(server: &TestServer, backup_flags: &str, restore_flags: &str) -> (Ran, Ran) {
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let backup_line = format!("{} -n test -o - --log-level error {backup_flags}", at(server));
    let restore_line = format!("{} -n test,copy -i - --log-level error {restore_flags}", at(server));
    let mut backup = asbackup().args(words(backup_line)).spawn().expect("asbackup starts");
    let data = backup.stdout.take().expect("it is piped");
    let restore = asrestore().args(words(restore_line)).stdin(Stdio::from(data)).spawn();
    let restore = restore.expect("asrestore starts").wait_with_output();
    (ran(backup.wait_with_output()), ran(restore))
}

fn ran(output: std::io::Result<std::process::Output>) -> Ran {
    let output = output.expect("the tool ends");
    let text = |bytes| String::from_utf8(bytes).expect("the tools print UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn backup_goes_through_a_pipe_into_a_restore() {
    let server = server();
    let (backup, restored) = pipe(&server, "--report json -w 4", "--report json");
    let report: Value = serde_json::from_str(backup.expect(0).stderr.trim()).expect("one line of JSON");
    assert_eq!(report["records"]["written"], RECORDS);
    assert_eq!(report["target"], json!({"kind": "stdio", "path": "-", "files": 1, "manifest": null}));
    let report = restored.expect(0).report();
    assert_eq!(report["records"]["inserted"], RECORDS);
    assert_eq!((&report["indexes"]["created"], &report["udfs"]["created"]), (&json!(1), &json!(1)));
    assert_eq!(report["source"]["completeness"], "unchecked");
    assert_eq!(server.store().record_count("copy"), RECORDS);
    assert_eq!(server.store().indexes("copy"), [index("copy", b"number")]);
}

#[test]
fn text_report_goes_beside_the_data() {
    let server = server();
    let (backup, restored) = pipe(&server, "", "--validate");
    backup.expect(0).says(&["backup complete", "1,000 written", "1 with"]);
    restored.expect(0).says(&["validate complete", "1,000 read"]);
}

#[test]
fn failed_backup_ends_the_restore_behind_the_pipe() {
    let server = server();
    server.faults().add(Fault::new(Sent::Query, FaultAction::Refuse).times(u64::MAX));
    let (backup, restored) = pipe(&server, "--max-retries 1 --sleep-between-retries 0", "--no-records");
    backup.expect(1).says(&["backup failed", "can't be read to the end"]);
    // What came was whole, as far as it went: only the backup's own exit code tells that more was to come.
    restored.expect(0);
}

#[test]
fn failed_restore_ends_the_backup_in_front_of_the_pipe() {
    let server = server();
    server.store().load("test", asbackup_testserver::SampleRecords { count: 5_000, record_bytes: 1_000 });
    let refuse = FaultAction::FailRows { rows: 1, code: ResultCode::RECORD_TOO_BIG };
    server.faults().add(Fault::new(Sent::Batch, refuse));
    let (backup, restored) = pipe(&server, "", "");
    restored.expect(3).says(&["restore partial"]);
    let backup = backup.expect(1);
    backup.says(&["cannot write standard output", "Broken pipe", "hint: the program that reads the backup"]);
}

#[test]
fn single_file_is_written_and_replaced_only_by_force() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let flags = format!("{} -n test -o {{}}/one.asb", at(&server));
    run(asbackup(), &flags, dir.path()).expect(0);
    let refused = run(asbackup(), &flags, dir.path()).expect(2);
    refused.says(&["one.asb is there already", "hint: ", "--force"]);
    run(asbackup(), &format!("{flags} --force --no-records"), dir.path()).expect(0);
    let restored = run(asrestore(), &format!("{} -n test,copy -i {{}}/one.asb", at(&server)), dir.path());
    restored.expect(0).says(&["0 read", "1 read, 1 created"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn full_disk_is_an_error_with_a_hint() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let ran = run(asbackup(), &format!("{} -n test -o /dev/full", at(&server)), dir.path());
    assert!([Some(1), Some(5)].contains(&ran.code), "{ran:#?}");
    ran.says(&["cannot write /dev/full", "No space left", "hint: make room"]);
    // Files may have at most 1 KiB here, and the old backup is bigger than that.
    back_up(&server, "", dir.path()).expect(0);
    let old = names(dir.path());
    let mut limited = Command::new("sh");
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let script = r#"trap "" XFSZ; ulimit -f 2; exec "$@""#;
    limited.args(["-c", script, "sh", env!("CARGO_BIN_EXE_asbackup")]);
    let ran = run(limited, &format!("{} -n test -d {{}} -r", at(&server)), dir.path());
    assert!([Some(1), Some(5)].contains(&ran.code), "{ran:#?}");
    ran.says(&["File too large", "hint: ", "ulimit -f"]);
    assert_eq!(names(dir.path()), old);
    run(asrestore(), "--validate -d {} --require-manifest", dir.path()).expect(0);
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("it is a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("names of tests are UTF-8");
    let names = entries.map(|entry| name(entry.expect("it can be listed")));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn several_directories_are_restored_and_validated() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", &dir.path().join("a")).expect(0);
    back_up(&server, "", &dir.path().join("b")).expect(0);
    let list = "--directory-list a,b --parent-directory {} --report json";
    let report = run(asrestore(), &format!("--validate {list}"), dir.path()).expect(0).report();
    assert_eq!((&report["records"]["read"], &report["source"]["files"]), (&json!(2 * RECORDS), &json!(4)));
    let flags = format!("{} -n test,copy {list}", at(&server));
    let report = run(asrestore(), &flags, dir.path()).expect(0).report();
    assert_eq!(report["records"]["read"], 2 * RECORDS);
    fs::write(dir.path().join("b/0_test_2.asb"), "Version 3.1\n").unwrap();
    let report = run(asrestore(), &format!("--validate {list}"), dir.path()).expect(4).report();
    let file = dir.path().join("b/0_test_2.asb").to_str().unwrap().to_owned();
    assert_eq!(report["findings"][0]["file"], file);
    run(asrestore(), "--validate --directory-list a,a", dir.path()).expect(2).says(&["--directory-list"]);
}

#[test]
fn backups_below_a_directory_are_restored_and_validated() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", &dir.path().join("a/b")).expect(0);
    back_up(&server, "", &dir.path().join("c")).expect(0);
    fs::remove_file(dir.path().join("c/asbackup.manifest.json")).unwrap();
    let report = restore(&server, "--recursive --report json", dir.path()).expect(0).report();
    assert_eq!(report["records"]["read"], 2 * RECORDS);
    let found = |below: &str, completeness| {
        let path = dir.path().join(below);
        json!({"path": path.to_str().unwrap(), "files": 2, "completeness": completeness})
    };
    assert_eq!(report["source"]["directories"], json!([found("a/b", "checked"), found("c", "unchecked")]));
    let config = dir.path().join("config.yaml");
    fs::write(&config, format!("restore: {{directory: {:?}, recursive: true}}", dir.path())).unwrap();
    let ran = run(asrestore(), "--validate --config {}/config.yaml", dir.path()).expect(0);
    let lines = ["a/b: 2 files, checked against the manifest", "c: 2 files, unchecked"];
    ran.says(&["2,000 read", lines[0], lines[1]]);
    let list = "--directory-list a,c --parent-directory {} --recursive";
    run(asrestore(), &format!("--validate {list}"), dir.path()).expect(0).says(&["2,000 read"]);
    let ran = run(asrestore(), &format!("--validate {list} --require-manifest"), dir.path()).expect(4);
    ran.says(&["c: ", "has no manifest"]);
    run(asrestore(), "--validate --directory-list {},{}/c --recursive", dir.path())
        .expect(2)
        .says(&["c would be read twice", "--recursive"]);
    run(asrestore(), "--validate -i {}/c/0_test_2.asb --recursive", dir.path()).expect(2);
    // A list keeps no state.
    run(asrestore(), "-n test --directory-list {}/a --state-dir {}/states", dir.path())
        .expect(2)
        .says(&["--state-dir", "cannot be used with"]);
    fs::create_dir_all(dir.path().join("none/d")).unwrap();
    run(asrestore(), "--validate -d {}/none --recursive", dir.path())
        .expect(2)
        .says(&["none holds no backup: no file in it or below it ends in .asb"]);
}

#[test]
fn paths_of_the_wrong_kind_are_2_and_say_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let check = |tool: Command, line: &str, words: &str, hint: &str| {
        run(tool, line, dir.path()).expect(2).says(&[&format!("error: {words}"), "hint: ", hint]);
        assert_eq!(names(dir.path()), ["file"], "{line}");
    };
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (none, file, directory) = (path("none"), path("file"), dir.path().display().to_string());
    let missing = format!("there is no directory {none}");
    let is_file = format!("{file} is a file, not a directory");
    for validate in ["", "--validate"] {
        check(asrestore(), &format!("{validate} -d {{}}/none"), &missing, "-d, --directory");
        check(asrestore(), &format!("{validate} -d {{}}/file"), &is_file, "-i");
        check(asrestore(), &format!("{validate} -i {{}}/none"), &format!("there is no file {none}"), "-i");
        let is_directory = format!("{directory} is a directory, not a file");
        check(asrestore(), &format!("{validate} -i {{}}"), &is_directory, "-d, --directory");
        let list = format!("{validate} --parent-directory {{}} --directory-list");
        check(asrestore(), &format!("{list} none"), &missing, "--directory-list");
        check(asrestore(), &format!("{list} file"), &is_file, "-i, --input-file");
    }
    check(asbackup(), "-n test -d {}/file", &is_file, "-o, --output-file");
    check(asbackup(), "-n test -o {}", &format!("{directory} is a directory, not a file"), "-d, --directory");
    check(asbackup(), "--remove-artifacts -d {}/none", &missing, "-d, --directory");
    check(asbackup(), "--remove-artifacts -d {}/file", &is_file, "-d, --directory");
    check(asbackup(), "complete -d {}/file", &is_file, "-d, --directory");
    check(asbackup(), "inspect {}/none", &format!("there is no backup {none}"), "-d");
}

#[test]
fn prefix_begins_file_names_or_is_refused() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "-q night-", dir.path()).expect(0);
    assert!(dir.path().join("night-test_2.asb").exists());
    back_up(&server, "-r -q a/b", dir.path()).expect(2).says(&["can't hold '/'", "--output-file-prefix"]);
}

#[test]
fn artifacts_are_removed_without_a_namespace_and_others_stay() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    for name in ["notes.txt", "old.asbx", "0_test_9.asb.part"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    // Arguments are checked first.
    for bad in ["-h a:b:c", "-q a/b", "-y aes128", "-y aes128 --encryption-key-file {}/none"] {
        run(asbackup(), &format!("--remove-artifacts -d {{}} {bad}"), dir.path()).expect(2);
    }
    assert_eq!(names(dir.path()).len(), 6);
    let report = run(asbackup(), "--remove-artifacts -d {} --report json", dir.path()).expect(0).report();
    assert_eq!(names(dir.path()), ["notes.txt"]);
    assert_eq!((&report["command"], &report["left"]), (&json!("remove_artifacts"), &json!(1)));
    let removed = report["removed"].as_array().unwrap();
    assert_eq!((removed.len(), removed.last().unwrap()), (5, &json!("asbackup.manifest.json")));
    let again = run(asbackup(), "--remove-artifacts -d {}", dir.path()).expect(0);
    again.says(&["remove artifacts complete", "0 files in"]);
}

#[test]
fn inspect_shows_what_a_backup_holds() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", dir.path()).expect(0);
    let report = run(asbackup(), "inspect {} --report json", dir.path()).expect(0).report();
    assert_eq!(
        (&report["command"], &report["source"]["completeness"]),
        (&json!("inspect"), &json!("checked"))
    );
    let manifest = &report["manifest"];
    assert_eq!((&manifest["namespace"], &manifest["partitions"]), (&json!("test"), &json!("0..4095")));
    assert_eq!((&manifest["kind"], &manifest["selection"]), (&json!("scan"), &json!({})));
    assert_eq!(
        (&report["indexes"][0]["name"], &report["indexes"][0]["bin"]),
        (&json!("by_number"), &json!("number"))
    );
    assert_eq!(report["udfs"], json!([{"name": "count.lua", "bytes": 9}]));
    let file = |name: &str| {
        let files = report["files"].as_array().unwrap();
        files.iter().find(|file| file["name"] == name).unwrap_or_else(|| panic!("{files:?}"))
    };
    assert_eq!(file("0_test_2.asb")["records"], RECORDS);
    assert_eq!(
        (&file("metadata_test_1.asb")["version"], &file("metadata_test_1.asb")["indexes"]),
        (&json!("3.1"), &json!(1))
    );
    let text = run(asbackup(), "inspect {}", dir.path()).expect(0);
    text.says(&[
        "inspect complete",
        "selection       everything",
        "by_number on bin number",
        "0_test_2.asb: ",
    ]);

    fs::remove_file(dir.path().join("0_test_2.asb")).unwrap();
    let ran = run(asbackup(), "inspect {}", dir.path()).expect(4);
    ran.says(&["inspect damaged", "0_test_2.asb is missing: the manifest lists it", "unchecked"]);
    run(asbackup(), "inspect --help", dir.path()).expect(0);
    assert!(run(asbackup(), "inspect", dir.path()).expect(0).stdout.contains("asbackup inspect"));
}

#[test]
fn inspect_shows_all_of_an_encrypted_backup_and_checks_its_seal_with_the_key() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let key = format!("-y aes256 --encryption-key-file {KEY}");
    back_up(&server, &key, dir.path()).expect(0);
    let manifest = dir.path().join("asbackup.manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, whole.replacen(r#""cluster":"#, r#""cluster": "#, 1)).unwrap();
    assert_ne!(fs::read_to_string(&manifest).unwrap(), whole);
    let ran = run(asbackup(), "inspect {} --report json", dir.path()).expect(0);
    assert_eq!((&ran.report()["indexes"], &ran.report()["udfs"]), (&json!([]), &json!([])));
    run(asbackup(), &format!("inspect {{}} {key}"), dir.path()).expect(4).says(&["asbackup.manifest.json"]);
    fs::write(&manifest, whole).unwrap();
    let report = run(asbackup(), &format!("inspect {{}} --report json {key}"), dir.path()).expect(0).report();
    assert_eq!(
        (&report["indexes"][0]["name"], &report["udfs"][0]["name"]),
        (&json!("by_number"), &json!("count.lua"))
    );
    assert_eq!(report["source"]["completeness"], "checked");
    let wrong = key.replace("aes256", "aes128");
    run(asbackup(), &format!("inspect {{}} {wrong}"), dir.path()).expect(4);
    run(asbackup(), "inspect {} -y aes256", dir.path()).expect(2).says(&["no encryption key"]);
}

#[test]
fn inspect_tells_what_names_and_headers_do_where_there_is_no_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let head = "Version 3.0\n# namespace old\n# first-file\n";
    fs::write(dir.path().join("old_00000.asb"), head).unwrap();
    let udf = "Version 3.1\n# namespace old\n# first-file\n* u L a.lua 2 --\n";
    fs::write(dir.path().join("metadata_old_1.asb"), udf).unwrap();
    fs::write(dir.path().join("old_00001.asb"), "Version 3.1\n# namespace old\n+ broken").unwrap();
    let report = run(asbackup(), "inspect {} --report json", dir.path()).expect(0).report();
    assert_eq!((&report["manifest"], &report["source"]["completeness"]), (&json!(null), &json!("unchecked")));
    assert_eq!(report["udfs"], json!([{"name": "a.lua", "bytes": 2}]));
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file["namespace"] == "old" && file["records"] == json!(null)));
    let single = dir.path().join("metadata_old_1.asb");
    run(asbackup(), "inspect {}", &single).expect(0).says(&["namespace       old", "a.lua (2 bytes)"]);
}

#[test]
fn directory_may_be_called_like_a_command() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let mut tool = asbackup();
    tool.current_dir(dir.path());
    run(tool, &format!("{} -n test -d inspect", at(&server)), dir.path()).expect(0);
    assert!(dir.path().join("inspect/asbackup.manifest.json").exists());
}

#[test]
fn wrong_arguments_are_reported_as_json_too() {
    let dir = tempfile::tempdir().unwrap();
    let report = run(asbackup(), "-n test --report json --paralel 3", dir.path()).expect(2).report();
    assert_eq!((&report["command"], &report["outcome"]), (&json!("backup"), &json!("failed")));
    assert_eq!((&report["exit_code"], &report["error"]["kind"]), (&json!(2), &json!("Config")));
    assert!(report["error"]["message"].as_str().unwrap().contains("--paralel"), "{report}");
    let report = run(asrestore(), "--validate --report=json", dir.path()).expect(2).report();
    assert_eq!(report["command"], "validate");
    run(asrestore(), "--validate --report=json --report-file {}/report", dir.path()).expect(2);
    let text = fs::read_to_string(dir.path().join("report")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["exit_code"], 2);
    let data = run(asbackup(), "-o - --report json", dir.path()).expect(2);
    assert!(data.stdout.is_empty() && data.stderr.contains(r#""exit_code":2"#), "{data:#?}");
}

#[test]
fn progress_file_takes_lines_of_json() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("progress"), "kept\n").unwrap();
    let flags = "-d {}/out --quiet --progress-file {}/progress";
    run(asbackup(), &format!("{} -n test {flags}", at(&server)), dir.path()).expect(0);
    let text = fs::read_to_string(dir.path().join("progress")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "kept");
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["records"]), (&json!("progress"), &json!(RECORDS)));
    let ran = run(asrestore(), "--validate -d {}/out --progress-file {}/none/progress", dir.path());
    ran.expect(2).says(&["cannot open the progress file", "--progress-file"]);
}

#[test]
fn directories_below_are_named_in_a_hint() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&server, "", &dir.path().join("sub")).expect(0);
    restore(&server, "", dir.path()).expect(2).says(&[
        "directories below it aren't read",
        "--recursive",
        "--directory-list",
    ]);
}

#[test]
fn too_many_open_files_have_a_hint_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = server();
    let mut limited = Command::new("sh");
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    limited.args(["-c", r#"ulimit -n 24; exec "$@""#, "sh", env!("CARGO_BIN_EXE_asbackup")]);
    let ran = run(limited, &format!("{} -n test -d {{}}/out -w 64", at(&server)), dir.path());
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    ran.says(&["Too many open files", "hint: raise the limit of open files (ulimit -n)"]);
}
