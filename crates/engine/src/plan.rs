//! A configuration checked against itself, the cluster and the target, once. After it nothing is left to check.

mod partitions;
use asbackup_cluster::{Cluster, Readers};
use asbackup_codec::envelope::AesKey;
use asbackup_model::{PartitionId, PartitionSet};
use asbackup_storage::Local;
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use self::partitions::{Selected, check_selection, select, streams};
use crate::{
    Error, ErrorKind, blocking,
    checkpoint::{self, Start},
    config::{BackupConfig, EntryClass, RestoreConfig, Zstd},
    pipeline::{BLOCK_BYTES, CHUNK_BYTES, QUEUED_BLOCKS_PER_READER},
    sink::{
        cluster::{BATCH_BYTES, BYTES_IN_FLIGHT},
        frames,
    },
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
    check_namespace_name(&config.namespace)?;
    check_namespace(cluster, config.namespace.as_bytes()).await?;
    let Selected { wanted, readers } = select(cluster, config).await?;
    let start = {
        let (config, key, target) = (config.clone(), key.cloned(), target.clone());
        blocking(move || checkpoint::start(&config, key.as_ref(), &target, started)).await??
    };
    let (selected, left) = start.left_of(wanted, config);
    let streams = streams(cluster, config, &left, readers.as_deref())?;
    let plan = BackupPlan { streams, selected, readers, start };
    let writers = config.writers.count();
    let compression = config.envelope.compression;
    let memory_bytes = backup_memory_bytes(plan.streams.len(), writers)
        + writers * target.buffer_bytes()
        + compression.map_or(0, |zstd| compression_memory_bytes(zstd, writers));
    tracing::info!(
        streams = plan.streams.len(),
        writers = config.writers.count(),
        memory_bytes,
        "backup planned"
    );
    Ok(plan)
}

/// Checks a backup's configuration for an estimate, which has no target. Returns the partitions of each stream.
pub(crate) async fn plan_estimate(
    cluster: &Cluster,
    config: &BackupConfig,
) -> Result<Vec<Vec<PartitionId>>, Error> {
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
    if let Some(rename) = &config.rename {
        check_namespace(cluster, rename.to.as_bytes()).await?;
    }
    tracing::info!(
        readers = config.readers.count(),
        memory_bytes = restore_memory_bytes(config.readers.count()) + 2 * source.buffer_bytes(),
        "restore planned"
    );
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

/// Source: ARCHITECTURE.md, "Memory".
fn backup_memory_bytes(streams: usize, writers: usize) -> usize {
    streams * (CHUNK_BYTES + 2 * BLOCK_BYTES)
        + QUEUED_BLOCKS_PER_READER * streams * 2 * BLOCK_BYTES
        + writers * 2 * BLOCK_BYTES
}

/// Source: ARCHITECTURE.md, "Memory".
fn compression_memory_bytes(zstd: Zstd, writers: usize) -> usize {
    let threads = frames::threads();
    writers * frames::TEXT_BYTES
        + 2 * threads * frames::TEXT_BYTES
        + threads * (frames::TEXT_BYTES + zstd.codec_level().memory_bytes())
        + writers.max(2 * threads) * frames::FRAME_BYTES / 2
}

/// Source: ARCHITECTURE.md, "Memory".
fn restore_memory_bytes(readers: usize) -> usize {
    readers * (CHUNK_BYTES + BLOCK_BYTES)
        + QUEUED_BLOCKS_PER_READER * readers * BLOCK_BYTES
        + BYTES_IN_FLIGHT
        + BATCH_BYTES
}
