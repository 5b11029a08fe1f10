//! What a manifest or a state says of the shares of a backup. Source: docs/format/manifest.md, "Shares".

use asbackup_model::PartitionSet;
use serde::{Deserialize, Serialize};

use super::{
    document::{ListedFile, Manifest, partition_list},
    error::DocumentError,
};
use crate::{config::Shard, naming};

/// What a manifest says of shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Shards {
    /// It is the manifest of one share.
    One(ShardName),
    /// It closes the set of all shares.
    All(AllShards),
}

/// A share as documents name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardName {
    share: u16,
    of: u16,
}

/// Which shares a backup was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AllShards {
    pub(crate) of: u16,
    /// In their order.
    pub(crate) shares: Vec<ClosedShare>,
}

/// A share of a backup that is closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClosedShare {
    pub(crate) share: u16,
    pub(crate) run: Option<String>,
    pub(crate) started: String,
    pub(crate) finished: String,
    #[serde(with = "partition_list")]
    pub(crate) partitions: PartitionSet,
}

impl From<Shard> for ShardName {
    fn from(shard: Shard) -> Self {
        Self { share: shard.index(), of: shard.of() }
    }
}

impl ShardName {
    /// Returns it as people write it.
    pub(crate) fn text(self) -> String {
        format!("{}/{}", self.share, self.of)
    }

    pub(super) fn shard(self) -> Result<Shard, DocumentError> {
        Shard::new(self.share, self.of).map_err(|error| contradiction(error.to_string()))
    }
}

impl AllShards {
    /// Checks that each share is there once.
    pub(super) fn check(&self) -> Result<(), DocumentError> {
        match self.shares.iter().map(|share| share.share).eq(1..=self.of) {
            true => Ok(()),
            false => Err(contradiction(format!("the shares that it names aren't 1 to {}", self.of))),
        }
    }
}

impl Manifest {
    /// Checks that a share holds all of its partitions, and nothing of another one.
    pub(super) fn check_share(&self, shard: Shard, selected: &PartitionSet) -> Result<(), DocumentError> {
        let part = shard.part_of(selected);
        if self.partitions != part {
            let what = format!(
                "share {shard} has the partitions {part}, but those that are done are {}",
                self.partitions
            );
            return Err(contradiction(what));
        }
        self.files.iter().try_for_each(|file| check_file(file, shard, &part))
    }
}

fn check_file(file: &ListedFile, shard: Shard, part: &PartitionSet) -> Result<(), DocumentError> {
    if !part.is_superset(&file.partitions) {
        let what = format!("{:?} has records of partitions that aren't those of share {shard}", file.name);
        return Err(contradiction(what));
    }
    match naming::number(&file.name) {
        Some(number) if shard.has_number(number) => Ok(()),
        _ => Err(contradiction(format!("{:?} has no number of share {shard}", file.name))),
    }
}

fn contradiction(what: String) -> DocumentError {
    DocumentError::Contradiction { what }
}
