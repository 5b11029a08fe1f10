//! Names of backup files, as the older tools write and find them. Source: docs/format/files.md.

mod shares;

use crate::config::{FilePrefix, Shard};

pub(crate) use shares::ShareFile;

/// Returns the name of a record file. A prefix takes the place of the writer's number.
pub(crate) fn record_file(
    writer: usize,
    prefix: Option<&FilePrefix>,
    namespace: &str,
    number: u64,
) -> String {
    match prefix {
        Some(prefix) => format!("{prefix}{namespace}_{number}.asb"),
        None => format!("{writer}_{namespace}_{number}.asb"),
    }
}

/// Returns the name of the file that holds indexes and UDFs.
pub(crate) fn metadata_file(namespace: &str, number: u64) -> String {
    format!("metadata_{namespace}_{number}.asb")
}

/// The name of the manifest. Source: docs/format/manifest.md.
pub(crate) const MANIFEST: &str = "asbackup.manifest.json";

/// Returns the name of the manifest of a backup, or of one share of it.
pub(crate) fn manifest(shard: Option<Shard>) -> String {
    shard.map_or_else(|| MANIFEST.to_owned(), |shard| ShareFile::Manifest.name(shard))
}

/// The usual name of the state of an unfinished backup. Source: docs/format/state.md.
pub(crate) const STATE: &str = "asbackup.state.json";

/// The name of what shows an unfinished backup that has no state of the usual name beside its data.
pub(crate) const STATE_ELSEWHERE: &str = "asbackup.state.json.part";

/// Returns the usual name of the state of a backup, or of one share of it.
pub(crate) fn state(shard: Option<Shard>) -> String {
    shard.map_or_else(|| STATE.to_owned(), |shard| ShareFile::State.name(shard))
}

/// The usual name of the state of a restore. Source: docs/format/restore-state.md.
pub(crate) const RESTORE_STATE: &str = "asbackup.restore.state.json";

/// The name of a side file beside which no other one lies.
pub(crate) const SIDE_FILE: &str = "asbackup.extra.json";

/// Returns the name of a side file beside which an old one may lie.
pub(crate) fn numbered_side_file(number: u64) -> String {
    format!("asbackup.extra.{number}.json")
}

/// Returns whether a file belongs to a backup in the text format.
pub(crate) fn is_backup(name: &str) -> bool {
    name.ends_with(".asb")
}

/// Returns whether a file holds data of a backup, in whichever format.
pub(crate) fn is_data(name: &str) -> bool {
    is_backup(name) || name.ends_with(".asbx")
}

/// Returns whether a file holds what a backup's data files have no line for.
pub(crate) fn is_side_file(name: &str) -> bool {
    name == SIDE_FILE || side_file_number(name).is_some()
}

/// Returns whether a file is one that backup tools write, whichever tool and in whichever state it is.
pub(crate) fn is_artifact(name: &str) -> bool {
    let name = name.strip_suffix(".part").unwrap_or(name);
    // Those of the C tools.
    let is_state = [STATE, RESTORE_STATE].contains(&name) || name.ends_with(".asb.state");
    is_data(name) || is_side_file(name) || name == MANIFEST || is_state || ShareFile::of(name).is_some()
}

/// Returns whether a file was left unfinished by a run that was killed.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(".part").is_some_and(|name| is_data(name) || is_side_file(name) || is_document(name))
}

/// Returns whether a file says what a backup, or a share of one, consists of, or how far it is.
pub(crate) fn is_document(name: &str) -> bool {
    [MANIFEST, STATE].contains(&name) || is_of_share(name)
}

/// Returns whether a file may be the state of an interrupted backup of an older tool: those of the C tools end in
/// `.asb.state`, and absctl's have the name that they were given.
pub(crate) fn may_be_foreign_state(name: &str) -> bool {
    name.ends_with(".state")
}

/// Returns whether a file lies beside the data of one share of a backup that isn't closed yet.
pub(crate) fn is_of_share(name: &str) -> bool {
    ShareFile::of(name).is_some_and(|(kind, _)| kind.is_of_backup())
}

/// Returns whether a file holds only indexes and UDFs, so that reading it first gives them before any record.
pub(crate) fn is_metadata(name: &str) -> bool {
    let base = name.rsplit_once('/').map_or(name, |(_directory, base)| base);
    base.starts_with(METADATA)
}

