//! Backups in shares, which become one backup, and restores in shares.

use std::{fs, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, Checkpoint, CompleteConfig, CompleteReport, Completeness, Encryption,
    EncryptionMode, EntryClass, Error, ErrorKind, ExistingFiles, FindingKind, Local, Parallelism,
    RestoreReport, Scope, Shard, Spelling, ValidateConfig, Zstd,
};
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    envelope::encryption,
    moments::{copies, copy, watch},
    resume::{config as saving, continued, tear},
    setup::{
        NAMESPACE, assert_same, back_up, backup_config, client, data_files, files, loaded_server,
        restore_config, server,
    },
};

const RECORDS: u64 = 3_000;
const MANIFEST: &str = "asbackup.manifest.json";

fn of_share(mut config: BackupConfig, shard: &str) -> BackupConfig {
    config.shard = Some(shard.parse().unwrap());
    config
}

fn share(shard: &str) -> BackupConfig {
    let mut config = of_share(backup_config(), shard);
    config.readers = Parallelism::new(2).unwrap();
    config.writers = config.readers;
    config
}

async fn run(from: &TestServer, config: BackupConfig, directory: &Path) -> Result<Arc<BackupReport>, Error> {
    client(from).await.backup(config, Local::directory(directory)).wait().await
}

async fn complete_with(
    encryption: Option<Encryption>,
    directory: &Path,
) -> Result<Arc<CompleteReport>, Error> {
    let mut config = CompleteConfig::new();
    config.encryption = encryption;
    asbackup::complete(config, Local::directory(directory)).wait().await
}

async fn complete(directory: &Path) -> Result<Arc<CompleteReport>, Error> {
    complete_with(None, directory).await
}

async fn restore(
    into: &TestServer,
    shard: Option<&str>,
    directory: &Path,
) -> Result<Arc<RestoreReport>, Error> {
    let mut config = restore_config();
    config.shard = shard.map(|shard| shard.parse().unwrap());
    client(into).await.restore(config, Local::directory(directory)).wait().await
}

/// Returns a directory with these shares of a server.
async fn shares(from: &TestServer, shards: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for shard in shards {
        run(from, share(shard), directory.path()).await.unwrap();
    }
    directory
}

/// Checks that a directory holds a whole backup of a server and nothing else, once its shares are one.
async fn assert_whole(from: &TestServer, encryption: Option<&Encryption>, directory: &Path) {
    let others: Vec<_> = files(directory).into_keys().filter(|name| !name.ends_with(".asb")).collect();
    assert_eq!(others, [MANIFEST]);
    let mut validation = ValidateConfig::new();
    validation.encryption = encryption.cloned();
    let report = asbackup::validate(validation, Local::directory(directory)).wait().await.unwrap();
    assert_eq!(report.source.completeness, Completeness::Checked, "{:?}", report.findings);
    let into = server();
    let mut config = restore_config();
    config.encryption = encryption.cloned();
    client(&into).await.restore(config, Local::directory(directory)).wait().await.unwrap();
    assert_same(from, &into, NAMESPACE);
}

