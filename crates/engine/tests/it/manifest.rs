//! What the manifest finds, what it lets pass, and that one whole set is there at any moment.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use asbackup::{
    BackupReport, ByteSize, Checkpoint, Completeness, Error, ErrorKind, ExistingFiles, ExtraFiles,
    FindingKind, Local, ManifestRule, Parallelism, Rename, RestoreReport, ValidateConfig, ValidateReport,
};
use asbackup_testserver::TestServer;

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, data_files, files, loaded_server, restore_config,
    server,
};

const MANIFEST: &str = "asbackup.manifest.json";
const SIDE_FILE: &str = "asbackup.extra.json";

async fn validate_with(directory: &Path, change: impl FnOnce(&mut ValidateConfig)) -> Arc<ValidateReport> {
    let mut config = ValidateConfig::new();
    config.readers = Parallelism::new(2).unwrap();
    change(&mut config);
    asbackup::validate(config, Local::directory(directory)).wait().await.unwrap()
}

/// Returns file and kind of all findings.
async fn found(directory: &Path) -> Vec<(String, FindingKind)> {
    let report = validate_with(directory, |_| {}).await;
    let holds = report.source.completeness == Completeness::Checked;
    assert_eq!(holds, report.findings.is_empty(), "{:?}", report.findings);
    report.findings.iter().map(|finding| (finding.file.clone(), finding.kind)).collect()
}

async fn restore(into: &TestServer, directory: &Path) -> Result<Arc<RestoreReport>, Error> {
    client(into).await.restore(restore_config(), Local::directory(directory)).wait().await
}

/// Checks that a restore is refused before it writes anything.
async fn assert_refused(directory: &Path, expected: &str) {
    let into = server();
    let error = restore(&into, directory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(into.store().record_count(NAMESPACE), 0);
}

fn put(directory: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
}

/// Backs up into several files.
async fn back_up_into_files(
    from: &TestServer,
    directory: &Path,
    existing: ExistingFiles,
) -> Arc<BackupReport> {
    let mut config = backup_config();
    config.file_limit = Some(ByteSize(100_000));
    config.existing = existing;
    client(from).await.backup(config, Local::directory(directory)).wait().await.unwrap()
}

/// Returns a directory with a backup of several files.
async fn backup_of_several_files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    back_up_into_files(&loaded_server(3_000), directory.path(), ExistingFiles::Refuse).await;
    assert!(data_files(directory.path()).len() > 3);
    directory
}

