//! The options that two runs must agree on for one to go on with the other. Source: docs/format/restore-state.md, "Options".

use std::collections::BTreeSet;

use asbackup_codec::wire::{ExistsRule, GenerationRule};
use asbackup_storage::Local;
use serde_json::{Map, Value, json};

use crate::{
    Error, ErrorKind,
    config::{EntryClass, Names, RestoreConfig, StatePlace, StateRule},
    manifest,
};

/// Options by name.
pub(super) type Options = Map<String, Value>;

/// Returns the options of a restore from there into the cluster of that name.
pub(super) fn options(config: &RestoreConfig, source: &Local, cluster: Option<&str>) -> Options {
    let out = |class| config.left_out.contains(&class);
    let pairs = [
        ("cluster", json!(cluster)),
        ("namespace", json!(config.rename.as_ref().map(ToString::to_string))),
        ("sets", names(config.sets.as_ref())),
        ("bins", names(config.bins.as_ref())),
        ("no_records", json!(out(EntryClass::Records))),
        ("no_indexes", json!(out(EntryClass::Indexes))),
        ("no_udfs", json!(out(EntryClass::UdfModules))),
        ("unique", json!(config.rules.exists == ExistsRule::CreateOnly)),
        ("replace", json!(config.rules.exists == ExistsRule::Replace)),
        ("no_generation", json!(config.rules.generation == GenerationRule::Ignore)),
        ("extra_ttl", json!(config.extra_ttl.as_secs())),
    ];
    // Only where they hold: states that were written before they were options don't have them.
    let shard = config.shard.map(|shard| ("shard", json!(shard.to_string())));
    let recursive = source.is_recursive().then_some(("recursive", json!(true)));
    // Without a manifest two backups may differ in nothing that the state knows of.
    let is_elsewhere =
        matches!(&config.state, StateRule::Kept(state) if matches!(state.place, StatePlace::Directory(_)));
    let directory = is_elsewhere.then(|| std::fs::canonicalize(source.path()).ok()).flatten();
    let directory = directory.map(|path| ("directory", json!(path.to_string_lossy())));
    let pairs = pairs.into_iter().chain(shard).chain(recursive).chain(directory);
    pairs.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the fingerprint of options.
pub(super) fn fingerprint(options: &Options) -> String {
    let text = serde_json::to_vec(options).expect("every key is a string, and nothing else can fail");
    manifest::Hashing::default().hash(&[&text])
}

/// Checks that the options are those of the state.
pub(super) fn check(ours: &Options, of_state: &Options) -> Result<(), Error> {
    let names: BTreeSet<&String> = ours.keys().chain(of_state.keys()).collect();
    let value = |options: &Options, name| options.get(name).unwrap_or(&Value::Null).to_string();
    let Some(name) = names.into_iter().find(|name| ours.get(*name) != of_state.get(*name)) else {
        return Ok(());
    };
    let (before, now) = (value(of_state, name), value(ours, name));
    let message =
        format!("the interrupted restore had another option {name}: {before}, and this one has {now}");
    Err(Error::of(ErrorKind::State, message)
        .hint("give it as it was, or begin anew without --continue")
        .build())
}

/// Names that aren't UTF-8 are escaped, so that any two lists differ in their text too.
fn names(names: Option<&Names>) -> Value {
    let text = |name: &[u8]| match str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => name.escape_ascii().to_string(),
    };
    names.map_or(Value::Null, |names| names.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Parallelism, Rename, WriteRetry};

    fn options(config: &RestoreConfig, cluster: Option<&str>) -> Options {
        super::options(config, &Local::directory("a"), cluster)
    }

    /// Checks which option is named when a restore goes on with a changed configuration.
    #[track_caller]
    fn check_named(change: impl FnOnce(&mut RestoreConfig), named: &str) {
        let mut changed = RestoreConfig::new();
        change(&mut changed);
        let (before, now) = (options(&RestoreConfig::new(), None), options(&changed, None));
        assert_ne!(fingerprint(&before), fingerprint(&now));
        let error = check(&now, &before).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert_eq!(error.to_string(), format!("the interrupted restore had another option {named}"));
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        check_named(
            |config| config.rename = Some(Rename { from: "a".into(), to: "b".into() }),
            r#"namespace: null, and this one has "a,b""#,
        );
        check_named(|config| config.sets = Names::new(["a"]).ok(), r#"sets: null, and this one has ["a"]"#);
        check_named(
            |config| config.bins = Names::new([&b"\xff"[..]]).ok(),
            r#"bins: null, and this one has ["\\xff"]"#,
        );
        check_named(|config| config.shard = "1/2".parse().ok(), r#"shard: null, and this one has "1/2""#);
        check_named(
            |config| config.left_out = [EntryClass::UdfModules].into(),
            "no_udfs: false, and this one has true",
        );
        check_named(
            |config| config.rules.exists = ExistsRule::Replace,
            "replace: false, and this one has true",
        );
        check_named(
            |config| config.rules.generation = GenerationRule::Ignore,
            "no_generation: false, and this one has true",
        );
        check_named(
            |config| config.extra_ttl = std::time::Duration::from_secs(7),
            "extra_ttl: 0, and this one has 7",
        );
        let config = RestoreConfig::new();
        let tree = super::options(&config, &Local::tree("a"), None);
        let error = check(&tree, &options(&config, None)).unwrap_err();
        assert!(error.to_string().ends_with("option recursive: null, and this one has true"), "{error}");
        let error = check(&options(&config, Some("b")), &options(&config, Some("a"))).unwrap_err();
        assert!(error.to_string().ends_with(r#"option cluster: "a", and this one has "b""#), "{error}");
    }

    #[test]
    fn how_fast_a_restore_is_does_not_matter() {
        let mut config = RestoreConfig::new();
        let before = options(&config, None);
        config.readers = Parallelism::MAX;
        config.retry = WriteRetry { max_retries: 0, ..config.retry };
        check(&options(&config, None), &before).unwrap();
    }
}
