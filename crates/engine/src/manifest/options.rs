//! The options that decide which records are written in which form, and their fingerprint. Source:
//! docs/format/manifest.md, "Fingerprint".

use asbackup_codec::{asb::Spelling, envelope::AesKey};
use serde::Serialize;

use super::{
    document::{Modified, Selection, mode_name},
    hash::Hashing,
};
use crate::config::{BackupConfig, FilePrefix};

/// What two runs must agree on to write the same backup.
#[derive(Serialize)]
struct Options<'a> {
    namespace: &'a str,
    #[serde(flatten)]
    selection: Selection,
    modified: Modified,
    compact: bool,
    compression: Option<&'a str>,
    encryption: Option<&'a str>,
    /// A hash of it.
    key: Option<String>,
    prefix: Option<&'a str>,
}

/// Returns the fingerprint of a configuration with the key that belongs to it.
pub(crate) fn fingerprint(config: &BackupConfig, key: Option<&AesKey>) -> String {
    let text = serde_json::to_vec(&Options::of(config, key))
        .expect("every key is a string, and nothing else can fail");
    Hashing::Accidents.hash(&[&text])
}

/// Returns the options themselves, by name.
pub(crate) fn options(config: &BackupConfig, key: Option<&AesKey>) -> serde_json::Value {
    serde_json::to_value(Options::of(config, key)).expect("every key is a string, and nothing else can fail")
}

impl<'a> Options<'a> {
    fn of(config: &'a BackupConfig, key: Option<&AesKey>) -> Self {
        let hash = |key: &AesKey| blake3::Hash::from(blake3::derive_key(CONTEXT, key.bytes()));
        Self {
            namespace: &config.namespace,
            selection: Selection::of(config),
            modified: Modified::of(config),
            compact: config.spelling == Spelling::Compact,
            compression: config.envelope.compression.map(|_| "zstd"),
            encryption: config.envelope.encryption.as_ref().map(|encryption| mode_name(encryption.mode)),
            key: key.map(|key| hash(key).to_hex().to_string()),
            prefix: config.file_prefix.as_ref().map(FilePrefix::as_str),
        }
    }
}

/// What the hash of a key is derived for. Source: docs/format/manifest.md, "Fingerprint".
const CONTEXT: &str = "asbackup fingerprint v1";

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, time::Duration, time::SystemTime};

    use super::*;
    use crate::config::{BinSelection, Lifetime, Modified, Names, Parallelism, RackId, Scope, Zstd};

    #[test]
    fn fingerprint_tells_what_is_written_and_not_how_fast() {
        let config = BackupConfig::new("test");
        let same = |change: fn(&mut BackupConfig)| {
            let mut changed = config.clone();
            change(&mut changed);
            fingerprint(&changed, None) == fingerprint(&config, None)
        };
        assert!(same(|config| config.readers = Parallelism::MAX));
        assert!(same(|config| config.file_limit = None));
        let zstd = |level| Some(Zstd::level(level).unwrap());
        assert!(!same(|config| config.envelope.compression = Some(Zstd::level(1).unwrap())));
        let with = |level| {
            let mut config = config.clone();
            config.envelope.compression = zstd(level);
            fingerprint(&config, None)
        };
        assert_eq!(with(1), with(19), "levels may change");
        let with = |key| fingerprint(&config, Some(&AesKey::Aes128([key; 16])));
        assert!(with(1) == with(1) && with(1) != with(2), "keys may not");
        assert!(!same(|config| config.namespace = "other".to_owned()));
        assert!(!same(|config| config.spelling = Spelling::Compact));
        assert!(same(|config| config.total_timeout = Some(Duration::from_secs(1))));
        assert!(same(|config| config.page_records = NonZeroU64::new(1)));
        assert!(same(|config| config.preferred_racks = RackId::new(1).into_iter().collect()));
        assert!(!same(|config| config.scope = Scope::Partitions("0..4095".parse().unwrap())));
        assert!(!same(|config| config.sets = Names::new(["a"]).ok()));
        assert!(!same(|config| config.bins = BinSelection::Only(Names::new(["a"]).unwrap())));
        assert!(!same(|config| config.bins = BinSelection::None));
        assert!(!same(|config| {
            config.modified = Modified::new(Some(SystemTime::UNIX_EPOCH), None).unwrap();
        }));
        assert!(!same(|config| config.lifetime = Lifetime::Unlimited));
        assert!(!same(|config| config.filter = "kwOTUQKjYWdlQA==".parse().ok()));
        assert!(!same(|config| config.max_records = NonZeroU64::new(1)));
        assert!(!same(|config| config.file_prefix = FilePrefix::new("x").ok()));
    }
}
