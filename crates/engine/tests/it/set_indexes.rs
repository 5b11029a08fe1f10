//! Indexes over sets: what becomes of them when another index has their name, and when none are wanted.

use std::{path::Path, sync::Arc};

use asbackup::{EntryClass, IndexConflict, Local, RestoreConfig, RestoreReport};
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex};
use asbackup_testserver::TestServer;
use tempfile::TempDir;

use crate::setup::{NAMESPACE, back_up, backup_config, client, files, restore_config};

const SIDE_FILE: &str = "asbackup.extra.json";

/// Returns a server that knows indexes over sets.
fn server() -> TestServer {
    TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap()
}

/// Returns a server with an index of that name over another set.
fn server_with_other() -> TestServer {
    let server = server();
    server.store().add_set_index(NAMESPACE, "whole", "other");
    server
}

/// Returns a server with an index of that name over values.
fn server_with_index_of_values() -> TestServer {
    let server = server();
    server.store().add_index(SecondaryIndex {
        namespace: NAMESPACE.into(),
        set: None,
        name: b"whole".to_vec(),
        kind: IndexKind::Default,
        bin: b"age".to_vec(),
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
    });
    server
}

fn with_set_index() -> TestServer {
    let from = server();
    from.store().add_set_index(NAMESPACE, "whole", "demo");
    from
}

async fn backed_up() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    back_up(&with_set_index(), directory.path()).await;
    directory
}

async fn restore(into: &TestServer, directory: &Path, config: RestoreConfig) -> Arc<RestoreReport> {
    client(into).await.restore(config, Local::directory(directory)).wait().await.unwrap()
}

fn set_indexes(server: &TestServer) -> Vec<(Vec<u8>, Vec<u8>)> {
    server.store().set_indexes(NAMESPACE)
}

#[tokio::test(flavor = "multi_thread")]
async fn set_index_whose_name_is_taken_is_dealt_with_as_asked() {
    let directory = backed_up().await;
    for (conflict, expected) in [
        (IndexConflict::Fail, (0, 0, 1)),
        (IndexConflict::Keep, (1, 0, 0)),
        (IndexConflict::Replace, (0, 1, 0)),
    ] {
        for into in [server_with_other(), server_with_index_of_values()] {
            let (before, of_values) = (set_indexes(&into), into.store().indexes(NAMESPACE));
            let mut config = restore_config();
            config.index_conflict = conflict;
            let report = restore(&into, directory.path(), config).await;
            let indexes = &report.indexes;
            assert_eq!((indexes.kept, indexes.replaced, indexes.failed), expected, "{conflict:?}");
            assert_eq!((indexes.read, indexes.created, indexes.same), (1, 0, 0));
            if conflict == IndexConflict::Replace {
                assert_eq!(set_indexes(&into), [(b"whole".to_vec(), b"demo".to_vec())]);
                assert!(into.store().indexes(NAMESPACE).is_empty());
            } else {
                assert_eq!((set_indexes(&into), into.store().indexes(NAMESPACE)), (before, of_values));
                assert!(report.warnings[0].starts_with("another index whole "), "{:?}", report.warnings);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_index_that_is_there_is_the_same_whatever_is_asked() {
    let directory = backed_up().await;
    for conflict in [IndexConflict::Fail, IndexConflict::Keep, IndexConflict::Replace] {
        let into = with_set_index();
        let mut config = restore_config();
        config.index_conflict = conflict;
        let report = restore(&into, directory.path(), config).await;
        let indexes = &report.indexes;
        assert_eq!((indexes.read, indexes.same, indexes.replaced), (1, 1, 0), "{conflict:?}");
        assert_eq!((set_indexes(&into), report.warnings.len()), (set_indexes(&with_set_index()), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_indexes_that_are_not_wanted_are_not_restored() {
    let directory = backed_up().await;
    let into = server();
    let mut config = restore_config();
    config.left_out = [EntryClass::Indexes].into();
    let report = restore(&into, directory.path(), config).await;
    assert_eq!((report.indexes.read, report.indexes.not_restored, report.indexes.created), (1, 1, 0));
    assert!(set_indexes(&into).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_without_indexes_has_no_side_file() {
    let (from, directory) = (with_set_index(), tempfile::tempdir().unwrap());
    let mut config = backup_config();
    config.left_out = [EntryClass::Indexes].into();
    let report = client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    assert_eq!((report.indexes.read, report.indexes.written), (0, 0));
    assert!(!files(directory.path()).contains_key(SIDE_FILE));
}
