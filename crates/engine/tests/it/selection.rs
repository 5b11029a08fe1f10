//! What is left out of a backup or of a restore, and how it is counted.

use std::{fs, path::Path, time::Duration};

use asbackup::{EntryClass, ErrorKind, Local, Names, RestoreConfig, RestoreReport};
use asbackup_model::Value;
use asbackup_testserver::TestServer;

use crate::setup::{
    NAMESPACE, back_up, backup_config, client, loaded_server, now, restore_config, restored_sum, server,
};

/// Records of three sets and of none, as text; each has the bins `a` and `b`.
fn sets(directory: &Path) {
    let mut text = "Version 3.1\n# namespace test\n# first-file\n".to_owned();
    for (index, set) in ["+ s one\n", "+ s one\n", "+ s two\n", "+ s three\n", ""].iter().enumerate() {
        let digest = format!("AAECAwQFBgcICQoLDA0ODxAREh{}=", ["A", "E", "I", "M", "Q"][index]);
        text.push_str(&format!("+ n test\n+ d {digest}\n{set}+ g 1\n+ t 0\n+ b 2\n- I a 1\n- S b 1 x\n"));
    }
    text.push_str("* i test demo ix N 1 a N\n* u L f.lua 1 x\n");
    fs::write(directory.join("0_test_1.asb"), text).unwrap();
}

async fn restore(
    into: &TestServer,
    directory: &Path,
    change: impl FnOnce(&mut RestoreConfig),
) -> RestoreReport {
    let mut config = restore_config();
    change(&mut config);
    let job = client(into).await.restore(config, Local::directory(directory));
    let report = job.wait().await.unwrap();
    assert_eq!(report.records.read, restored_sum(&report));
    let indexes = &report.indexes;
    let ends = [indexes.created, indexes.same, indexes.kept, indexes.replaced, indexes.not_restored];
    assert_eq!(indexes.read, ends.iter().sum::<u64>() + indexes.failed);
    assert_eq!(report.udfs.read, report.udfs.created + report.udfs.not_restored + report.udfs.failed);
    report.as_ref().clone()
}

fn names(names: &[&str]) -> Option<Names> {
    Some(Names::new(names.iter().copied()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_records_of_listed_sets_are_restored() {
    let directory = tempfile::tempdir().unwrap();
    sets(directory.path());
    for (list, inserted) in [(&["one"][..], 2), (&["one", "three"], 3), (&["nowhere"], 0)] {
        let into = server();
        let report = restore(&into, directory.path(), |config| config.sets = names(list)).await;
        assert_eq!(report.records.inserted, inserted, "{list:?}");
        assert_eq!(report.records.skipped, [("set", 5 - inserted)].into());
        assert_eq!(report.indexes.created, 1, "a list of sets is about records");
        into.store().for_each_record(NAMESPACE, |record| {
            let set = String::from_utf8(record.set.unwrap().to_vec()).unwrap();
            assert!(list.contains(&set.as_str()), "{set}");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_bins_are_restored() {
    let directory = tempfile::tempdir().unwrap();
    sets(directory.path());
    for (list, bins) in [(&["b"][..], vec!["b"]), (&["a", "c"], vec!["a"]), (&["b", "a"], vec!["a", "b"])] {
        let into = server();
        let report = restore(&into, directory.path(), |config| config.bins = names(list)).await;
        assert_eq!((report.records.inserted, report.records.skipped.len()), (5, 0));
        into.store().for_each_record(NAMESPACE, |record| {
            let stored: Vec<_> = record.bins.iter().map(|bin| bin.name).collect();
            assert_eq!(stored, bins.iter().map(|bin| bin.as_bytes()).collect::<Vec<_>>());
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn record_without_any_listed_bin_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    sets(directory.path());
    let into = server();
    let report = restore(&into, directory.path(), |config| config.bins = names(&["c"])).await;
    assert_eq!(report.records.skipped, [("bins", 5)].into());
    assert_eq!(into.store().record_count(NAMESPACE), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_are_left_out_of_a_restore() {
    let directory = tempfile::tempdir().unwrap();
    sets(directory.path());
    for (class, expected) in [
        (EntryClass::Records, (0, 1, 1)),
        (EntryClass::Indexes, (5, 0, 1)),
        (EntryClass::UdfModules, (5, 1, 0)),
    ] {
        let into = server();
        let report = restore(&into, directory.path(), |config| config.left_out = [class].into()).await;
        let store = into.store();
        let stored =
            (store.record_count(NAMESPACE), store.indexes(NAMESPACE).len() as u64, store.udfs().len() as u64);
        assert_eq!(stored, expected, "{class:?}");
        assert_eq!((report.records.inserted, report.indexes.created, report.udfs.created), expected);
        assert_eq!(report.records.skipped.get("class").copied().unwrap_or(0), 5 - expected.0);
        assert_eq!((report.indexes.not_restored, report.udfs.not_restored), (1 - expected.1, 1 - expected.2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_are_left_out_of_a_backup() {
    let from = loaded_server(100);
    for (class, expected) in [
        (EntryClass::Records, (0, 6, 2)),
        (EntryClass::Indexes, (100, 0, 2)),
        (EntryClass::UdfModules, (100, 6, 0)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = backup_config();
        config.left_out = [class].into();
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!((report.records.written, report.indexes.written, report.udfs.written), expected);
        assert_eq!((report.records.read, report.indexes.read, report.udfs.read), expected, "{class:?}");
        let restored = restore(&server(), directory.path(), |_| {}).await;
        assert_eq!((restored.records.read, restored.indexes.read, restored.udfs.read), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_out_everything_is_refused() {
    let from = loaded_server(1);
    let directory = tempfile::tempdir().unwrap();
    let all = [EntryClass::Records, EntryClass::Indexes, EntryClass::UdfModules];
    let mut config = backup_config();
    config.left_out = all.into();
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Config);
    back_up(&from, directory.path()).await;
    let mut config = restore_config();
    config.left_out = all.into();
    let job = client(&from).await.restore(config, Local::directory(directory.path()));
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("--no-udfs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_time_is_added_to_records_that_expire() {
    let now = now().0;
    for (void_time, extra_s, expected) in [
        (now + 1_000, 500, Some(now + 1_500)),
        (now - 1_000, 2_000, Some(now + 1_000)),
        (now - 1_000, 500, None),
        (0, 500, Some(0)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "Version 3.1\n# namespace test\n+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t {void_time}\n+ b 1\n- I a 1\n"
        );
        fs::write(directory.path().join("0_test_1.asb"), text).unwrap();
        let into = server();
        let extra = |config: &mut RestoreConfig| config.extra_ttl = Duration::from_secs(extra_s);
        let report = restore(&into, directory.path(), extra).await;
        assert_eq!(report.records.expired, u64::from(expected.is_none()));
        assert_eq!(into.store().record_count(NAMESPACE), u64::from(expected.is_some()));
        into.store().for_each_record(NAMESPACE, |record| {
            let apart = record.void_time.0.abs_diff(expected.unwrap());
            assert!(apart <= 1 + u64::from(expected != Some(0)), "{apart} s apart");
            assert!(record.bins.iter().all(|bin| bin.value == Value::Integer(1)));
        });
    }
}
