//! The options that decide which records are written in which form, and their fingerprint. Source:
//! docs/format/manifest.md, "Fingerprint".

use asbackup_codec::{asb::Spelling, envelope::AesKey};
use serde::Serialize;

use super::{
    document::{Selection, mode_name},
    hash::Hashing,
};
use crate::config::BackupConfig;

/// What two runs must agree on to write the same backup.
#[derive(Serialize)]
struct Options<'a> {
    namespace: &'a str,
    #[serde(flatten)]
    selection: Selection,
    compact: bool,
    compression: Option<&'a str>,
    encryption: Option<&'a str>,
    /// A hash of it.
    key: Option<String>,
    prefix: Option<&'a str>,
}

/// Returns the fingerprint of a configuration with the key that belongs to it.
pub(super) fn fingerprint(config: &BackupConfig, key: Option<&AesKey>) -> String {
    let options = Options {
        namespace: &config.namespace,
        selection: Selection::of(config),
        compact: config.spelling == Spelling::Compact,
        compression: config.envelope.compression.map(|_| "zstd"),
        encryption: config.envelope.encryption.as_ref().map(|encryption| mode_name(encryption.mode)),
        key: key.map(|key| blake3::Hash::from(blake3::derive_key(CONTEXT, key.bytes())).to_hex().to_string()),
        prefix: None,
    };
    let text = serde_json::to_vec(&options).expect("every key is a string, and nothing else can fail");
    Hashing::Accidents.hash(&[&text])
}

/// What the hash of a key is derived for. Source: docs/format/manifest.md, "Fingerprint".
const CONTEXT: &str = "asbackup fingerprint v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Parallelism, Zstd};

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
    }
}
