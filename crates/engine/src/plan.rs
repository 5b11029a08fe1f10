//! A configuration checked against itself, the cluster and the target, once. After it nothing is left to check.

mod memory;
mod partitions;
mod shares;

use asbackup_cluster::{Cluster, Readers};
use asbackup_codec::envelope::AesKey;
use asbackup_model::{PartitionId, PartitionSet};
use asbackup_storage::Local;
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

pub(crate) use self::memory::{BackupMemory, Packing, restore_bytes};
use self::{
    partitions::{Selected, check_selection, select, streams},
    shares::{check_restore_shard, check_shard, part_of},
};
use crate::{
    Error, ErrorKind, blocking,
    checkpoint::{self, Start},
    config::{BackupConfig, EntryClass, RestoreConfig},
};

/// What a backup is going to do.
#[derive(Debug)]
pub(crate) struct BackupPlan {
    /// The partitions of each stream, in the order in which they are read.
    pub(crate) streams: Vec<Vec<PartitionId>>,
    /// The partitions of all streams, and those that an earlier run has read.
    pub(crate) selected: PartitionSet,
    /// Who reads partitions in place of their owners.
    pub(crate) readers: Option<Arc<Readers>>,
    /// Its blocks.
    pub(crate) memory: BackupMemory,
    /// What lies in the target already.
    pub(crate) start: Start,
}

/// Checks a backup's configuration and prepares its target.
pub(crate) async fn plan_backup(
    cluster: &Cluster,
    config: &BackupConfig,
    key: Option<&AesKey>,
    target: &Local,
    started: SystemTime,
) -> Result<BackupPlan, Error> {
    check_classes(&config.left_out)?;
    check_selection(config)?;
    check_shard(config, target)?;
    check_namespace_name(&config.namespace)?;
    check_namespace(cluster, config.namespace.as_bytes()).await?;
    let Selected { wanted, readers } = select(cluster, config).await?;
    let wanted = part_of(config.shard, wanted)?;
    let start = {
        let (config, key, target) = (config.clone(), key.cloned(), target.clone());
        blocking(move || checkpoint::start(&config, key.as_ref(), &target, started)).await??
    };
    let (selected, left) = start.left_of(wanted, config);
    let streams = streams(cluster, config, &left, readers.as_deref())?;
    let memory = BackupMemory::new(config, streams.len(), target.buffer_bytes());
    let plan = BackupPlan { streams, selected, readers, memory, start };
    tracing::info!(
        streams = plan.streams.len(),
        writers = config.writers.count().min(plan.streams.len()),
        memory_bytes = memory.bytes,
        "backup planned"
    );
    Ok(plan)
}

/// Checks a backup's configuration for an estimate, which has no target. Returns the partitions of each stream.
pub(crate) async fn plan_estimate(
    cluster: &Cluster,
    config: &BackupConfig,
) -> Result<Vec<Vec<PartitionId>>, Error> {
    if config.shard.is_some() {
        let message = "an estimate is of a whole backup, of which each share is about an equal part";
        return Err(Error::of(ErrorKind::Config, message).hint("leave out --shard or --estimate").build());
    }
    check_classes(&config.left_out)?;
    check_selection(config)?;
    check_namespace_name(&config.namespace)?;
    check_namespace(cluster, config.namespace.as_bytes()).await?;
    let Selected { wanted, readers } = select(cluster, config).await?;
    streams(cluster, config, &wanted, readers.as_deref())
}

/// Checks a restore's configuration.
pub(crate) async fn plan_restore(
    cluster: &Cluster,
    config: &RestoreConfig,
    source: &Local,
) -> Result<(), Error> {
    check_classes(&config.left_out)?;
    check_restore_shard(config, source)?;
    if let Some(rename) = &config.rename {
        check_namespace(cluster, rename.to.as_bytes()).await?;
    }
    Ok(())
}

fn check_classes(left_out: &BTreeSet<EntryClass>) -> Result<(), Error> {
    if left_out.len() < EntryClass::ALL.len() {
        return Ok(());
    }
    let message = "records, indexes and UDF modules are all left out: nothing is left to do";
    Err(Error::of(ErrorKind::Config, message)
        .hint("leave out one of --no-records, --no-indexes and --no-udfs")
        .build())
}

fn check_namespace_name(namespace: &str) -> Result<(), Error> {
    if namespace.is_empty() || namespace.contains(['/', '\0']) {
        let message = format!("{namespace:?} is no name of a namespace");
        return Err(Error::of(ErrorKind::Config, message).hint("name it with --namespace").build());
    }
    Ok(())
}

/// Checks that the cluster has a namespace.
pub(crate) async fn check_namespace(cluster: &Cluster, namespace: &[u8]) -> Result<(), Error> {
    if cluster.has_namespace(namespace).await.map_err(crate::connect_error)? {
        return Ok(());
    }
    let message = format!("the cluster has no namespace {:?}", String::from_utf8_lossy(namespace));
    Err(Error::of(ErrorKind::Config, message).hint("name another one with --namespace").build())
}
