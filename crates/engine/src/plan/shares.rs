//! Whether a backup can be shared out, and which part of it a share is.

use asbackup_model::PartitionSet;
use asbackup_storage::Local;

use crate::{
    Error, ErrorKind,
    config::{BackupConfig, EntryClass, ExistingFiles, RestoreConfig, Scope, Shard},
};

/// Checks what excludes a share.
pub(super) fn check_shard(config: &BackupConfig, target: &Local) -> Result<(), Error> {
    let Some(shard) = config.shard else { return Ok(()) };
    let of_nodes = matches!(config.scope, Scope::Nodes(_) | Scope::Racks(_));
    let reasons = [
        (
            of_nodes,
            "the partitions of nodes or racks may change before the next share begins",
            "leave out --node-list and --rack-list, or --shard",
        ),
        (
            config.max_records.is_some(),
            "shares can't know of each other's records",
            "leave out --max-records, or --shard",
        ),
        (
            config.left_out.contains(&EntryClass::Records),
            "without records there is nothing to share out",
            "leave out --no-records, or --shard",
        ),
        (!target.is_directory(), "a single file has no shares", "name a directory, or leave out --shard"),
        (
            config.existing == ExistingFiles::Replace,
            "a share can't take the place of a backup",
            "leave out --remove-files, or --shard",
        ),
    ];
    match reasons.into_iter().find(|(holds, ..)| *holds) {
        None => Ok(()),
        Some((_, why, hint)) => {
            Err(Error::of(ErrorKind::Config, format!("share {shard}: {why}")).hint(hint).build())
        }
    }
}

/// Returns the share of the partitions that are asked for, if there is one.
pub(super) fn part_of(shard: Option<Shard>, wanted: PartitionSet) -> Result<PartitionSet, Error> {
    let Some(shard) = shard else { return Ok(wanted) };
    let part = shard.part_of(&wanted);
    let partitions = wanted.iter().count();
    if partitions < usize::from(shard.of()) {
        let message = format!("{partitions} partitions can't be dealt out to {} shares", shard.of());
        return Err(Error::of(ErrorKind::Config, message).hint("change --shard").build());
    }
    Ok(part)
}

/// Checks that what is restored by several jobs has several files.
pub(super) fn check_restore_shard(config: &RestoreConfig, source: &Local) -> Result<(), Error> {
    match config.shard {
        Some(shard) if source.is_single() => {
            let message = format!("share {shard}: a single file has no shares");
            Err(Error::of(ErrorKind::Config, message).hint("name a directory, or leave out --shard").build())
        }
        _ => Ok(()),
    }
}
