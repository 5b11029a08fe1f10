//! A configuration checked against itself, the cluster and the target, once. After it nothing is left to check.

mod partitions;

use std::{collections::BTreeSet, sync::Arc};

use asbackup_cluster::{Cluster, Readers};
use asbackup_model::PartitionId;
use asbackup_storage::Local;

use self::partitions::{check_selection, select};
use crate::{
    Error, ErrorKind, blocking,
    config::{BackupConfig, EntryClass, ExistingFiles, RestoreConfig},
    naming,
    pipeline::{BLOCK_BYTES, CHUNK_BYTES, QUEUED_BLOCKS_PER_READER},
    sink::cluster::{BATCH_BYTES, BYTES_IN_FLIGHT},
};

/// What a backup is going to do.
#[derive(Debug, Default)]
pub(crate) struct BackupPlan {
    /// The partitions of each stream, in the order in which they are read.
    pub(crate) streams: Vec<Vec<PartitionId>>,
    /// Who reads partitions in place of their owners.
    pub(crate) readers: Option<Arc<Readers>>,
    /// Number of the first file.
    pub(crate) first_number: u64,
    /// Files of a backup that go when the new one is complete.
    pub(crate) replaced: Vec<String>,
    /// Files that a killed run left unfinished, which go too.
    pub(crate) unfinished: Vec<String>,
}

/// Checks a backup's configuration and prepares its target.
pub(crate) async fn plan_backup(
    cluster: &Cluster,
    config: &BackupConfig,
    target: &Local,
) -> Result<BackupPlan, Error> {
    check_classes(&config.left_out)?;
    check_selection(config)?;
    check_namespace_name(&config.namespace)?;
    check_namespace(cluster, config.namespace.as_bytes()).await?;
    let selected = select(cluster, config).await?;
    let files = {
        let target = target.clone();
        blocking(move || target.prepare().and_then(|()| target.list())).await??
    };
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    if config.existing == ExistingFiles::Refuse && !names.is_empty() {
        return Err(not_empty(target, names.len()));
    }
    let plan = BackupPlan {
        streams: selected.streams,
        readers: selected.readers,
        first_number: names.iter().filter_map(|name| naming::number(name)).max().unwrap_or(0) + 1,
        unfinished: names.iter().filter(|name| naming::is_unfinished(name)).cloned().collect(),
        replaced: names
            .into_iter()
            .filter(|name| naming::is_data(name) || naming::is_side_file(name))
            .collect(),
    };
    let memory_bytes = backup_memory_bytes(plan.streams.len(), config.writers.count());
    tracing::info!(
        streams = plan.streams.len(),
        writers = config.writers.count(),
        memory_bytes,
        "backup planned"
    );
    Ok(plan)
}

/// Checks a restore's configuration.
pub(crate) async fn plan_restore(cluster: &Cluster, config: &RestoreConfig) -> Result<(), Error> {
    check_classes(&config.left_out)?;
    if let Some(rename) = &config.rename {
        check_namespace(cluster, rename.to.as_bytes()).await?;
    }
    tracing::info!(
        readers = config.readers.count(),
        memory_bytes = restore_memory_bytes(config.readers.count()),
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

fn not_empty(target: &Local, files: usize) -> Error {
    let message = format!("the target {} isn't empty: it holds {files} files", target.path().display());
    Error::of(ErrorKind::Config, message)
        .hint("choose another directory, or replace the backup in it with --remove-files")
        .build()
}

/// Source: ARCHITECTURE.md, "Memory".
fn backup_memory_bytes(streams: usize, writers: usize) -> usize {
    streams * (CHUNK_BYTES + 2 * BLOCK_BYTES)
        + QUEUED_BLOCKS_PER_READER * streams * 2 * BLOCK_BYTES
        + writers * 2 * BLOCK_BYTES
}

/// Source: ARCHITECTURE.md, "Memory".
fn restore_memory_bytes(readers: usize) -> usize {
    readers * (CHUNK_BYTES + BLOCK_BYTES)
        + QUEUED_BLOCKS_PER_READER * readers * BLOCK_BYTES
        + BYTES_IN_FLIGHT
        + BATCH_BYTES
}
