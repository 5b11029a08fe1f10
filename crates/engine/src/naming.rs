//! Names of backup files, as the older tools write and find them. Source: docs/format/files.md.

/// Returns the name of a record file.
pub(crate) fn record_file(writer: usize, namespace: &str, number: u64) -> String {
    format!("{writer}_{namespace}_{number}.asb")
}

/// Returns the name of the file that holds indexes and UDFs.
pub(crate) fn metadata_file(namespace: &str, number: u64) -> String {
    format!("metadata_{namespace}_{number}.asb")
}

/// Returns whether a file belongs to a backup in the text format.
pub(crate) fn is_backup(name: &str) -> bool {
    name.ends_with(".asb")
}

/// Returns whether a file was left unfinished by a run that was killed.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(".part").is_some_and(is_backup)
}

/// Returns whether a file holds only indexes and UDFs, so that reading it first gives them before any record.
pub(crate) fn is_metadata(name: &str) -> bool {
    name.starts_with("metadata_")
}

/// Returns the number at the end of a backup file's name, if it has one. A resumed run of the older tools appends
/// `(k)` to it.
pub(crate) fn number(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".part").unwrap_or(name).strip_suffix(".asb")?;
    let stem = stem.rsplit_once('(').map_or(stem, |(stem, _resumed)| stem);
    // No tool counts beyond 32 bits, and the number after this one has to be one too.
    stem.rsplit_once('_')?.1.parse::<u32>().ok().map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_older_tools() {
        assert_eq!(record_file(0, "my_ns", 2), "0_my_ns_2.asb");
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
            ("nightly.asb", None),
            ("0_test_18446744073709551615.asb", None),
            ("0_test_2.txt", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        assert!(is_backup("0_test_2.asb") && !is_backup("0_test_2.asb.part") && !is_backup("notes.txt"));
        assert!(
            is_unfinished("0_test_2.asb.part") && !is_unfinished("0_test_2.asb") && !is_unfinished("x.part")
        );
        assert!(is_metadata("metadata_test_1.asb") && !is_metadata("0_test_1.asb"));
    }
}
