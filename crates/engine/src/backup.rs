//! The run of a backup, from its plan to its report.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use asbackup_cluster::{Cluster, LargeRecords, ServerIndex};
use asbackup_codec::asb::{self, Version};
use asbackup_model::{Block, PartitionSet, SecondaryIndex, UdfModule};
use asbackup_storage::Local;

use crate::{
    Error, blocking,
    checkpoint::{Advance, Checkpoint, End, Metadata, Start},
    config::{self, BackupConfig, EntryClass, Parallelism, Shard},
    event::Phase,
    job::{JobContext, Outcome},
    key,
    manifest::{ClusterFacts, Publication, SetIndex, publish},
    naming,
    pipeline::{Buffers, LARGE_ENTRIES, QUEUED_PER_READER, Returns, Tasks},
    plan::{BackupPlan, plan_backup},
    report::{self, BackedUp, BackupReport, Bytes, Copied, Place, Rates, Target, Troubles, unaccounted},
    sink::{
        file::{BackupFile, Wrapping},
        file_set::FileSet,
        writer::Writer,
    },
    source::{
        count,
        scan::{self, Filled},
        selection,
    },
};

/// Runs a backup to its end and says what it did.
pub(crate) async fn run(
    cluster: Cluster,
    mut config: BackupConfig,
    target: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<BackupReport> {
    if !target.is_directory() {
        // One stream has one writer and no end before the last record, and nothing lies beside it.
        (config.writers, config.file_limit) = (Parallelism::ONE, None);
        config.checkpoint = config::Checkpoint::Off;
    }
    let mut notes = Notes::default();
    let result = copy(&cluster, &config, &target, started, &mut notes, &job).await;
    let report = report(&config, &target, started, notes, &job, result.is_ok());
    Outcome { report: Some(Arc::new(report)), result }
}

/// What the report says beside the counters.
#[derive(Debug, Default)]
struct Notes {
    warnings: Vec<String>,
    /// Whether the manifest is in place.
    is_published: bool,
    /// The state that a failed run leaves.
    state_file: Option<String>,
}

async fn copy(
    cluster: &Cluster,
    config: &BackupConfig,
    target: &Local,
    started: SystemTime,
    notes: &mut Notes,
    job: &JobContext,
) -> Result<(), Error> {
    let key = job.or_cancelled(key::fetch(config.envelope.encryption.as_ref())).await??;
    let mut plan = job.or_cancelled(plan_backup(cluster, config, key.as_ref(), target, started)).await??;
    if let Some(manifest) = plan.start.complete.take() {
        plan.start.hold.end(End::Remove);
        manifest.count(&job.counters);
        job.counters.begin_here();
        notes.is_published = true;
        let warning = "the backup is complete already: nothing was done";
        job.warn(warning);
        notes.warnings.push(warning.to_owned());
        return Ok(());
    }
    let (buffers, returns) = Buffers::new(plan.memory.blocks, plan.memory.block_bytes);
    let files = {
        let Start { place, state, .. } = &plan.start;
        let wrapping = Wrapping::new(&config.envelope, key.clone(), config.writers.count(), &returns)?;
        let keeper = (place.clone(), target.clone(), wrapping.hashing());
        let checkpoint = Checkpoint::new(config.checkpoint, keeper, state.clone());
        FileSet::new((target.clone(), wrapping), config, state, checkpoint)
    };
    let files = Arc::new(files);
    let published =
        match copy_all(cluster, config, &plan, (&files, buffers, returns), &mut notes.warnings, job).await {
            Ok(CopiedAll { partitions, set_indexes }) => {
                let publication = Publication {
                    target: target.clone(),
                    config: config.clone(),
                    key,
                    cluster: ClusterFacts::of(cluster),
                    started: plan.start.state.started.clone(),
                    run_started: started,
                    partitions,
                    set_indexes,
                    replaced: plan.start.state.replaces.clone(),
                    run: plan.start.state.run.clone(),
                };
                job.begin(Phase::Publishing);
                let (files, job) = (Arc::clone(&files), job.clone());
                blocking(move || publish(&publication, &files, &job)).await?
            }
            Err(error) => Err(error),
        };
    notes.is_published = published.is_ok();
    if published.is_err() {
        let job = job.clone();
        notes.state_file = blocking(move || files.abandon(&job)).await?;
        plan.start.hold.end(if notes.state_file.is_some() { End::Leave } else { End::Remove });
        return published;
    }
    // The new backup is whole and stays, whatever becomes of the old one.
    plan.start.hold.end(End::Remove);
    let replaced = [plan.start.state.replaces.as_slice(), &plan.start.unfinished].concat();
    blocking(move || files.remove(&replaced).and_then(|()| files.checkpoint().remove())).await?
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
    (files, buffers, returns): (&Arc<FileSet>, Buffers, Returns),
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<CopiedAll, Error> {
    let state = &plan.start.state;
    let open = begin(plan, files, job).await?;
    let reads_records = !config.left_out.contains(&EntryClass::Records);
    if reads_records {
        job.counters.records_total.add(count::estimate(cluster, config, plan.selected, job).await?);
    }
    let set_indexes = match &state.metadata {
        Some(Metadata { set_indexes, warnings: before }) => {
            warnings.extend(before.iter().cloned());
            set_indexes.clone()
        }
        None if config.shard.is_none_or(Shard::is_first) => {
            copy_metadata(cluster, config, files, warnings, job).await?
        }
        None => leave_metadata(files, job).await?,
    };
    let is_counted = reads_records && !selection::has_filter(config);
    if is_counted && config.sets.is_some() && job.counters.records_total.count() == 0 {
        warnings.push("the cluster seems to have no such records: check the names of the sets".to_owned());
    }
    warnings.iter().for_each(|warning| job.warn(warning));
    let partitions = match reads_records {
        true => copy_records(cluster, config, plan, (files, open), (buffers, returns), job).await?,
        false => PartitionSet::EMPTY,
    };
    Ok(CopiedAll { partitions, set_indexes })
}

/// Saves the state before anything is written, and takes over what an earlier run left: its open files are returned.
async fn begin(plan: &BackupPlan, files: &Arc<FileSet>, job: &JobContext) -> Result<Vec<BackupFile>, Error> {
    let (state, selected) = (plan.start.state.clone(), plan.selected);
    let (files, job) = (Arc::clone(files), job.clone());
    blocking(move || {
        state.counts.restore(&job.counters);
        let open = files.take_over(&state, &job)?;
        job.counters.begin_here();
        files.checkpoint().begin(selected)?;
        Ok(open)
    })
    .await?
}

/// Writes indexes and UDFs into a file of their own, if there are any. Returns the indexes for the side file.
async fn copy_metadata(
    cluster: &Cluster,
    config: &BackupConfig,
    files: &Arc<FileSet>,
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<Vec<SetIndex>, Error> {
    job.begin(Phase::Metadata);
    let (udfs, indexes, mut set_indexes) = read_metadata(cluster, config, warnings, job).await?;
    if files.is_single() {
        let lost = set_indexes.drain(..);
        warnings.extend(lost.map(|index| left_out("set index", &index.name)));
    }
    let (files, job, warnings) = (Arc::clone(files), job.clone(), warnings.clone());
    blocking(move || {
        if !(udfs.is_empty() && indexes.is_empty()) {
            write_metadata(&files, &udfs, &indexes, &job)?;
        }
        files.checkpoint().metadata_done(&set_indexes, &warnings, &job.counters)?;
        Ok(set_indexes)
    })
    .await?
}

/// The first share of a backup takes indexes and UDF modules, so that the others have none.
async fn leave_metadata(files: &Arc<FileSet>, job: &JobContext) -> Result<Vec<SetIndex>, Error> {
    let (files, job) = (Arc::clone(files), job.clone());
    blocking(move || files.checkpoint().metadata_done(&[], &[], &job.counters)).await??;
    Ok(Vec::new())
}

/// Returns UDFs, indexes that have a line, and indexes for the side file, as far as they are wanted.
pub(crate) async fn read_metadata(
    cluster: &Cluster,
    config: &BackupConfig,
    warnings: &mut Vec<String>,
    job: &JobContext,
) -> Result<(Vec<UdfModule>, Vec<SecondaryIndex>, Vec<SetIndex>), Error> {
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
    Ok((udfs, indexes, set_indexes))
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
        warnings.push(left_out(what, &name));
    }
    (with_line, of_sets)
}

fn left_out(what: &str, name: &str) -> String {
    format!("no file has a place for a {what}, which is left out: {name}")
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
    let mut file = files.metadata_file(metadata_version(indexes), job)?;
    let mut block = Block::default();
    encode_metadata(&mut block.bytes, udfs, indexes);
    file.write(&mut Filled { block, large: None }, job)?;
    file.counts.indexes = indexes.len() as u64;
    file.counts.udfs = udfs.len() as u64;
    files.complete(file, &Advance::default(), job)
}

/// Appends the lines of a metadata file behind its header.
pub(crate) fn encode_metadata(out: &mut Vec<u8>, udfs: &[UdfModule], indexes: &[SecondaryIndex]) {
    udfs.iter().for_each(|udf| asb::encode_udf(out, udf));
    indexes.iter().for_each(|index| asb::encode_index(out, index));
}

/// Returns the version of the format that has lines for these indexes.
pub(crate) fn metadata_version(indexes: &[SecondaryIndex]) -> Version {
    let with_expression = indexes.iter().any(|index| index.expression.is_some());
    if with_expression { Version::V32 } else { Version::V31 }
}

/// Reads what is left of the records. `open` are the unfinished files of an earlier run: each writer goes on with one.
async fn copy_records(
    cluster: &Cluster,
    config: &BackupConfig,
    plan: &BackupPlan,
    (files, mut open): (&Arc<FileSet>, Vec<BackupFile>),
    (buffers, returns): (Buffers, Returns),
    job: &JobContext,
) -> Result<PartitionSet, Error> {
    job.begin(Phase::Records);
    let state = &plan.start.state;
    let done = Arc::new(Mutex::new(state.done()));
    let mut tasks = Tasks::new(job.token.clone());
    let writers = config.writers.count().min(plan.streams.len());
    let mut spec = job.limits.share_of(selection::spec(cluster, config), plan.streams.len());
    spec.large_records = LargeRecords::new(LARGE_ENTRIES);
    for number in 0..writers {
        // All blocks of a stream go to one writer, so that what is durable of a partition has no gaps.
        let streams: Vec<_> = plan.streams.iter().skip(number).step_by(writers).collect();
        let (sender, receiver) = async_channel::bounded(QUEUED_PER_READER * streams.len());
        for partitions in streams {
            let query = selection::query(cluster, config, plan, (&spec, partitions));
            let (sender, buffers, done) = (sender.clone(), buffers.clone(), Arc::clone(&done));
            tasks.spawn(scan::run(query, config.spelling, sender, buffers, done, job.clone()));
        }
        let (files, open, job, returns) = (Arc::clone(files), open.pop(), job.clone(), returns.clone());
        tasks.spawn_blocking(move || {
            let writer = Writer { number, files: &files, job: &job, open };
            writer.run(&receiver, &returns)
        });
    }
    let (rest, owner) = (complete_all(open, Arc::clone(files), job.clone()), job.token.clone());
    let rest = rest.await.inspect_err(|_| owner.cancel());
    tasks.join_after(rest).await?;
    Ok(*done.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Completes files that no writer goes on with.
async fn complete_all(open: Vec<BackupFile>, files: Arc<FileSet>, job: JobContext) -> Result<(), Error> {
    blocking(move || open.into_iter().try_for_each(|file| files.complete(file, &Advance::default(), &job)))
        .await?
}

fn report(
    config: &BackupConfig,
    target: &Local,
    started: SystemTime,
    notes: Notes,
    job: &JobContext,
    success: bool,
) -> BackupReport {
    let Notes { warnings, is_published, state_file } = notes;
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
        shard: config.shard.map(|shard| shard.to_string()),
        target: Target {
            place: Place {
                kind: target.kind(),
                path: target.path().display().to_string(),
                files: counters.files.count(),
            },
            manifest: (is_published && target.is_directory()).then(|| naming::manifest(config.shard)),
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
        state_file,
    }
}
