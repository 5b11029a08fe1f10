//! Compressed and encrypted backups: ours, those of backup-go, damaged ones, and keys that don't fit.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use asbackup::{
    ByteSize, Completeness, Encryption, EncryptionMode, Error, ErrorKind, ExpectedCompression, FindingKind,
    KeySource, KeyText, Local, ManifestRule, Parallelism, RestoreReport, ValidateConfig, ValidateReport,
    Zstd,
};
use asbackup_testserver::TestServer;

use crate::setup::{
    NAMESPACE, assert_same, backup_config, client, data_files, files, loaded_server, restore_config, server,
};

const MANIFEST: &str = "asbackup.manifest.json";

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

pub(crate) fn encryption(mode: EncryptionMode) -> Encryption {
    let key = KeySource::File(testdata("keys/a_rsa_pkcs1.pem"));
    match mode {
        EncryptionMode::Aes128 => Encryption::aes128(key),
        EncryptionMode::Aes256 => Encryption::aes256(key),
    }
}

/// Another key, made for this test alone.
pub(crate) fn other_key() -> KeySource {
    KeySource::Text(KeyText::new(OTHER_KEY))
}

async fn back_up(
    from: &TestServer,
    directory: &Path,
    level: Option<i32>,
    encryption: Option<Encryption>,
) -> Arc<asbackup::BackupReport> {
    let mut config = backup_config();
    config.readers = Parallelism::new(2).unwrap();
    config.envelope.compression = level.map(|level| Zstd::level(level).unwrap());
    config.envelope.encryption = encryption;
    client(from).await.backup(config, Local::directory(directory)).wait().await.unwrap()
}

async fn restore(
    into: &TestServer,
    directory: &Path,
    encryption: Option<Encryption>,
) -> Result<Arc<RestoreReport>, Error> {
    let mut config = restore_config();
    config.encryption = encryption;
    client(into).await.restore(config, Local::directory(directory)).wait().await
}

