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
