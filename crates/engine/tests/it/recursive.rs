//! Backups in the directories below one, read as one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use asbackup::{
    Completeness, Error, ErrorKind, FindingKind, Local, ManifestRule, Parallelism, RestoreConfig,
    RestoreReport, Scope, Source, Start, StateRule, ValidateConfig, ValidateReport, Verification,
};
use asbackup_testserver::TestServer;
use tempfile::TempDir;

use crate::{
    resume_restore::{STATE, full_from, one_by_one},
    setup::{
        NAMESPACE, assert_same, back_up, backup_config, client, loaded_server, restore_config, restored_sum,
        server,
    },
};

const RECORDS: u64 = 6_000;
const MANIFEST: &str = "asbackup.manifest.json";

/// A server, and a directory with all of its records: two sets in directories below it, one of another tool, which has no
/// manifest, and what is no backup.
async fn backed_up() -> (TestServer, TempDir) {
    let from = loaded_server(RECORDS);
    let root = tempfile::tempdir().unwrap();
    for (below, partitions) in
        [("2025/monday", "0..999"), ("2025-old", "1000..1999"), ("2025/monday/foreign", "2000..4095")]
    {
        let mut config = backup_config();
        config.scope = Scope::Partitions(partitions.parse().unwrap());
        let target = Local::directory(root.path().join(below));
        client(&from).await.backup(config, target).wait().await.unwrap();
    }
    fs::remove_file(root.path().join("2025/monday/foreign").join(MANIFEST)).unwrap();
    for below in ["empty/too", "other"] {
        fs::create_dir_all(root.path().join(below)).unwrap();
    }
    fs::write(root.path().join("other/notes.txt"), "mine").unwrap();
    (from, root)
}

async fn restore(into: &TestServer, config: RestoreConfig, from: Local) -> Result<Arc<RestoreReport>, Error> {
    client(into).await.restore(config, from).wait().await
}

async fn validate(config: ValidateConfig, from: Local) -> Result<Arc<ValidateReport>, Error> {
    asbackup::validate(config, from).wait().await
}

/// Returns the directories of a report within their root.
fn directories(source: &Source, root: &Path) -> Vec<(String, u64, Completeness)> {
    let within = |path: &str| Path::new(path).strip_prefix(root).unwrap().display().to_string();
    let directories = source.directories.iter();
    directories.map(|found| (within(&found.path), found.files, found.completeness)).collect()
}

