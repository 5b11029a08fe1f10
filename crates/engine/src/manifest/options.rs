//! The options that decide which records are written in which form, and their fingerprint. Source:
//! docs/format/manifest.md, "Fingerprint".

use asbackup_codec::asb::Spelling;
use serde::Serialize;

use super::{document::Selection, hash::hash};
use crate::config::{BackupConfig, FilePrefix};

/// What two runs must agree on to write the same backup.
#[derive(Serialize)]
struct Options<'a> {
    namespace: &'a str,
    #[serde(flatten)]
    selection: Selection,
    compact: bool,
    compression: Option<&'a str>,
    encryption: Option<&'a str>,
    key: Option<&'a str>,
    prefix: Option<&'a str>,
}

/// Returns the fingerprint of a configuration.
pub(super) fn fingerprint(config: &BackupConfig) -> String {
    let options = Options {
        namespace: &config.namespace,
        selection: Selection::of(config),
        compact: config.spelling == Spelling::Compact,
        compression: None,
        encryption: None,
        key: None,
        prefix: config.file_prefix.as_ref().map(FilePrefix::as_str),
    };
    let text = serde_json::to_vec(&options).expect("every key is a string, and nothing else can fail");
    hash(&[&text])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Parallelism;

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
        assert!(!same(|config| config.file_prefix = FilePrefix::new("x").ok()));
    }
}
