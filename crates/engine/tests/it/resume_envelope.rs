//! Compressed and encrypted backups that end before their time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use asbackup::{
    BackupConfig, Checkpoint, Completeness, Encryption, EncryptionMode, Envelope, ErrorKind, ExistingFiles,
    Local, Zstd,
};
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    envelope::{encryption, other_key},
    moments::{copies, copy, watch},
    resume::{
        RECORDS, STATE, config, continued, killed_everywhere, open_files, refused, resume, state, tear,
    },
    setup::{NAMESPACE, assert_same, back_up, client, data_files, loaded_server, restore_config, server},
};

fn envelope(level: Option<i32>, mode: Option<EncryptionMode>) -> Envelope {
    let mut envelope = Envelope::default();
    envelope.compression = level.map(|level| Zstd::level(level).unwrap());
    envelope.encryption = mode.map(encryption);
    envelope
}

pub(crate) fn envelopes() -> [Envelope; 3] {
    [
        envelope(Some(1), None),
        envelope(None, Some(EncryptionMode::Aes256)),
        envelope(Some(3), Some(EncryptionMode::Aes128)),
    ]
}

/// Saves after each block, and begins a file every few blocks.
fn wrapped(envelope: &Envelope) -> BackupConfig {
    let limit = if envelope.compression.is_some() { 250_000 } else { 500_000 };
    let mut config = config(2, Some(limit));
    config.envelope = envelope.clone();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_backup_that_is_killed_anywhere_is_gone_on_with() {
    let from = loaded_server(RECORDS);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for envelope in envelopes() {
        let directory = tempfile::tempdir().unwrap();
        let whole = killed_everywhere(&from, wrapped(&envelope), directory.path()).await;
        let (mut decoded, mut to_cut_back) = (None, 0);
        for left in &whole {
            if open_files(left.path()).iter().any(|(_, durable)| *durable > 0) {
                // Every other one has tails that were never settled.
                if to_cut_back % 2 == 0 {
                    tear(left.path(), &mut random);
                }
                to_cut_back += 1;
            }
            let report = resume(&from, wrapped(&envelope), left.path()).await;
            // The last ones are complete, and their text isn't read again.
            if report.warnings.is_empty() {
                decoded = decoded.max(Some(report.bytes.decoded));
                assert!(report.bytes.decoded > 0 && report.bytes.stored > 0, "{envelope:?}");
            }
        }
        assert!(to_cut_back > 0 && decoded.is_some(), "{envelope:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_in_flight_are_saved_when_the_cluster_is_lost() {
    let from = loaded_server(RECORDS);
    for envelope in envelopes() {
        let directory = tempfile::tempdir().unwrap();
        from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(1_200_000)));
        from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
        let mut failing = config(1, None);
        failing.envelope = envelope.clone();
        failing.checkpoint = Checkpoint::Every(Duration::from_secs(3600));
        failing.retry.max_retries = 1;
        let job = client(&from).await.backup(failing.clone(), Local::directory(directory.path()));
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Scan);
        let report = job.report().unwrap();
        assert!(report.records.written > 0, "{:?}", report.records);
        assert_eq!(state(directory.path())["counts"]["records_written"], report.records.written);
        from.faults().clear();
        resume(&from, failing, directory.path()).await;
    }
}

/// Returns what is left of a backup in this envelope that was killed in the middle.
async fn killed(from: &TestServer, envelope: &Envelope) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let copies = killed_everywhere(from, wrapped(envelope), directory.path()).await;
    let with_open = |copy: &TempDir| open_files(copy.path()).iter().any(|(_, durable)| *durable > 0);
    let middle = copies.len() / 2;
    copies.into_iter().skip(middle).find(with_open).expect("a file is saved while it is written")
}

