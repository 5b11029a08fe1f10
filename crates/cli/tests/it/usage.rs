//! What is found before anything is done.

use std::{fs, net::TcpListener};

use crate::tool::{asbackup, asrestore, run};

#[test]
fn no_flag_prints_help() {
    let dir = tempfile::tempdir().unwrap();
    for tool in [asbackup, asrestore] {
        let bare = run(tool(), "", dir.path()).expect(0);
        assert!(bare.stdout.contains("--host") && bare.stderr.is_empty(), "{bare:#?}");
        assert_eq!(run(tool(), "help", dir.path()).expect(0).stdout, bare.stdout);
        assert_eq!(run(tool(), "-Z", dir.path()).expect(0).stdout, bare.stdout);
    }
}

#[test]
fn unknown_flag_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(asbackup(), "-n test -d {}/out --paralel 3", dir.path()).expect(2);
    let ran = ran.says(&["--paralel", "--parallel"]);
    assert!(ran.stdout.is_empty(), "{ran:#?}");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn bad_host_is_reported_as_json_too() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(asbackup(), "-h a,,b -n test -d {}/out --report json --quiet", dir.path()).expect(2);
    let report = ran.report();
    assert_eq!(report["version"], 1);
    assert_eq!(report["command"], "backup");
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["exit_code"], 2);
    assert_eq!(report["namespace"], "test");
    assert_eq!(report["target"]["kind"], "local");
    assert_eq!(report["error"]["kind"], "Config");
    ran.says(&["error: ", "hint: --host takes"]);
}

/// Returns a port on which nobody listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn unreachable_cluster_is_5() {
    let dir = tempfile::tempdir().unwrap();
    let flags = format!("-p {} -n test -d {{}}/out --report json", free_port());
    let ran = run(asbackup(), &flags, dir.path()).expect(5);
    let report = ran.report();
    assert_eq!((&report["outcome"], &report["exit_code"]), (&"failed".into(), &5.into()));
    assert_eq!(report["error"]["kind"], "Connect");
    assert!(!report["error"]["causes"].as_array().unwrap().is_empty(), "{report}");
    ran.says(&["error: cannot connect to the cluster\n  because: ", "hint: check --host and --port"]);
    fs::create_dir(dir.path().join("out")).unwrap();
    let ran = run(asrestore(), &flags, dir.path()).expect(5);
    assert_eq!(ran.report()["command"], "restore");
}

#[test]
fn old_backup_stays_when_the_cluster_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("0_test_1.asb");
    fs::write(&old, "old").unwrap();
    run(asbackup(), &format!("-p {} -n test -d {{}} --remove-files", free_port()), dir.path()).expect(5);
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
}

#[test]
fn log_file_that_cannot_be_opened_is_bad_usage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let flags = "--validate -d {} --log-file {}/file/log";
    run(asrestore(), flags, dir.path()).expect(2).says(&["cannot open the log file", "--log-file"]);
}
