//! Restores that look before they write, or don't write at all.

use std::{fs, path::Path};

use asbackup::{
    Effect, ErrorKind, IndexConflict, Local, Parallelism, RestoreConfig, RestoreReport, Verification,
};
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex};
use asbackup_testserver::TestServer;
use std::sync::Arc;

use crate::setup::{NAMESPACE, back_up, client, data_files, loaded_server, restore_config, server};

const RECORDS: u64 = 2_000;

async fn restore(
    into: &TestServer,
    directory: &Path,
    config: RestoreConfig,
) -> Result<Arc<RestoreReport>, asbackup::Error> {
    client(into).await.restore(config, Local::directory(directory)).wait().await
}

#[tokio::test(flavor = "multi_thread")]
async fn verified_first_a_damaged_file_is_found_before_anything_is_written() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let (name, mut text) = data_files(directory.path()).into_iter().next().unwrap();
    let whole = text.clone();
    *text.last_mut().unwrap() ^= 1;
    fs::write(directory.path().join(&name), text).unwrap();
    let mut config = restore_config();
    (config.verification, config.readers) = (Verification::First, Parallelism::new(2).unwrap());
    let into = server();
    let error = restore(&into, directory.path(), config.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some(name.as_str())));
    assert_eq!(into.store().record_count(NAMESPACE), 0);
    assert!(into.store().indexes(NAMESPACE).is_empty());
    fs::write(directory.path().join(&name), whole).unwrap();
    let report = restore(&into, directory.path(), config.clone()).await.unwrap();
    assert_eq!((report.records.inserted, report.warnings.len()), (RECORDS, 0));
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let report = restore(&into, directory.path(), config).await.unwrap();
    assert_eq!(report.warnings, ["there is no manifest, so that nothing could be verified first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_counts_and_writes_nothing() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let before = crate::setup::files(directory.path());
    let into = server();
    let mut config = restore_config();
    (config.effect, config.sets) = (Effect::Count, asbackup::Names::new(["users"]).ok());
    let counted = restore(&into, directory.path(), config.clone()).await.unwrap();
    assert_eq!(into.store().record_count(NAMESPACE), 0);
    assert!(into.store().indexes(NAMESPACE).is_empty() && into.store().udfs().is_empty());
    assert_eq!(crate::setup::files(directory.path()), before);
    config.effect = Effect::Write;
    let written = restore(&into, directory.path(), config).await.unwrap();
    assert!(counted.dry_run && !written.dry_run);
    let json = |report: &RestoreReport| serde_json::to_value(report).unwrap();
    for key in ["records", "indexes", "udfs"] {
        assert_eq!(json(&counted)[key], json(&written)[key], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_foresees_what_becomes_of_indexes() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    let first = from.store().indexes(NAMESPACE).remove(0);
    into.store().add_index(first);
    let second = from.store().indexes(NAMESPACE).remove(1);
    into.store().add_index(SecondaryIndex {
        bin: b"another".to_vec(),
        kind: IndexKind::Default,
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
        ..second
    });
    for (conflict, kept, replaced, failed) in
        [(IndexConflict::Keep, 1, 0, 0), (IndexConflict::Replace, 0, 1, 0), (IndexConflict::Fail, 0, 0, 1)]
    {
        let mut config = restore_config();
        (config.effect, config.index_conflict) = (Effect::Count, conflict);
        let report = restore(&into, directory.path(), config).await.unwrap();
        let indexes = &report.indexes;
        assert_eq!((indexes.read, indexes.created, indexes.same), (6, 4, 1), "{conflict:?}");
        assert_eq!((indexes.kept, indexes.replaced, indexes.failed), (kept, replaced, failed));
        assert!(report.warnings[0].starts_with("this would be said: index "), "{:?}", report.warnings);
    }
    assert_eq!(into.store().indexes(NAMESPACE).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_finds_a_namespace_that_is_not_there() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = TestServer::builder().namespace("other").start().unwrap();
    let mut config = restore_config();
    config.effect = Effect::Count;
    config.left_out = [asbackup::EntryClass::Indexes].into();
    assert_eq!(restore(&into, directory.path(), config).await.unwrap_err().kind(), ErrorKind::Config);
}
