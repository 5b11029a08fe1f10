//! Backups that end before their time, wherever that is: the run that goes on with one makes the whole of it, with
//! every record once.

use std::{fs, num::NonZeroU64, path::Path, sync::Arc, time::Duration};

use asbackup::{
    BackupConfig, BackupReport, ByteSize, Checkpoint, Completeness, Encryption, Error, ErrorKind,
    ExistingFiles, FindingKind, Local, Parallelism, PartitionList, Scope, Spelling, ValidateConfig,
};
use asbackup_codec::wire::ResultCode;
use asbackup_demo::sample;
use asbackup_model::PartitionId;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    moments::{copies, copy, watch},
    setup::{
        NAMESPACE, assert_same, back_up, backup_config, client, files, loaded_server, now, restore_config,
        server,
    },
};

pub(crate) const RECORDS: u64 = 5_000;
pub(crate) const STATE: &str = "asbackup.state.json";

/// Saves after each block.
pub(crate) fn config(streams: usize, file_limit: Option<u64>) -> BackupConfig {
    let mut config = backup_config();
    config.readers = Parallelism::new(streams).unwrap();
    config.writers = config.readers;
    config.file_limit = file_limit.map(ByteSize);
    config.checkpoint = Checkpoint::Every(Duration::ZERO);
    config
}

pub(crate) fn continued(mut config: BackupConfig) -> BackupConfig {
    config.existing = ExistingFiles::Continue;
    config
}

async fn run(from: &TestServer, config: BackupConfig, directory: &Path) -> Result<Arc<BackupReport>, Error> {
    client(from).await.backup(config, Local::directory(directory)).wait().await
}

/// Backs up, and returns what would have been left at each moment.
pub(crate) async fn killed_everywhere(
    from: &TestServer,
    mut config: BackupConfig,
    directory: &Path,
) -> Vec<TempDir> {
    // Slow enough that a block is saved before the next one comes; else their saves become one.
    config.limits.bandwidth = Some(ByteSize(6_000_000));
    watch(directory);
    run(from, config, directory).await.unwrap();
    let copies = copies(directory);
    assert!(copies.len() > 8, "{}", copies.len());
    copies
}

/// Checks that a directory holds each record of a server once, and nothing but a whole backup.
pub(crate) async fn assert_whole(from: &TestServer, directory: &Path) {
    assert_whole_with(from, None, directory).await;
}

/// The same of a backup that is encrypted like this.
async fn assert_whole_with(from: &TestServer, encryption: Option<&Encryption>, directory: &Path) {
    let mut validation = ValidateConfig::new();
    validation.encryption = encryption.cloned();
    let report = asbackup::validate(validation, Local::directory(directory)).wait().await.unwrap();
    assert_eq!(report.source.completeness, Completeness::Checked, "{:?}", report.findings);
    assert_eq!((report.findings.len(), report.records.read), (0, from.store().record_count(NAMESPACE)));
    let into = server();
    let mut restore = restore_config();
    restore.encryption = encryption.cloned();
    client(&into).await.restore(restore, Local::directory(directory)).wait().await.unwrap();
    assert_same(from, &into, NAMESPACE);
    let others: Vec<_> = files(directory)
        .into_keys()
        .filter(|name| !name.ends_with(".asb") && name != "asbackup.manifest.json")
        .collect();
    assert_eq!(others, Vec::<String>::new());
}

/// Goes on with what is in a directory, and checks that it is whole then.
pub(crate) async fn resume(from: &TestServer, config: BackupConfig, directory: &Path) -> Arc<BackupReport> {
    let encryption = config.envelope.encryption.clone();
    let report = run(from, continued(config), directory).await.unwrap();
    let records = &report.records;
    let all = from.store().record_count(NAMESPACE);
    assert_eq!((records.read, records.written, records.unaccounted), (all, all, 0));
    assert_eq!((report.indexes.read, report.indexes.written), (6, 6));
    assert_eq!((report.udfs.read, report.udfs.written), (2, 2));
    let files = files(directory);
    let data = files.iter().filter(|(name, _)| name.ends_with(".asb"));
    let stored: usize = data.clone().map(|(_, text)| text.len()).sum();
    assert_eq!((report.target.place.files, report.bytes.stored), (data.count() as u64, stored as u64));
    assert_whole_with(from, encryption.as_ref(), directory).await;
    report
}