/// Returns what a report says of the directories of `backed_up`, of which the first two hold or don't.
fn expected(first: Completeness, second: Completeness) -> Vec<(String, u64, Completeness)> {
    let unchecked = Completeness::Unchecked;
    [("2025-old", first), ("2025/monday", second), ("2025/monday/foreign", unchecked)]
        .map(|(path, completeness)| (path.to_owned(), 2, completeness))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_backups_below_a_directory_are_restored_and_each_is_checked() {
    let (from, root) = backed_up().await;
    for verification in [Verification::WhileReading, Verification::First] {
        let into = server();
        let mut config = restore_config();
        config.verification = verification;
        config.readers = Parallelism::new(3).unwrap();
        let job = client(&into).await.restore(config, Local::tree(root.path()));
        let report = job.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
        assert_eq!((report.records.read, restored_sum(&report)), (RECORDS, RECORDS));
        assert_eq!((report.indexes.read, report.udfs.read), (18, 6), "those of three backups");
        let source = &report.source;
        assert_eq!((source.completeness, source.place.files), (Completeness::Unchecked, 6));
        assert_eq!(source.place.path, root.path().to_str().unwrap());
        assert_eq!(directories(source, root.path()), expected(Completeness::Checked, Completeness::Checked));
        assert_eq!(job.progress().bytes_total, Some(report.bytes.stored));
        assert!(!root.path().join(STATE).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_says_which_backup_below_a_directory_is_damaged() {
    let (_from, root) = backed_up().await;
    let tree = || Local::tree(root.path());
    let report = validate(ValidateConfig::new(), tree()).await.unwrap();
    assert_eq!((report.records.read, report.findings.len()), (RECORDS, 0));
    assert_eq!(
        directories(&report.source, root.path()),
        expected(Completeness::Checked, Completeness::Checked)
    );

    let damaged = root.path().join("2025/monday/0_test_2.asb");
    let mut text = fs::read(&damaged).unwrap();
    let last = text.len() - 2;
    text[last] ^= 1;
    fs::write(&damaged, text).unwrap();
    let report = validate(ValidateConfig::new(), tree()).await.unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert_eq!(finding.file, "2025/monday/0_test_2.asb");
    assert_eq!(
        directories(&report.source, root.path()),
        expected(Completeness::Checked, Completeness::Unchecked)
    );

    fs::remove_file(damaged).unwrap();
    let message =
        format!("{}/2025/monday: 0_test_2.asb is missing: the manifest lists it", root.path().display());
    let report = validate(ValidateConfig::new(), tree()).await.unwrap();
    assert_eq!(report.findings[0].message, message);
    let error = restore(&server(), restore_config(), tree()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Integrity, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_is_required_of_each_backup() {
    let (_from, root) = backed_up().await;
    let mut config = ValidateConfig::new();
    config.manifest = ManifestRule::Required;
    let report = validate(config, Local::tree(root.path())).await.unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert_eq!(
        (finding.kind, finding.file.as_str()),
        (FindingKind::Missing, &*format!("2025/monday/foreign/{MANIFEST}"))
    );
    let mut config = restore_config();
    config.manifest = ManifestRule::Required;
    let error = restore(&server(), config, Local::tree(root.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_holds_a_backup_itself_is_read_with_those_below_it() {
    let from = loaded_server(100);
    let root = tempfile::tempdir().unwrap();
    back_up(&from, root.path()).await;
    back_up(&from, &root.path().join("below")).await;
    let report = validate(ValidateConfig::new(), Local::tree(root.path())).await.unwrap();
    assert_eq!((report.records.read, report.source.completeness), (200, Completeness::Checked));
    assert_eq!(directories(&report.source, root.path()).len(), 2);
    let report = validate(ValidateConfig::new(), Local::directory(root.path())).await.unwrap();
    assert_eq!((report.records.read, report.source.directories.len()), (100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_directories_are_read_with_all_below_them_and_none_twice() {
    let (from, root) = backed_up().await;
    let [old, new] = ["2025-old", "2025"].map(|name| root.path().join(name));
    let into = server();
    let trees = Local::trees([new.clone(), old]);
    let report = restore(&into, restore_config(), trees).await.unwrap();
    assert_same(&from, &into, NAMESPACE);
    assert_eq!(directories(&report.source, root.path())[2].0, "2025-old", "in the order of the list");

    let twice = |paths: [PathBuf; 2]| Local::trees(paths);
    let error =
        validate(ValidateConfig::new(), twice([new.clone(), new.join("../2025/monday")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let message = format!("the directory {}/../2025/monday would be read twice", new.display());
    assert_eq!(error.to_string(), message);
    let error =
        validate(ValidateConfig::new(), twice([new.clone(), root.path().join("other")])).await.unwrap_err();
    let message =
        format!("{}/other holds no backup: no file in it or below it ends in .asb", root.path().display());
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_below_a_directory_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    fs::write(root.path().join("a/b/0_test_1.asb.gz"), "").unwrap();
    for path in [root.path().to_owned(), root.path().join("none")] {
        let error = restore(&server(), restore_config(), Local::tree(&path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = format!("{} holds no backup: no file in it or below it ends in .asb", path.display());
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_cannot_be_read_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_from, root) = backed_up().await;
    let closed = root.path().join("empty");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_ok() {
        return; // Nothing is closed to this user; the test of storage has another way.
    }
    let error = restore(&server(), restore_config(), Local::tree(root.path())).await.unwrap_err();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Storage, closed.to_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_under_a_name_that_is_not_utf8_is_refused_by_name() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let root = tempfile::tempdir().unwrap();
    let odd = root.path().join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    back_up(&loaded_server(10), &root.path().join("even")).await;
    let report = validate(ValidateConfig::new(), Local::tree(root.path())).await.unwrap();
    assert_eq!(report.records.read, 10, "one without a backup is passed over");
    fs::write(odd.join("0_test_1.asb"), "Version 3.1\n").unwrap();
    let error = validate(ValidateConfig::new(), Local::tree(root.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("odd\u{fffd} of a backup isn't UTF-8"), "{error}");
}

fn to_be_continued(mut config: RestoreConfig) -> RestoreConfig {
    let StateRule::Kept(state) = &mut config.state else { panic!("the default is to keep one") };
    state.start = Start::Continue;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_restore_of_all_below_a_directory_goes_on() {
    let (from, root) = backed_up().await;
    for batch in [1, 10, 30, 46] {
        let into = server();
        full_from(&into, batch);
        let tree = Local::tree(root.path());
        let job = client(&into).await.restore(one_by_one(), tree.clone());
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Write, "{batch}");
        let failed = job.report().unwrap();
        assert_eq!(failed.state_file.as_deref(), root.path().join(STATE).to_str());
        let unchecked = Completeness::Unchecked;
        assert_eq!(directories(&failed.source, root.path()), expected(unchecked, unchecked));
        into.faults().clear();
        let job = client(&into).await.restore(to_be_continued(one_by_one()), tree);
        let report = job.wait().await.unwrap();
        assert_same(&from, &into, NAMESPACE);
        assert_eq!((report.records.read, restored_sum(&report)), (RECORDS, RECORDS), "{batch}");
        let left = RECORDS - (batch - 1) * 128;
        // Rows that were written, but lie in a block that wasn't done: one block has fewer than 1,000.
        assert!((left..left + 1_000).contains(&job.progress().records_read), "{batch}");
        assert!(!root.path().join(STATE).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_does_not_go_on_with_other_directories() {
    let (from, root) = backed_up().await;
    let into = server();
    full_from(&into, 10);
    let tree = || Local::tree(root.path());
    restore(&into, one_by_one(), tree()).await.unwrap_err();
    into.faults().clear();
    back_up(&from, &root.path().join("new")).await;
    let goes_on = |from: Local| restore(&into, to_be_continued(one_by_one()), from);
    let error = goes_on(tree()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let message = "the backup isn't the one that was being restored: new/0_test_2.asb wasn't there";
    assert_eq!(error.to_string(), message);
    // The same place, but what lies in it alone.
    fs::rename(root.path().join("new"), root.path().join("gone")).unwrap();
    for name in ["0_test_2.asb", "metadata_test_1.asb", MANIFEST] {
        fs::rename(root.path().join("gone").join(name), root.path().join(name)).unwrap();
    }
    let error = goes_on(Local::directory(root.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    let message = "the interrupted restore had another option recursive: true, and this one has null";
    assert_eq!(error.to_string(), message);
    let error = goes_on(Local::trees([root.path().join("2025")])).await.unwrap_err();
    assert!(error.to_string().starts_with("only the restore of one directory has a state"), "{error}");
}
