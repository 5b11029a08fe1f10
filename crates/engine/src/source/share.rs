//! Which files of a backup one of several jobs restores.

use crate::{
    config::Shard,
    manifest::{BackupSet, SetFile},
    naming,
};

/// Leaves of a set what one share of its restore reads: record files in turn, in the order of their names, so that all
/// jobs see the same; what isn't a record is restored by the first.
pub(crate) fn share_out(set: BackupSet, shard: Shard) -> BackupSet {
    let BackupSet { files, side_files, .. } = set;
    let (mut metadata, mut records): (Vec<SetFile>, Vec<SetFile>) =
        files.into_iter().partition(|file| naming::is_metadata(&file.stored.name));
    records.sort_by(|a, b| a.stored.name.cmp(&b.stored.name));
    let (index, of) = (usize::from(shard.index()), usize::from(shard.of()));
    let records = records.into_iter().skip(index - 1).step_by(of);
    if !shard.is_first() {
        metadata.clear();
    }
    BackupSet {
        files: metadata.into_iter().chain(records).collect(),
        side_files: if shard.is_first() { side_files } else { Vec::new() },
        ..set
    }
}

#[cfg(test)]
mod tests {
    use asbackup_storage::StoredFile;

    use super::*;
    use crate::{manifest::SideFile, source::open::Opening};

    /// Returns the names that a share of these files reads, and how many side files.
    fn read(names: &[&str], shard: &str) -> (Vec<String>, usize) {
        let file = |name: &&str| SetFile {
            stored: StoredFile { name: (*name).to_owned(), bytes: 1 },
            listed: None,
            namespace: None,
            opening: Opening::default(),
        };
        let files = names.iter().map(file).collect();
        let side_files = vec![SideFile::new("test", Vec::new())];
        let set = share_out(BackupSet { files, side_files, ..BackupSet::default() }, shard.parse().unwrap());
        (set.files.into_iter().map(|file| file.stored.name).collect(), set.side_files.len())
    }

    #[test]
    fn record_files_are_dealt_out_by_name_in_whatever_order_they_come() {
        let names = ["0_test_10.asb", "metadata_test_1.asb", "1_test_2.asb", "0_test_3.asb"];
        let mut reversed = names;
        reversed.reverse();
        for names in [names, reversed] {
            let first = ["metadata_test_1.asb", "0_test_10.asb", "1_test_2.asb"];
            assert_eq!(read(&names, "1/2"), (first.map(str::to_owned).to_vec(), 1));
            assert_eq!(read(&names, "2/2"), (vec!["0_test_3.asb".to_owned()], 0));
            assert_eq!(read(&names, "4/4"), (Vec::new(), 0));
        }
    }
}
