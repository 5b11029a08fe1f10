//! Restores of compressed and encrypted backups: stopped and gone on with, and verified first.

use std::{fs, path::Path};

use asbackup::{ByteSize, Envelope, ErrorKind, Local, RestoreConfig, Verification};
use asbackup_testserver::TestServer;
use tempfile::TempDir;

use crate::{
    resume_envelope::envelopes,
    resume_restore::{RECORDS, STATE, WentOn, fails, full_from, goes_on, one_by_one, start, to_be_continued},
    setup::{NAMESPACE, assert_same, backup_config, client, data_files, loaded_server, server},
};

/// A backup in several files.
async fn backed_up(from: &TestServer, envelope: &Envelope) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.file_limit = Some(ByteSize(200_000));
    config.envelope = envelope.clone();
    client(from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    assert!(data_files(directory.path()).len() > 2);
    directory
}

fn unwrapping(envelope: &Envelope) -> RestoreConfig {
    let mut config = one_by_one();
    config.encryption = envelope.encryption.clone();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_restore_that_failed_goes_on_where_its_rows_were_answered() {
    let from = loaded_server(RECORDS);
    for envelope in envelopes() {
        let directory = backed_up(&from, &envelope).await;
        for batch in [1, 2, 15, 31, 46] {
            let into = server();
            full_from(&into, batch);
            let error = fails(&into, directory.path(), unwrapping(&envelope)).await;
            assert_eq!(error.kind(), ErrorKind::Write, "{envelope:?}");
            let went_on = goes_on(&from, &into, directory.path(), unwrapping(&envelope)).await;
            let WentOn { report, read_again } = went_on;
            let left = RECORDS - (batch - 1) * 128;
            assert!((left..left + 1_000).contains(&read_again), "{batch}: {read_again} of {left}");
            assert_eq!(report.records.inserted + report.records.fresher, RECORDS);
            assert_eq!((report.indexes.created, report.udfs.created), (6, 2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_restore_that_was_cancelled_goes_on() {
    let from = loaded_server(RECORDS);
    for envelope in envelopes() {
        let directory = backed_up(&from, &envelope).await;
        let into = server();
        let job = start(&into, directory.path(), unwrapping(&envelope)).await;
        while job.progress().records_done < 1_500 {
            tokio::task::yield_now().await;
        }
        job.cancel();
        if let Err(error) = job.wait().await {
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            goes_on(&from, &into, directory.path(), unwrapping(&envelope)).await;
        }
        assert_same(&from, &into, NAMESPACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_restore_of_an_encrypted_backup_cannot_be_changed_unseen() {
    let from = loaded_server(RECORDS);
    for envelope in envelopes().iter().filter(|envelope| envelope.encryption.is_some()) {
        let directory = backed_up(&from, envelope).await;
        let into = server();
        full_from(&into, 20);
        fails(&into, directory.path(), unwrapping(envelope)).await;
        let path = directory.path().join(STATE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"resumes\": 0", "\"resumes\": 7")).unwrap();
        let error = fails(&into, directory.path(), to_be_continued(unwrapping(envelope))).await;
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
        fs::write(&path, text).unwrap();
        goes_on(&from, &into, directory.path(), unwrapping(envelope)).await;
    }
}

fn flip(directory: &Path, name: &str, at: usize) -> Vec<u8> {
    let whole = fs::read(directory.join(name)).unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    fs::write(directory.join(name), flipped).unwrap();
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_backup_that_is_verified_first_is_restored_or_not_begun() {
    let from = loaded_server(RECORDS);
    for envelope in envelopes() {
        let directory = backed_up(&from, &envelope).await;
        let mut config = unwrapping(&envelope);
        config.verification = Verification::First;
        let (name, bytes) = data_files(directory.path()).into_iter().next_back().unwrap();
        for at in [0, 15, 16, bytes.len() / 2, bytes.len() - 1] {
            let whole = flip(directory.path(), &name, at);
            let into = server();
            let error = fails(&into, directory.path(), config.clone()).await;
            let place = error.place().file.as_deref();
            assert_eq!((error.kind(), place), (ErrorKind::Integrity, Some(&*name)), "{envelope:?} {at}");
            assert_eq!(into.store().record_count(NAMESPACE), 0);
            assert!(into.store().indexes(NAMESPACE).is_empty() && into.store().udfs().is_empty());
            fs::write(directory.path().join(&name), whole).unwrap();
        }
        let into = server();
        start(&into, directory.path(), config).await.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
    }
}
