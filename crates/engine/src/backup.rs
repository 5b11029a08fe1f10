//! The run of a backup, from its plan to its report.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use asbackup_cluster::{Cluster, QuerySpec, ServerIndex};
use asbackup_codec::asb::{self, Version};
use asbackup_model::{Block, PartitionSet, SecondaryIndex, UdfModule};
use asbackup_storage::Local;

use crate::{
    Error, blocking,
    config::{BackupConfig, EntryClass},
    job::{JobContext, Outcome},
    key,
    manifest::{ClusterFacts, Publication, SetIndex, publish},
    naming,
    pipeline::{Queue, Tasks},
    plan::{BackupPlan, plan_backup},
    report::{self, BackedUp, BackupReport, Bytes, Copied, Place, Rates, Target, Troubles, unaccounted},
    sink::{file::Wrapping, file_set::FileSet, writer},
    source::scan,
};

/// Runs a backup to its end and says what it did.
pub(crate) async fn run(
    cluster: Cluster,
    config: BackupConfig,
    target: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<BackupReport> {
    let mut warnings = Vec::new();
    let result = copy(&cluster, &config, &target, started, &mut warnings, &job).await;
    let report = report(&config, &target, started, warnings, &job, result.is_ok());
    Outcome { report: Some(Arc::new(report)), result }
}

async fn copy(
    cluster: &Cluster,
    config: &BackupConfig,
    target: &Local,
    started: SystemTime,
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<(), Error> {
    let key = job.or_cancelled(key::fetch(config.envelope.encryption.as_ref())).await??;
    let plan = job.or_cancelled(plan_backup(cluster, config, target)).await??;
    let wrapping = Wrapping::new(&config.envelope, key.clone(), config.writers.count())?;
    let (namespace, limit) = (config.namespace.clone(), config.file_limit);
    let files = FileSet::new(target.clone(), namespace, limit, wrapping, plan.first_number);
    let files = Arc::new(files);
    let published = match copy_all(cluster, config, &plan, &files, warnings, job).await {
        Ok(CopiedAll { partitions, set_indexes }) => {
            let publication = Publication {
                target: target.clone(),
                config: config.clone(),
                key,
                cluster: ClusterFacts::of(cluster),
                started,
                partitions,
                set_indexes,
                replaced: plan.replaced.clone(),
            };
            let (files, job) = (Arc::clone(&files), job.clone());
            blocking(move || publish(&publication, &files, &job)).await?
        }
        Err(error) => Err(error),
    };
    if published.is_err() {
        let job = job.clone();
        blocking(move || files.abandon(&job)).await?;
        return published;
    }
    // The new backup is whole and stays, whatever becomes of the old one.
    blocking(move || files.remove(&[plan.replaced, plan.unfinished].concat())).await?
}

/// What was copied that isn't in the files.
struct CopiedAll {
    /// Partitions that the server reported done.
    partitions: PartitionSet,
    set_indexes: Vec<SetIndex>,
}

async fn copy_all(
    cluster: &Cluster,
    config: &BackupConfig,
    plan: &BackupPlan,
    files: &Arc<FileSet>,
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<CopiedAll, Error> {
    if config.left_out.contains(&EntryClass::Records) {
        let set_indexes = copy_metadata(cluster, config, files, warnings, job).await?;
        return Ok(CopiedAll { partitions: PartitionSet::EMPTY, set_indexes });
    }
    let total = job.or_cancelled(cluster.object_count(config.namespace.as_bytes())).await?;
    job.counters.records_total.add(total.map_err(crate::connect_error)?);
    let set_indexes = copy_metadata(cluster, config, files, warnings, job).await?;
    let partitions = copy_records(cluster, config, plan, files, job).await?;
    Ok(CopiedAll { partitions, set_indexes })
}

/// Writes indexes and UDFs into a file of their own, if there are any. Returns the indexes for the side file.
async fn copy_metadata(
    cluster: &Cluster,
    config: &BackupConfig,
    files: &Arc<FileSet>,
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<Vec<SetIndex>, Error> {
    let (mut udfs, mut indexes) = (Vec::new(), Vec::new());
    if !config.left_out.contains(&EntryClass::UdfModules) {
        udfs = job.or_cancelled(cluster.udfs()).await?.map_err(crate::scan_error)?;
    }
    if !config.left_out.contains(&EntryClass::Indexes) {
        let listed = job.or_cancelled(cluster.indexes(config.namespace.as_bytes())).await?;
        indexes = listed.map_err(crate::scan_error)?;
    }
    job.counters.udfs_read.add(udfs.len() as u64);
    job.counters.indexes_read.add(indexes.len() as u64);
    let (indexes, set_indexes) = sort_indexes(indexes, warnings);
    if udfs.is_empty() && indexes.is_empty() {
        return Ok(set_indexes);
    }
    let (files, job) = (Arc::clone(files), job.clone());
    blocking(move || write_metadata(&files, &udfs, &indexes, &job)).await??;
    Ok(set_indexes)
}

/// Returns the indexes that the text format has a line for, and those for the side file. Others are named in warnings.
fn sort_indexes(
    indexes: Vec<ServerIndex>,
    warnings: &mut Vec<String>,
) -> (Vec<SecondaryIndex>, Vec<SetIndex>) {
    let (mut with_line, mut of_sets) = (Vec::new(), Vec::new());
    for index in indexes {
        let (what, name) = match index {
            ServerIndex::Secondary(index) => {
                with_line.push(index);
                continue;
            }
            ServerIndex::Set { name, set, .. } => match (String::from_utf8(name), String::from_utf8(set)) {
                (Ok(name), Ok(set)) => {
                    of_sets.push(SetIndex { name, set });
                    continue;
                }
                (name, _) => {
                    let name = name.unwrap_or_else(|error| lossy(error.as_bytes()));
                    ("set index whose names aren't UTF-8", name)
                }
            },
            ServerIndex::Unknown(item) => ("kind of index that isn't known", lossy(&item)),
            _ => ("kind of index that isn't known", String::new()),
        };
        warnings.push(format!("no file has a place for a {what}, which is left out: {name}"));
    }
    (with_line, of_sets)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn write_metadata(
    files: &FileSet,
    udfs: &[UdfModule],
    indexes: &[SecondaryIndex],
    job: &JobContext,
) -> Result<(), Error> {
    let with_expression = indexes.iter().any(|index| index.expression.is_some());
    let mut file = files.metadata_file(if with_expression { Version::V32 } else { Version::V31 })?;
    let mut block = Block::default();
    udfs.iter().for_each(|udf| asb::encode_udf(&mut block.bytes, udf));
    indexes.iter().for_each(|index| asb::encode_index(&mut block.bytes, index));
    file.write(&mut block, job)?;
    file.counts.indexes = indexes.len() as u64;
    file.counts.udfs = udfs.len() as u64;
    files.complete(file, job)?;
    job.counters.udfs_written.add(udfs.len() as u64);
    job.counters.indexes_written.add(indexes.len() as u64);
    Ok(())
}

async fn copy_records(
    cluster: &Cluster,
    config: &BackupConfig,
    plan: &BackupPlan,
    files: &Arc<FileSet>,
    job: &JobContext,
) -> Result<PartitionSet, Error> {
    let done = Arc::new(Mutex::new(PartitionSet::EMPTY));
    let (sender, receiver, spare) = Queue::<Block>::new(plan.streams.len()).split();
    let mut tasks = Tasks::new(job.token.clone());
    for partitions in &plan.streams {
        let query = cluster.query(spec(config), partitions.clone());
        let (sender, spare, done) = (sender.clone(), spare.clone(), Arc::clone(&done));
        tasks.spawn(scan::run(query, config.spelling, sender, spare, done, job.clone()));
    }
    drop(sender); // The readers hold the rest: the queue ends with the last of them.
    for number in 0..config.writers.count() {
        let (files, receiver, spare, job) = (Arc::clone(files), receiver.clone(), spare.clone(), job.clone());
        tasks.spawn_blocking(move || writer::run(number, &files, &receiver, &spare, &job));
    }
    drop(receiver);
    tasks.join().await?;
    Ok(*done.lock().unwrap_or_else(PoisonError::into_inner))
}

fn spec(config: &BackupConfig) -> QuerySpec {
    let mut spec = QuerySpec::new(config.namespace.as_bytes());
    spec.filter = Some(asbackup_codec::wire::monitor_set_filter().to_vec());
    spec.socket_timeout = config.socket_timeout;
    spec.max_retries = config.retry.max_retries;
    spec.first_pause = config.retry.first_pause;
    spec
}

fn report(
    config: &BackupConfig,
    target: &Local,
    started: SystemTime,
    warnings: Vec<String>,
    job: &JobContext,
    success: bool,
) -> BackupReport {
    let counters = &job.counters;
    let duration = counters.elapsed();
    let skipped = counters.skipped.counts();
    let read = counters.read.count();
    let written = counters.written.count();
    let rest = unaccounted(read, &[written, skipped.values().sum()]);
    let unfinished = if success { 0 } else { u64::try_from(rest).unwrap_or(0) };
    BackupReport {
        span: report::Span::new(started, duration),
        namespace: config.namespace.clone(),
        target: Target {
            place: Place {
                kind: "local",
                path: target.path().display().to_string(),
                files: counters.files.count(),
            },
            // The files of a backup that failed before its manifest was in place are gone, and don't count.
            manifest: (counters.files.count() > 0).then_some(naming::MANIFEST),
        },
        records: BackedUp {
            read,
            written,
            skipped,
            failed: 0,
            unfinished,
            unaccounted: if success { rest } else { 0 },
            estimated_total: counters.records_total.count(),
        },
        indexes: Copied { read: counters.indexes_read.count(), written: counters.indexes_written.count() },
        udfs: Copied { read: counters.udfs_read.count(), written: counters.udfs_written.count() },
        inexact: counters.inexact(),
        errors: Troubles::of(counters),
        bytes: Bytes::of(counters),
        rates: Rates::of(counters, duration),
        warnings,
    }
}
