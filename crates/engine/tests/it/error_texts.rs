//! The words of the errors that end a job, with causes and hints.

use std::{error::Error as _, fs, path::Path};

use asbackup::{BackupConfig, Error, Local, Rename, RestoreConfig};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::setup::{backup_config, client, loaded_server, restore_config, server};

/// Returns an error, its causes and its hint, with what differs from run to run named in place of it.
fn shown(error: &Error, directory: &Path) -> Vec<String> {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let causes = causes.map(|cause| without_node(&format!("because: {cause}")));
    let hint = error.hint().map(|hint| format!("hint: {hint}"));
    let lines = std::iter::once(error.to_string()).chain(causes).chain(hint);
    lines.map(|line| line.replace(&directory.display().to_string(), "<directory>")).collect()
}

/// Replaces the name of a node, which the cluster's own errors end with.
fn without_node(text: &str) -> String {
    match text.split_once(" (node ") {
        Some((before, _name)) => format!("{before} (node …)"),
        None => text.to_owned(),
    }
}

async fn backup_failure(server: &TestServer, config: BackupConfig, below: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let target = Local::directory(directory.path().join(below));
    let error = client(server).await.backup(config, target).wait().await.unwrap_err();
    shown(&error, directory.path())
}

async fn restore_failure(server: &TestServer, config: RestoreConfig, text: Option<&str>) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    if let Some(text) = text {
        fs::write(directory.path().join("0_test_1.asb"), format!("Version 3.1\n# namespace test\n{text}"))
            .unwrap();
    }
    let job = client(server).await.restore(config, Local::directory(directory.path()));
    shown(&job.wait().await.unwrap_err(), directory.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_cannot_begin() {
    let from = server();
    assert_eq!(
        backup_failure(&from, BackupConfig::new(""), "new").await,
        [r#""" is no name of a namespace"#, "hint: name it with --namespace"]
    );
    assert_eq!(
        backup_failure(&from, BackupConfig::new("nosuch"), "new").await,
        [r#"the cluster has no namespace "nosuch""#, "hint: name another one with --namespace"]
    );
    assert_eq!(
        backup_failure(&from, backup_config(), "").await,
        [
            "the target <directory>/ isn't empty: it holds 1 files",
            "hint: choose another directory, or replace the backup in it with --remove-files"
        ]
    );
    assert_eq!(
        backup_failure(&from, backup_config(), "notes.txt/below").await,
        [
            "storage failed",
            "because: cannot create <directory>/notes.txt/below",
            "because: Not a directory (os error 20)",
            "hint: a part of the path is a file, not a directory"
        ]
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.asb");
    fs::write(&path, "mine").unwrap();
    let job = client(&from).await.backup(backup_config(), Local::file(&path));
    assert_eq!(
        shown(&job.wait().await.unwrap_err(), directory.path()),
        [
            "the file <directory>/one.asb is there already",
            "hint: choose another name, or replace the file with --force"
        ]
    );
    let error = asbackup::remove_artifacts(Local::file(&path)).wait().await.unwrap_err();
    assert_eq!(
        shown(&error, directory.path()),
        ["only a directory can be emptied of backup files", "hint: name one with --directory"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_cannot_end() {
    let cases: [(FaultAction, &[&str]); 2] = [
        (
            FaultAction::Refuse,
            &["the cluster can't be read to the end", "because: the server closed the connection (node …)"],
        ),
        (
            FaultAction::ErrorCode(ResultCode::PARAMETER),
            &["the cluster can't be read to the end", "because: query refused: 4 parameter (node …)"],
        ),
    ];
    for (action, expected) in cases {
        let from = loaded_server(10);
        from.faults().add(Fault::new(Command::Query, action).times(u64::MAX));
        let mut config = backup_config();
        config.retry.max_retries = 0;
        assert_eq!(backup_failure(&from, config, "new").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_that_cannot_begin() {
    let into = server();
    let renamed = |from: &str, to: &str| {
        let mut config = restore_config();
        config.rename = Some(Rename { from: from.into(), to: to.into() });
        config
    };
    assert_eq!(
        restore_failure(&into, restore_config(), None).await,
        [
            "<directory> holds no backup: no file there ends in .asb",
            "hint: name another directory with --directory"
        ]
    );
    assert_eq!(
        restore_failure(&into, renamed("test", "nosuch"), Some(RECORD)).await,
        [r#"the cluster has no namespace "nosuch""#, "hint: name another one with --namespace"]
    );
    assert_eq!(
        restore_failure(&into, renamed("users", "test"), Some(RECORD)).await,
        [
            r#"the backup holds an entry of namespace "test", not of "users""#,
            "hint: name the backup's namespace first in --namespace, as in --namespace from,to"
        ]
    );
    let unknown = RECORD.replace("n test", "n nosuch");
    assert_eq!(
        restore_failure(&into, restore_config(), Some(&unknown)).await,
        [r#"the cluster has no namespace "nosuch""#, "hint: name another one with --namespace"]
    );
    assert_eq!(
        restore_failure(&into, restore_config(), Some(&RECORD[..20])).await,
        [
            "0_test_1.asb is damaged: file ends within an entry at line 4, byte 49",
            "hint: check the whole backup with --validate"
        ]
    );
    let damaged = RECORD.replace("- I a", "- Q a");
    assert_eq!(
        restore_failure(&into, restore_config(), Some(&damaged)).await,
        [
            "0_test_1.asb is damaged: unknown bin type 'Q' at line 8, byte 91",
            "hint: check the whole backup with --validate"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_that_are_refused() {
    let whole = |code| FaultAction::ErrorCode(code);
    let row = |code| FaultAction::FailRows { rows: 1, code };
    let cases: [(FaultAction, &[&str]); 6] = [
        (
            row(ResultCode::RECORD_TOO_BIG),
            &["the server refused record 000102030405060708090a0b0c0d0e0f10111213: 13 record too big"],
        ),
        (
            row(ResultCode::FORBIDDEN),
            &[
                "the server refused record 000102030405060708090a0b0c0d0e0f10111213: 22 forbidden",
                "hint: records with a time to live are refused while the namespace has nsup-period 0: set it on the server",
            ],
        ),
        (
            row(ResultCode::DEVICE_OVERLOAD),
            &[
                "1 records have no final answer after 1 retries (device_overload)",
                "hint: restore once more when the cluster is well: records that are there already are left as they are",
            ],
        ),
        (
            whole(ResultCode::OUT_OF_SPACE),
            &[
                "the server takes no more records: 8 out of space",
                "hint: free memory or disk on the cluster: its namespace is full or has stopped writes",
            ],
        ),
        (
            whole(ResultCode::BATCH_TOO_LARGE),
            &[
                "the server takes no more records: 151 batch too large",
                "hint: lower --batch-size, or raise batch-max-requests on the server",
            ],
        ),
        (
            FaultAction::Refuse,
            &[
                "1 records have no final answer after 1 retries (network)",
                "because: the server closed the connection (node …)",
                "hint: restore once more when the cluster is well: records that are there already are left as they are",
            ],
        ),
    ];
    for (action, expected) in cases {
        let into = server();
        into.faults().add(Fault::new(Command::Batch, action.clone()).times(u64::MAX));
        let mut config = restore_config();
        config.retry.max_retries = 1;
        assert_eq!(restore_failure(&into, config, Some(RECORD)).await, expected, "{action:?}");
    }
}

/// A record of the namespace `test`.
const RECORD: &str = "+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 1\n- I a 1\n";
