//! What a restore writes, counts and refuses.

use std::{fs, path::Path, time::Duration};

use asbackup::{
    Error, ErrorKind, ExistsRule, GenerationRule, IndexConflict, Job, Local, Rename, RestoreConfig,
    RestoreReport,
};
use asbackup_testserver::{NamespaceConfig, TestServer};

use crate::setup::{NAMESPACE, assert_same, back_up, client, files, loaded_server, restore_config, server};

async fn restore(into: &TestServer, directory: &Path, config: RestoreConfig) -> Job<RestoreReport> {
    let job = client(into).await.restore(config, Local::directory(directory));
    // Whether it failed is asked again.
    let _ = job.wait().await;
    job
}

async fn failure(job: &Job<RestoreReport>) -> Error {
    job.wait().await.unwrap_err()
}

fn rename(from: &str, to: &str) -> Option<Rename> {
    Some(Rename { from: from.into(), to: to.into() })
}

/// A text file with one record; `lines` are those of its bins.
fn one_record(directory: &Path, void_time: u64, lines: &[&str]) {
    let text = format!(
        "Version 3.1\n# namespace test\n+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ s demo\n+ g 1\n+ t {void_time}\n+ b {}\n{}",
        lines.len(),
        lines.concat()
    );
    fs::write(directory.join("0_test_1.asb"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_indexes_go_into_the_renamed_namespace() {
    let from = loaded_server(1_000);
    let into = TestServer::builder().namespace("copy").start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let mut config = restore_config();
    config.rename = rename("test", "copy");
    let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
    assert_eq!(report.namespace, "test,copy");
    assert_same(&from, &into, "copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn entry_of_a_third_namespace_ends_the_job() {
    let into = TestServer::builder().namespace("copy").start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    one_record(directory.path(), 0, &["- I a 1\n"]);
    let mut config = restore_config();
    config.rename = rename("users", "copy");
    let job = restore(&into, directory.path(), config).await;
    let error = failure(&job).await;
    assert_eq!(error.to_string(), r#"the backup holds an entry of namespace "test", not of "users""#);
    assert_eq!(into.store().record_count("copy"), 0);
    let report = job.report().unwrap();
    assert_eq!((report.records.read, report.records.unfinished, report.records.unaccounted), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_of_another_namespace_is_refused_before_anything_is_read() {
    let (from, into) = (loaded_server(100), TestServer::builder().namespace("copy").start().unwrap());
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let before = files(directory.path());
    let mut config = restore_config();
    config.rename = rename("users", "copy");
    let job = restore(&into, directory.path(), config).await;
    let error = failure(&job).await;
    let message = r#"the backup is of namespace "test", not of "users""#;
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, message));
    assert!(job.report().unwrap().records.read == 0 && files(directory.path()) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_target_namespace_is_refused() {
    let into = server();
    let directory = tempfile::tempdir().unwrap();
    one_record(directory.path(), 0, &["- I a 1\n"]);
    let mut config = restore_config();
    config.rename = rename("test", "nowhere");
    let job = restore(&into, directory.path(), config).await;
    assert_eq!(failure(&job).await.kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_of_the_backup_that_the_cluster_lacks_is_refused() {
    let into = TestServer::builder().namespace("other").start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    one_record(directory.path(), 0, &["- I a 1\n"]);
    let error = failure(&restore(&into, directory.path(), restore_config()).await).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), r#"the cluster has no namespace "test""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_without_backup_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let job = restore(&server(), directory.path(), restore_config()).await;
    assert_eq!(failure(&job).await.kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_empty_records_are_counted_and_left_out() {
    for (void_time, lines, expired, skipped) in [
        (1, &["- I a 1\n"][..], 1, None),
        (0, &[][..], 0, Some(&1)),
        (0, &["- N a\n", "- N b\n"][..], 0, Some(&1)),
        (0, &["- N a\n", "- I b 1\n"][..], 0, None),
    ] {
        let into = server();
        let directory = tempfile::tempdir().unwrap();
        one_record(directory.path(), void_time, lines);
        let report = restore(&into, directory.path(), restore_config()).await.wait().await.unwrap();
        assert_eq!((report.records.read, report.records.unaccounted), (1, 0));
        assert_eq!((report.records.expired, report.records.skipped.get("bins")), (expired, skipped));
        assert_eq!(report.records.inserted, into.store().record_count(NAMESPACE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn void_time_is_kept_within_a_second() {
    let into = server();
    let directory = tempfile::tempdir().unwrap();
    let void_time = crate::setup::now().0 + 1_000;
    one_record(directory.path(), void_time, &["- I a 1\n"]);
    restore(&into, directory.path(), restore_config()).await.wait().await.unwrap();
    into.store().for_each_record(NAMESPACE, |record| assert!(record.void_time.0.abs_diff(void_time) <= 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_what_becomes_of_existing_records() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let restored = |exists, generation| {
        let (from, directory) = (&from, directory.path());
        async move {
            let mut config = restore_config();
            config.rules.exists = exists;
            config.rules.generation = generation;
            let report = restore(from, directory, config).await.wait().await.unwrap();
            assert_eq!(report.records.unaccounted, 0);
            (report.records.inserted, report.records.fresher, report.records.existed)
        }
    };
    assert_eq!(restored(ExistsRule::Update, GenerationRule::Newer).await, (0, 100, 0));
    assert_eq!(restored(ExistsRule::CreateOnly, GenerationRule::Newer).await, (0, 0, 100));
    assert_eq!(restored(ExistsRule::Replace, GenerationRule::Ignore).await, (100, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_record_ends_the_job_and_is_named() {
    let from = loaded_server(100);
    let mut small = NamespaceConfig::new(NAMESPACE);
    small.max_record_bytes = 10;
    let into = TestServer::builder().namespace(small).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let job = restore(&into, directory.path(), restore_config()).await;
    let error = failure(&job).await;
    assert_eq!((error.kind(), error.place().code), (ErrorKind::Refused, Some(13)));
    assert!(error.place().digest.is_some() && error.place().node.is_some());
    let report = job.report().unwrap();
    assert!(report.records.failed["record_too_big"] > 0);
    assert_eq!((report.records.inserted, report.records.unaccounted), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ttl_that_the_namespace_forbids_is_explained() {
    let mut forever = NamespaceConfig::new(NAMESPACE);
    forever.expiry = asbackup_testserver::Expiry::Refused;
    let into = TestServer::builder().namespace(forever).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    one_record(directory.path(), crate::setup::now().0 + 1_000, &["- I a 1\n"]);
    let job = restore(&into, directory.path(), restore_config()).await;
    let error = failure(&job).await;
    assert_eq!((error.kind(), error.place().code), (ErrorKind::Refused, Some(22)));
    assert!(error.hint().unwrap().contains("nsup-period"));
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_are_there_are_kept() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    let mut other = from.store().indexes(NAMESPACE)[0].clone();
    from.store()
        .indexes(NAMESPACE)
        .into_iter()
        .skip(1)
        .take(2)
        .for_each(|index| into.store().add_index(index));
    other.bin = b"elsewhere".to_vec();
    into.store().add_index(other.clone());
    let report = restore(&into, directory.path(), restore_config()).await.wait().await.unwrap();
    let indexes = &report.indexes;
    assert_eq!((indexes.read, indexes.created, indexes.same, indexes.failed), (6, 3, 2, 1));
    assert!(report.warnings[0].contains("by_age"), "{:?}", report.warnings);
    assert!(into.store().indexes(NAMESPACE).contains(&other));
}

#[tokio::test(flavor = "multi_thread")]
async fn index_of_the_same_name_and_another_definition_is_dealt_with_as_asked() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for (conflict, expected) in [
        (IndexConflict::Fail, (0, 0, 1)),
        (IndexConflict::Keep, (1, 0, 0)),
        (IndexConflict::Replace, (0, 1, 0)),
    ] {
        let into = server();
        let wanted = from.store().indexes(NAMESPACE)[0].clone();
        let mut other = wanted.clone();
        other.bin = b"elsewhere".to_vec();
        into.store().add_index(other.clone());
        let same = from.store().indexes(NAMESPACE)[1].clone();
        into.store().add_index(same);
        let mut config = restore_config();
        config.index_conflict = conflict;
        let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
        let indexes = &report.indexes;
        assert_eq!((indexes.kept, indexes.replaced, indexes.failed), expected, "{conflict:?}");
        assert_eq!((indexes.read, indexes.created, indexes.same), (6, 4, 1));
        assert_eq!(report.warnings.len(), 1);
        let replaced = conflict == IndexConflict::Replace;
        let stored = into.store().indexes(NAMESPACE);
        assert_eq!((stored.contains(&wanted), stored.contains(&other)), (replaced, !replaced));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_index_of_the_same_name_can_be_replaced() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    into.store().add_set_index(NAMESPACE, "by_age", "demo");
    let mut config = restore_config();
    config.index_conflict = IndexConflict::Replace;
    let report = restore(&into, directory.path(), config).await.wait().await.unwrap();
    assert_eq!((report.indexes.replaced, report.indexes.failed), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn globals_between_records_are_restored() {
    let into = server();
    let directory = tempfile::tempdir().unwrap();
    one_record(directory.path(), 0, &["- I a 1\n", "* i test demo ix N 1 a N\n* u L f.lua 1 x\n"][..1]);
    let path = directory.path().join("0_test_1.asb");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("* i test demo ix N 1 a N\n* u L f.lua 1 x\n");
    fs::write(path, text).unwrap();
    let report = restore(&into, directory.path(), restore_config()).await.wait().await.unwrap();
    assert_eq!((report.records.inserted, report.indexes.created, report.udfs.created), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_ends_the_job_with_its_place() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    // With the manifest its size alone would give it away.
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let path = directory.path().join("0_test_2.asb");
    let mut text = fs::read(&path).unwrap();
    text.pop();
    fs::write(&path, text).unwrap();
    let job = restore(&server(), directory.path(), restore_config()).await;
    let error = failure(&job).await;
    assert_eq!(error.kind(), ErrorKind::Format);
    let place = error.place();
    assert_eq!(place.file.as_deref(), Some("0_test_2.asb"));
    assert!(place.line.unwrap() > 100 && place.byte.unwrap() > 1_000, "{place:?}");
    assert_eq!(job.report().unwrap().records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_job_ends_and_accounts_for_all() {
    let from = loaded_server(2_000);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let into = server();
    into.faults().add(
        asbackup_testserver::Fault::new(
            asbackup_testserver::Command::Batch,
            asbackup_testserver::FaultAction::Delay(Duration::from_secs(3600)),
        )
        .times(u64::MAX),
    );
    let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
    while job.progress().records_read == 0 {
        tokio::task::yield_now().await;
    }
    job.cancel();
    assert_eq!(failure(&job).await.kind(), ErrorKind::Cancelled);
    let report = job.report().unwrap();
    assert!(report.records.unfinished > 0);
    assert_eq!(report.records.unaccounted, 0);
}
