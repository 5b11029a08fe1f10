//! How many records a backup is going to read.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use asbackup_cluster::{Cluster, Error as ClusterError, Query, QueryProgress, QuerySpec};
use asbackup_codec::wire::Content;
use asbackup_model::{PartitionId, PartitionSet};
use fastrand::Rng;

use super::selection;
use crate::{Error, config::BackupConfig, job::JobContext, pipeline::Tasks};

/// Partitions that are counted for the sake of the rest, at least.
const LEAST_PARTITIONS: u64 = 16;

/// About how many records are in those that are counted, where there are as many.
const SAMPLED_RECORDS: u64 = 10_000;

/// Returns about how many records are going to be read; 0 if that can't be told, which is no reason to fail. What times,
/// TTL and expressions leave out only the server knows: with these some partitions are counted.
pub(crate) async fn estimate(
    cluster: &Cluster,
    config: &BackupConfig,
    selected: PartitionSet,
    job: &JobContext,
) -> Result<u64, Error> {
    let in_sets = job.or_cancelled(object_count(cluster, config)).await?.map_err(crate::connect_error)?;
    let in_partitions = share(in_sets, selected.iter().count(), PartitionId::all().len());
    let found = match selection::has_filter(config) {
        true => by_sample(cluster, config, (selected, in_partitions), job).await?,
        false => in_partitions,
    };
    Ok(found.min(config.max_records.map_or(u64::MAX, |count| count.get())))
}

/// Returns about how many of `records` in the selected partitions meet all conditions; 0 if that can't be counted.
async fn by_sample(
    cluster: &Cluster,
    config: &BackupConfig,
    (selected, records): (PartitionSet, u64),
    job: &JobContext,
) -> Result<u64, Error> {
    let chosen = choose(selected, records);
    let (part, whole) = (chosen.len(), selected.iter().count());
    let mut spec = job.limits.share_of(selection::spec(cluster, config), 1);
    spec.max_records = 0;
    // Its failure isn't that of the job.
    let counting = JobContext { token: job.token.child_token(), ..job.clone() };
    match by_scan(cluster, config, &spec, vec![chosen], &counting).await {
        Ok(counted) => Ok(share(counted, whole, part)),
        Err(error) if job.token.is_cancelled() => Err(error),
        Err(error) => {
            tracing::info!(error = &error as &dyn std::error::Error, "the records can't be counted");
            Ok(0)
        }
    }
}

/// Returns about how many records the cluster has in the sets that are asked for.
async fn object_count(cluster: &Cluster, config: &BackupConfig) -> Result<u64, ClusterError> {
    let namespace = config.namespace.as_bytes();
    match &config.sets {
        None => cluster.object_count(namespace).await,
        Some(sets) => cluster.object_count_in(namespace, &sets.iter().collect::<Vec<_>>()).await,
    }
}

/// Returns partitions at random that hold about as many of these records as are to be counted.
fn choose(selected: PartitionSet, records: u64) -> Vec<PartitionId> {
    let mut chosen: Vec<_> = selected.iter().collect();
    Rng::new().shuffle(&mut chosen);
    let enough = (SAMPLED_RECORDS * chosen.len() as u64).div_ceil(records.max(1)).max(LEAST_PARTITIONS);
    chosen.truncate(usize::try_from(enough).unwrap_or(usize::MAX));
    chosen
}

/// Returns `count` × `part` / `whole`.
fn share(count: u64, part: usize, whole: usize) -> u64 {
    let share = u128::from(count) * part as u128 / whole.max(1) as u128;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Counts the records that are asked for by a scan without bins; each stream reads its own partitions.
pub(crate) async fn by_scan(
    cluster: &Cluster,
    config: &BackupConfig,
    spec: &QuerySpec,
    streams: Vec<Vec<PartitionId>>,
    job: &JobContext,
) -> Result<u64, Error> {
    let mut spec = spec.clone();
    (spec.content, spec.bins) = (Content::Metadata, Vec::new());
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = Tasks::new(job.token.clone());
    for partitions in streams {
        let query = selection::scan(cluster, config, spec.clone(), partitions);
        tasks.spawn(count_stream(query, Arc::clone(&count), job.clone()));
    }
    tasks.join().await?;
    Ok(count.load(Relaxed))
}

async fn count_stream(mut query: Query, count: Arc<AtomicU64>, job: JobContext) -> Result<(), Error> {
    let _running = job.scan_permit().await?;
    loop {
        let mut read = 0;
        let next = query.next(|_| {
            read += 1;
            ControlFlow::Continue(())
        });
        let progress = job.or_cancelled(next).await?.map_err(crate::scan_error)?;
        count.fetch_add(read, Relaxed);
        job.pace_records(read).await?;
        if progress == QueryProgress::Finished {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scaled_by_partitions() {
        for (count, part, whole, expected) in [
            (1_000, 4096, 4096, 1_000),
            (1_000, 1024, 4096, 250),
            (u64::MAX, 4096, 4096, u64::MAX),
            (u64::MAX, 4096, 16, u64::MAX),
            (5, 0, 0, 0),
        ] {
            assert_eq!(share(count, part, whole), expected, "{count} · {part} / {whole}");
        }
    }

    #[test]
    fn as_many_partitions_are_counted_as_hold_enough_records() {
        let all: PartitionSet = PartitionId::all().collect();
        for (records, partitions) in [(0, 4096), (10_000, 4096), (40_960, 1000), (1 << 40, 16)] {
            assert_eq!(choose(all, records).len(), partitions, "{records} records");
        }
        let few: PartitionSet = PartitionId::all().take(5).collect();
        assert_eq!(choose(few, 1 << 40).len(), 5);
    }
}
