//! Where a backup goes and comes from: single files, pipes, devices, several directories, and storage that fails.

use std::{fs, io, path::Path, process::Command, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, ByteSize, Checkpoint, Completeness, Error, ErrorKind, ExistingFiles,
    ExtraFiles, FilePrefix, FindingKind, Local, Parallelism, RestoreReport, ValidateConfig, ValidateReport,
};
use asbackup_storage::Fault;
use asbackup_testserver::TestServer;

use crate::moments::copy;
use crate::setup::{
    NAMESPACE, assert_same, back_up, backup_config, client, data_files, files, loaded_server, restore_config,
    server,
};

const MANIFEST: &str = "asbackup.manifest.json";
const SIGN: &str = "asbackup.state.json.part";

async fn back_up_to(from: &TestServer, config: BackupConfig, to: Local) -> Result<Arc<BackupReport>, Error> {
    client(from).await.backup(config, to).wait().await
}

async fn restore_from(into: &TestServer, from: Local) -> Result<Arc<RestoreReport>, Error> {
    client(into).await.restore(restore_config(), from).wait().await
}

async fn validate(from: Local, extra_files: ExtraFiles) -> Arc<ValidateReport> {
    let mut config = ValidateConfig::new();
    config.extra_files = extra_files;
    asbackup::validate(config, from).wait().await.unwrap()
}

