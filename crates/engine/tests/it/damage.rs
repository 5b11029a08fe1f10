//! Every cut and every changed bit of small backups, and files that aren't where they belong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
};

use asbackup::{
    Client, Completeness, EncryptionMode, Error, ErrorKind, ExpectedCompression, FindingKind, Local,
    ManifestRule, Parallelism, RestoreConfig, StateRule, ValidateConfig, Zstd,
};
use asbackup_demo::sample;
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
use asbackup_testserver::TestServer;

use crate::{
    envelope::encryption,
    setup::{NAMESPACE, backup_config, client, files, now, restore_config},
};

const MANIFEST: &str = "asbackup.manifest.json";
const SIDE_FILE: &str = "asbackup.extra.json";
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The first block of an encrypted file.
const BLOCK_BYTES: usize = 16;
/// One of so many damaged sets is also restored.
const RESTORED: usize = 50;

/// What a backup is wrapped in.
#[derive(Debug, Clone, Copy)]
struct Envelope {
    level: Option<i32>,
    mode: Option<EncryptionMode>,
}

const PLAIN: Envelope = Envelope { level: None, mode: None };
const COMPRESSED: Envelope = Envelope { level: Some(3), mode: None };
const ENCRYPTED: Envelope = Envelope { level: None, mode: Some(EncryptionMode::Aes128) };
const BOTH: Envelope = Envelope { level: Some(3), mode: Some(EncryptionMode::Aes256) };

/// A server with all that a backup has a place for.
fn small_server() -> TestServer {
    let server = TestServer::builder().namespace(NAMESPACE).server_build("8.1.2.0").start().unwrap();
    sample::load_records(server.store(), NAMESPACE, 3, now());
    server.store().add_index(SecondaryIndex {
        namespace: NAMESPACE.into(),
        set: Some(b"demo".to_vec()),
        name: b"by_age".to_vec(),
        kind: IndexKind::Default,
        bin: b"age".to_vec(),
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
    });
    server.store().add_udf(UdfModule { name: b"one.lua".to_vec(), content: b"return 1\n".to_vec() });
    server.store().add_set_index(NAMESPACE, "whole", "demo");
    server
}

/// A small backup that can be damaged and healed again.
struct Subject {
    directory: tempfile::TempDir,
    whole: BTreeMap<String, Vec<u8>>,
    validation: ValidateConfig,
    restoration: RestoreConfig,
    into: Client,
    _server: TestServer,
}

impl Subject {
    async fn new(envelope: Envelope) -> Self {
        let server = small_server();
        let directory = tempfile::tempdir().unwrap();
        let encryption = envelope.mode.map(encryption);
        let mut config = backup_config();
        (config.readers, config.writers) = (Parallelism::new(1).unwrap(), Parallelism::new(1).unwrap());
        config.envelope.compression = envelope.level.map(|level| Zstd::level(level).unwrap());
        config.envelope.encryption = encryption.clone();
        let into = client(&server).await;
        into.backup(config, Local::directory(directory.path())).wait().await.unwrap();
        let mut validation = ValidateConfig::new();
        validation.readers = Parallelism::new(1).unwrap();
        validation.encryption = encryption.clone();
        let mut restoration = restore_config();
        restoration.state = StateRule::Off;
        restoration.encryption = encryption;
        let whole = files(directory.path());
        assert!(whole.len() == 4 && whole.contains_key(MANIFEST) && whole.contains_key(SIDE_FILE));
        let subject = Self { directory, whole, validation, restoration, into, _server: server };
        assert!(!subject.is_refused().await);
        subject
    }