/// The first block of a file, which tells where its key stream begins.
fn first_blocks(directory: &Path) -> BTreeSet<Vec<u8>> {
    data_files(directory).into_values().map(|bytes| bytes[..16].to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_file_ends_where_it_is_cut_and_what_follows_has_another_key_stream() {
    let from = loaded_server(RECORDS);
    for level in [None, Some(3)] {
        let encrypted = envelope(level, Some(EncryptionMode::Aes256));
        let left = killed(&from, &encrypted).await;
        let open = open_files(left.path());
        let cut: Vec<_> = open.into_iter().filter(|(_, durable)| *durable > 0).collect();
        let kept = |(name, durable): &(String, u64)| {
            let part = std::fs::read(left.path().join(format!("{name}.part")));
            // It may have its name already, which the state doesn't say yet.
            let mut bytes = part.or_else(|_| std::fs::read(left.path().join(name))).unwrap();
            bytes.truncate(usize::try_from(*durable).unwrap());
            (name.clone(), bytes)
        };
        let kept: BTreeMap<String, Vec<u8>> = cut.iter().map(kept).collect();
        assert!(!kept.is_empty());
        resume(&from, wrapped(&encrypted), left.path()).await;
        let files = data_files(left.path());
        for (name, bytes) in &kept {
            assert!(files[name] == *bytes, "{name} has {} bytes, not {}", files[name].len(), bytes.len());
        }
        assert_eq!(first_blocks(left.path()).len(), files.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_backup_that_is_killed_while_it_completes_cut_files_is_gone_on_with() {
    let from = loaded_server(RECORDS);
    let encrypted = envelope(Some(1), Some(EncryptionMode::Aes128));
    let left = killed(&from, &encrypted).await;
    watch(left.path());
    resume(&from, wrapped(&encrypted), left.path()).await;
    let mut moments = copies(left.path());
    // Each file that was completed, before the state said so.
    let named = moments.windows(2).filter_map(|pair| {
        let unsaved = copy(pair[1].path());
        std::fs::copy(pair[0].path().join(STATE), unsaved.path().join(STATE)).unwrap();
        (open_files(pair[0].path()) != open_files(pair[1].path())).then_some(unsaved)
    });
    let named: Vec<TempDir> = named.collect();
    assert!(!named.is_empty());
    moments.extend(named);
    for again in moments {
        resume(&from, wrapped(&encrypted), again.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn level_may_change_but_not_the_kind_of_compression() {
    let from = loaded_server(RECORDS);
    let zstd = envelope(Some(1), None);
    let left = killed(&from, &zstd).await;
    let plain = continued(wrapped(&Envelope::default()));
    let (message, _) = refused(&from, plain, left.path(), ErrorKind::State).await;
    assert_eq!(message, "the unfinished backup has the option compression = \"zstd\", but this run has null");
    resume(&from, wrapped(&envelope(Some(19), None)), left.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_another_cipher_and_no_key_are_refused() {
    let from = loaded_server(RECORDS);
    let encrypted = envelope(None, Some(EncryptionMode::Aes128));
    let left = killed(&from, &encrypted).await;
    assert_eq!(state(left.path())["hash"], "blake3-keyed");
    let mut foreign = encrypted.clone();
    foreign.encryption = Some(Encryption::aes128(other_key()));
    for other in [foreign, envelope(None, Some(EncryptionMode::Aes256))] {
        let other = continued(wrapped(&other));
        assert_eq!(
            refused(&from, other, left.path(), ErrorKind::Integrity).await,
            (
                "asbackup.state.json can't be relied on".to_owned(),
                "give the cipher and the key that the backup was begun with, or start anew in an empty directory"
                    .to_owned()
            )
        );
    }
    let plain = continued(wrapped(&Envelope::default()));
    let (message, _) = refused(&from, plain.clone(), left.path(), ErrorKind::Config).await;
    assert!(message.contains("is encrypted") && message.contains("no key is given"), "{message}");
    resume(&from, wrapped(&encrypted), left.path()).await;

    // The complete one is no other.
    let (message, _) = refused(&from, plain, left.path(), ErrorKind::Config).await;
    assert!(message.contains("is encrypted") && message.contains("no key is given"), "{message}");
    let aes256 = continued(wrapped(&envelope(None, Some(EncryptionMode::Aes256))));
    refused(&from, aes256, left.path(), ErrorKind::Integrity).await;

    let left = killed(&from, &Envelope::default()).await;
    let (message, _) = refused(&from, continued(wrapped(&encrypted)), left.path(), ErrorKind::Config).await;
    assert_eq!(message, "asbackup.state.json isn't encrypted, but an encryption key is given");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_an_encrypted_backup_cannot_be_changed_unseen() {
    let from = loaded_server(RECORDS);
    let encrypted = envelope(Some(3), Some(EncryptionMode::Aes256));
    let left = killed(&from, &encrypted).await;
    let path = left.path().join("asbackup.state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from_text, to) in [("\"resumes\": 0", "\"resumes\": 7"), ("blake3-keyed", "xxh3-128")] {
        std::fs::write(&path, text.replace(from_text, to)).unwrap();
        refused(&from, continued(wrapped(&encrypted)), left.path(), ErrorKind::Integrity).await;
    }
}

/// Restores without a key, and compares.
async fn assert_restores(old: &TestServer, directory: &Path) {
    let into = server();
    let restored = client(&into).await.restore(restore_config(), Local::directory(directory));
    assert_eq!(restored.wait().await.unwrap().source.completeness, Completeness::Checked);
    assert_same(old, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_run_beside_a_plain_backup_leaves_that_whole_and_is_gone_on_with() {
    let (old, from) = (loaded_server(500), loaded_server(RECORDS));
    let encrypted = envelope(Some(1), Some(EncryptionMode::Aes256));
    let directory = tempfile::tempdir().unwrap();
    back_up(&old, directory.path()).await;
    let mut replacing = wrapped(&encrypted);
    replacing.existing = ExistingFiles::Replace;
    let copies = killed_everywhere(&from, replacing, directory.path()).await;
    let is_published = |left: &TempDir| {
        let manifest = std::fs::read(left.path().join("asbackup.manifest.json")).unwrap();
        serde_json::from_slice::<Value>(&manifest).unwrap()["hash"] == "blake3-keyed"
    };
    for left in copies.iter().step_by(3).chain(copies.last()) {
        if !is_published(left) {
            assert_restores(&old, left.path()).await;
        }
        resume(&from, wrapped(&encrypted), left.path()).await;
    }
}
