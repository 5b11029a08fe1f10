//! Restores that end before their time, and go on.

use std::{fs, path::Path};

use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};
use serde_json::json;

use crate::{
    jobs::{at, back_up, restore},
    signals::Running,
    tool::asrestore,
};

/// Enough for a dozen blocks.
const RECORDS: u64 = 8_000;
const STATE: &str = "asbackup.restore.state.json";
const FLAGS: &str = "-w 1 --max-async-batches 1";

fn backed_up(dir: &Path) -> TestServer {
    let server = TestServer::builder().namespace("test").namespace("copy").start().expect("it starts");
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 300 });
    back_up(&server, "", dir).expect(0);
    server
}

/// Starts a restore whose server stops to answer at that batch.
fn stuck(server: &TestServer, flags: &str, batch: u64, dir: &Path) -> Running {
    server.faults().clear();
    // Those of a tool that was killed.
    while server.faults().held() > 0 {
        server.faults().release();
    }
    server.faults().add(Fault::new(Command::Batch, FaultAction::HoldAfter(0)).nth(batch).times(u64::MAX));
    let arguments = format!("{} -n test,copy -d {{}} {FLAGS} {flags}", at(server));
    let tool = Running::start(asrestore(), &arguments, dir);
    while server.faults().held() == 0 {
        std::thread::yield_now();
    }
    tool
}

#[test]
fn killed_restore_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = backed_up(dir.path());
    // Killed with the state of its beginning, stopped in order, killed with a state in the middle.
    let first = stuck(&server, "", 10, dir.path());
    first.signal("-KILL");
    assert_eq!(first.end().0, None);
    let second = stuck(&server, "--continue", 30, dir.path());
    second.signal("-TERM");
    let (code, said) = second.end();
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains(&format!("{STATE}: --continue goes on from here")), "{said}");
    let third = stuck(&server, "--continue", 20, dir.path());
    third.signal("-KILL");
    third.end();
    server.faults().clear();
    server.faults().release();
    let report =
        restore(&server, &format!("{FLAGS} --continue --report json"), dir.path()).expect(0).report();
    let records = &report["records"];
    assert_eq!((&records["read"], &records["unaccounted"]), (&json!(RECORDS), &json!(0)));
    let count = |name: &str| records[name].as_u64().unwrap();
    assert_eq!(count("inserted") + count("fresher"), RECORDS);
    // The batches of the third run that no state knows of, and what the second one's state doesn't vouch for.
    assert!(count("fresher") < RECORDS / 2, "{records}");
    assert_eq!(report["state_file"], json!(null));
    assert_eq!(server.store().record_count("copy"), RECORDS);
    assert!(!dir.path().join(STATE).exists());
}

#[test]
fn report_names_the_state_and_other_options_are_2() {
    let dir = tempfile::tempdir().unwrap();
    let server = backed_up(dir.path());
    let full = FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE);
    server.faults().add(Fault::new(Command::Batch, full).nth(9).times(u64::MAX));
    let report = restore(&server, "--report json", dir.path()).expect(1).report();
    assert_eq!(report["state_file"], json!(dir.path().join(STATE)));
    server.faults().clear();
    let ran = restore(&server, "--continue --unique", dir.path()).expect(2);
    ran.says(&["another option unique: false, and this one has true", "hint: ", "--continue"]);
    restore(&server, "--continue other.json", dir.path()).expect(0);
    restore(&server, "", dir.path())
        .expect(0)
        .says(&["this restore began anew, and dropped the state of an interrupted one"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "a data file and the manifest");
}

#[test]
fn state_lies_in_the_cache_if_the_data_cannot_be_changed() {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = backed_up(dir.path());
    // Nothing can be written under that name then, whoever asks.
    fs::create_dir(dir.path().join(format!("{STATE}.part"))).unwrap();
    let full = FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE);
    server.faults().add(Fault::new(Command::Batch, full).nth(9).times(u64::MAX));
    let mut tool = asrestore();
    tool.env("XDG_CACHE_HOME", cache.path());
    let arguments = format!("{} -n test,copy -d {{}} --log-level error --report json", at(&server));
    let report = crate::tool::run(tool, &arguments, dir.path()).expect(1).report();
    let path = report["state_file"].as_str().unwrap();
    assert!(Path::new(path).starts_with(cache.path().join("asbackup")), "{path}");
    assert!(Path::new(path).exists());
}