    fn data(&self) -> impl Iterator<Item = &String> {
        self.whole.keys().filter(|name| name.ends_with(".asb"))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    /// Puts everything back in place.
    fn heal(&self) {
        for name in files(self.path()).keys().filter(|name| !self.whole.contains_key(*name)) {
            fs::remove_file(self.path().join(name)).unwrap();
        }
        self.whole.iter().for_each(|(name, bytes)| self.write(name, bytes));
    }

    /// Returns whether a validation ends as damage does: with findings, or an error that says so.
    async fn is_refused(&self) -> bool {
        let source = Local::directory(self.path());
        let job = asbackup::validate(self.validation.clone(), source);
        match job.wait().await {
            Ok(report) => !report.findings.is_empty(),
            Err(error) => is_damage(&error),
        }
    }

    async fn restore(&self) -> Result<Completeness, Error> {
        let job = self.into.restore(self.restoration.clone(), Local::directory(self.path()));
        job.wait().await.map(|report| report.source.completeness)
    }

    /// Checks that a restore ends as damage does.
    async fn assert_restore_refused(&self, what: &dyn fmt::Display) {
        match self.restore().await {
            Ok(_) => panic!("{what}: restored"),
            Err(error) => assert!(is_damage(&error), "{what}: {:?}: {error}", error.kind()),
        }
    }

    /// Checks that nothing takes the set for whole, and heals it.
    async fn assert_refused(&self, what: &str) {
        assert!(self.is_refused().await, "{what}");
        self.assert_restore_refused(&what).await;
        self.heal();
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Format)
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It ends after so many bytes.
    Cut(usize),
    /// This bit is another.
    Flip(usize),
}

impl Damage {
    fn every(bytes: usize) -> impl Iterator<Item = Self> {
        (0..bytes).map(Self::Cut).chain((0..bytes * 8).map(Self::Flip))
    }

    fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Cut(len) => bytes.truncate(len),
            Self::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
        }
        bytes
    }
}