fn manifest(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join(MANIFEST)).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_one_after_another_become_one_backup() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let mut written = 0;
    // In whatever order.
    for (shard, indexes) in [("2/3", 0), ("3/3", 0), ("1/3", 6)] {
        let report = run(&from, share(shard), directory.path()).await.unwrap();
        let name = format!("asbackup.manifest.{}.json", shard.replace('/', "-of-"));
        assert_eq!((report.shard.as_deref(), report.target.manifest.as_ref()), (Some(shard), Some(&name)));
        assert!(directory.path().join(&name).exists());
        assert_eq!((report.indexes.written, report.records.unaccounted), (indexes, 0));
        assert!(report.records.written > 0 && report.records.estimated_total < RECORDS / 2);
        written += report.records.written;
    }
    assert_eq!(written, RECORDS);
    assert!(files(directory.path()).into_keys().all(|name| !name.ends_with(".lock")));
    let report = complete(directory.path()).await.unwrap();
    assert_eq!((report.shares, report.records.written, report.namespace.as_str()), (3, RECORDS, NAMESPACE));
    assert_eq!((report.indexes.written, report.udfs.written), (6, 2));
    assert_eq!(report.target.manifest.as_deref(), Some(MANIFEST));
    assert_eq!(
        (report.target.place.files, report.warnings.len()),
        (data_files(directory.path()).len() as u64, 0)
    );
    assert_whole(&from, None, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_of_the_whole_says_which_shares_it_was_made_of() {
    let directory = shares(&loaded_server(RECORDS), &["1/2", "2/2"]).await;
    let manifests = files(directory.path());
    let of = |name: &str| serde_json::from_slice::<Value>(&manifests[name]).unwrap();
    let (first, second) = (of("asbackup.manifest.1-of-2.json"), of("asbackup.manifest.2-of-2.json"));
    assert_eq!(second["shards"], json!({"share": 2, "of": 2}));
    assert_eq!(second["partitions"], "2048..4095");
    assert_eq!(second["fingerprint"], first["fingerprint"]);
    complete(directory.path()).await.unwrap();
    let whole = manifest(directory.path());
    let entry = |share: u64, of: &Value| {
        json!({"share": share, "run": of["run"], "started": of["started"], "finished": of["finished"],
            "partitions": of["partitions"]})
    };
    assert_eq!(whole["shards"], json!({"of": 2, "shares": [entry(1, &first), entry(2, &second)]}));
    for key in ["fingerprint", "selection", "envelope", "namespace", "started"] {
        assert_eq!(whole[key], first[key], "{key}");
    }
    assert_eq!((&whole["finished"], &whole["partitions"]), (&second["finished"], &json!("0..4095")));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_shares_have_every_nth_number_and_one_is_the_first() {
    let from = loaded_server(20_000);
    let directory = tempfile::tempdir().unwrap();
    for (shard, rest) in [("1/3", 1), ("2/3", 2), ("3/3", 0)] {
        let mut config = share(shard);
        config.file_limit = Some(asbackup::ByteSize(20_000));
        let before = data_files(directory.path());
        run(&from, config, directory.path()).await.unwrap();
        let new = data_files(directory.path());
        let new: Vec<_> = new.iter().filter(|(name, _)| !before.contains_key(*name)).collect();
        assert!(new.len() > 3);
        for (name, text) in new {
            let number: u64 = name.strip_suffix(".asb").unwrap().rsplit_once('_').unwrap().1.parse().unwrap();
            assert_eq!(number % 3, rest, "{name}");
            let is_first = text.windows(12).any(|window| window == b"# first-file");
            assert_eq!(is_first, number == 1, "{name}");
            assert!(!name.starts_with("metadata_") || number == 1, "{name}");
        }
    }
    complete(directory.path()).await.unwrap();
    let numbers = manifest(directory.path());
    let numbers = numbers["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap());
    let numbers: Vec<u64> = numbers
        .map(|name| name.strip_suffix(".asb").unwrap().rsplit_once('_').unwrap().1.parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
    assert_whole(&from, None, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_run_at_once_but_each_only_once() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(100_000)));
    let first = client(&from).await.backup(share("1/2"), Local::directory(directory.path()));
    while from.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    for (config, expected) in [
        (share("1/2"), "another job is working in "),
        (continued(share("1/2")), "another job is working in "),
        (backup_config(), "another job is working in "),
    ] {
        let error = run(&from, config, directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = complete(directory.path()).await.unwrap_err();
    assert!(error.to_string().starts_with("another job is working in "), "{error}");
    run(&from, share("2/2"), directory.path()).await.unwrap();
    from.faults().release();
    first.wait().await.unwrap();
    complete(directory.path()).await.unwrap();
    assert_whole(&from, None, directory.path()).await;
}

/// Checks that a job is refused before it changes anything.
#[track_caller]
fn check(error: &Error, kind: ErrorKind, message: &str, directory: &Path) {
    let text = error.to_string().replace(&directory.display().to_string(), "<directory>");
    assert_eq!((error.kind(), text.as_str()), (kind, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_is_not_closed_as_long_as_shares_are_missing() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/4", "3/4"]).await;
    // Killed.
    fs::write(directory.path().join("asbackup.share.4-of-4.lock"), "").unwrap();
    let before = files(directory.path());
    let shares = "of 4 shares 1,3 are complete, 4 is begun, but not complete, 2 is missing";

    let error = complete(directory.path()).await.unwrap_err();
    let message = format!("the backup in <directory> isn't complete: {shares}");
    check(&error, ErrorKind::Config, &message, directory.path());
    assert!(error.hint().unwrap().contains("--shard I/N"));

    let into = server();
    let expected = format!("<directory> holds a backup whose shares aren't made one yet: {shares}");
    for shard in [None, Some("1/2")] {
        let error = restore(&into, shard, directory.path()).await.unwrap_err();
        check(&error, ErrorKind::Integrity, &expected, directory.path());
        assert!(error.hint().unwrap().contains("asbackup complete"));
    }
    let several = Local::directories([directory.path().to_owned()]);
    let error = client(&into).await.restore(restore_config(), several).wait().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Integrity && error.to_string().ends_with(shares), "{error}");
    assert_eq!(into.store().record_count(NAMESPACE), 0);

    let local = || Local::directory(directory.path());
    let validated = asbackup::validate(ValidateConfig::new(), local()).wait().await.unwrap();
    let inspected = asbackup::inspect(local()).wait().await.unwrap();
    for findings in [&validated.findings, &inspected.inspected.findings] {
        let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [FindingKind::Unclosed]);
        assert!(findings[0].message.ends_with(shares), "{findings:?}");
    }
    assert_eq!(validated.source.completeness, Completeness::Unchecked);
    assert!(files(directory.path()) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_without_any_data_yet_are_no_empty_backup() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("asbackup.share.2-of-2.lock"), "").unwrap();
    let error = restore(&server(), None, directory.path()).await.unwrap_err();
    let message = "<directory> holds a backup whose shares aren't made one yet: \
        of 2 shares 2 is begun, but not complete, 1 is missing";
    check(&error, ErrorKind::Integrity, message, directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_share_wrote_keep_a_backup_from_being_closed() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/2", "2/2"]).await;
    let name = data_files(directory.path()).into_keys().next_back().unwrap();
    let foreign = directory.path().join("0_test_77.asb");
    fs::copy(directory.path().join(&name), &foreign).unwrap();
    let error = complete(directory.path()).await.unwrap_err();
    check(&error, ErrorKind::Integrity, "0_test_77.asb isn't in the manifest", directory.path());
    fs::remove_file(&foreign).unwrap();

    let text = fs::read(directory.path().join(&name)).unwrap();
    fs::write(directory.path().join(&name), &text[1..]).unwrap();
    let error = complete(directory.path()).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Integrity && error.to_string().contains("bytes, but the manifest says")
    );
    fs::remove_file(directory.path().join(&name)).unwrap();
    let error = complete(directory.path()).await.unwrap_err();
    let message = format!("{name} is missing: the manifest lists it");
    check(&error, ErrorKind::Integrity, &message, directory.path());
    assert!(!directory.path().join(MANIFEST).exists());
    fs::write(directory.path().join(&name), text).unwrap();
    complete(directory.path()).await.unwrap();
    assert_whole(&from, None, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_or_foreign_manifest_of_a_share_is_found() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/2", "2/2"]).await;
    let path = directory.path().join("asbackup.manifest.2-of-2.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("2048..4095", "2049..4095", 1)).unwrap();
    let error = complete(directory.path()).await.unwrap_err();
    check(&error, ErrorKind::Integrity, "the manifest of share 2/2 can't be relied on", directory.path());
    // That of another share under its name.
    fs::copy(directory.path().join("asbackup.manifest.1-of-2.json"), &path).unwrap();
    let error = complete(directory.path()).await.unwrap_err();
    check(&error, ErrorKind::Integrity, "the manifest of share 2/2 can't be relied on", directory.path());
    // And as that of the whole.
    fs::copy(&path, directory.path().join(MANIFEST)).unwrap();
    let error = restore(&server(), None, directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(
        error.to_string().contains("the manifest of share 1/2 of a backup, not of a whole backup"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_several_backups_are_not_mixed() {
    let from = loaded_server(RECORDS);
    let (one, other) = (shares(&from, &["1/2"]).await, tempfile::tempdir().unwrap());
    let mut compact = share("2/2");
    compact.spelling = Spelling::Compact;
    run(&from, compact, other.path()).await.unwrap();
    for (name, text) in files(other.path()) {
        fs::write(one.path().join(name), text).unwrap();
    }
    let error = complete(one.path()).await.unwrap_err();
    let message = "share 2/2 isn't of the same backup as share 1/2: they differ in options";
    check(&error, ErrorKind::Config, message, one.path());

    let (two, three) = (shares(&from, &["1/2"]).await, shares(&from, &["2/3"]).await);
    for (name, text) in files(three.path()) {
        fs::write(two.path().join(name), text).unwrap();
    }
    let error = complete(two.path()).await.unwrap_err();
    let message = "<directory> holds shares of several backups: in 2 and in 3 shares";
    check(&error, ErrorKind::Config, message, two.path());
    let nothing = tempfile::tempdir().unwrap();
    for directory in [nothing.path().to_owned(), nothing.path().join("none")] {
        let error = complete(&directory).await.unwrap_err();
        check(&error, ErrorKind::Config, "<directory> holds no shares of a backup", &directory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn share_that_is_killed_anywhere_is_gone_on_with() {
    let from = loaded_server(5_000);
    let directory = shares(&from, &["1/2"]).await;
    watch(directory.path());
    run(&from, of_share(saving(2, Some(300_000)), "2/2"), directory.path()).await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let moments = copies(directory.path());
    assert!(moments.len() > 8, "{}", moments.len());
    for left in moments {
        let is_complete = left.path().join("asbackup.manifest.2-of-2.json").exists();
        assert!(left.path().join("asbackup.share.2-of-2.lock").exists());
        if !is_complete {
            let error = complete(left.path()).await.unwrap_err();
            assert!(error.to_string().contains("2 is begun, but not complete"), "{error}");
        }
        tear_share(left.path(), &mut random);
        let report = run(&from, continued(of_share(saving(3, None), "2/2")), left.path()).await.unwrap();
        assert_eq!(report.records.unaccounted, 0);
        assert!(files(left.path()).into_keys().all(|name| !name.ends_with(".lock")));
        complete(left.path()).await.unwrap();
        assert_whole(&from, None, left.path()).await;
    }
}

/// Changes what lies behind the durable bytes of each open file of share 2/2.
fn tear_share(directory: &Path, random: &mut fastrand::Rng) {
    let (own, usual) = (directory.join("asbackup.state.2-of-2.json"), directory.join("asbackup.state.json"));
    fs::rename(&own, &usual).unwrap();
    tear(directory, random);
    fs::rename(&usual, &own).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn share_that_was_killed_when_it_was_complete_may_be_closed() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/2"]).await;
    watch(directory.path());
    run(&from, share("2/2"), directory.path()).await.unwrap();
    let left = copies(directory.path()).pop().unwrap();
    assert!(left.path().join("asbackup.state.2-of-2.json").exists());
    fs::write(left.path().join("0_test_8.asb.part"), "torn").unwrap();
    complete(left.path()).await.unwrap();
    assert_whole(&from, None, left.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn share_that_fails_leaves_a_state_or_nothing() {
    let from = loaded_server(20_000);
    let directory = tempfile::tempdir().unwrap();
    from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
    let mut failing = of_share(saving(1, Some(100_000)), "2/2");
    failing.retry.max_retries = 0;
    run(&from, failing.clone(), directory.path()).await.unwrap_err();
    assert!(files(directory.path()).is_empty());
    from.faults().clear();
    from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(2_000_000)));
    from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
    let states = tempfile::tempdir().unwrap();
    failing.state_directory = Some(states.path().to_owned());
    run(&from, failing.clone(), directory.path()).await.unwrap_err();
    from.faults().clear();
    let signs: Vec<_> = files(directory.path()).into_keys().filter(|name| name.contains("-of-")).collect();
    assert_eq!(signs, ["asbackup.share.2-of-2.lock"], "its files are there, so that it has to be known of");
    assert!(states.path().join("asbackup.state.2-of-2.json").exists());
    let error = restore(&server(), None, directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    run(&from, share("1/2"), directory.path()).await.unwrap();
    run(&from, continued(failing), directory.path()).await.unwrap();
    complete(directory.path()).await.unwrap();
    assert_whole(&from, None, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn share_begins_only_where_it_can_become_part_of_a_backup() {
    let from = loaded_server(RECORDS);
    let refused = async |shard: &str, directory: &Path, message: &str| {
        let before = files(directory);
        let error = run(&from, share(shard), directory).await.unwrap_err();
        check(&error, ErrorKind::Config, message, directory);
        assert!(files(directory) == before);
    };
    let directory = shares(&from, &["1/2"]).await;
    refused("1/2", directory.path(), "share 1/2 is complete already in <directory>").await;
    refused("2/3", directory.path(), "<directory> holds a backup in 2 shares, and 2/3 is none of them").await;
    let done = run(&from, continued(share("1/2")), directory.path()).await.unwrap();
    assert_eq!(done.warnings, ["the backup is complete already: nothing was done"]);
    let error = run(&from, backup_config(), directory.path()).await.unwrap_err();
    assert!(error.to_string().contains("isn't empty"), "{error}");

    run(&from, share("2/2"), directory.path()).await.unwrap();
    complete(directory.path()).await.unwrap();
    refused("2/2", directory.path(), "<directory> holds a backup that is complete").await;

    // That of another tool.
    let foreign = tempfile::tempdir().unwrap();
    back_up(&from, foreign.path()).await;
    fs::remove_file(foreign.path().join(MANIFEST)).unwrap();
    let message = "<directory> holds 2 files that aren't of other shares";
    refused("2/2", foreign.path(), message).await;
    refused("3/4", foreign.path(), message).await;
    // Of a run of this share that kept no state, and was killed.
    let killed = shares(&from, &["1/2"]).await;
    fs::write(killed.path().join("0_test_2.asb.part"), "torn").unwrap();
    refused("2/2", killed.path(), "<directory> holds 1 files that aren't of other shares").await;
    let notes = tempfile::tempdir().unwrap();
    fs::write(notes.path().join("notes.txt"), "mine").unwrap();
    refused("1/2", notes.path(), "<directory> holds 1 files that aren't of other shares").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn share_with_other_options_than_the_others_is_refused_at_once() {
    let from = loaded_server(5_000);
    let mut compact = share("2/2");
    compact.spelling = Spelling::Compact;
    let directory = shares(&from, &["1/2"]).await;
    let error = run(&from, compact.clone(), directory.path()).await.unwrap_err();
    let message =
        "share 1/2 of the backup was made with other options, so that this one can't be of the same";
    check(&error, ErrorKind::Config, message, directory.path());

    let begun = tempfile::tempdir().unwrap();
    watch(begun.path());
    run(&from, of_share(saving(1, None), "1/2"), begun.path()).await.unwrap();
    let begun = copies(begun.path()).swap_remove(3);
    let error = run(&from, compact, begun.path()).await.unwrap_err();
    let message = "share 1/2 has the option compact = false, but this run has true";
    check(&error, ErrorKind::State, message, begun.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_another_share_is_not_gone_on_with() {
    let from = loaded_server(5_000);
    let directory = tempfile::tempdir().unwrap();
    watch(directory.path());
    run(&from, of_share(saving(1, None), "1/2"), directory.path()).await.unwrap();
    let left = copies(directory.path()).swap_remove(3);
    let name = "asbackup.state.1-of-2.json";
    for (mut other, expected) in [(share("2/2"), "share 2/2"), (saving(1, None), "a whole backup")] {
        other.state_name = Some(name.to_owned());
        let error = run(&from, continued(other), left.path()).await.unwrap_err();
        let message = format!("{name} is the state of share 1/2, but this run is of {expected}");
        check(&error, ErrorKind::State, &message, left.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shared_out_is_refused() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    let refused = async |change: fn(&mut BackupConfig), message: &str| {
        let mut config = backup_config();
        config.shard = Shard::new(2, 3).ok();
        change(&mut config);
        let error = run(&from, config, directory.path()).await.unwrap_err();
        check(&error, ErrorKind::Config, message, directory.path());
        assert!(error.hint().unwrap().contains("--shard"));
        assert!(files(directory.path()).is_empty());
    };
    refused(
        |config| config.scope = Scope::racks(vec![asbackup::RackId::new(1).unwrap()]).unwrap(),
        "share 2/3: the partitions of nodes or racks may change before the next share begins",
    )
    .await;
    refused(
        |config| config.max_records = std::num::NonZeroU64::new(1),
        "share 2/3: shares can't know of each other's records",
    )
    .await;
    refused(
        |config| config.left_out = [EntryClass::Records].into(),
        "share 2/3: without records there is nothing to share out",
    )
    .await;
    refused(
        |config| config.existing = ExistingFiles::Replace,
        "share 2/3: a share can't take the place of a backup",
    )
    .await;
    refused(
        |config| config.scope = Scope::Partitions("7,9".parse().unwrap()),
        "2 partitions can't be dealt out to 3 shares",
    )
    .await;
    let file = Local::file(directory.path().join("one.asb"));
    let error = client(&from).await.backup(share("1/2"), file.clone()).wait().await.unwrap_err();
    check(&error, ErrorKind::Config, "share 1/2: a single file has no shares", directory.path());
    let error =
        client(&from).await.estimate(share("1/2"), asbackup::Sampling::default()).wait().await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::Config, Some("leave out --shard or --estimate")));
    let error = asbackup::complete(CompleteConfig::new(), file).wait().await.unwrap_err();
    check(&error, ErrorKind::Config, "only a directory can hold shares of a backup", directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_are_shared_out() {
    let from = loaded_server(RECORDS);
    let digest = "AAgAAAAAAAAAAAAAAAAAAAAAAAE=";
    let scopes = [
        Scope::Partitions("0..999,2000+96".parse().unwrap()),
        Scope::Partitions(format!("0..9,{digest}").parse().unwrap()),
        Scope::after_digest(digest).unwrap(),
    ];
    for scope in scopes {
        let mut whole = backup_config();
        whole.scope = scope.clone();
        let expected = run(&from, whole, tempfile::tempdir().unwrap().path()).await.unwrap().records.written;
        let directory = tempfile::tempdir().unwrap();
        for shard in ["1/3", "2/3", "3/3"] {
            let mut config = share(shard);
            config.scope = scope.clone();
            run(&from, config, directory.path()).await.unwrap();
        }
        let report = complete(directory.path()).await.unwrap();
        assert_eq!(report.records.written, expected, "{scope:?}");
        let restored = restore(&server(), None, directory.path()).await.unwrap();
        assert_eq!(
            (restored.records.inserted, restored.source.completeness),
            (expected, Completeness::Checked)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_and_compressed_shares_need_the_key_to_become_one() {
    let from = loaded_server(RECORDS);
    let directory = tempfile::tempdir().unwrap();
    let key = encryption(EncryptionMode::Aes128);
    for (shard, level) in [("1/2", 1), ("2/2", 3)] {
        let mut config = share(shard);
        config.envelope.encryption = Some(key.clone());
        config.envelope.compression = Zstd::level(level).ok();
        run(&from, config, directory.path()).await.unwrap();
    }
    let error = complete(directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("--encryption-key-file"), "{error}");
    let error = complete_with(Some(encryption(EncryptionMode::Aes256)), directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    complete_with(Some(key.clone()), directory.path()).await.unwrap();
    assert_whole(&from, Some(&key), directory.path()).await;
    let error = complete(directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "nor is it said that it is whole without the key");
    let plain = shares(&from, &["1/1"]).await;
    let error = complete_with(Some(key), plain.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread")]
async fn set_indexes_are_those_of_the_first_share() {
    let from = TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap();
    from.store().add_set_index(NAMESPACE, "whole", "demo");
    let directory = shares(&from, &["2/2", "1/2"]).await;
    complete(directory.path()).await.unwrap();
    assert_eq!(manifest(directory.path())["extra"]["name"], "asbackup.extra.json");
    let into = TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap();
    let reports = [
        restore(&into, Some("2/2"), directory.path()).await.unwrap(),
        restore(&into, Some("1/2"), directory.path()).await.unwrap(),
    ];
    assert_eq!(reports.map(|report| report.indexes.created), [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_that_is_killed_anywhere_is_run_again() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/2", "2/2"]).await;
    let before = copy(directory.path());
    watch(directory.path());
    complete(directory.path()).await.unwrap();
    let expected = files(directory.path());
    let moments = copies(directory.path());
    assert_eq!(moments.len(), 1);
    // Before its manifest has its name, when it has it, and with each part of what goes then gone.
    fs::write(before.path().join("asbackup.manifest.json.part"), "torn").unwrap();
    let partly = copy(moments[0].path());
    fs::remove_file(partly.path().join("asbackup.manifest.1-of-2.json")).unwrap();
    for (left, is_closed) in [(before.path(), false), (moments[0].path(), true), (partly.path(), true)] {
        assert_eq!(left.join(MANIFEST).exists(), is_closed);
        if is_closed {
            let restored = restore(&server(), None, left).await.unwrap();
            assert_eq!(restored.source.completeness, Completeness::Checked);
        }
        let report = complete(left).await.unwrap();
        assert_eq!((report.shares, report.records.written), (2, RECORDS));
        assert!(files(left) == expected);
        assert_eq!(report.warnings.is_empty(), !is_closed);
    }
    let again = complete(directory.path()).await.unwrap();
    assert_eq!(again.warnings, ["the backup is complete already: nothing was done"]);
    assert!(files(directory.path()) == expected);
    let plain = tempfile::tempdir().unwrap();
    back_up(&from, plain.path()).await;
    let report = complete(plain.path()).await.unwrap();
    assert_eq!((report.shares, report.records.written, report.warnings.len()), (0, RECORDS, 1));
    let name = data_files(plain.path()).into_keys().next_back().unwrap();
    fs::remove_file(plain.path().join(name)).unwrap();
    assert_eq!(complete(plain.path()).await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_backup_takes_the_place_of_shares() {
    let from = loaded_server(RECORDS);
    let directory = shares(&from, &["1/3", "2/3"]).await;
    fs::write(directory.path().join("asbackup.share.3-of-3.lock"), "").unwrap();
    let mut replacing = saving(1, None);
    replacing.existing = ExistingFiles::Replace;
    watch(directory.path());
    run(&from, replacing, directory.path()).await.unwrap();
    assert_whole(&from, None, directory.path()).await;
    for left in copies(directory.path()) {
        run(&from, continued(saving(1, None)), left.path()).await.unwrap();
        assert_whole(&from, None, left.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_go_with_all_other_files_of_backups() {
    let directory = shares(&loaded_server(10), &["1/3", "2/3"]).await;
    let job = asbackup::remove_artifacts(Local::directory(directory.path()));
    let removed = &job.wait().await.unwrap().removed;
    let last = ["asbackup.manifest.1-of-3.json", "asbackup.manifest.2-of-3.json"];
    assert!(removed.ends_with(&last.map(str::to_owned)) && removed.len() > 4, "{removed:?}");
    assert!(files(directory.path()).is_empty());
}

/// Returns a backup in several files.
async fn in_files(from: &TestServer) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.file_limit = Some(asbackup::ByteSize(100_000));
    run(from, config, directory.path()).await.unwrap();
    assert!(data_files(directory.path()).len() > 4);
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_a_restore_are_the_whole() {
    let from = loaded_server(RECORDS);
    let directory = in_files(&from).await;
    let before = files(directory.path());
    let into = server();
    let mut inserted = 0;
    for (shard, indexes) in [("2/3", 0), ("1/3", 6), ("3/3", 0)] {
        let report = restore(&into, Some(shard), directory.path()).await.unwrap();
        assert_eq!((report.shard.as_deref(), report.indexes.created), (Some(shard), indexes));
        assert!(report.records.inserted > 0);
        inserted += report.records.inserted;
    }
    assert_eq!(inserted, RECORDS, "each record once");
    assert_same(&from, &into, NAMESPACE);
    assert!(files(directory.path()) == before);
    // More shares than files.
    let report = restore(&server(), Some("9/9"), directory.path()).await.unwrap();
    assert_eq!((report.records.read, report.source.place.files), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_a_restore_run_at_once_and_are_gone_on_with() {
    let from = loaded_server(RECORDS);
    let directory = in_files(&from).await;
    let into = server();
    into.faults().add(Fault::new(Command::Batch, FaultAction::HoldAfter(0)));
    let mut config = restore_config();
    config.shard = Shard::new(1, 2).ok();
    let first = client(&into).await.restore(config.clone(), Local::directory(directory.path()));
    while into.faults().held() == 0 {
        tokio::task::yield_now().await;
    }
    for shard in [Some("1/2"), None] {
        let error = restore(&into, shard, directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with("another job is working with "), "{error}");
    }
    restore(&into, Some("2/2"), directory.path()).await.unwrap();
    let state = directory.path().join("asbackup.restore.state.1-of-2.json");
    assert!(state.exists());
    first.cancel();
    into.faults().release();
    into.faults().clear();
    first.wait().await.unwrap_err();
    assert_eq!(first.report().unwrap().state_file.as_deref(), state.to_str());
    if let asbackup::StateRule::Kept(state) = &mut config.state {
        state.start = asbackup::Start::Continue;
    }
    client(&into).await.restore(config, Local::directory(directory.path())).wait().await.unwrap();
    assert!(!state.exists());
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_file_is_not_restored_in_shares() {
    let from = loaded_server(10);
    let directory = in_files(&loaded_server(RECORDS)).await;
    let name = data_files(directory.path()).into_keys().next().unwrap();
    let mut config = restore_config();
    config.shard = Shard::new(1, 2).ok();
    let file = Local::file(directory.path().join(name));
    let error = client(&from).await.restore(config, file).wait().await.unwrap_err();
    check(&error, ErrorKind::Config, "share 1/2: a single file has no shares", directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn share_without_a_state_leaves_nothing_when_it_fails() {
    let from = loaded_server(20_000);
    let directory = tempfile::tempdir().unwrap();
    from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(2_000_000)));
    from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
    let mut config = of_share(saving(1, Some(100_000)), "1/2");
    (config.checkpoint, config.retry.max_retries) = (Checkpoint::Off, 0);
    run(&from, config, directory.path()).await.unwrap_err();
    assert!(files(directory.path()).is_empty());
}