pub(crate) fn state(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join(STATE)).unwrap()).unwrap()
}

/// Returns name and durable bytes of the files that the state says are open.
pub(crate) fn open_files(directory: &Path) -> Vec<(String, u64)> {
    let state = state(directory);
    let open = state["files"].as_array().unwrap().iter().filter(|file| file["state"] == "open");
    let pair =
        |file: &Value| (file["name"].as_str().unwrap().to_owned(), file["durable_bytes"].as_u64().unwrap());
    open.map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_that_is_killed_anywhere_is_gone_on_with() {
    let from = loaded_server(RECORDS);
    for (streams, file_limit) in [(1, None), (3, None), (2, Some(300_000)), (3, Some(1))] {
        let directory = tempfile::tempdir().unwrap();
        for left in killed_everywhere(&from, config(streams, file_limit), directory.path()).await {
            resume(&from, config(streams, file_limit), left.path()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_parallelism_deals_the_rest_anew() {
    let from = loaded_server(RECORDS);
    for (before, after) in [(3, 1), (2, 7)] {
        let directory = tempfile::tempdir().unwrap();
        for left in killed_everywhere(&from, config(before, None), directory.path()).await {
            resume(&from, config(after, None), left.path()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_may_have_other_owners_when_a_run_goes_on() {
    let from = TestServer::builder().namespace(NAMESPACE).nodes(3).start().unwrap();
    sample::load_records(from.store(), NAMESPACE, RECORDS, now());
    sample::load_metadata(from.store(), NAMESPACE);
    let directory = tempfile::tempdir().unwrap();
    let copies = killed_everywhere(&from, config(3, None), directory.path()).await;
    let moved: Vec<PartitionId> = PartitionId::all().step_by(2).collect();
    from.move_partitions(&moved, 0);
    for left in copies {
        resume(&from, config(4, None), left.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_goes_on_may_be_killed_too() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    for left in killed_everywhere(&from, config(2, Some(500_000)), directory.path()).await.iter().step_by(3) {
        watch(left.path());
        resume(&from, config(2, Some(500_000)), left.path()).await;
        for again in copies(left.path()) {
            resume(&from, config(3, None), again.path()).await;
        }
    }
}

/// Changes what lies behind the durable bytes of each open file.
pub(crate) fn tear(directory: &Path, random: &mut fastrand::Rng) {
    for (name, durable) in open_files(directory).into_iter().filter(|(_, durable)| *durable > 0) {
        let part = directory.join(format!("{name}.part"));
        let Ok(mut text) = fs::read(&part) else { continue };
        assert!(text.len() as u64 >= durable, "{name}");
        text.truncate(random.usize(usize::try_from(durable).unwrap()..=text.len()));
        text.extend((0..random.usize(..1000)).map(|_| random.u8(..)));
        fs::write(&part, text).unwrap();
        // Or killed when the file had its name, but not yet in the state.
        if random.bool() {
            fs::rename(&part, directory.join(&name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_the_last_durable_byte_does_not_matter() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for left in killed_everywhere(&from, config(2, Some(500_000)), directory.path()).await {
        tear(left.path(), &mut random);
        resume(&from, config(2, Some(500_000)), left.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_backup_that_is_killed_leaves_the_old_one_whole_and_is_gone_on_with() {
    let (old, from) = (loaded_server(500), loaded_server(RECORDS));
    let directory = tempfile::tempdir().unwrap();
    back_up(&old, directory.path()).await;
    let mut replacing = config(2, Some(500_000));
    replacing.existing = ExistingFiles::Replace;
    let copies = killed_everywhere(&from, replacing.clone(), directory.path()).await;
    assert_whole(&from, directory.path()).await;
    let (last, before) = copies.split_last().unwrap();
    for left in before {
        let into = server();
        let restored = client(&into).await.restore(restore_config(), Local::directory(left.path()));
        assert_eq!(restored.wait().await.unwrap().source.completeness, Completeness::Checked);
        assert_same(&old, &into, NAMESPACE);
        // Once more from the start, and the rest of the run that was killed.
        let again = copy(left.path());
        run(&from, replacing.clone(), again.path()).await.unwrap();
        assert_whole(&from, again.path()).await;
        resume(&from, config(2, Some(500_000)), left.path()).await;
    }
    let report = resume(&from, config(2, Some(500_000)), last.path()).await;
    assert_eq!(report.warnings, ["the backup is complete already: nothing was done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_another_tool_is_whole_beside_an_unfinished_one_that_is_to_replace_it() {
    let (old, from) = (loaded_server(500), loaded_server(RECORDS));
    let directory = tempfile::tempdir().unwrap();
    back_up(&old, directory.path()).await;
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let mut replacing = config(2, Some(500_000));
    replacing.existing = ExistingFiles::Replace;
    let copies = killed_everywhere(&from, replacing, directory.path()).await;
    let unfinished = |left: &&TempDir| !files(left.path()).contains_key("asbackup.manifest.json");
    let mut partial = 0;
    for left in copies.iter().filter(unfinished) {
        let into = server();
        let restored = client(&into).await.restore(restore_config(), Local::directory(left.path()));
        let report = restored.wait().await.unwrap();
        assert_eq!(report.source.completeness, Completeness::Unchecked);
        assert_same(&old, &into, NAMESPACE);
        let files = files(left.path());
        let new = files.keys().filter(|name| name.ends_with(".asb")).count() - 2;
        assert_eq!(report.warnings.len(), new, "{:?}", report.warnings);
        partial += new;
    }
    assert!(partial > 0, "files of the new one were there");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_backup_that_is_killed_while_it_drops_an_unfinished_one_is_gone_on_with() {
    let from = loaded_server(RECORDS);
    let dir = killed(&from).await;
    let dropped: Vec<String> = files(dir.path()).into_keys().filter(|name| name != STATE).collect();
    let mut replacing = config(2, None);
    replacing.existing = ExistingFiles::Replace;
    watch(dir.path());
    run(&from, replacing.clone(), dir.path()).await.unwrap();
    let moments = copies(dir.path());
    assert!(dropped.len() > 1 && dropped.iter().all(|name| moments[0].path().join(name).exists()));
    // Whichever of the files are gone when it is killed.
    for gone in [0, 1, dropped.len()] {
        let killed = copy(moments[0].path());
        dropped[..gone].iter().for_each(|name| fs::remove_file(killed.path().join(name)).unwrap());
        let again = copy(killed.path());
        resume(&from, config(2, None), killed.path()).await;
        run(&from, replacing.clone(), again.path()).await.unwrap();
        assert_whole(&from, again.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_that_is_killed_while_it_saves_its_first_state_is_gone_on_with() {
    let (from, dir) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    fs::write(dir.path().join(format!("{STATE}.part")), "{").unwrap();
    resume(&from, config(2, None), dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_cluster_leaves_what_can_be_gone_on_with() {
    let from = loaded_server(RECORDS);
    for records in [800_000, 1_200_000] {
        let directory = tempfile::tempdir().unwrap();
        let cut = FaultAction::CutAfter(records);
        from.faults().add(Fault::new(Command::Query, cut));
        from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
        let mut failing = config(1, None);
        failing.checkpoint = Checkpoint::Every(Duration::from_secs(3600));
        failing.retry.max_retries = 1;
        let job = client(&from).await.backup(failing, Local::directory(directory.path()));
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Scan);
        let report = job.report().unwrap();
        assert_eq!(report.state_file.as_deref(), directory.path().join(STATE).to_str());
        assert_eq!((report.target.manifest.as_deref(), report.records.unaccounted), (None, 0));
        let saved = state(directory.path());
        assert_eq!(saved["counts"]["records_written"], report.records.written);
        assert!(report.records.written > 0, "{:?}", report.records);
        from.faults().clear();
        let report = resume(&from, config(1, None), directory.path()).await;
        assert_eq!(report.state_file, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_backup_is_gone_on_with() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(1_000_000)));
    let mut patient = config(1, None);
    patient.checkpoint = Checkpoint::Every(Duration::from_secs(3600));
    let job = client(&from).await.backup(patient, Local::directory(directory.path()));
    while from.faults().held() == 0 || job.progress().bytes_stored < 500_000 {
        tokio::task::yield_now().await;
    }
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(job.report().unwrap().records.written > 0);
    assert!(files(directory.path()).contains_key("0_test_2.asb.part"));
    from.faults().clear();
    let report = resume(&from, config(1, None), directory.path()).await;
    assert!(report.records.read == RECORDS && !files(directory.path()).contains_key(STATE));
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_before_the_first_record_leaves_nothing() {
    let from = loaded_server(10);
    let refused = FaultAction::ErrorCode(ResultCode::PARAMETER);
    from.faults().add(Fault::new(Command::Query, refused).times(u64::MAX));
    let directory = tempfile::tempdir().unwrap();
    let job = client(&from).await.backup(config(1, None), Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Scan);
    assert_eq!(job.report().unwrap().state_file, None);
    assert!(files(directory.path()).is_empty());
}

/// Returns what is left of a backup that was killed in the middle.
async fn killed(from: &TestServer) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let copies = killed_everywhere(from, config(2, Some(500_000)), directory.path()).await;
    let with_open = |copy: &TempDir| open_files(copy.path()).iter().any(|(_, durable)| *durable > 0);
    let middle = copies.len() / 2;
    copies.into_iter().skip(middle).find(with_open).expect("a file is saved while it is written")
}

/// Checks that a run is refused and changes nothing; returns the message and the hint.
pub(crate) async fn refused(
    from: &TestServer,
    config: BackupConfig,
    directory: &Path,
    kind: ErrorKind,
) -> (String, String) {
    let before = files(directory);
    let error = run(from, config, directory).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(files(directory) == before, "{error:?}");
    let message = error.to_string().replace(&directory.display().to_string(), "<directory>");
    (message, error.hint().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_backup_is_refused_unless_it_is_gone_on_with_or_replaced() {
    let from = loaded_server(RECORDS);
    let left = killed(&from).await;
    assert_eq!(
        refused(&from, config(1, None), left.path(), ErrorKind::State).await,
        (
            "the target <directory> isn't empty: it holds an unfinished backup".to_owned(),
            "go on with it with --continue, or replace it with --remove-files".to_owned()
        )
    );
    let mut replacing = config(1, None);
    replacing.existing = ExistingFiles::Replace;
    run(&from, replacing, left.path()).await.unwrap();
    assert_whole(&from, left.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_backup_is_not_restored_as_if_it_were_whole() {
    let from = loaded_server(RECORDS);
    let left = killed(&from).await;
    assert!(files(left.path()).keys().any(|name| name.ends_with(".asb")));
    let state = files(left.path())[STATE].clone();
    // What is damaged says no less that it isn't finished.
    for state in [&state[..], &state[1..]] {
        fs::write(left.path().join(STATE), state).unwrap();
        let into = server();
        for source in [
            Local::directory(left.path()),
            Local::directories([left.path().to_owned()]),
            Local::tree(left.path()),
        ] {
            let error = client(&into).await.restore(restore_config(), source).wait().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity);
            assert!(error.to_string().contains("holds an unfinished backup"), "{error}");
            assert!(error.hint().unwrap().contains("asbackup --continue"), "{error:?}");
        }
        assert_eq!(into.store().record_count(NAMESPACE), 0);
        let local = || Local::directory(left.path());
        let validated = asbackup::validate(ValidateConfig::new(), local()).wait().await.unwrap();
        let inspected = asbackup::inspect(local()).wait().await.unwrap();
        for findings in [&validated.findings, &inspected.inspected.findings] {
            let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
            assert_eq!(kinds, [FindingKind::Unfinished]);
        }
    }
    // Nor is it finished if its state is gone, but not a file that isn't complete.
    fs::remove_file(left.path().join(STATE)).unwrap();
    fs::write(left.path().join("0_test_99.asb.part"), "").unwrap();
    let validated = asbackup::validate(ValidateConfig::new(), Local::directory(left.path()));
    let [finding] = &validated.wait().await.unwrap().findings[..] else { panic!("one finding") };
    assert_eq!((finding.kind, finding.file.ends_with(".asb.part")), (FindingKind::Unfinished, true));

    // Whoever wants what there is says so.
    for name in files(left.path()).into_keys().filter(|name| name.ends_with(".part")) {
        fs::remove_file(left.path().join(name)).unwrap();
    }
    let into = server();
    let restored = client(&into).await.restore(restore_config(), Local::directory(left.path()));
    assert_eq!(restored.wait().await.unwrap().source.completeness, Completeness::Unchecked);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_an_older_tool_is_a_warning() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    // It may lie there although the backup was gone on with to its end, so that it isn't refused.
    fs::write(directory.path().join("test.asb.state"), "").unwrap();
    let warnings = async |source: Local| {
        let into = server();
        let job = client(&into).await.restore(restore_config(), source);
        job.wait().await.unwrap().warnings.clone()
    };
    let sources = [Local::directory(directory.path()), Local::tree(directory.path())];
    for source in &sources {
        assert_eq!(warnings(source.clone()).await, [""; 0], "a manifest says that it is whole");
    }
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let expected =
        "test.asb.state looks like the state of a backup that was interrupted: records may be missing";
    for source in sources {
        assert_eq!(warnings(source).await, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_that_has_just_begun_is_not_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let (whole, begun) = (root.path().join("whole"), root.path().join("begun"));
    back_up(&loaded_server(10), &whole).await;
    fs::create_dir(&begun).unwrap();
    let into = server();
    for name in [STATE, "0_test_1.asb.part", "asbackup.share.1-of-2.lock", "asbackup.state.1-of-2.json"] {
        fs::write(begun.join(name), "").unwrap();
        for source in [Local::directory(&begun), Local::tree(root.path())] {
            let error = client(&into).await.restore(restore_config(), source).wait().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{name}: {error}");
        }
        fs::remove_file(begun.join(name)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_options_are_refused_by_name() {
    let from = loaded_server(RECORDS);
    let left = killed(&from).await;
    let mut compact = continued(config(1, None));
    compact.spelling = Spelling::Compact;
    assert_eq!(
        refused(&from, compact, left.path(), ErrorKind::State).await,
        (
            "the unfinished backup has the option compact = false, but this run has true".to_owned(),
            "give the options that the backup was begun with, or start anew in an empty directory".to_owned()
        )
    );
    resume(&from, config(1, None), left.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_without_a_state_needs_nothing_or_the_whole_backup() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    resume(&from, config(1, None), directory.path()).await;
    let before = files(directory.path());
    let report = run(&from, continued(config(3, Some(1))), directory.path()).await.unwrap();
    assert_eq!(
        (report.records.written, report.target.manifest.as_deref()),
        (RECORDS, Some("asbackup.manifest.json"))
    );
    assert!(files(directory.path()) == before);

    let mut compact = continued(config(1, None));
    compact.spelling = Spelling::Compact;
    let (message, _) = refused(&from, compact, directory.path(), ErrorKind::Config).await;
    assert_eq!(message, "<directory> holds a complete backup with other options");
    fs::remove_file(directory.path().join("0_test_2.asb")).unwrap();
    refused(&from, continued(config(1, None)), directory.path(), ErrorKind::Integrity).await;
    fs::remove_file(directory.path().join("asbackup.manifest.json")).unwrap();
    let (message, hint) =
        refused(&from, continued(config(1, None)), directory.path(), ErrorKind::State).await;
    assert_eq!(
        message,
        "<directory> has no asbackup.state.json, so there is no run to go on with, and it isn't empty"
    );
    assert!(hint.contains("--continue NAME"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_cannot_be_relied_on_are_refused() {
    let from = loaded_server(RECORDS);
    let left = killed(&from).await;
    let path = left.path().join(STATE);
    let text = fs::read_to_string(&path).unwrap();
    let go_on = || continued(config(1, None));

    fs::write(&path, text.replacen("\"resumes\": 0", "\"resumes\": 1", 1)).unwrap();
    let (message, _) = refused(&from, go_on(), left.path(), ErrorKind::Integrity).await;
    assert_eq!(message, "asbackup.state.json can't be relied on");
    fs::write(&path, text.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    let (message, _) = refused(&from, go_on(), left.path(), ErrorKind::State).await;
    assert_eq!(message, "asbackup.state.json isn't a state that this program can go on with");

    fs::write(&path, text).unwrap();
    let (name, durable) = open_files(left.path()).into_iter().find(|(_, durable)| *durable > 0).unwrap();
    let part = left.path().join(format!("{name}.part"));
    fs::write(&part, vec![0; usize::try_from(durable).unwrap() - 1]).unwrap();
    let error = run(&from, go_on(), left.path()).await.unwrap_err();
    assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some(name.as_str())));
    assert!(path.exists(), "it can be replaced, or repaired by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_the_older_tools_are_refused_with_what_to_do() {
    let from = loaded_server(10);
    let states = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/state");
    for (name, text) in files(&states) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(&name), text).unwrap();
        let mut go_on = continued(config(1, None));
        go_on.state_name = Some(name.clone());
        let (message, hint) = refused(&from, go_on, directory.path(), ErrorKind::State).await;
        assert_eq!(
            message,
            format!("{name} isn't a state of this program, but perhaps one of backup-go or the C tools")
        );
        assert_eq!(
            hint,
            "finish that backup with the tool that began it, start anew in an empty directory, or move that file away"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_has_one_job_at_a_time() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(1_000_000)));
    let first = client(&from).await.backup(config(1, None), Local::directory(directory.path()));
    while from.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    for existing in [ExistingFiles::Refuse, ExistingFiles::Replace, ExistingFiles::Continue] {
        let mut second = config(1, None);
        second.existing = existing;
        let error = run(&from, second, directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with("another job is working in "), "{error}");
    }
    from.faults().release();
    first.wait().await.unwrap();
    assert_whole(&from, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_may_have_another_name_and_lie_elsewhere() {
    let from = loaded_server(RECORDS);
    let (directory, states) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(1_000_000)));
    from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
    let mut elsewhere = config(1, None);
    elsewhere.retry.max_retries = 0;
    elsewhere.state_name = Some("nightly.json".to_owned());
    elsewhere.state_directory = Some(states.path().join("below"));
    let job = client(&from).await.backup(elsewhere.clone(), Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Scan);
    let path = states.path().join("below/nightly.json");
    assert_eq!(job.report().unwrap().state_file.as_deref(), path.to_str());
    assert!(path.exists() && !directory.path().join(STATE).exists());
    from.faults().clear();
    resume(&from, elsewhere, directory.path()).await;
    assert!(!path.exists());
}

/// Runs a backup that is cancelled when its state says that records are durable.
async fn interrupted(from: &TestServer, config: &BackupConfig, (directory, state): (&Path, &Path)) {
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(600_000)));
    let job = client(from).await.backup(config.clone(), Local::directory(directory));
    let has_records = || {
        let state: Value = serde_json::from_slice(&fs::read(state).ok()?).ok()?;
        state["counts"]["records_written"].as_u64().filter(|records| *records > 0)
    };
    while has_records().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    from.faults().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_another_directory_is_left_alone_and_so_is_what_is_there() {
    let from = loaded_server(RECORDS);
    for shard in [None, Some("1/2".parse().unwrap())] {
        let [data, states, whole, empty] = [(); 4].map(|()| tempfile::tempdir().unwrap());
        back_up(&from, whole.path()).await;
        let mut elsewhere = config(1, None);
        elsewhere.state_directory = Some(states.path().to_owned());
        elsewhere.shard = shard;
        let name = shard.map_or_else(|| STATE.to_owned(), |_| "asbackup.state.1-of-2.json".to_owned());
        interrupted(&from, &elsewhere, (data.path(), &states.path().join(name))).await;
        let state = files(states.path());
        assert_eq!(state.len(), 1);
        let targets = if shard.is_none() { vec![&whole, &empty] } else { vec![&empty] };
        for other in targets {
            for existing in [ExistingFiles::Continue, ExistingFiles::Refuse, ExistingFiles::Replace] {
                if shard.is_some() && existing == ExistingFiles::Replace {
                    continue;
                }
                let mut config = elsewhere.clone();
                config.existing = existing;
                let (message, _) = refused(&from, config, other.path(), ErrorKind::State).await;
                assert!(message.contains("isn't the state of what is in"), "{existing:?}: {message}");
                assert!(files(states.path()) == state);
            }
        }
        let report = run(&from, continued(elsewhere), data.path()).await.unwrap();
        assert!(report.records.written > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_backup_that_another_one_has_replaced_is_not_gone_on_with() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let mut named = config(1, None);
    named.state_name = Some("mine.json".to_owned());
    interrupted(&from, &named, (directory.path(), &directory.path().join("mine.json"))).await;
    let mut replacing = config(1, None);
    replacing.existing = ExistingFiles::Replace;
    run(&from, replacing, directory.path()).await.unwrap();
    let (message, _) = refused(&from, continued(named), directory.path(), ErrorKind::State).await;
    assert!(message.contains("mine.json isn't the state of what is in"), "{message}");
    fs::remove_file(directory.path().join("mine.json")).unwrap();
    assert_whole(&from, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_has_the_name_of_a_state_but_is_none_stays() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    for text in ["buy milk", "{\"buy\": \"milk\"}"] {
        fs::write(directory.path().join("notes.json"), text).unwrap();
        for existing in [ExistingFiles::Continue, ExistingFiles::Refuse, ExistingFiles::Replace] {
            let mut config = config(1, None);
            config.state_name = Some("notes.json".to_owned());
            config.existing = existing;
            let (message, hint) = refused(&from, config, directory.path(), ErrorKind::State).await;
            assert!(message.starts_with("notes.json isn't a state of"), "{message}");
            assert!(hint.contains("move that file away"), "{hint}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_modes_that_cannot_work_are_refused() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    for name in ["", "..", "a/b", "a.asb", "a.part", "asbackup.manifest.json", "asbackup.extra.json"] {
        let mut config = config(1, None);
        config.state_name = Some(name.to_owned());
        let (message, _) = refused(&from, config, directory.path(), ErrorKind::Config).await;
        assert_eq!(message, format!("{name:?} can't be the name of a state"));
    }
    let mut stateless = continued(config(1, None));
    stateless.checkpoint = Checkpoint::Off;
    let (message, _) = refused(&from, stateless, directory.path(), ErrorKind::Config).await;
    assert_eq!(message, "a run that keeps no state can't go on with an earlier one");
}

#[tokio::test]
async fn selection_and_bound_hold_over_all_runs() {
    let from = loaded_server(RECORDS);
    let selections: [fn(&mut BackupConfig); 2] = [
        |config| config.max_records = NonZeroU64::new(3_000),
        |config| config.scope = Scope::Partitions("0..999,2000+96".parse::<PartitionList>().unwrap()),
    ];
    for select in selections {
        let mut config = config(1, Some(200_000));
        select(&mut config);
        let whole = tempfile::tempdir().unwrap();
        let expected = run(&from, config.clone(), whole.path()).await.unwrap().records.written;
        let directory = tempfile::tempdir().unwrap();
        watch(directory.path());
        run(&from, config.clone(), directory.path()).await.unwrap();
        for moment in copies(directory.path()) {
            let report = run(&from, continued(config.clone()), moment.path()).await.unwrap();
            assert_eq!((report.records.read, report.records.written), (expected, expected));
            let into = server();
            let local = Local::directory(moment.path());
            let restored = client(&into).await.restore(restore_config(), local).wait().await.unwrap();
            assert_eq!(restored.records.inserted, expected, "each record once");
        }
    }
}