/// A configuration that replaces what is there.
fn replacing() -> BackupConfig {
    let mut config = backup_config();
    config.existing = ExistingFiles::Replace;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn single_file_holds_everything_and_nothing_lies_beside_it() {
    let (from, into) = (loaded_server(3_000), server());
    from.store().add_set_index(NAMESPACE, "whole", "demo");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/one.asb");
    let mut config = backup_config();
    config.readers = Parallelism::new(4).unwrap();
    config.writers = config.readers;
    config.file_limit = Some(ByteSize(1_000));
    let report = back_up_to(&from, config, Local::file(&path)).await.unwrap();
    assert_eq!((report.target.place.files, report.target.manifest.as_deref()), (1, None));
    assert_eq!((report.records.written, report.udfs.written), (3_000, 2));
    assert_eq!((report.indexes.read, report.indexes.written), (7, 6));
    assert_eq!(report.warnings, ["no file has a place for a set index, which is left out: whole"]);
    assert_eq!(files(path.parent().unwrap()).len(), 1);
    let report = restore_from(&into, Local::file(&path)).await.unwrap();
    assert_eq!((report.records.inserted, report.source.completeness), (3_000, Completeness::Unchecked));
    into.store().add_set_index(NAMESPACE, "whole", "demo");
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_namespace_makes_a_single_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.asb");
    back_up_to(&server(), backup_config(), Local::file(&path)).await.unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "Version 3.1\n# namespace test\n# first-file\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_single_file_is_refused_or_replaced_in_one_step() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.asb");
    fs::write(&path, "old").unwrap();
    let error = back_up_to(&from, backup_config(), Local::file(&path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");

    // Whatever step fails, the old file is there as a whole, and alone.
    for step in 0.. {
        let fault = Fault::Once(io::ErrorKind::StorageFull);
        let target = Local::file(&path).failing_at(step, fault);
        match back_up_to(&from, replacing(), target).await {
            Ok(_) => break,
            // Syncing the directory comes behind the name.
            Err(_) if fs::read_to_string(&path).unwrap() != "old" => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Storage, "step {step}");
                assert!(error.hint().unwrap().contains("make room"), "step {step}");
                assert_eq!(files(directory.path()).len(), 1, "step {step}");
            }
        }
    }
    back_up_to(&from, replacing(), Local::file(&path)).await.unwrap();
    assert_eq!(restore_from(&server(), Local::file(&path)).await.unwrap().records.inserted, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_goes_through_a_named_pipe_into_a_restore() {
    let (from, into) = (loaded_server(5_000), server());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let pipe = || Local::file(&path);
    let (backup, restore) =
        tokio::join!(back_up_to(&from, backup_config(), pipe()), restore_from(&into, pipe()));
    assert_eq!(backup.unwrap().records.written, 5_000);
    assert_eq!(restore.unwrap().records.inserted, 5_000);
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_swallow_a_backup_or_refuse_it() {
    let from = loaded_server(100);
    let report = back_up_to(&from, backup_config(), Local::file("/dev/null")).await.unwrap();
    assert_eq!(report.records.written, 100);
    let error = back_up_to(&from, backup_config(), Local::file("/dev/full")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.hint().unwrap().contains("make room"));
}

#[tokio::test(flavor = "multi_thread")]
async fn place_that_cannot_be_written_to_is_refused_with_a_hint() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let below = directory.path().join("file/below");
    for (target, hint) in [
        (Local::directory(&below), "a part of the path is a file"),
        (Local::file(directory.path()), "name a file in that directory"),
        (Local::directory("/proc/none"), ""),
    ] {
        let error = back_up_to(&from, backup_config(), target.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{target:?}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{target:?}: {:?}", error.hint());
    }
    let kinds = [
        (io::ErrorKind::PermissionDenied, "who may read and write"),
        (io::ErrorKind::ReadOnlyFilesystem, "mounted read-only"),
        (io::ErrorKind::FileTooLarge, "ulimit -f"),
        (io::ErrorKind::BrokenPipe, "ended early"),
    ];
    for (kind, hint) in kinds {
        let out = directory.path().join("out");
        let target = Local::directory(out).failing_at(0, Fault::Once(kind));
        let error = back_up_to(&from, backup_config(), target).await.unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{kind}: {:?}", error.hint());
    }
}

/// Backs up into several files.
async fn back_up_into_files(from: &TestServer, to: Local) -> Result<Arc<BackupReport>, Error> {
    let mut config = replacing();
    config.file_limit = Some(ByteSize(50_000));
    back_up_to(from, config, to).await
}

/// Returns a directory that holds a backup with a side file, and a file of somebody else.
async fn old_backup(from: &TestServer) -> tempfile::TempDir {
    from.store().add_set_index(NAMESPACE, "whole", "demo");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    back_up_into_files(from, Local::directory(directory.path())).await.unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn process_killed_at_any_step_of_a_replacement_leaves_one_whole_set() {
    let from = loaded_server(500);
    let directory = old_backup(&from).await;
    let mut last = false;
    for step in 0.. {
        let before = files(directory.path());
        let target = Local::directory(directory.path()).failing_at(step, Fault::Kill);
        let ended = back_up_into_files(&from, target).await;
        let left = files(directory.path());
        assert_eq!(left["notes.txt"], b"mine", "step {step}");
        let report = validate(Local::directory(directory.path()), ExtraFiles::LeaveOut).await;
        assert_eq!((report.findings.len(), report.records.read), (0, 500), "step {step}");
        assert_eq!(report.source.completeness, Completeness::Checked, "step {step}");
        if left[MANIFEST] == before[MANIFEST] {
            assert!(before.keys().all(|name| left.contains_key(name)), "step {step}: the old set is whole");
        }
        // The next run finds all that this one left, and takes it away.
        back_up_into_files(&from, Local::directory(directory.path())).await.unwrap();
        assert_eq!(files(directory.path()).len(), before.len(), "step {step}");
        last = ended.is_ok();
        if last {
            assert!(step > 10, "{step} steps are too few for this test");
            break;
        }
    }
    assert!(last);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_without_a_state_beside_it_that_is_killed_at_any_step_never_looks_whole() {
    let from = loaded_server(500);
    let states = tempfile::tempdir().unwrap();
    for is_elsewhere in [true, false] {
        for step in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let mut config = replacing();
            config.file_limit = Some(ByteSize(50_000));
            match is_elsewhere {
                true => config.state_directory = Some(states.path().join(step.to_string())),
                false => config.checkpoint = Checkpoint::Off,
            }
            let target = Local::directory(directory.path()).failing_at(step, Fault::Kill);
            let ended = back_up_to(&from, config.clone(), target).await;
            // Without a data file there is nothing to be taken for a backup.
            if files(directory.path()).keys().any(|name| name.ends_with(".asb")) {
                let report = validate(Local::directory(directory.path()), ExtraFiles::Refuse).await;
                let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
                match report.source.completeness {
                    Completeness::Checked => assert_eq!((kinds, report.records.read), (vec![], 500)),
                    Completeness::Unchecked => assert_eq!(kinds, [FindingKind::Unfinished], "step {step}"),
                }
            }
            back_up_to(&from, config, Local::directory(directory.path())).await.unwrap();
            let report = validate(Local::directory(directory.path()), ExtraFiles::Refuse).await;
            assert_eq!((report.findings.len(), report.records.read), (0, 500), "step {step}");
            assert_eq!(report.source.completeness, Completeness::Checked, "step {step}");
            assert!(files(directory.path()).keys().all(|name| !name.ends_with(".part")), "step {step}");
            if ended.is_ok() {
                assert!(step > 10, "{step} steps are too few for this test");
                break;
            }
        }
    }
}

/// Checks that a directory holds all 500 records, or the 300 that were there before.
async fn assert_new_or_old(directory: &Path, is_old_checked: bool, step: u64) {
    let report = validate(Local::directory(directory), ExtraFiles::Refuse).await;
    let is_checked = report.source.completeness == Completeness::Checked;
    match report.findings.as_slice() {
        // The sign of the new one is there, but nothing in it yet.
        [finding] if !is_old_checked => {
            assert_eq!(finding.kind, FindingKind::Unfinished, "step {step}");
            assert!(fs::read(directory.join(SIGN)).unwrap().is_empty(), "step {step}");
        }
        findings => {
            assert_eq!(findings, [], "step {step}");
            match report.records.read {
                500 => assert!(is_checked, "step {step}"),
                records => assert_eq!((records, is_checked), (300, is_old_checked), "step {step}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backup_is_whole_when_one_without_a_state_beside_it_was_to_replace_it_and_is_killed_at_any_step()
{
    let (old, from) = (loaded_server(300), loaded_server(500));
    for (is_old_checked, is_elsewhere) in [(true, true), (true, false), (false, true), (false, false)] {
        let before = tempfile::tempdir().unwrap();
        back_up_into_files(&old, Local::directory(before.path())).await.unwrap();
        if !is_old_checked {
            fs::remove_file(before.path().join(MANIFEST)).unwrap();
        }
        for step in 0.. {
            let directory = copy(before.path());
            let at = |step| Local::directory(directory.path()).failing_at(step, Fault::Kill);
            let states = tempfile::tempdir().unwrap();
            let mut config = replacing();
            config.file_limit = Some(ByteSize(50_000));
            match is_elsewhere {
                true => config.state_directory = Some(states.path().to_owned()),
                false => config.checkpoint = Checkpoint::Off,
            }
            let ended = back_up_to(&from, config.clone(), at(step)).await;
            assert_new_or_old(directory.path(), is_old_checked, step).await;
            // Nor does it matter where those keep their states that come next.
            let _ = back_up_into_files(&from, at(step % 31)).await;
            assert_new_or_old(directory.path(), is_old_checked, step).await;
            let _ = back_up_to(&from, config.clone(), at(step % 17)).await;
            assert_new_or_old(directory.path(), is_old_checked, step).await;
            back_up_to(&from, config, Local::directory(directory.path())).await.unwrap();
            let report = validate(Local::directory(directory.path()), ExtraFiles::Refuse).await;
            assert_eq!((report.findings.len(), report.records.read), (0, 500), "step {step}");
            let names = files(directory.path()).into_keys();
            let left: Vec<_> = names.filter(|name| !name.ends_with(".asb") && name != MANIFEST).collect();
            assert_eq!(left, Vec::<String>::new(), "step {step}");
            if ended.is_ok() {
                assert!(step > 10, "{step} steps are too few for this test");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_at_any_step_leaves_the_old_set_as_it_was_or_the_new_one() {
    let from = loaded_server(500);
    let directory = old_backup(&from).await;
    let files_of_a_backup = files(directory.path()).len();
    for step in 0.. {
        let before = files(directory.path());
        let fault = Fault::Once(io::ErrorKind::StorageFull);
        let ended =
            back_up_into_files(&from, Local::directory(directory.path()).failing_at(step, fault)).await;
        let (left, ended_well) = (files(directory.path()), ended.is_ok());
        if left[MANIFEST] == before[MANIFEST] {
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::Storage, "step {step}");
            // Beside it there may be what an unfinished one has.
            let manifest = String::from_utf8_lossy(&before[MANIFEST]);
            let mut of_the_set = before.iter().filter(|(name, _)| manifest.contains(name.as_str()));
            assert!(of_the_set.all(|(name, bytes)| left.get(name) == Some(bytes)), "step {step}");
        }
        let report = validate(Local::directory(directory.path()), ExtraFiles::Refuse).await;
        assert_eq!(
            (report.findings.len(), report.records.read),
            (0, 500),
            "step {step}: {:?}",
            report.findings
        );
        if left[MANIFEST] != before[MANIFEST] && left.len() == files_of_a_backup && ended_well {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_directories_are_restored_as_one_and_each_is_checked() {
    let (first, second) = (loaded_server(300), loaded_server(500));
    let parent = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| parent.path().join(name));
    for (from, path) in [&first, &second].into_iter().zip(&paths) {
        from.store().add_set_index(NAMESPACE, "whole", "demo");
        back_up(from, path).await;
    }
    let both = || Local::directories(paths.clone());
    let into = TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap();
    let report = restore_from(&into, both()).await.unwrap();
    assert_eq!((report.records.read, report.indexes.read), (800, 14));
    assert_eq!(report.source.completeness, Completeness::Checked);
    assert_eq!(report.source.place.files, 4);
    assert_eq!(into.store().record_count(NAMESPACE), 500, "the first 300 are in both");
    assert_eq!(validate(both(), ExtraFiles::Refuse).await.records.read, 800);

    let lost = data_files(&paths[1]).into_keys().find(|name| name.starts_with("0_")).unwrap();
    fs::remove_file(paths[1].join(&lost)).unwrap();
    let report = validate(both(), ExtraFiles::Refuse).await;
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert_eq!(finding.kind, FindingKind::Missing);
    assert_eq!(finding.file, paths[1].join(&lost).to_str().unwrap());
    let message = format!("{}: {lost} is missing: the manifest lists it", paths[1].display());
    assert_eq!(finding.message, message);
    assert_eq!(restore_from(&server(), both()).await.unwrap_err().to_string(), message);

    fs::remove_file(paths[1].join(MANIFEST)).unwrap();
    let report = restore_from(&server(), both()).await.unwrap();
    assert_eq!(report.source.completeness, Completeness::Unchecked, "one of two is unchecked");
}

#[tokio::test(flavor = "multi_thread")]
async fn prefix_begins_the_names_of_record_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.file_prefix = Some(FilePrefix::new("nightly-").unwrap());
    config.writers = Parallelism::new(2).unwrap();
    config.readers = config.writers;
    let from = loaded_server(1_000);
    back_up_to(&from, config, Local::directory(directory.path())).await.unwrap();
    let names: Vec<String> = data_files(directory.path()).into_keys().collect();
    assert_eq!(names, ["metadata_test_1.asb", "nightly-test_2.asb", "nightly-test_3.asb"]);
    let into = server();
    restore_from(&into, Local::directory(directory.path())).await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_vanishes_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    back_up(&loaded_server(10), directory.path()).await;
    fs::remove_file(directory.path().join(MANIFEST)).unwrap();
    // A link to nothing is listed, and can't be read when its turn comes, as if it were gone since.
    std::os::unix::fs::symlink("nowhere", directory.path().join("0_test_9.asb")).unwrap();
    let error = restore_from(&server(), Local::directory(directory.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.place().file.as_ref().unwrap().ends_with("0_test_9.asb"));
    let job = asbackup::validate(ValidateConfig::new(), Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Storage);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_below_a_directory_are_not_read_and_said() {
    let directory = tempfile::tempdir().unwrap();
    back_up(&loaded_server(10), &directory.path().join("sub")).await;
    let error = restore_from(&server(), Local::directory(directory.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().ends_with("those in directories below it aren't read"), "{error}");
    assert!(error.hint().unwrap().starts_with("--recursive reads them too"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_directories_are_no_target() {
    let target = Local::directories([Path::new("a").to_owned()]);
    let error = back_up_to(&server(), backup_config(), target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!Path::new("a").exists());
}