fn server_with_set_index() -> TestServer {
    let server = TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap();
    server.store().add_set_index(NAMESPACE, "whole", "demo");
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_says_what_was_written() {
    let from = loaded_server(3_000);
    let directory = tempfile::tempdir().unwrap();
    let report = back_up_into_files(&from, directory.path(), ExistingFiles::Refuse).await;
    assert_eq!(report.target.manifest.as_deref(), Some(MANIFEST));
    let files = files(directory.path());
    let manifest: serde_json::Value = serde_json::from_slice(&files[MANIFEST]).unwrap();
    let data = data_files(directory.path());
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len(), data.len());
    for file in listed {
        let text = &data[file["name"].as_str().unwrap()];
        assert_eq!(file["bytes"], text.len());
        let records = text.windows(5).filter(|window| window == b"\n+ d ").count();
        assert_eq!(file["records"], records);
        assert_eq!(file["partitions"] == "", records == 0, "{file}");
    }
    for (key, expected) in [("records", 3_000), ("indexes", 6), ("udfs", 2), ("bytes", report.bytes.stored)] {
        assert_eq!(manifest["totals"][key], expected, "{key}");
    }
    assert_eq!((&manifest["partitions"], &manifest["namespace"]), (&"0..4095".into(), &"test".into()));
    assert_eq!((&manifest["extra"], &manifest["kind"]), (&serde_json::Value::Null, &"scan".into()));
    assert_eq!(found(directory.path()).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_checks_what_it_reads() {
    let directory = backup_of_several_files().await;
    let report = restore(&server(), directory.path()).await.unwrap();
    assert_eq!(report.source.completeness, Completeness::Checked);
    fs::remove_file(directory.path().join(MANIFEST)).unwrap();
    let report = restore(&server(), directory.path()).await.unwrap();
    assert_eq!((report.source.completeness, report.records.inserted), (Completeness::Unchecked, 3_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_manifest_is_found_and_refused() {
    let directory = backup_of_several_files().await;
    let path = directory.path().join(MANIFEST);
    let mut text = fs::read(&path).unwrap();
    text.pop();
    fs::write(&path, &text).unwrap();
    assert_eq!(found(directory.path()).await, [(MANIFEST.to_owned(), FindingKind::Manifest)]);
    assert_refused(directory.path(), "asbackup.manifest.json is damaged: its seal is").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_added_renamed_and_swapped_files_are_found() {
    let whole = backup_of_several_files().await;
    let files = files(whole.path());
    let names: Vec<&String> = files.keys().filter(|name| name.starts_with("0_test_")).collect();
    let (first, second) = (names[0].as_str(), names[1].as_str());
    let moved = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    // What each file is called afterwards; an empty name is none.
    for (changes, copies, expected, message) in [
        (vec![moved(first, "")], vec![], vec![(first, FindingKind::Missing)], "is missing"),
        (
            vec![],
            vec![moved(first, "copy.asb")],
            vec![("copy.asb", FindingKind::Extra)],
            "isn't in the manifest",
        ),
        (
            vec![moved(first, "9_test_99.asb")],
            vec![],
            vec![(first, FindingKind::Missing), ("9_test_99.asb", FindingKind::Extra)],
            "is missing: the manifest lists it (and 1 more findings)",
        ),
        (
            vec![moved(first, second), moved(second, first)],
            vec![],
            vec![(first, FindingKind::Size), (second, FindingKind::Size)],
            "bytes, but the manifest says",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            let change = changes.iter().find(|(from, _)| from == name);
            let name = change.map_or(name, |(_, to)| to);
            if !name.is_empty() {
                fs::write(directory.path().join(name), text).unwrap();
            }
        }
        for (from, to) in &copies {
            fs::write(directory.path().join(to), &files[from]).unwrap();
        }
        let expected: Vec<_> = expected.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        assert_eq!(found(directory.path()).await, expected);
        assert_refused(directory.path(), message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_byte_that_decodes_fine_is_found_by_its_hash() {
    let directory = tempfile::tempdir().unwrap();
    back_up(&loaded_server(100), directory.path()).await;
    let path = directory.path().join("0_test_2.asb");
    let mut text = fs::read(&path).unwrap();
    let generation = text.windows(7).position(|window| window == b"\n+ g 1\n").unwrap() + 5;
    text[generation] = b'2';
    fs::write(&path, text).unwrap();
    assert_eq!(found(directory.path()).await, [("0_test_2.asb".to_owned(), FindingKind::Hash)]);
    let error = restore(&server(), directory.path()).await.unwrap_err();
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some("0_test_2.asb")));
    // Nothing but the manifest shows it.
    fs::remove_file(directory.path().join(MANIFEST)).unwrap();
    assert_eq!(restore(&server(), directory.path()).await.unwrap().records.inserted, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_without_a_manifest_is_refused_where_one_is_required() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("0_test_1.asb"), "Version 3.1\n# namespace test\n").unwrap();
    let report = validate_with(directory.path(), |config| config.manifest = ManifestRule::Required).await;
    assert_eq!(report.findings[0].kind, FindingKind::Missing);
    let mut config = restore_config();
    config.manifest = ManifestRule::Required;
    let into = server();
    for source in [Local::directory(directory.path()), Local::file(directory.path().join("0_test_1.asb"))] {
        let error = client(&into).await.restore(config.clone(), source).wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().ends_with("has no manifest, so nobody knows if it is whole"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_files_are_left_out_if_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    back_up(&loaded_server(100), directory.path()).await;
    // Of another namespace: it never was part of this backup.
    fs::write(directory.path().join("0_other_1.asb"), "Version 3.1\n# namespace other\n").unwrap();
    assert_eq!(found(directory.path()).await, []);
    let report = restore(&server(), directory.path()).await.unwrap();
    assert_eq!(report.warnings, ["0_other_1.asb doesn't belong to the backup, and was left out"]);

    fs::write(directory.path().join("0_test_9.asb"), "broken").unwrap();
    assert_refused(directory.path(), "0_test_9.asb isn't in the manifest").await;
    let report = validate_with(directory.path(), |config| config.extra_files = ExtraFiles::LeaveOut).await;
    assert_eq!(report.findings, []);
    let mut config = restore_config();
    config.extra_files = ExtraFiles::LeaveOut;
    let into = server();
    let job = client(&into).await.restore(config, Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.inserted, report.warnings.len()), (100, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn index_over_a_set_goes_through_the_side_file() {
    let from = server_with_set_index();
    let directory = tempfile::tempdir().unwrap();
    let job = client(&from).await.backup(backup_config(), Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.indexes.read, report.indexes.written, report.warnings.len()), (1, 1, 0));
    let report = validate_with(directory.path(), |_| {}).await;
    assert_eq!((report.findings.len(), report.indexes.read), (0, 1));

    let into = TestServer::builder().namespace("copy").server_build("8.1.2.0").start().unwrap();
    let mut config = restore_config();
    config.rename = Some(Rename { from: NAMESPACE.into(), to: "copy".into() });
    for (created, same) in [(1, 0), (0, 1)] {
        let job = client(&into).await.restore(config.clone(), Local::directory(directory.path()));
        let indexes = job.wait().await.unwrap().indexes.clone();
        assert_eq!((indexes.read, indexes.created, indexes.same), (1, created, same));
    }
    assert_eq!(into.store().set_indexes("copy"), [(b"whole".to_vec(), b"demo".to_vec())]);

    let older = restore(&server(), directory.path()).await.unwrap();
    assert_eq!((older.indexes.not_restored, older.indexes.failed), (1, 0));
    assert_eq!(older.warnings, ["index whole over set demo was not created: server 8.1.1 knows none such"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_side_file_is_found() {
    let whole = tempfile::tempdir().unwrap();
    back_up(&server_with_set_index(), whole.path()).await;
    let path = whole.path().join(SIDE_FILE);
    let text = fs::read_to_string(&path).unwrap();
    for (text, kind) in
        [(text.replace("demo", "demi"), FindingKind::Hash), (text.replace("demo", "dem"), FindingKind::Size)]
    {
        fs::write(&path, text).unwrap();
        assert_eq!(found(whole.path()).await, [(SIDE_FILE.to_owned(), kind)]);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(found(whole.path()).await, [(SIDE_FILE.to_owned(), FindingKind::Missing)]);
    assert_refused(whole.path(), "asbackup.extra.json is missing").await;
}

/// What a directory holds when a run that replaces an old set is killed, step by step.
fn crashes(
    old: &BTreeMap<String, Vec<u8>>,
    new: &BTreeMap<String, Vec<u8>>,
) -> Vec<(&'static str, BTreeMap<String, Vec<u8>>)> {
    let is_data = |name: &String| name != MANIFEST;
    let data =
        || new.iter().filter(|(name, _)| is_data(name)).map(|(name, text)| (name.clone(), text.clone()));
    let with = |more: Vec<(String, Vec<u8>)>| old.clone().into_iter().chain(more).collect::<BTreeMap<_, _>>();
    let part = |name: &str| (format!("{name}.part"), b"half".to_vec());
    let mut states = vec![
        ("a file is half written", with(vec![part("0_test_99.asb")])),
        ("one file is complete", with(data().take(1).chain([part("0_test_99.asb")]).collect())),
        ("all files are complete", with(data().collect())),
        ("the manifest is half written", with(data().chain([part(MANIFEST)]).collect())),
    ];
    let mut after = with(new.clone().into_iter().collect());
    states.push(("the manifest is in place", after.clone()));
    for name in old.keys().filter(|name| is_data(name)) {
        after.remove(name);
        states.push(("an old file is removed", after.clone()));
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_replacement_leaves_one_whole_set_that_the_next_run_replaces() {
    let from = loaded_server(1_000);
    from.store().add_set_index(NAMESPACE, "whole", "demo");
    let directory = tempfile::tempdir().unwrap();
    back_up_into_files(&from, directory.path(), ExistingFiles::Refuse).await;
    let old = files(directory.path());
    back_up_into_files(&from, directory.path(), ExistingFiles::Replace).await;
    let new = files(directory.path());
    assert!(old.keys().all(|name| name == MANIFEST || !new.contains_key(name)), "no name comes twice");
    assert!(old.contains_key(SIDE_FILE) && new.keys().any(|name| name.starts_with("asbackup.extra.")));
    assert_eq!(found(directory.path()).await, []);

    for (step, left) in crashes(&old, &new) {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), &left);
        let report =
            validate_with(directory.path(), |config| config.extra_files = ExtraFiles::LeaveOut).await;
        assert_eq!(
            (report.findings.len(), report.records.read, report.indexes.read),
            (0, 1_000, 7),
            "{step}"
        );
        if left[MANIFEST] == new[MANIFEST] {
            assert_eq!(found(directory.path()).await, [], "{step}: what is replaced doesn't count");
        }
        back_up_into_files(&from, directory.path(), ExistingFiles::Replace).await;
        let names: Vec<String> = files(directory.path()).into_keys().collect();
        assert_eq!(names.len(), new.len(), "{step}: {names:?}");
        assert!(names.iter().all(|name| name == MANIFEST || !left.contains_key(name)), "{step}: {names:?}");
        assert_eq!(found(directory.path()).await, [], "{step}");
    }
    let into = server();
    restore(&into, directory.path()).await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_replacement_leaves_the_old_set_as_it_was() {
    let from = loaded_server(1_000);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let old = files(directory.path());
    // A directory in the place of the manifest's temporary file: the last step fails.
    fs::create_dir(directory.path().join("asbackup.manifest.json.part")).unwrap();
    let mut config = backup_config();
    config.existing = ExistingFiles::Replace;
    config.checkpoint = Checkpoint::Off;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(job.report().unwrap().target.manifest, None);
    fs::remove_dir(directory.path().join("asbackup.manifest.json.part")).unwrap();
    assert_eq!(files(directory.path()), old);
}
