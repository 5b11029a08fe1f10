//! What a backup writes, and what it refuses.

use std::fs;

use asbackup::{
    BackupConfig, ByteSize, Client, ErrorKind, ExistingFiles, Local, Parallelism, RestoreConfig, Spelling,
};
use asbackup_model::{Digest, RecordLayout};

use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, data_files, files, loaded_server, restore_config,
    server,
};

async fn refused(client: &Client, config: BackupConfig, target: Local) -> (ErrorKind, String) {
    let error = client.backup(config, target).wait().await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_and_restore_bring_everything_back() {
    for (readers, writers, spelling) in
        [(1, 1, Spelling::Base64), (8, 3, Spelling::Compact), (3, 8, Spelling::Base64)]
    {
        let (from, into) = (loaded_server(5_000), server());
        let directory = tempfile::tempdir().unwrap();
        let mut config = backup_config();
        config.readers = Parallelism::new(readers).unwrap();
        config.writers = Parallelism::new(writers).unwrap();
        config.spelling = spelling;
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!(
            (report.records.read, report.records.written, report.records.unaccounted),
            (5_000, 5_000, 0)
        );
        assert_eq!((report.indexes.read, report.indexes.written), (6, 6));
        assert_eq!((report.udfs.read, report.udfs.written), (2, 2));
        let stored: usize = data_files(directory.path()).values().map(Vec::len).sum();
        assert_eq!(report.bytes.stored, stored as u64);

        let mut config = restore_config();
        config.readers = Parallelism::new(readers).unwrap();
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!(
            (report.records.read, report.records.inserted, report.records.unaccounted),
            (5_000, 5_000, 0)
        );
        assert_eq!((report.indexes.created, report.udfs.created), (6, 2));
        assert_eq!(report.bytes.stored, stored as u64);
        assert_same(&from, &into, NAMESPACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_rotated_and_only_the_first_is_marked() {
    let (from, into) = (loaded_server(4_000), server());
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.file_limit = Some(ByteSize(300_000));
    config.writers = Parallelism::new(2).unwrap();
    let report = client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    let files = data_files(directory.path());
    assert_eq!(report.target.place.files, files.len() as u64);
    assert!(files.len() > 3, "{:?}", files.keys());
    for (name, text) in &files {
        let first = name == "metadata_test_1.asb";
        let version = if first { "Version 3.2" } else { "Version 3.1" };
        let mark = if first { "# first-file\n" } else { "" };
        let header = format!("{version}\n# namespace test\n{mark}");
        assert!(text.starts_with(header.as_bytes()), "{name}");
        assert!(first || !text.windows(12).any(|window| window == b"# first-file"), "{name}");
    }
    let report = client(&into)
        .await
        .restore(restore_config(), Local::directory(directory.path()))
        .wait()
        .await
        .unwrap();
    assert_eq!(report.records.inserted, 4_000);
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_namespace_is_backed_up_as_one_file() {
    let (from, into) = (server(), server());
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let text = b"Version 3.1\n# namespace test\n# first-file\n".to_vec();
    assert_eq!(data_files(directory.path()), [("0_test_1.asb".to_owned(), text)].into());
    let report = client(&into)
        .await
        .restore(RestoreConfig::new(), Local::directory(directory.path()))
        .wait()
        .await
        .unwrap();
    assert_eq!(report.records.read, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_holds_anything_is_refused() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let (kind, message) =
        refused(&client(&from).await, backup_config(), Local::directory(directory.path())).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("isn't empty: it holds 1 files"), "{message}");
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_removes_the_old_backup_and_nothing_else() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for name in ["notes.txt", "[test]_00012.asb", "3_test_4.asb.part"] {
        fs::write(directory.path().join(name), "old").unwrap();
    }
    let mut config = backup_config();
    config.existing = ExistingFiles::Replace;
    client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    let names: Vec<_> = files(directory.path()).into_keys().collect();
    assert_eq!(names, ["0_test_14.asb", "asbackup.manifest.json", "metadata_test_13.asb", "notes.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_or_impossible_namespace_is_refused() {
    let from = server();
    let directory = tempfile::tempdir().unwrap();
    for (namespace, expected) in [
        ("other", r#"the cluster has no namespace "other""#),
        ("", r#""" is no name of a namespace"#),
        ("a/b", r#""a/b" is no name of a namespace"#),
    ] {
        let target = Local::directory(directory.path().join("never-made"));
        let refused = refused(&client(&from).await, BackupConfig::new(namespace), target).await;
        assert_eq!(refused, (ErrorKind::Config, expected.to_owned()));
    }
    assert!(!directory.path().join("never-made").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_cannot_be_made_is_a_storage_error() {
    let from = server();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let target = Local::directory(directory.path().join("file/below"));
    assert_eq!(refused(&client(&from).await, backup_config(), target).await.0, ErrorKind::Storage);
}

#[tokio::test(flavor = "multi_thread")]
async fn monitor_set_is_left_out() {
    let from = loaded_server(10);
    let mut layout = RecordLayout::new();
    layout.namespace = layout.keep(b"test");
    layout.set = Some(layout.keep(b"<ERO~MRT"));
    layout.digest = Digest([7; 20]);
    from.store().put(&layout.view(&[]));
    let directory = tempfile::tempdir().unwrap();
    let report =
        client(&from).await.backup(backup_config(), Local::directory(directory.path())).wait().await.unwrap();
    assert_eq!((report.records.written, report.records.unaccounted), (10, 0));
}
