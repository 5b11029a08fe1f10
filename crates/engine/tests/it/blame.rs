//! Damage that the server refuses before a file's hash tells of it.

use std::{error::Error as _, fs, path::Path, sync::Arc};

use asbackup::{
    BatchLimits, Error, ErrorKind, Local, Parallelism, RecordErrors, RestoreConfig, RestoreReport, Writes,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};
use tempfile::TempDir;

use crate::setup::{NAMESPACE, backup_config, client, data_files, restore_config, server};

/// More than a restore with one batch at a time reads ahead, so that the end of a file isn't reached when its first rows
/// are refused.
const RECORDS: SampleRecords = SampleRecords { count: 4_000, record_bytes: 1_500 };

/// Backs up into two files of records.
async fn backed_up() -> TempDir {
    let (from, directory) = (server(), tempfile::tempdir().unwrap());
    from.store().load(NAMESPACE, RECORDS);
    let mut config = backup_config();
    (config.readers, config.writers) = (Parallelism::new(2).unwrap(), Parallelism::new(2).unwrap());
    client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    assert_eq!(data_files(directory.path()).len(), 2);
    directory
}

/// Changes a byte of a value near the end of one of the two files, counted as they are read: only the hash tells.
fn damage(directory: &Path, number: usize) -> String {
    let mut files: Vec<_> = data_files(directory).into_iter().collect();
    files.sort_by_key(|(name, _)| name.rsplit('_').next().map(str::to_owned));
    let (name, mut bytes) = files.swap_remove(number);
    let at = bytes.windows(15).rposition(|window| window == b" sample record ").unwrap() + 1;
    bytes[at] = b'S';
    fs::write(directory.join(&name), bytes).unwrap();
    name
}

/// One file and one batch at a time.
fn one_by_one() -> RestoreConfig {
    let mut config = restore_config();
    config.readers = Parallelism::new(1).unwrap();
    let limits = BatchLimits { in_flight: 1.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    config
}

/// Restores into a server that refuses so many rows of each batch.
async fn restore(directory: &Path, rows: u32, config: RestoreConfig) -> Result<Arc<RestoreReport>, Error> {
    let into = server();
    let refused = FaultAction::FailRows { rows, code: ResultCode::PARAMETER };
    into.faults().add(Fault::new(Command::Batch, refused).times(u64::MAX));
    restore_into(&into, directory, config).await
}

async fn restore_into(
    into: &TestServer,
    directory: &Path,
    config: RestoreConfig,
) -> Result<Arc<RestoreReport>, Error> {
    client(into).await.restore(config, Local::directory(directory)).wait().await
}

#[track_caller]
fn assert_blamed(error: &Error, name: &str, cause: &str) {
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some(name)), "{error}");
    assert!(error.to_string().contains("its bytes have another hash than the manifest says"), "{error}");
    let found = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(found.contains(cause), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_out_of_a_damaged_file_is_damage() {
    let directory = backed_up().await;
    let error = restore(directory.path(), 1, one_by_one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "nothing is damaged yet");
    let name = damage(directory.path(), 0);
    let error = restore(directory.path(), 1, one_by_one()).await.unwrap_err();
    assert_blamed(&error, &name, "the server refused record ");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_refusals_in_a_row_out_of_a_damaged_file_are_damage() {
    let directory = backed_up().await;
    let mut config = one_by_one();
    config.record_errors = RecordErrors::Ignore;
    let error = restore(directory.path(), u32::MAX, config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "nothing is damaged yet");
    let name = damage(directory.path(), 0);
    let error = restore(directory.path(), u32::MAX, config).await.unwrap_err();
    assert_blamed(&error, &name, "the server refused 1000 records in a row");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_refusals_out_of_a_damaged_file_end_with_its_hash() {
    let directory = backed_up().await;
    let mut config = one_by_one();
    config.record_errors = RecordErrors::Ignore;
    let name = damage(directory.path(), 1);
    let error = restore(directory.path(), 1, config).await.unwrap_err();
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some(&*name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_was_not_begun_is_not_to_blame() {
    let directory = backed_up().await;
    damage(directory.path(), 1);
    let error = restore(directory.path(), 1, one_by_one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_manifest_a_refusal_is_one() {
    let directory = backed_up().await;
    damage(directory.path(), 0);
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let error = restore(directory.path(), 1, one_by_one()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}