async fn validate(source: Local, encryption: Option<Encryption>) -> Result<Arc<ValidateReport>, Error> {
    let mut config = ValidateConfig::new();
    config.encryption = encryption;
    asbackup::validate(config, source).wait().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_envelope_comes_back() {
    let from = loaded_server(3_000);
    for level in [None, Some(1), Some(3), Some(19)] {
        for mode in [None, Some(EncryptionMode::Aes128), Some(EncryptionMode::Aes256)] {
            let directory = tempfile::tempdir().unwrap();
            let encryption = mode.map(encryption);
            let written = back_up(&from, directory.path(), level, encryption.clone()).await;
            let stored: usize = data_files(directory.path()).values().map(Vec::len).sum();
            assert_eq!(written.bytes.stored, stored as u64, "{level:?} {mode:?}");
            let into = server();
            let report = restore(&into, directory.path(), encryption).await.unwrap();
            assert_same(&from, &into, NAMESPACE);
            assert_eq!(report.source.completeness, Completeness::Checked);
            assert_eq!(
                (report.bytes.stored, report.bytes.decoded),
                (written.bytes.stored, written.bytes.decoded)
            );
            let factor = if level.is_some() { 2 } else { 1 };
            let extra = if level.is_none() && mode.is_some() { 16 * 2 } else { 0 };
            assert!(report.bytes.decoded + extra >= factor * report.bytes.stored, "{level:?} {mode:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_names_the_envelope_and_its_hashes_are_keyed() {
    let directory = tempfile::tempdir().unwrap();
    back_up(&loaded_server(100), directory.path(), Some(0), Some(encryption(EncryptionMode::Aes256))).await;
    let manifest: serde_json::Value = serde_json::from_slice(&files(directory.path())[MANIFEST]).unwrap();
    assert_eq!(manifest["envelope"], serde_json::json!({"compression": "zstd:3", "encryption": "aes256"}));
    assert_eq!(manifest["hash"], "blake3-keyed");
    for hash in [&manifest["seal"], &manifest["files"][0]["hash"]] {
        assert_eq!(hash.as_str().map(str::len), Some(64), "{hash}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_limit_counts_stored_bytes_and_frames_in_flight() {
    let from = loaded_server(30_000);
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.envelope.compression = Some(Zstd::level(1).unwrap());
    config.file_limit = Some(ByteSize(300_000));
    client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    let mut sizes: Vec<_> = data_files(directory.path())
        .into_iter()
        .filter(|(name, _)| !name.starts_with("metadata"))
        .map(|(_, text)| text.len())
        .collect();
    sizes.sort_unstable();
    let frame = 1_000_000;
    assert!(sizes.len() >= 3, "{sizes:?}");
    assert!(sizes[1..].iter().all(|size| (300_000..300_000 + frame).contains(size)), "{sizes:?}");
    let into = server();
    restore(&into, directory.path(), None).await.unwrap();
    assert_same(&from, &into, NAMESPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_backup_go_are_read_whatever_they_are_wrapped_in() {
    let plain = validate(Local::file(testdata("framing/a_plain.asb")), None).await.unwrap();
    let mut read = 0;
    for entry in fs::read_dir(testdata("framing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".asb") {
            continue;
        }
        let modes = [("aes128", EncryptionMode::Aes128), ("aes256", EncryptionMode::Aes256)].into_iter();
        let mode = modes.filter(|(word, _)| name.contains(word)).map(|(_, mode)| mode).next();
        let report = validate(Local::file(&path), mode.map(encryption)).await.unwrap();
        assert_eq!(report.findings, [], "{name}");
        let records = if name.contains("header_only") { 0 } else { plain.records.read };
        assert_eq!(report.records.read, records, "{name}");
        read += 1;
    }
    assert_eq!((read, plain.records.read), (15, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_backup_of_backup_go_is_restored() {
    let (plain, wrapped) = (server(), server());
    let report = restore(&plain, &testdata("dirs/a_plain"), None).await.unwrap();
    assert_eq!(report.records.inserted, 100);
    let encryption = Some(encryption(EncryptionMode::Aes128));
    restore(&wrapped, &testdata("dirs/a_zstd_aes128_limit"), encryption).await.unwrap();
    assert_same(&plain, &wrapped, NAMESPACE);
}

/// Checks that a restore fails before it writes anything.
async fn assert_refused(
    directory: &Path,
    encryption: Option<Encryption>,
    (kind, message): (ErrorKind, &str),
) {
    let into = server();
    let error = restore(&into, directory, encryption.clone()).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(into.store().record_count(NAMESPACE), 0);
    if kind == ErrorKind::Config {
        let error = validate(Local::directory(directory), encryption).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(message), "{error}");
    } else {
        let report = validate(Local::directory(directory), encryption).await.unwrap();
        assert!(report.findings.iter().any(|finding| finding.message.contains(message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_wrong_and_needless_keys_are_told_apart() {
    let from = loaded_server(100);
    let aes128 = encryption(EncryptionMode::Aes128);
    for level in [None, Some(3)] {
        let encrypted = tempfile::tempdir().unwrap();
        back_up(&from, encrypted.path(), level, Some(aes128.clone())).await;
        let missing = (ErrorKind::Config, "is encrypted");
        let wrong = [Encryption::aes128(other_key()), encryption(EncryptionMode::Aes256)];
        assert_refused(encrypted.path(), None, missing).await;
        for wrong in wrong.clone() {
            let doesnt_fit =
                (ErrorKind::Integrity, "doesn't fit the encryption key: it is damaged, or another key");
            assert_refused(encrypted.path(), Some(wrong), doesnt_fit).await;
        }
        fs::remove_file(encrypted.path().join(MANIFEST)).unwrap();
        assert_refused(encrypted.path(), None, missing).await;
        for wrong in wrong {
            let either = (ErrorKind::Format, "it is damaged, or the encryption key or cipher isn't the one");
            assert_refused(encrypted.path(), Some(wrong), either).await;
        }

        let plain = tempfile::tempdir().unwrap();
        back_up(&from, plain.path(), level, None).await;
        let needless = (ErrorKind::Config, "but an encryption key is given");
        assert_refused(plain.path(), Some(aes128.clone()), needless).await;
        fs::remove_file(plain.path().join(MANIFEST)).unwrap();
        assert_refused(plain.path(), Some(aes128.clone()), needless).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_cannot_be_had_is_found_before_anything_else() {
    let from = loaded_server(1);
    for (key, message) in [
        (KeySource::File("/no/such/key.pem".into()), "cannot read the encryption key /no/such/key.pem"),
        (KeySource::File(testdata("ORIGIN.md")), "holds no encryption key"),
        (KeySource::Text(KeyText::new("not base64!")), "the text that was given holds no encryption key"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("new");
        let mut config = backup_config();
        config.envelope.encryption = Some(Encryption::aes128(key));
        let error = client(&from).await.backup(config, Local::directory(&target)).wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Secret);
        assert!(error.to_string().contains(message), "{error}");
        assert!(!target.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expected_compression_is_checked() {
    let from = loaded_server(10);
    for (level, expected) in [(None, ExpectedCompression::None), (Some(3), ExpectedCompression::Zstd)] {
        let directory = tempfile::tempdir().unwrap();
        back_up(&from, directory.path(), level, None).await;
        for said in [ExpectedCompression::None, ExpectedCompression::Zstd] {
            let mut config = restore_config();
            config.expected_compression = Some(said);
            let into = server();
            let job = client(&into).await.restore(config, Local::directory(directory.path()));
            match job.wait().await {
                Ok(_) => assert_eq!(said, expected),
                Err(error) => {
                    assert_ne!(said, expected);
                    assert_eq!(error.kind(), ErrorKind::Config);
                    assert!(error.hint().unwrap().contains("--compress"));
                }
            }
        }
    }
}

/// Returns a directory with one data file of a few records, and that file's name.
async fn small(level: Option<i32>, encryption: Option<Encryption>) -> (tempfile::TempDir, String) {
    let from = server();
    asbackup_demo::sample::load_records(from.store(), NAMESPACE, 4, crate::setup::now());
    let directory = tempfile::tempdir().unwrap();
    let mut config = backup_config();
    config.envelope.compression = level.map(|level| Zstd::level(level).unwrap());
    config.envelope.encryption = encryption;
    client(&from).await.backup(config, Local::directory(directory.path())).wait().await.unwrap();
    let files: Vec<_> = data_files(directory.path()).into_keys().collect();
    assert_eq!(files.len(), 1);
    (directory, files[0].clone())
}

/// Returns what a validation finds in the directory once a file has these bytes.
async fn found_after(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    encryption: Option<&Encryption>,
) -> Vec<FindingKind> {
    fs::write(directory.join(name), bytes).unwrap();
    let report = validate(Local::directory(directory), encryption.cloned()).await.unwrap();
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_every_flipped_bit_is_found() {
    for (level, mode) in [
        (None, None),
        (Some(3), None),
        (None, Some(EncryptionMode::Aes128)),
        (Some(3), Some(EncryptionMode::Aes256)),
    ] {
        let encryption = mode.map(encryption);
        let (directory, name) = small(level, encryption.clone()).await;
        for name in [name, MANIFEST.to_owned()] {
            let whole = fs::read(directory.path().join(&name)).unwrap();
            for cut in 0..whole.len() {
                let found = found_after(directory.path(), &name, &whole[..cut], encryption.as_ref()).await;
                assert!(!found.is_empty(), "{name} cut at {cut}, {level:?} {mode:?}");
            }
            for bit in 0..whole.len() * 8 {
                // Each byte gets one of its bits flipped, which is every bit of something like it.
                if bit % 8 != (bit / 8) % 8 {
                    continue;
                }
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let found = found_after(directory.path(), &name, &flipped, encryption.as_ref()).await;
                assert!(!found.is_empty(), "{name} bit {bit}, {level:?} {mode:?}");
            }
            fs::write(directory.path().join(&name), whole).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_of_a_compressed_file_is_found_without_a_manifest() {
    for encryption in [None, Some(encryption(EncryptionMode::Aes128))] {
        let (directory, name) = small(Some(3), encryption.clone()).await;
        fs::remove_file(directory.path().join(MANIFEST)).unwrap();
        let whole = fs::read(directory.path().join(&name)).unwrap();
        for cut in 1..whole.len() {
            let found = found_after(directory.path(), &name, &whole[..cut], encryption.as_ref()).await;
            assert_eq!(found, [FindingKind::Decode], "cut at {cut}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_someone_without_the_key_made_is_refused() {
    let key = encryption(EncryptionMode::Aes128);
    let (directory, name) = small(None, Some(key.clone())).await;
    let (forged, forged_name) = small(None, None).await;
    for (file, to) in [(MANIFEST, MANIFEST), (forged_name.as_str(), name.as_str())] {
        fs::copy(forged.path().join(file), directory.path().join(to)).unwrap();
    }
    let error = restore(&server(), directory.path(), Some(key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_backup_is_damage_and_not_encryption() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("0_test_1.asb"), "some other text\n").unwrap();
    let mut config = restore_config();
    config.manifest = ManifestRule::Optional;
    let error =
        client(&server()).await.restore(config, Local::directory(directory.path())).wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
}

pub(crate) const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBANW41kN2LJHvd9y9
kg6cXn83RxhO6HgHKzwaT29Yd0ykxMErI52/cLAp/nkECqqyM6rautKKiJF2OFyq
NW5BfGZUVA9rJfqkn/GE1n9X9CnMnOGUN8FDrQGV42UHzIxa/Hdej9aHvfomdC0B
vi2fJ3kLoeacxzgHQZr/o9L2I5gzAgMBAAECgYAiKptuS30Sk3LZAiFQXqUot0CR
XUQCtDqwMBCU31KrGQgvTWMzO8CbGQuKcx/1a+mgnbkSIX11q62U+szx5FwrgO59
c/eVG2CN9FSnIwNy6UU/OuBLLpfOINgVoT6fr/ieqVLqKU9enKm25x3plOrPUFhI
2va+8Wti9dR3jEf7yQJBAO+UXVRlnMYznaDAC2xPTEqaMt9aXPIx8jLBjZHumXZ4
C4ZS37PElf4RkzKSuKlOYWMGGFpe3AyU8/AKItA2+r8CQQDkXsd1Ntj+whvqFXCI
QTLpx6LzVLp6HZSjEm+0Hq1pMGAql7n0zRfr4J65hnuP0xNtfKvZfuoiix6EC2vc
JMONAkEAgWUcUyzeU54lEGEoykK57cECoOdpM9YN/aPUFnFLqVSExPOVpr4SVLqh
Sbs8yRRwPM9Z79Uz/AenCIow60wGeQJAbH//YdhCNp/ApXG0OnhHmTzJVbS+uEAP
m36p5bjhiOV7+yCFMCK1J9NbdifH0uhlBZLDDx22Xd0dDX1jrH8nDQJAW0K7N/qa
du0ccjA5yd2rRFStPC1APxFGmcalXSkPpunI/4WsUC976FkngcZh6RskgzT6mX5V
e4NA2KqRdtTSlA==
-----END PRIVATE KEY-----
";
