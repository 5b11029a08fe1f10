//! `asrestore --validate`, which needs no server.

use std::{fs, path::Path};

use serde_json::json;

use crate::tool::{asbackup, asrestore, run, without_times};

const WHOLE: &str = "\
Version 3.1
# namespace test
# first-file
+ n test
+ d EjRWeJq83vASNFZ4mrze8BI0Vng=
+ g 1
+ t 0
+ b 1
- I a 7
";

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("the directory is writable");
}

#[test]
fn whole_backup_is_0() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    let ran = run(asrestore(), "--validate -d {} --log-level warn", dir.path()).expect(0);
    let expected = "\
validate complete
  records         1 read
  indexes         0 read
  UDF modules     0 read
  files           1 with 0.0 MiB in DIR
  completeness    unchecked
  time";
    assert_eq!(without_times(&ran.stderr, dir.path()), expected);
    assert_eq!(ran.stdout, "");
}

#[test]
fn damage_is_4_with_file_line_and_byte() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    write(dir.path(), "0_test_2.asb", &WHOLE.replace("- I a", "- ? a"));
    let byte = WHOLE.find("I a").unwrap();
    let ran = run(asrestore(), "--validate -d {} --report json", dir.path()).expect(4);
    let report = ran.report();
    assert_eq!(report["outcome"], "damaged");
    assert_eq!(report["error"], json!(null));
    assert_eq!(report["records"]["read"], 1);
    let [found] = report["findings"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!(found["file"], "0_test_2.asb");
    assert_eq!((&found["line"], &found["byte"]), (&9.into(), &byte.into()));
    let ran = run(asrestore(), "--validate -d {}", dir.path()).expect(4);
    ran.says(&["\n0_test_2.asb is damaged: ", &format!(" at line 9, byte {byte}\n")]);
}

#[test]
fn truncated_file_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let rest = WHOLE.strip_suffix('\n').unwrap();
    write(dir.path(), "cut.asb", rest);
    let path = dir.path().join("cut.asb");
    let message = format!("cut.asb is damaged: file ends within an entry at line 9, byte {}", rest.len());
    run(asrestore(), "--validate -i {}", &path).expect(4).says(&[&message]);
}

#[test]
fn directory_without_a_backup_is_bad_usage() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(asrestore(), "--validate -d {} --report json", dir.path()).expect(2);
    assert_eq!(ran.report()["error"]["kind"], "Config");
    ran.says(&["error: ", "hint: ", "--directory"]);
}

#[test]
fn report_file_takes_the_json_and_stderr_the_text() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    let flags = "--validate -d {} --report json --report-file {}/report.json";
    let ran = run(asrestore(), flags, dir.path()).expect(0).says(&["validate complete"]);
    assert_eq!(ran.stdout, "");
    let text = fs::read_to_string(dir.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["command"], &report["exit_code"]), (&"validate".into(), &0.into()));
}

#[test]
fn report_file_that_cannot_be_written_is_2_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    for file in ["{}/none/report", "{}"] {
        let flags = format!("--validate -d {{}} --report json --report-file {file}");
        let ran = run(asrestore(), &flags, dir.path()).expect(2);
        assert_eq!(ran.stderr.matches("cannot write the report").count(), 1, "{ran:#?}");
        assert_eq!(ran.report()["error"]["hint"], "name another file with --report-file");
    }
    run(asrestore(), "--validate -d {} --report-file {}/report --verbose", dir.path()).expect(0);
    let names = ["-n test", "--report json --report-file {}/none/report"];
    let ran = run(asbackup(), &names.join(" "), dir.path()).expect(2);
    assert_eq!(ran.report()["exit_code"], 2, "arguments that can't be read");
}

#[test]
fn report_that_cannot_be_written_at_the_end_is_1_and_printed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    let run = |flags| {
        let line = format!("--validate -d {{}} --report-file /dev/full {flags}");
        run(asrestore(), &line, dir.path()).expect(1).says(&["cannot write the report"])
    };
    assert_eq!(run("--report json").report()["outcome"], "complete");
    for flags in ["", "--quiet"] {
        assert_eq!(run(flags).stderr.matches("validate complete").count(), 1, "{flags}");
    }
}

#[test]
fn quiet_prints_only_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    let ran = run(asrestore(), "--validate -d {} --quiet", dir.path()).expect(0);
    assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()));
    write(dir.path(), "0_test_2.asb", "no backup");
    run(asrestore(), "--validate -d {} --quiet", dir.path()).expect(4);
}

#[test]
fn with_json_logs_each_line_of_stderr_is_json() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    for (flags, code, outcome) in
        [("-d {}", 0, "complete"), ("-d {}/none", 2, "failed"), ("-d {}/none --quiet", 2, "failed")]
    {
        let ran = run(asrestore(), &format!("--validate --log-json {flags}"), dir.path()).expect(code);
        let lines: Vec<serde_json::Value> =
            ran.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines.last().unwrap()["outcome"], outcome, "{flags}");
    }
}

#[test]
fn colours_are_used_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, colours) in [("--color always", true), ("--color never", false), ("", false)] {
        let ran = run(asrestore(), &format!("--validate -d {{}} {flags}"), dir.path()).expect(2);
        assert_eq!(ran.stderr.contains('\u{1b}'), colours, "{flags}: {ran:?}");
    }
}

#[test]
fn log_file_is_made_and_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0_test_1.asb", WHOLE);
    let log = dir.path().join("logs/here.log");
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::write(&log, "kept\n").unwrap();
    let flags = "--validate -d {} --log-file {}/logs/here.log -v";
    run(asrestore(), flags, dir.path()).expect(0).says(&["validate complete"]);
    assert!(fs::read_to_string(&log).unwrap().starts_with("kept\n"));
    run(asrestore(), "--validate -d {} --log-file {}/more/logs/new.log", dir.path()).expect(0);
    assert!(dir.path().join("more/logs/new.log").exists());
}