/// How the names of files begin that hold only indexes and UDFs.
pub(crate) const METADATA: &str = "metadata_";

/// Returns the number at the end of a backup file's name, if it has one. A resumed run of the older tools appends
/// `(k)` to it.
pub(crate) fn number(name: &str) -> Option<u64> {
    let name = name.strip_suffix(".part").unwrap_or(name);
    if let Some(number) = side_file_number(name) {
        return Some(number);
    }
    let stem = name.strip_suffix(".asb").or_else(|| name.strip_suffix(".asbx"))?;
    let stem = stem.rsplit_once('(').map_or(stem, |(stem, _resumed)| stem);
    // No tool counts beyond 32 bits, and the number after this one has to be one too.
    stem.rsplit_once('_')?.1.parse::<u32>().ok().map(u64::from)
}

fn side_file_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("asbackup.extra.")?.strip_suffix(".json")?;
    let number = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    number.map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_older_tools() {
        assert_eq!(record_file(0, None, "my_ns", 2), "0_my_ns_2.asb");
        let prefix = FilePrefix::new("nightly-").unwrap();
        assert_eq!(record_file(3, Some(&prefix), "test", 2), "nightly-test_2.asb");
        assert_eq!(metadata_file("test", 1), "metadata_test_1.asb");
    }

    #[test]
    fn number_is_found_in_every_form() {
        for (name, expected) in [
            ("0_test_2.asb", Some(2)),
            ("12_my_ns_345.asb", Some(345)),
            ("0_test_2(1).asb", Some(2)),
            ("0_test_7.asb.part", Some(7)),
            ("[test]_00012.asb", Some(12)),
            ("0_test_3.asbx", Some(3)),
            ("asbackup.extra.8.json", Some(8)),
            ("asbackup.extra.8.json.part", Some(8)),
            ("asbackup.extra.json", None),
            ("asbackup.extra.+8.json", None),
            ("nightly.asb", None),
            ("0_test_18446744073709551615.asb", None),
            ("0_test_2.txt", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    #[test]
    fn artifacts_are_what_backup_tools_write() {
        for (name, expected) in [
            ("0_test_2.asb", true),
            ("[test]_00000.asb", true),
            ("0_test_2.asbx", true),
            ("0_test_2.asb.part", true),
            ("metadata_test_1.asb", true),
            (MANIFEST, true),
            (SIDE_FILE, true),
            ("asbackup.extra.3.json.part", true),
            ("asbackup.state.json", true),
            ("asbackup.restore.state.json", true),
            ("test.asb.state", true),
            ("asbackup.manifest.1-of-2.json", true),
            ("asbackup.state.1-of-2.json.part", true),
            ("asbackup.share.1-of-2.lock", true),
            ("asbackup.restore.state.1-of-2.json", true),
            ("asbackup.manifest.3-of-2.json", false),
            ("notes.txt", false),
            ("asbackup.log", false),
            ("x.part", false),
            ("asb", false),
        ] {
            assert_eq!(is_artifact(name), expected, "{name}");
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        assert!(is_backup("0_test_2.asb") && !is_backup("0_test_2.asb.part") && !is_backup("notes.txt"));
        assert!(
            is_unfinished("0_test_2.asb.part") && !is_unfinished("0_test_2.asb") && !is_unfinished("x.part")
        );
        assert!(is_data("0_test_2.asbx") && !is_data(MANIFEST));
        assert!(is_side_file(SIDE_FILE) && is_side_file(&numbered_side_file(3)));
        assert!(!is_side_file("asbackup.extra.old.json") && !is_side_file(MANIFEST));
        assert!(is_unfinished("asbackup.manifest.json.part") && is_unfinished("asbackup.extra.3.json.part"));
        assert!(
            is_unfinished("asbackup.state.1-of-2.json.part") && !is_unfinished("asbackup.share.1-of-2.lock")
        );
        assert!(is_metadata("metadata_test_1.asb") && !is_metadata("0_test_1.asb"));
        assert!(is_metadata("a/metadata_test_1.asb") && !is_metadata("metadata_a/0_test_1.asb"));
    }
}
