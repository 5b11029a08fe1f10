//! A configuration checked against itself, the cluster and the target, once. After it nothing is left to check.

use std::collections::BTreeSet;

use asbackup_cluster::Cluster;
use asbackup_model::PartitionId;
use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking,
    config::{BackupConfig, EntryClass, ExistingFiles, RestoreConfig, Zstd},
    naming,
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
    check_namespace_name(&config.namespace)?;
    check_namespace(cluster, config.namespace.as_bytes()).await?;
    let files = {
        let target = target.clone();
        blocking(move || target.prepare().and_then(|()| target.list())).await??
    };
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    if config.existing == ExistingFiles::Refuse && !names.is_empty() {
        return Err(not_empty(target, names.len()));
    }
    let streams = deal(owned_partitions(cluster, &config.namespace)?, config.readers.count());
    let plan = BackupPlan {
        streams,
        first_number: names.iter().filter_map(|name| naming::number(name)).max().unwrap_or(0) + 1,
        unfinished: names.iter().filter(|name| naming::is_unfinished(name)).cloned().collect(),
        replaced: names
            .into_iter()
            .filter(|name| naming::is_data(name) || naming::is_side_file(name))
            .collect(),
    };
    let memory_bytes = backup_memory_bytes(plan.streams.len(), config.writers.count())
        + config
            .envelope
            .compression
            .map_or(0, |zstd| compression_memory_bytes(zstd, config.writers.count()));
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

/// Returns the partitions of each node.
fn owned_partitions(cluster: &Cluster, namespace: &str) -> Result<Vec<Vec<PartitionId>>, Error> {
    let nodes = cluster.nodes();
    let owned: Vec<Vec<PartitionId>> =
        nodes.iter().map(|node| cluster.partitions_of(namespace.as_bytes(), node)).collect();
    let found: usize = owned.iter().map(Vec::len).sum();
    let all = PartitionId::all().len();
    if found != all {
        let message = format!("only {found} of {all} partitions of {namespace:?} have an owner");
        return Err(Error::of(ErrorKind::Connect, message)
            .hint("wait until the cluster is complete")
            .build());
    }
    Ok(owned)
}

/// Deals the partitions of each node out to `streams` streams. A stream reads from one node, unless there are fewer
/// streams than nodes: then each reads from several, one after another.
fn deal(nodes: Vec<Vec<PartitionId>>, streams: usize) -> Vec<Vec<PartitionId>> {
    let nodes: Vec<_> = nodes.into_iter().filter(|partitions| !partitions.is_empty()).collect();
    if streams < nodes.len() {
        let mut dealt = vec![Vec::new(); streams];
        for (index, partitions) in nodes.into_iter().enumerate() {
            dealt[index % streams].extend(partitions);
        }
        return dealt;
    }
    let (each, more) = (streams / nodes.len().max(1), streams % nodes.len().max(1));
    let shares = |index: usize| each + usize::from(index < more);
    nodes.iter().enumerate().flat_map(|(index, partitions)| split(partitions, shares(index))).collect()
}

/// Splits a list into at most `parts` runs of about the same length, none of them empty.
fn split(partitions: &[PartitionId], parts: usize) -> Vec<Vec<PartitionId>> {
    let (len, parts) = (partitions.len(), parts.min(partitions.len()));
    (0..parts).map(|part| partitions[part * len / parts..(part + 1) * len / parts].to_vec()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(sizes: &[u16]) -> Vec<Vec<PartitionId>> {
        let mut all = PartitionId::all();
        sizes.iter().map(|size| all.by_ref().take(usize::from(*size)).collect()).collect()
    }

    #[track_caller]
    fn check(sizes: &[u16], streams: usize, expected: &[usize]) {
        let dealt = deal(nodes(sizes), streams);
        assert_eq!(dealt.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        let mut all: Vec<_> = dealt.concat();
        all.sort();
        assert_eq!(all, nodes(sizes).concat(), "each partition is read once");
    }

    #[test]
    fn streams_are_dealt_out_by_node() {
        check(&[4096], 1, &[4096]);
        check(&[4096], 3, &[1365, 1365, 1366]);
        check(&[2000, 2096], 2, &[2000, 2096]);
        check(&[2000, 2096], 5, &[666, 667, 667, 1048, 1048]);
        check(&[1000, 2000, 1096], 2, &[2096, 2000]);
        check(&[4096, 0], 2, &[2048, 2048]);
        check(&[2], 8, &[1, 1]);
    }
}
