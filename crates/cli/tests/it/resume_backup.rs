//! Backups that are gone on with, by the real programs.

use std::{fs, path::Path};

use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};
use serde_json::json;

use crate::{
    jobs::{at, back_up, restore},
    signals::Running,
    tool::{asbackup, asrestore, run},
};

const RECORDS: u64 = 20_000;
const STATE: &str = "asbackup.state.json";

/// Returns a server that stops in the middle of the first scan.
fn server_that_stops() -> TestServer {
    let server = TestServer::builder().namespace("test").namespace("copy").start().expect("it starts");
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 200 });
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(4_000_000)));
    server
}

/// Starts a backup and ends it by a signal when its second file is complete. Returns its exit code and last words.
fn signalled(server: &TestServer, signal: &str, dir: &Path) -> (Option<i32>, String) {
    signalled_with(server, "", signal, dir)
}

fn signalled_with(server: &TestServer, flags: &str, signal: &str, dir: &Path) -> (Option<i32>, String) {
    let mut tool = Running::start(asbackup(), &format!("{} -n test -F 1 -d {{}} {flags}", at(server)), dir);
    tool.wait_for("0_test_1.asb");
    tool.wait_for("0_test_2.asb");
    tool.signal(signal);
    let ended = tool.end();
    server.faults().clear();
    ended
}

#[track_caller]
fn assert_whole(server: &TestServer, dir: &Path) {
    run(asrestore(), "--validate -d {} --require-manifest", dir).expect(0);
    let restored = restore(server, "--report json --require-manifest", dir).expect(0).report();
    assert_eq!(
        (&restored["records"]["read"], &restored["records"]["inserted"]),
        (&json!(RECORDS), &json!(RECORDS))
    );
    let files =
        fs::read_dir(dir).expect("it is there").map(|entry| entry.expect("it can be read").file_name());
    let others: Vec<_> = files.filter(|name| !name.as_encoded_bytes().ends_with(b".asb")).collect();
    assert_eq!(others, ["asbackup.manifest.json"]);
}

#[test]
fn killed_backup_is_gone_on_with() {
    let (server, dir) = (server_that_stops(), tempfile::tempdir().unwrap());
    assert_eq!(signalled(&server, "-KILL", dir.path()).0, None);
    assert!(dir.path().join(STATE).exists());
    back_up(&server, "", dir.path()).expect(2).says(&[
        "it holds an unfinished backup",
        "--continue",
        "--remove-files",
    ]);
    back_up(&server, "-c --compact", dir.path()).expect(2).says(&["the option compact = false"]);
    let report = back_up(&server, "-c -w 3 --report json", dir.path()).expect(0).report();
    assert_eq!((&report["records"]["written"], &report["state_file"]), (&json!(RECORDS), &json!(null)));
    assert_whole(&server, dir.path());
    let again = back_up(&server, "--continue --report json", dir.path()).expect(0).report();
    assert_eq!((&again["records"]["written"], &again["outcome"]), (&json!(RECORDS), &json!("complete")));
}

#[test]
fn ages_are_reckoned_from_when_the_first_run_began() {
    let (server, dir) = (server_that_stops(), tempfile::tempdir().unwrap());
    // Once more, since the first scan counts.
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(4_000_000)));
    assert_eq!(signalled_with(&server, "-a -90m --modified-before -0s", "-KILL", dir.path()).0, None);
    back_up(&server, "-a -91m -b -0s --continue", dir.path()).expect(2).says(&["the option modified = "]);
    let report = back_up(&server, "-a -90m -b -0s --continue --report json", dir.path()).expect(0).report();
    assert_eq!(report["records"]["written"], json!(RECORDS));
    assert_whole(&server, dir.path());
}

#[test]
fn interrupted_backup_says_how_it_is_gone_on_with() {
    let (server, dir) = (server_that_stops(), tempfile::tempdir().unwrap());
    let (code, last) = signalled(&server, "-INT", dir.path());
    assert_eq!(code, Some(130), "{last}");
    assert!(last.contains(&format!("{STATE}: go on with --continue")), "{last}");
    back_up(&server, "--continue", dir.path()).expect(0);
    assert_whole(&server, dir.path());
}

#[test]
fn state_has_the_name_and_place_that_are_given() {
    let (server, dir) = (server_that_stops(), tempfile::tempdir().unwrap());
    let (data, states) = (dir.path().join("data"), dir.path().join("states"));
    let mut tool = Running::start(
        asbackup(),
        &format!(
            "{} -n test -F 1 -d {{}}/data --state-dir {{}}/states --state-file-dst mine --report json",
            at(&server)
        ),
        dir.path(),
    );
    tool.wait_for("0_test_2.asb");
    tool.signal("-TERM");
    assert_eq!(tool.end().0, Some(143));
    assert!(states.join("mine").exists() && !data.join(STATE).exists());
    server.faults().clear();
    back_up(&server, &format!("--state-dir {} --continue mine", states.display()), &data).expect(0);
    assert!(!states.join("mine").exists());
    assert_whole(&server, &data);
}

#[test]
fn without_a_state_nothing_is_left() {
    let (server, dir) = (server_that_stops(), tempfile::tempdir().unwrap());
    let mut tool =
        Running::start(asbackup(), &format!("{} -n test -F 1 -d {{}} --no-resume", at(&server)), dir.path());
    tool.wait_for("0_test_2.asb");
    tool.signal("-INT");
    assert_eq!(tool.end().0, Some(130));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
