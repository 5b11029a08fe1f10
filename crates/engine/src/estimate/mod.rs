//! How large a backup would be: counted records times the mean size of sampled ones.

mod files;
mod interval;
mod packing;
mod sample;

use std::{sync::Arc, time::SystemTime};

use asbackup_cluster::{Cluster, QuerySpec};
use asbackup_codec::wire::monitor_set_filter;
use asbackup_model::PartitionId;
use fastrand::Rng;

use self::{
    files::{Files, Records},
    interval::Mean,
    sample::{Choice, Sampled},
};
use crate::{
    Error,
    backup::read_metadata,
    blocking,
    config::{BackupConfig, EntryClass, Sampling},
    event::Phase,
    job::{JobContext, Outcome},
    plan::plan_estimate,
    report::{self, Estimate, EstimateReport},
    source::{count, selection},
};

/// Estimates a backup.
pub(crate) async fn run(
    cluster: Cluster,
    config: BackupConfig,
    sampling: Sampling,
    started: SystemTime,
    job: JobContext,
) -> Outcome<EstimateReport> {
    match estimate(&cluster, &config, sampling, &job).await {
        Err(error) => Outcome { report: None, result: Err(error) },
        Ok(estimate) => {
            let span = report::Span::new(started, job.counters.elapsed());
            let report = EstimateReport { span, namespace: config.namespace, estimate };
            Outcome { report: Some(Arc::new(report)), result: Ok(()) }
        }
    }
}

async fn estimate(
    cluster: &Cluster,
    config: &BackupConfig,
    sampling: Sampling,
    job: &JobContext,
) -> Result<Estimate, Error> {
    let streams = job.or_cancelled(plan_estimate(cluster, config)).await??;
    let (udfs, indexes, _) = read_metadata(cluster, config, &mut Vec::new(), job).await?;
    let records = if config.left_out.contains(&EntryClass::Records) {
        Records::none()
    } else {
        records(cluster, config, streams, sampling, job).await?
    };
    let config = config.clone();
    blocking(move || {
        let files = Files::new(&config, (&udfs, &indexes), records.count > 0)?;
        Ok(files.estimate(&records))
    })
    .await?
}

/// Returns how many records there are, and what those take that are sampled.
async fn records(
    cluster: &Cluster,
    config: &BackupConfig,
    streams: Vec<Vec<PartitionId>>,
    sampling: Sampling,
    job: &JobContext,
) -> Result<Records, Error> {
    let spec = job.limits.share_of(selection::spec(cluster, config), 1);
    let all = streams.concat();
    job.begin(Phase::Counting);
    let count = count_all(cluster, config, &spec, streams, job).await?;
    let random = sampling.seed.map_or_else(Rng::new, Rng::with_seed);
    let choice = Choice::new(&all, count, u64::from(sampling.samples.get()), random);
    job.counters.records_total.add(count.min(u64::from(sampling.samples.get())));
    job.begin(Phase::Sampling);
    let Sampled { parts, shrinkage } = sample::read(cluster, config, &spec, &choice, job).await?;
    let read = parts.iter().map(|part| part.records).sum();
    // The server's own count has records in it that no scan sends, such as expired ones.
    let records = if choice.is_all(&all) { read } else { count.max(read) };
    let count = records.min(config.max_records.map_or(u64::MAX, |most| most.get()));
    let text = Mean::of(&parts, count);
    let stored = shrinkage.as_ref().map_or(text, |found| Mean::of(&found.parts, count));
    Ok(Records { count, text, stored, shrinkage })
}

/// Returns how many records there are: by the server's own count if all are wanted, else by a scan without bins.
async fn count_all(
    cluster: &Cluster,
    config: &BackupConfig,
    spec: &QuerySpec,
    streams: Vec<Vec<PartitionId>>,
    job: &JobContext,
) -> Result<u64, Error> {
    let partitions: usize = streams.iter().map(Vec::len).sum();
    if takes_all(spec) && partitions == PartitionId::all().len() {
        let count = job.or_cancelled(cluster.object_count(&spec.namespace)).await?;
        return count.map_err(crate::connect_error);
    }
    count::by_scan(cluster, config, spec, streams, job).await
}

/// Returns whether nothing but the monitor set is filtered.
fn takes_all(spec: &QuerySpec) -> bool {
    spec.max_records == 0 && spec.set.is_none() && spec.filter.as_deref() == Some(monitor_set_filter())
}

#[cfg(test)]
mod tests {
    use asbackup_cluster::{ClusterConfig, Seed};
    use asbackup_testserver::{SampleRecords, TestServer};

    use super::*;
    use crate::job::Job;

    #[tokio::test(flavor = "multi_thread")]
    async fn some_partitions_are_counted_by_a_scan() {
        let server = TestServer::builder().namespace("test").start().unwrap();
        server.store().load("test", SampleRecords { count: 5000, record_bytes: 200 });
        let seed = Seed::parse(&server.address().to_string(), 3000).unwrap();
        let cluster = Cluster::connect(ClusterConfig::new([seed])).await.unwrap();
        let config = BackupConfig::new("test");
        let half: Vec<_> = PartitionId::all().filter(|id| id.number() % 2 == 0).collect();
        let rest: Vec<_> = PartitionId::all().filter(|id| id.number() % 2 == 1).collect();
        let job = Job::start(|job| async move {
            let count = async |streams| {
                count_all(&cluster, &config, &selection::spec(&cluster, &config), streams, &job)
                    .await
                    .unwrap()
            };
            let parts = [count(vec![half.clone()]).await, count(vec![rest.clone()]).await];
            assert_eq!(parts.iter().sum::<u64>(), 5000);
            assert!(parts.iter().all(|part| *part > 2000), "{parts:?}");
            let all = selection::spec(&cluster, &config);
            let mut of_set = all.clone();
            of_set.set = Some(b"nobody".to_vec());
            assert!(!takes_all(&of_set) && takes_all(&all));
            assert_eq!(count(vec![half, rest]).await, 5000);
            Outcome { report: Some(Arc::new(())), result: Ok(()) }
        });
        job.wait().await.unwrap();
    }
}