/// Checks every cut and every changed bit of every file, and prints how many of them were refused.
#[expect(clippy::print_stdout, reason = "the counts are what is asked for")]
async fn check_every_damage(envelope: Envelope) {
    let subject = Subject::new(envelope).await;
    let (mut cuts, mut flips, mut restored) = ((0, 0), (0, 0), 0);
    let mut passed = Vec::new();
    for (name, bytes) in &subject.whole {
        for (number, damage) in Damage::every(bytes.len()).enumerate() {
            subject.write(name, &damage.apply(bytes));
            let (refused, tried) = match damage {
                Damage::Cut(_) => &mut cuts,
                Damage::Flip(_) => &mut flips,
            };
            *tried += 1;
            if subject.is_refused().await {
                *refused += 1;
            } else {
                passed.push((name, damage));
            }
            if number % RESTORED == 0 {
                subject.assert_restore_refused(&format!("{name} {damage:?}")).await;
                restored += 1;
            }
        }
        subject.write(name, bytes);
    }
    println!(
        "{envelope:?}: refused {}/{} cuts, {}/{} flips; {restored} restores ended as damaged",
        cuts.0, cuts.1, flips.0, flips.1
    );
    assert!(passed.is_empty(), "{envelope:?}: {passed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_changed_bit_of_a_plain_backup_is_refused() {
    check_every_damage(PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_changed_bit_of_a_compressed_backup_is_refused() {
    check_every_damage(COMPRESSED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_changed_bit_of_an_encrypted_backup_is_refused() {
    check_every_damage(ENCRYPTED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_changed_bit_of_a_compressed_and_encrypted_backup_is_refused() {
    check_every_damage(BOTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_renamed_swapped_and_added_files_are_refused_in_any_envelope() {
    for envelope in [PLAIN, COMPRESSED, ENCRYPTED, BOTH] {
        let subject = Subject::new(envelope).await;
        let at = |name: &str| subject.path().join(name);
        let names: Vec<&String> = subject.whole.keys().collect();
        for &name in names.iter().filter(|name| **name != MANIFEST) {
            fs::remove_file(at(name)).unwrap();
            subject.assert_refused(&format!("{envelope:?}: {name} is missing")).await;
            fs::rename(at(name), at(&format!("9_{name}"))).unwrap();
            subject.assert_refused(&format!("{envelope:?}: {name} is renamed")).await;
        }
        for name in subject.data() {
            fs::copy(at(name), at(&format!("9_{name}"))).unwrap();
            subject.assert_refused(&format!("{envelope:?}: {name} is there twice")).await;
        }
        for (number, first) in names.iter().enumerate() {
            for second in &names[number + 1..] {
                subject.write(first, &subject.whole[*second]);
                subject.write(second, &subject.whole[*first]);
                subject.assert_refused(&format!("{envelope:?}: {first} and {second} are swapped")).await;
            }
        }
        assert!(!subject.is_refused().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_without_its_manifest_is_unchecked_and_refused_where_one_is_required() {
    for envelope in [PLAIN, COMPRESSED, ENCRYPTED, BOTH] {
        let mut subject = Subject::new(envelope).await;
        fs::remove_file(subject.path().join(MANIFEST)).unwrap();
        let source = Local::directory(subject.path());
        let report = asbackup::validate(subject.validation.clone(), source).wait().await.unwrap();
        assert_eq!((report.source.completeness, report.findings.len()), (Completeness::Unchecked, 0));
        assert_eq!(subject.restore().await.unwrap(), Completeness::Unchecked);

        subject.validation.manifest = ManifestRule::Required;
        subject.restoration.manifest = ManifestRule::Required;
        let source = Local::directory(subject.path());
        let report = asbackup::validate(subject.validation.clone(), source).wait().await.unwrap();
        assert_eq!(report.findings[0].kind, FindingKind::Missing);
        subject.assert_refused(&format!("{envelope:?}: no manifest")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_first_byte_is_damage_even_if_compression_is_asked_for() {
    let mut subject = Subject::new(COMPRESSED).await;
    subject.validation.expected_compression = Some(ExpectedCompression::Zstd);
    subject.restoration.expected_compression = Some(ExpectedCompression::Zstd);
    let names: Vec<String> = subject.data().cloned().collect();
    for name in names {
        subject.write(&name, &Damage::Flip(0).apply(&subject.whole[&name]));
        subject.assert_refused(&name).await;
    }
}

/// Returns where a text may end without a manifest, lines of its header included: nobody can tell that there was more.
fn entry_ends(text: &[u8]) -> BTreeSet<usize> {
    let (mut ends, mut at, mut before) = (BTreeSet::new(), 0, &b""[..]);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let begins = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
        // A record begins with its key, if it has one.
        let is_first = begins(&[b"# ", b"* ", b"+ k "]) || begins(&[b"+ n "]) && !before.starts_with(b"+ k ");
        if at > 0 && is_first {
            ends.insert(at);
        }
        (at, before) = (at + line.len(), line);
    }
    ends
}

/// Returns where a compressed file may end.
fn frame_ends(bytes: &[u8]) -> BTreeSet<usize> {
    (1..bytes.len()).filter(|at| bytes[*at..].starts_with(ZSTD_MAGIC)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_within_an_entry_is_refused_without_a_manifest() {
    let ends = |subject: &Subject, ends_of: fn(&[u8]) -> BTreeSet<usize>| -> Vec<BTreeSet<usize>> {
        subject.data().map(|name| ends_of(&subject.whole[name])).collect()
    };
    let within_text = ends(&Subject::new(PLAIN).await, entry_ends);
    let within_frames = ends(&Subject::new(COMPRESSED).await, frame_ends);
    assert!(within_text.iter().all(|ends| !ends.is_empty()));
    for envelope in [PLAIN, COMPRESSED, ENCRYPTED, BOTH] {
        let subject = Subject::new(envelope).await;
        fs::remove_file(subject.path().join(MANIFEST)).unwrap();
        let ends = if envelope.level.is_some() { &within_frames } else { &within_text };
        let first = if envelope.mode.is_some() { BLOCK_BYTES } else { 0 };
        let (mut refused, mut tried) = (0, 0);
        for (name, ends) in subject.data().zip(ends) {
            let bytes = &subject.whole[name];
            for len in 0..bytes.len() {
                subject.write(name, &bytes[..len]);
                let is_end = len.checked_sub(first).is_some_and(|len| ends.contains(&len));
                let is_refused = subject.is_refused().await;
                assert_eq!(is_refused, !is_end, "{envelope:?}: {name} cut at {len}");
                (refused, tried) = (refused + usize::from(is_refused), tried + usize::from(!is_end));
            }
            subject.write(name, bytes);
        }
        println!("{envelope:?} without a manifest: refused {refused}/{tried} cuts within an entry or frame");
    }
}
