//! How large a backup would be: counted records times the mean size of sampled ones.

mod interval;
mod sample;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use asbackup_cluster::{Cluster, QueryProgress, QuerySpec};
use asbackup_codec::{
    asb::{self, FileOrder, Version},
    wire::{Content, monitor_set_filter},
};
use asbackup_model::PartitionId;
use fastrand::Rng;

use self::{
    interval::{Confidence, Mean},
    sample::Choice,
};
use crate::{
    Error,
    backup::read_metadata,
    config::{BackupConfig, EntryClass, Sampling},
    job::{JobContext, Outcome},
    pipeline::Tasks,
    plan::plan_estimate,
    report::{self, Estimate, EstimateReport, SizeRange},
    source::selection,
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
    let mut files = Files::of(config);
    files.metadata_bytes = metadata_bytes(cluster, config, job).await?;
    if config.left_out.contains(&EntryClass::Records) {
        return Ok(files.estimate(&Mean::of(&[], 0), 0));
    }
    let spec = job.limits.share_of(selection::spec(cluster, config), 1);
    let all = streams.concat();
    let count = count(cluster, config, &spec, streams, job).await?;
    let random = sampling.seed.map_or_else(Rng::new, Rng::with_seed);
    let choice = Choice::new(&all, count, u64::from(sampling.samples.get()), random);
    job.counters.records_total.add(count.min(u64::from(sampling.samples.get())));
    let parts = sample::read(cluster, config, &spec, &choice, job).await?;
    let read = parts.iter().map(|part| part.records).sum();
    // The server's own count has records in it that no scan sends, such as expired ones.
    let records = if choice.is_all(&all) { read } else { count.max(read) };
    let records = records.min(config.max_records.map_or(u64::MAX, |most| most.get()));
    Ok(files.estimate(&Mean::of(&parts, records), records))
}

/// Returns how many records there are: by the server's own count if all are wanted, else by a scan without bins.
async fn count(
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

/// Returns whether nothing but the monitor set is filtered.
fn takes_all(spec: &QuerySpec) -> bool {
    spec.max_records == 0 && spec.set.is_none() && spec.filter.as_deref() == Some(monitor_set_filter())
}

async fn count_stream(
    mut query: asbackup_cluster::Query,
    count: Arc<AtomicU64>,
    job: JobContext,
) -> Result<(), Error> {
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

/// Returns the size of the file of indexes and UDF modules without its header; 0 if there is none.
async fn metadata_bytes(cluster: &Cluster, config: &BackupConfig, job: &JobContext) -> Result<u64, Error> {
    let (udfs, indexes, _) = read_metadata(cluster, config, &mut Vec::new(), job).await?;
    let mut text = Vec::new();
    udfs.iter().for_each(|udf| asb::encode_udf(&mut text, udf));
    indexes.iter().for_each(|index| asb::encode_index(&mut text, index));
    Ok(text.len() as u64)
}

/// What a backup takes beside its records.
#[derive(Debug, Clone, Copy)]
struct Files {
    metadata_bytes: u64,
    first_header_bytes: u64,
    header_bytes: u64,
    limit: Option<u64>,
    writers: u64,
}

impl Files {
    fn of(config: &BackupConfig) -> Self {
        let header_bytes = |order| {
            let mut header = Vec::new();
            asb::encode_header(&mut header, Version::V31, config.namespace.as_bytes(), order);
            header.len() as u64
        };
        Self {
            metadata_bytes: 0,
            first_header_bytes: header_bytes(FileOrder::First),
            header_bytes: header_bytes(FileOrder::Later),
            limit: config.file_limit.map(|limit| limit.0),
            writers: config.writers.count() as u64,
        }
    }

    /// Returns the size of all files that hold that much text of records, if there are that many beside the first.
    fn bytes(&self, records_bytes: u64, more_files: u64) -> u64 {
        let metadata_header =
            if self.metadata_bytes > 0 && records_bytes > 0 { self.header_bytes } else { 0 };
        let headers =
            self.first_header_bytes + metadata_header + more_files.saturating_mul(self.header_bytes);
        records_bytes.saturating_add(self.metadata_bytes).saturating_add(headers)
    }

    /// Each writer may have a file that isn't full, or may have had nothing to write.
    fn estimate(&self, mean: &Mean, records: u64) -> Estimate {
        let full = |bytes: u64| self.limit.map_or(0, |limit| bytes / limit.max(1));
        let low = |confidence| {
            let bytes = total(mean.bytes_per_record - mean.margin(confidence), records);
            self.bytes(bytes, full(bytes).saturating_sub(1))
        };
        let high = |confidence| {
            let bytes = total(mean.bytes_per_record + mean.margin(confidence), records);
            self.bytes(bytes, full(bytes) + self.writers - 1)
        };
        let middle = total(mean.bytes_per_record, records);
        Estimate {
            records,
            samples: mean.records,
            bytes_per_record: mean.bytes_per_record,
            ratio: 1.0,
            bytes: SizeRange {
                mean: self.bytes(middle, full(middle)),
                low_95: low(Confidence::P95),
                high_95: high(Confidence::P95),
                low_99: low(Confidence::P99),
                high_99: high(Confidence::P99),
            },
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate needs no more than 52 bits, and a size below 0 is 0"
)]
fn total(bytes_per_record: f64, records: u64) -> u64 {
    (bytes_per_record * records as f64).round() as u64
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
                count(&cluster, &config, &selection::spec(&cluster, &config), streams, &job).await.unwrap()
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
