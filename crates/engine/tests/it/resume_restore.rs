//! Restores that are stopped and go on: everything is there afterwards, and each record is counted once.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use asbackup::{
    BatchLimits, ByteSize, EntryClass, Error, ErrorKind, Job, Local, MetadataOrder, Names, Parallelism,
    RecordErrors, Rename, RestoreConfig, RestoreReport, Start, StateConfig, StatePlace, StateRule, Writes,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use tempfile::TempDir;

use crate::setup::{
    NAMESPACE, assert_same, backup_config, client, loaded_server, restore_config, restored_sum, server,
};

pub(crate) const RECORDS: u64 = 6_000;
pub(crate) const STATE: &str = "asbackup.restore.state.json";

/// A server and its backup in several files.
async fn backed_up() -> (TestServer, TempDir) {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.file_limit = Some(ByteSize(1 << 20));
    client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    (from, directory)
}

/// One batch at a time, so that the batches that came are those in front.
pub(crate) fn one_by_one() -> RestoreConfig {
    let mut config = restore_config();
    let limits = BatchLimits { in_flight: 1.try_into().unwrap(), ..BatchLimits::default() };
    config.writes = Writes::Batches(limits);
    config
}

fn state(config: &mut RestoreConfig) -> &mut StateConfig {
    match &mut config.state {
        StateRule::Kept(state) => state,
        StateRule::Off => panic!("the default is to keep one"),
    }
}

pub(crate) fn to_be_continued(mut config: RestoreConfig) -> RestoreConfig {
    state(&mut config).start = Start::Continue;
    config
}

pub(crate) async fn start(into: &TestServer, directory: &Path, config: RestoreConfig) -> Job<RestoreReport> {
    client(into).await.restore(config, Local::directory(directory))
}

pub(crate) async fn fails(into: &TestServer, directory: &Path, config: RestoreConfig) -> Error {
    start(into, directory, config).await.wait().await.unwrap_err()
}

/// What a restore did that went on, and how many records it read itself.
pub(crate) struct WentOn {
    pub(crate) report: RestoreReport,
    pub(crate) read_again: u64,
}

/// Goes on with a restore and checks that all of the backup is there and counted.
pub(crate) async fn goes_on(
    from: &TestServer,
    into: &TestServer,
    directory: &Path,
    config: RestoreConfig,
) -> WentOn {
    into.faults().clear();
    let job = start(into, directory, to_be_continued(config)).await;
    let report = job.wait().await.unwrap();
    assert_same(from, into, NAMESPACE);
    assert_eq!((report.records.read, restored_sum(&report)), (RECORDS, RECORDS), "{:?}", report.records);
    assert_eq!(report.records.unaccounted, 0);
    assert_eq!(report.state_file, None);
    assert!(!directory.join(STATE).exists());
    WentOn { report: (*report).clone(), read_again: job.progress().records_read }
}

