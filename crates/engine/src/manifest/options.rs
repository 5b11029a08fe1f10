//! The options that decide which records are written in which form, and their fingerprint. Source:
//! docs/format/manifest.md, "Fingerprint".

use asbackup_codec::asb::Spelling;
use serde::Serialize;

use super::{
    document::{Modified, Selection},
    hash::hash,
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
    key: Option<&'a str>,
    prefix: Option<&'a str>,
}

/// Returns the fingerprint of a configuration.
pub(crate) fn fingerprint(config: &BackupConfig) -> String {
    let text =
        serde_json::to_vec(&Options::of(config)).expect("every key is a string, and nothing else can fail");
    hash(&[&text])
}

/// Returns the options themselves, by name.
pub(crate) fn options(config: &BackupConfig) -> serde_json::Value {
    serde_json::to_value(Options::of(config)).expect("every key is a string, and nothing else can fail")
}

impl<'a> Options<'a> {
    fn of(config: &'a BackupConfig) -> Self {
        Self {
            namespace: &config.namespace,
            selection: Selection::of(config),
            modified: Modified::of(config),
            compact: config.spelling == Spelling::Compact,
            compression: None,
            encryption: None,
            key: None,
            prefix: config.file_prefix.as_ref().map(FilePrefix::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, time::Duration, time::SystemTime};

    use super::*;
    use crate::config::{BinSelection, Lifetime, Modified, Names, Parallelism, RackId, Scope};

    #[test]
    fn fingerprint_tells_what_is_written_and_not_how_fast() {
        let config = BackupConfig::new("test");
        let same = |change: fn(&mut BackupConfig)| {
            let mut changed = config.clone();
            change(&mut changed);
            fingerprint(&changed) == fingerprint(&config)
        };
        assert!(same(|config| config.readers = Parallelism::MAX));
        assert!(same(|config| config.file_limit = None));
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
