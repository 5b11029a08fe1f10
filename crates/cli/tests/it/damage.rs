//! Damaged backups end with exit code 4, in a validation and in a restore.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use asbackup_model::UdfModule;
use asbackup_testserver::{SampleRecords, TestServer};

use crate::{
    jobs::{at, back_up, index},
    tool::{Ran, asrestore, run},
};

const MANIFEST: &str = "asbackup.manifest.json";
const SIDE_FILE: &str = "asbackup.extra.json";
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys/a_rsa_pkcs1.pem");

fn server() -> TestServer {
    let server = TestServer::builder().namespace("test").server_build("8.1.2.0").start().unwrap();
    server.store().load("test", SampleRecords { count: 100, record_bytes: 200 });
    server.store().add_index(index("test", b"number"));
    server.store().add_set_index("test", "whole", "samples");
    server
}

/// Two data files of one backup.
fn data_files(dir: &Path) -> [PathBuf; 2] {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "asb")).collect();
    names.sort();
    [names[0].clone(), names[1].clone()]
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn swap(dir: &Path) {
    let [first, second] = data_files(dir);
    fs::rename(&first, dir.join("aside")).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(dir.join("aside"), &second).unwrap();
}

fn add(dir: &Path) {
    fs::copy(&data_files(dir)[0], dir.join("more.asb")).unwrap();
}

type Damage = fn(&Path);

/// What is done to a backup, and what is then said.
const CLASSES: [(Damage, &str); 10] = [
    (|dir| cut(&data_files(dir)[0]), "but the manifest says"),
    (|dir| flip(&data_files(dir)[0]), "_test_"),
    (|dir| cut(&dir.join(MANIFEST)), MANIFEST),
    (|dir| flip(&dir.join(MANIFEST)), MANIFEST),
    (|dir| cut(&dir.join(SIDE_FILE)), "asbackup.extra.json has"),
    (|dir| flip(&dir.join(SIDE_FILE)), "asbackup.extra.json isn't what was written"),
    (|dir| fs::remove_file(&data_files(dir)[1]).unwrap(), "is missing: the manifest lists it"),
    (add, "more.asb isn't in the manifest"),
    (
        |dir| fs::rename(&data_files(dir)[0], dir.join("other.asb")).unwrap(),
        "is missing: the manifest lists it",
    ),
    (swap, "but the manifest says"),
];

fn validate(dir: &Path, flags: &str) -> Ran {
    run(asrestore(), &format!("--validate -d {{}} {flags}"), dir)
}

fn restore(server: &TestServer, dir: &Path, flags: &str) -> Ran {
    run(asrestore(), &format!("{} -d {{}} --no-resume --log-level error {flags}", at(server)), dir)
}

#[test]
fn every_class_of_damage_is_4() {
    let (from, into) = (server(), server());
    let key = format!("-y aes128 --encryption-key-file {KEY}");
    for (backup, flags) in
        [(String::new(), ""), ("-z zstd".to_owned(), ""), (format!("-z zstd {key}"), key.as_str())]
    {
        for (damage, text) in CLASSES {
            let dir = tempfile::tempdir().unwrap();
            back_up(&from, &format!("-w 2 {backup}"), dir.path()).expect(0);
            validate(dir.path(), flags).expect(0);
            damage(dir.path());
            validate(dir.path(), flags).expect(4).says(&[text]);
            restore(&into, dir.path(), flags).expect(4).says(&["hint: "]);
        }
    }
}

#[test]
fn backup_without_its_manifest_is_unchecked_and_4_where_one_is_required() {
    let (from, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&from, "-w 2", dir.path()).expect(0);
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    let ran = validate(dir.path(), "--report json").expect(0);
    assert_eq!(ran.report()["source"]["completeness"], "unchecked");
    validate(dir.path(), "--require-manifest").expect(4).says(&["has no manifest"]);
    restore(&from, dir.path(), "--require-manifest").expect(4).says(&["has no manifest"]);
}

#[test]
fn missing_key_is_bad_usage_and_no_damage() {
    let (from, dir) = (server(), tempfile::tempdir().unwrap());
    back_up(&from, &format!("-y aes128 --encryption-key-file {KEY}"), dir.path()).expect(0);
    validate(dir.path(), "").expect(2).says(&["no key is given"]);
    let compression = format!("-z zstd -y aes128 --encryption-key-file {KEY}");
    validate(dir.path(), &compression).expect(2).says(&["but ZSTD is expected"]);
}

/// A server with more records than a restore reads ahead, and with metadata.
fn large_server() -> TestServer {
    let server = TestServer::builder().namespace("test").start().unwrap();
    server.store().load("test", SampleRecords { count: 2_000, record_bytes: 2_000 });
    server.store().add_index(index("test", b"number"));
    server.store().add_udf(UdfModule { name: b"count.lua".to_vec(), content: b"-- counts".to_vec() });
    server
}

/// Puts `to` in the place of the first `from` in the data files, and returns the name of the file that had it.
fn change(dir: &Path, from: &str, to: &str) -> String {
    for path in data_files(dir) {
        let mut bytes = fs::read(&path).unwrap();
        let found = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        if let Some(at) = found {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            fs::write(&path, bytes).unwrap();
            return path.file_name().unwrap().to_string_lossy().into_owned();
        }
    }
    panic!("{from:?} is in no file");
}

#[test]
fn damage_that_the_server_refuses_first_is_4() {
    let (from, into) = (large_server(), TestServer::builder().namespace("test").start().unwrap());
    for (found, changed) in
        [("- B filler", "- L filler"), ("N 1 number N", "K 1 number G"), ("count.lua", "count/lua")]
    {
        let dir = tempfile::tempdir().unwrap();
        back_up(&from, "-w 1 -F 0", dir.path()).expect(0);
        let name = change(dir.path(), found, changed);
        for flags in ["", "--ignore-record-error"] {
            let ran = restore(&into, dir.path(), &format!("--max-async-batches 1 {flags}"));
            ran.expect(4).says(&[&format!("{name} isn't what was written: its bytes have another hash")]);
        }
    }
}

#[test]
fn damage_names_the_refusal_that_it_explains() {
    let (from, into) = (large_server(), TestServer::builder().namespace("test").start().unwrap());
    let dir = tempfile::tempdir().unwrap();
    back_up(&from, "-w 1 -F 0", dir.path()).expect(0);
    change(dir.path(), "- B filler", "- L filler");
    restore(&into, dir.path(), "--max-async-batches 1").expect(4).says(&["the server refused record "]);
}
