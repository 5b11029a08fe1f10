//! `docs/library.md` names what there is, and every field of the configurations.

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path};

use asbackup::{
    AgentAddress, BackupConfig, BackupReport, BatchLimits, Client, ClusterConfig, Envelope, Job, Limits,
    PartitionList, RestoreConfig, SecretAgent, WriteRules, complete, validate,
};

/// Returns the paths of a struct's fields, as its `Debug` form has them.
fn fields(name: &str, value: &dyn Debug) -> Vec<String> {
    let text = format!("{value:#?}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let names =
        lines.filter(|line| !line.starts_with([' ', '}', ']', ')'])).filter_map(|line| line.split_once(':'));
    names.map(|(field, _)| format!("{name}::{field}")).collect()
}

/// Returns the texts of the second column that are code.
fn named() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/library.md");
    let text = fs::read_to_string(path).unwrap();
    let columns = text.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    columns.flat_map(|column| column.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Returns names of functions that exist, or this wouldn't compile.
fn functions() -> [String; 17] {
    macro_rules! functions {
        ($($name:literal = $function:expr,)*) => { [$({ let _ = $function; $name.to_owned() }),*] };
    }
    functions! {
        "BackupConfig::as_of_unfinished" = BackupConfig::as_of_unfinished,
        "PartitionList::range" = PartitionList::range,
        "PartitionList::of_digest" = PartitionList::of_digest,
        "PartitionList::after_digest" = PartitionList::after_digest,
        "PartitionList::and" = PartitionList::and,
        "Client::new" = Client::new,
        "Client::with_id" = |client: Client| client.with_id(""),
        "Client::with_scan_permits" = Client::with_scan_permits,
        "Client::backup" = Client::backup,
        "Client::restore" = Client::restore,
        "Client::estimate" = Client::estimate,
        "Job::wait" = Job::<BackupReport>::wait,
        "Job::progress" = Job::<BackupReport>::progress,
        "Job::events" = Job::<BackupReport>::events,
        "Job::report" = Job::<BackupReport>::report,
        "validate" = validate,
        "complete" = complete,
    }
}

#[test]
fn names_of_the_library_are_those_that_exist() {
    let agent = SecretAgent::new(AgentAddress::Unix("/run/agent".into()));
    let whole: BTreeSet<_> = [
        fields("BackupConfig", &BackupConfig::new("test")),
        fields("RestoreConfig", &RestoreConfig::new()),
        fields("Limits", &Limits::default()),
        fields("Envelope", &Envelope::default()),
        fields("BatchLimits", &BatchLimits::default()),
        fields("WriteRules", &WriteRules::default()),
        fields("SecretAgent", &agent),
    ]
    .concat()
    .into_iter()
    .collect();
    let named = named();
    let missing: Vec<_> = whole.difference(&named).collect();
    assert!(missing.is_empty(), "docs/library.md doesn't name {missing:?}");
    let mut known = whole;
    known.extend(fields("ClusterConfig", &ClusterConfig::new([])));
    known.extend(functions());
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/library.md names {unknown:?}, which don't exist");
}