/// From this batch on, the server is full.
pub(crate) fn full_from(into: &TestServer, batch: u64) {
    let full = FaultAction::ErrorCode(ResultCode::OUT_OF_SPACE);
    into.faults().add(Fault::new(Command::Batch, full).nth(batch).times(u64::MAX));
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_that_failed_goes_on_where_its_rows_were_answered() {
    let (from, directory) = backed_up().await;
    for batch in [1, 2, 7, 15, 23, 31, 39, 46] {
        let into = server();
        full_from(&into, batch);
        let job = start(&into, directory.path(), one_by_one()).await;
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Write, "{batch}");
        let failed = job.report().unwrap();
        assert_eq!(failed.state_file.as_deref(), directory.path().join(STATE).to_str());
        let WentOn { report, read_again } = goes_on(&from, &into, directory.path(), one_by_one()).await;
        // Rows that were written, but lie in a block that wasn't done: one block has fewer than 1,000.
        let left = RECORDS - (batch - 1) * 128;
        assert!((left..left + 1_000).contains(&read_again), "{batch}: {read_again} of {left}");
        assert_eq!(report.records.inserted + report.records.fresher, RECORDS);
        assert_eq!((report.indexes.read, report.udfs.read), (6, 2), "metadata is restored once");
        assert_eq!((report.indexes.created, report.indexes.same), (6, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_goes_on_after_a_crash_at_any_state() {
    let (from, directory) = backed_up().await;
    let path = directory.path().join(STATE);
    for batch in [10, 30, 47] {
        for pick in [0, 1, 2] {
            let into = server();
            full_from(&into, batch);
            let mut config = one_by_one();
            state(&mut config).period = Duration::from_millis(1);
            let mut job = Box::pin(async { fails(&into, directory.path(), config).await });
            let mut states: Vec<Vec<u8>> = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    _ = &mut job => break,
                    () = tokio::task::yield_now() => {}
                }
                match fs::read(&path) {
                    Ok(state) if states.last() != Some(&state) => states.push(state),
                    _ => {}
                }
            }
            // Whichever state a crash leaves, the rows that it vouches for were there.
            states.push(fs::read(&path).unwrap());
            fs::write(&path, &states[(states.len() - 1) * pick / 2]).unwrap();
            goes_on(&from, &into, directory.path(), one_by_one()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_can_be_stopped_again_and_again() {
    let (from, directory) = backed_up().await;
    let into = server();
    let mut runs = 0;
    let report = loop {
        into.faults().clear();
        full_from(&into, 12);
        let mut config = to_be_continued(one_by_one());
        config.readers = Parallelism::new(2).unwrap();
        let job = start(&into, directory.path(), config).await;
        runs += 1;
        match job.wait().await {
            Ok(report) => break report,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Write),
        }
        assert!(runs < 100, "{:?}", job.report().unwrap().records);
    };
    assert!(runs > 2, "{runs}");
    assert_same(&from, &into, NAMESPACE);
    assert_eq!((report.records.read, restored_sum(&report)), (RECORDS, RECORDS));
    assert_eq!(report.records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_restore_goes_on() {
    let (from, directory) = backed_up().await;
    for done in [1, 1_500, 4_000] {
        let into = server();
        let job = start(&into, directory.path(), one_by_one()).await;
        while job.progress().records_done < done {
            tokio::task::yield_now().await;
        }
        job.cancel();
        match job.wait().await {
            Ok(_) => assert!(!directory.path().join(STATE).exists(), "it was over already"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                assert!(job.report().unwrap().state_file.is_some());
                goes_on(&from, &into, directory.path(), one_by_one()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_cluster_leaves_a_state_that_goes_on_with_another_one() {
    let (from, directory) = backed_up().await;
    let into = server();
    into.faults().add(Fault::new(Command::Batch, FaultAction::Refuse).nth(20).times(u64::MAX));
    let mut config = one_by_one();
    config.retry.max_retries = 1;
    fails(&into, directory.path(), config).await;
    goes_on(&from, &into, directory.path(), one_by_one()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_is_counted_over_all_runs() {
    let (_from, directory) = backed_up().await;
    let into = server();
    let mut config = one_by_one();
    config.record_errors = RecordErrors::Ignore;
    config.sets = Names::new(["users", "orders"]).ok();
    let refuse = FaultAction::FailRows { rows: 3, code: ResultCode::RECORD_TOO_BIG };
    into.faults().add(Fault::new(Command::Batch, refuse).nth(2));
    full_from(&into, 20);
    fails(&into, directory.path(), config.clone()).await;
    into.faults().clear();
    let report = start(&into, directory.path(), to_be_continued(config)).await.wait().await.unwrap();
    assert_eq!((report.records.read, restored_sum(&report)), (RECORDS, RECORDS));
    assert_eq!(report.records.ignored, [("record_too_big", 3)].into());
    assert!(report.records.skipped["set"] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_behind_the_records_is_restored_once_too() {
    let (from, directory) = backed_up().await;
    let into = server();
    full_from(&into, 10);
    let mut config = one_by_one();
    config.metadata = MetadataOrder::Last;
    fails(&into, directory.path(), config.clone()).await;
    assert!(into.store().indexes(NAMESPACE).is_empty());
    let WentOn { report, .. } = goes_on(&from, &into, directory.path(), config).await;
    assert_eq!((report.indexes.read, report.indexes.created), (6, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_options_are_refused_by_name() {
    let (_from, directory) = backed_up().await;
    let into = server();
    full_from(&into, 5);
    fails(&into, directory.path(), one_by_one()).await;
    let before = fs::read(directory.path().join(STATE)).unwrap();
    let refused = async |change: fn(&mut RestoreConfig), what: &str| {
        let mut config = to_be_continued(one_by_one());
        change(&mut config);
        let error = fails(&into, directory.path(), config).await;
        assert_eq!(error.kind(), ErrorKind::State);
        assert_eq!(error.to_string(), format!("the interrupted restore had another option {what}"));
    };
    let no_udfs = "no_udfs: false, and this one has true";
    refused(|config| config.left_out = [EntryClass::UdfModules].into(), no_udfs).await;
    let extra_ttl = "extra_ttl: 0, and this one has 9";
    refused(|config| config.extra_ttl = Duration::from_secs(9), extra_ttl).await;
    let rename = Rename { from: NAMESPACE.to_owned(), to: NAMESPACE.to_owned() };
    let mut config = to_be_continued(one_by_one());
    config.rename = Some(rename);
    assert_eq!(fails(&into, directory.path(), config).await.kind(), ErrorKind::State);
    assert_eq!(fs::read(directory.path().join(STATE)).unwrap(), before, "the state stays as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_changed_is_refused() {
    let (from, directory) = backed_up().await;
    // Without a manifest, only the state knows what was there.
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let into = server();
    full_from(&into, 40);
    fails(&into, directory.path(), one_by_one()).await;
    let last = data_names(directory.path()).pop().unwrap();
    let text = fs::read(&last).unwrap();
    fs::write(&last, &text[..text.len() - 1]).unwrap();
    let error = fails(&into, directory.path(), to_be_continued(one_by_one())).await;
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("bytes now, and had"), "{error}");
    fs::write(&last, &text).unwrap();
    goes_on(&from, &into, directory.path(), one_by_one()).await;
}

fn data_names(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "asb"));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_cannot_be_believed_is_refused() {
    let (_from, directory) = backed_up().await;
    let into = server();
    full_from(&into, 20);
    fails(&into, directory.path(), one_by_one()).await;
    let path = directory.path().join(STATE);
    let text = fs::read_to_string(&path).unwrap();
    for (changed, kind) in [
        (text.replace("\"resumes\": 0", "\"resumes\": 1"), ErrorKind::Integrity),
        (text.replace("\"version\": 1", "\"version\": 2"), ErrorKind::State),
        ("\u{1}gob".to_owned(), ErrorKind::State),
    ] {
        fs::write(&path, changed).unwrap();
        let error = fails(&into, directory.path(), to_be_continued(one_by_one())).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.hint().unwrap().contains("--continue"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_a_restore_begins_anew_and_warns() {
    let (from, directory) = backed_up().await;
    let into = server();
    full_from(&into, 20);
    fails(&into, directory.path(), one_by_one()).await;
    into.faults().clear();
    let report = start(&into, directory.path(), one_by_one()).await.wait().await.unwrap();
    assert_same(&from, &into, NAMESPACE);
    assert!(report.warnings[0].contains("--continue"), "{:?}", report.warnings);
    // There is none any more, so this one begins at the beginning too.
    assert_eq!(goes_on(&from, &into, directory.path(), one_by_one()).await.read_again, RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_restore_of_a_directory_is_refused_while_one_runs() {
    let (from, directory) = backed_up().await;
    let into = server();
    into.faults().add(Fault::new(Command::Batch, FaultAction::HoldAfter(0)).nth(2));
    let first = start(&into, directory.path(), one_by_one()).await;
    while into.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    let error = fails(&into, directory.path(), restore_config()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = server();
    let mut config = restore_config();
    state(&mut config).place = StatePlace::Directory(elsewhere.path().to_owned());
    start(&other, directory.path(), config).await.wait().await.unwrap();
    let mut config = restore_config();
    config.state = StateRule::Off;
    start(&other, directory.path(), config).await.wait().await.unwrap();
    into.faults().release();
    first.wait().await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_lies_where_it_is_told_to() {
    let (from, directory) = backed_up().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let into = server();
    full_from(&into, 30);
    let mut config = one_by_one();
    state(&mut config).place = StatePlace::Directory(elsewhere.path().join("states"));
    state(&mut config).name = "mine.json".to_owned();
    let job = start(&into, directory.path(), config.clone()).await;
    job.wait().await.unwrap_err();
    let path = elsewhere.path().join("states/mine.json");
    assert_eq!(job.report().unwrap().state_file.as_deref(), path.to_str());
    assert!(path.exists() && !directory.path().join(STATE).exists());
    goes_on(&from, &into, directory.path(), config).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_without_a_place_for_its_state_says_so() {
    let (from, directory) = backed_up().await;
    fs::create_dir(directory.path().join(format!("{STATE}.part"))).unwrap();
    let into = server();
    let report = start(&into, directory.path(), one_by_one()).await.wait().await.unwrap();
    assert!(report.warnings[0].starts_with("no state is kept"), "{:?}", report.warnings);
    assert_same(&from, &into, NAMESPACE);
    let error = fails(&into, directory.path(), to_be_continued(one_by_one())).await;
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_file_has_no_state() {
    let (_from, directory) = backed_up().await;
    let file = Local::file(data_names(directory.path()).remove(0));
    let into = server();
    let restore = async |config| client(&into).await.restore(config, file.clone()).wait().await;
    assert_eq!(restore(to_be_continued(one_by_one())).await.unwrap_err().kind(), ErrorKind::Config);
    let mut config = one_by_one();
    state(&mut config).name = "a/b".to_owned();
    assert_eq!(restore(config).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(restore(one_by_one()).await.unwrap().state_file, None);
}
