//! Backups and restores in shares, by the real programs.

use std::{fs, path::Path};

use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};
use serde_json::json;

use crate::{
    jobs::{RECORDS, at, back_up, restore, server},
    signals::Running,
    tool::{Ran, asbackup, asrestore, run},
};

fn complete(flags: &str, dir: &Path) -> Ran {
    run(asbackup(), &format!("complete -d {{}} --log-level error {flags}"), dir)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("it is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn shares_are_backed_up_made_one_and_restored() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let share = |shard: &str| {
        Running::start(
            asbackup(),
            &format!("{} -n test -d {{}} --shard {shard} -w 2", at(&server)),
            dir.path(),
        )
    };
    let (first, third) = (share("1/3"), share("3/3"));
    for (tool, shard) in [(first, "share           1/3"), (third, "share           3/3")] {
        let (code, text) = tool.end();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(shard), "{text}");
    }
    let missing = "of 3 shares 1,3 are complete, 2 is missing";
    complete("", dir.path()).expect(2).says(&[missing, "--shard I/N"]);
    let report = complete("--report json", dir.path()).expect(2).report();
    assert_eq!((&report["command"], &report["error"]["kind"]), (&json!("complete"), &json!("Config")));
    restore(&server, "", dir.path()).expect(4).says(&[missing, "asbackup complete"]);
    run(asrestore(), "--validate -d {}", dir.path()).expect(4).says(&[missing]);
    run(asbackup(), "inspect {}", dir.path()).expect(4).says(&[missing, "_test_3.asb"]);

    let report = back_up(&server, "--shard 2/3 --report json", dir.path()).expect(0).report();
    assert_eq!((&report["shard"], &report["indexes"]["written"]), (&json!("2/3"), &json!(0)));
    assert_eq!(report["target"]["manifest"], "asbackup.manifest.2-of-3.json");
    complete("", dir.path()).expect(0).says(&[
        "completion complete",
        "shares          3",
        "records         1,000",
    ]);
    let report = complete("--report json", dir.path()).expect(0).report();
    assert_eq!((&report["shares"], &report["records"]["written"]), (&json!(3), &json!(RECORDS)));
    assert_eq!(report["warnings"], json!(["the backup is complete already: nothing was done"]));
    assert!(names(dir.path()).iter().all(|name| !name.contains("-of-")));
    run(asrestore(), "--validate -d {} --require-manifest", dir.path()).expect(0);
    run(asbackup(), "inspect {}", dir.path()).expect(0).says(&["shares          3"]);

    let mut inserted = 0;
    for shard in ["1/2", "2/2"] {
        let report =
            restore(&server, &format!("--shard {shard} --report json"), dir.path()).expect(0).report();
        assert_eq!(report["shard"], shard);
        inserted += report["records"]["inserted"].as_u64().expect("it is a number");
    }
    assert_eq!((inserted, server.store().record_count("copy")), (RECORDS, RECORDS));
}

#[test]
fn what_is_no_share_is_2() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    for flags in ["--shard 0/2", "--shard 3/2", "--shard 2", "--shard 1/2 --no-records", "--shard 1/2 -M 5"] {
        back_up(&server, flags, dir.path()).expect(2).says(&["--shard"]);
    }
    assert!(names(dir.path()).is_empty());
    back_up(&server, "", dir.path()).expect(0);
    restore(&server, "--shard 5/4", dir.path()).expect(2).says(&["5/4", "--shard"]);
    back_up(&server, "--shard 1/2", dir.path()).expect(2).says(&["holds a backup that is complete"]);
    complete("", &dir.path().join("none")).expect(2).says(&["there is no directory"]);
    assert!(!dir.path().join("none").exists());
    run(asbackup(), "complete --help", dir.path()).expect(0);
    run(asbackup(), "complete --report text", dir.path()).expect(2).says(&["--directory"]);
    assert!(run(asbackup(), "complete", dir.path()).expect(0).stdout.contains("asbackup complete"));
    assert!(run(asbackup(), "--help", dir.path()).expect(0).stdout.contains("asbackup complete -d PATH"));
}

#[test]
fn share_that_is_killed_is_gone_on_with() {
    const RECORDS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::builder().namespace("test").namespace("copy").start().expect("it starts");
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 200 });
    back_up(&server, "--shard 1/2", dir.path()).expect(0);
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(2_500_000)));
    let mut tool =
        Running::start(asbackup(), &format!("{} -n test -F 1 -d {{}} --shard 2/2", at(&server)), dir.path());
    tool.wait_for("0_test_2.asb");
    tool.wait_for("0_test_4.asb");
    tool.signal("-KILL");
    assert_eq!(tool.end().0, None);
    server.faults().clear();
    complete("", dir.path()).expect(2).says(&["2 is begun, but not complete", "--continue"]);
    back_up(&server, "--shard 2/2", dir.path()).expect(2).says(&["unfinished backup", "--continue"]);
    back_up(&server, "--shard 2/2 --continue", dir.path()).expect(0);
    complete("", dir.path()).expect(0);
    let restored = restore(&server, "--report json --require-manifest", dir.path()).expect(0).report();
    assert_eq!(restored["records"]["inserted"], RECORDS);
}

#[test]
fn encrypted_shares_are_made_one_with_their_key() {
    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys/a_rsa_pkcs1.pem");
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let key = format!("-y aes128 --encryption-key-file {KEY}");
    for shard in ["1/2", "2/2"] {
        back_up(&server, &format!("--shard {shard} -z zstd {key}"), dir.path()).expect(0);
    }
    complete("", dir.path()).expect(2).says(&["no key is given", "--encryption-key-file"]);
    let with_cipher = |cipher: &str| {
        let mut tool = asbackup();
        // As both tools take it.
        tool.env("ASBACKUP_ENCRYPT", cipher).env("ASBACKUP_ENCRYPTION_KEY_FILE", KEY);
        run(tool, "complete -d {} --log-level error", dir.path())
    };
    with_cipher("AES256").expect(4);
    with_cipher("AES128").expect(0);
    restore(&server, &key, dir.path()).expect(0);
    assert_eq!(server.store().record_count("copy"), RECORDS);
}
