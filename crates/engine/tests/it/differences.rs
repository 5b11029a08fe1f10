//! What ours does otherwise than the older tools, as far as no other test shows it. See docs/differences.md.

use std::{fs, time::Duration};

use asbackup::{ErrorKind, ExistingFiles, Local};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction};

use crate::setup::{
    NAMESPACE, back_up, backup_config, client, files, loaded_server, now, restore_config, server,
};

#[tokio::test(flavor = "multi_thread")]
async fn old_backup_stays_when_the_one_that_replaces_it_fails() {
    let from = loaded_server(100);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let before = files(directory.path());
    from.faults()
        .add(Fault::new(Command::Query, FaultAction::ErrorCode(ResultCode::PARAMETER)).times(u64::MAX));
    let mut config = backup_config();
    config.existing = ExistingFiles::Replace;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Scan);
    assert_eq!(files(directory.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn void_times_in_the_files_are_the_server_s_own() {
    let from = server();
    let directory = tempfile::tempdir().unwrap();
    let void_time = now().0 + 100_000;
    let text = format!(
        "Version 3.1\n# namespace test\n+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t {void_time}\n+ b 1\n- I a 1\n"
    );
    fs::write(directory.path().join("0_test_1.asb"), text).unwrap();
    let source = Local::directory(directory.path());
    client(&from).await.restore(restore_config(), source).wait().await.unwrap();
    let mut stored = 0;
    from.store().for_each_record(NAMESPACE, |record| stored = record.void_time.0);

    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let text = String::from_utf8(files(directory.path()).remove("0_test_1.asb").unwrap()).unwrap();
    assert!(text.contains(&format!("\n+ t {stored}\n")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_counted_without_the_first_attempt_and_may_have_no_pause() {
    let from = loaded_server(10);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    for (max_retries, failures, succeeds) in [(0, 0, true), (0, 1, false), (1, 1, true), (1, 2, false)] {
        let into = server();
        if failures > 0 {
            let overload = FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD);
            into.faults().add(Fault::new(Command::Batch, overload).times(failures));
        }
        let mut config = restore_config();
        config.retry.max_retries = max_retries;
        config.retry.first_pause = Duration::ZERO;
        let job = client(&into).await.restore(config, Local::directory(directory.path()));
        assert_eq!(job.wait().await.is_ok(), succeeds, "{max_retries} retries, {failures} failures");
    }
}
