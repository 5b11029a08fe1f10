//! The run of a restore, from its plan to its report.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use asbackup_cluster::{Cluster, WriteDeadlines};
use asbackup_model::{RecordView, RowBlock, VoidTime};
use asbackup_storage::Local;

use crate::{
    Clock, Error, blocking,
    config::{MetadataOrder, RestoreConfig},
    job::{JobContext, Outcome},
    key,
    manifest::{BackupSet, Completeness, SetFile, SetRules, SideFile, refuse, survey},
    naming,
    pipeline::{BLOCK_BYTES, Queue, Spare, Tasks},
    plan::plan_restore,
    report::{
        self, Bytes, IndexesRestored, Place, Rates, RestoreReport, Restored, Source, Troubles, UdfsRestored,
        unaccounted,
    },
    sink::{
        cluster::{self, Writer},
        metadata::{self, Metadata, MetadataWriter},
        refusal::Refusals,
    },
    source::files::{FileEntry, FileQueue, FileReader},
    transcode::to_rows::{Skip, Taken, ToRows},
};

/// Runs a restore to its end and says what it did.
pub(crate) async fn run(
    cluster: Cluster,
    config: RestoreConfig,
    source: Local,
    clock: Clock,
    job: JobContext,
) -> Outcome<RestoreReport> {
    let started = clock.now();
    let warnings = Arc::new(Mutex::default());
    let completeness = OnceLock::new();
    let restore = Restore { cluster, config, source, clock, warnings, completeness, job };
    let result = restore.copy().await;
    let report = restore.report(started, result.is_ok());
    Outcome { report: Some(Arc::new(report)), result }
}

struct Restore {
    cluster: Cluster,
    config: RestoreConfig,
    source: Local,
    clock: Clock,
    warnings: Arc<Mutex<Vec<String>>>,
    /// Known once all files were read and hold.
    completeness: OnceLock<Completeness>,
    job: JobContext,
}

impl Restore {
    async fn copy(&self) -> Result<(), Error> {
        self.job.or_cancelled(plan_restore(&self.cluster, &self.config)).await??;
        let BackupSet { files, side_file, left_out, completeness, .. } = self.survey().await?;
        for name in left_out {
            let warning = format!("{name} isn't in the manifest, and was left out");
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
        }
        self.job.counters.bytes_total.add(files.iter().map(|file| file.stored.bytes).sum());
        self.job.counters.files.add(files.len() as u64);
        let (metadata, records): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| naming::is_metadata(&file.stored.name));
        match self.config.metadata {
            MetadataOrder::First => {
                self.copy_side_file(side_file).await?;
                self.copy_files(metadata).await?;
                self.copy_files(records).await?;
            }
            MetadataOrder::Last => {
                self.copy_files(records).await?;
                self.copy_files(metadata).await?;
                self.copy_side_file(side_file).await?;
            }
        }
        self.completeness.get_or_init(|| completeness);
        Ok(())
    }

    /// Finds what belongs to the backup, and refuses it if that isn't whole.
    async fn survey(&self) -> Result<BackupSet, Error> {
        let fetched = self.job.or_cancelled(key::fetch(self.config.encryption.as_ref())).await;
        let rules = SetRules {
            manifest: self.config.manifest,
            extra: self.config.extra_files,
            key: fetched??,
            compression: self.config.expected_compression,
        };
        let source = self.source.clone();
        let set = blocking(move || survey(&source, &rules)).await??;
        refuse(&set.findings)?;
        Ok(set)
    }

    async fn copy_side_file(&self, side_file: Option<SideFile>) -> Result<(), Error> {
        let Some(side_file) = side_file else { return Ok(()) };
        let writer = self.metadata_writer();
        for index in &side_file.set_indexes {
            writer.create_set_index(&side_file.namespace, index).await?;
        }
        Ok(())
    }

    async fn copy_files(&self, files: Vec<SetFile>) -> Result<(), Error> {
        let readers = self.config.readers.count().min(files.len());
        let files = Arc::new(FileQueue::new(files));
        let (sender, receiver, spare) = Queue::<RowBlock>::new(readers.max(1)).split();
        let (metadata_sender, metadata_receiver) = async_channel::bounded(1);
        let mut tasks = Tasks::new(self.job.token.clone());
        for _ in 0..readers {
            let reader = Reader {
                to_rows: ToRows::new(&self.config),
                clock: self.clock,
                rows: sender.clone(),
                metadata: metadata_sender.clone(),
                spare: spare.clone(),
                job: self.job.clone(),
                in_hand: InProgress::default(),
            };
            let (source, files) = (self.source.clone(), Arc::clone(&files));
            tasks.spawn_blocking(move || reader.run(&source, &files));
        }
        drop((sender, metadata_sender)); // The readers hold the rest: the queues end with the last of them.
        tasks.spawn(cluster::run(Arc::new(self.writer()), receiver, spare));
        tasks.spawn(metadata::run(self.metadata_writer(), metadata_receiver));
        tasks.join().await
    }

    fn writer(&self) -> Writer {
        Writer {
            cluster: self.cluster.clone(),
            writes: self.config.writes,
            refusals: Refusals::new(self.config.record_errors),
            deadlines: WriteDeadlines {
                socket_timeout: self.config.socket_timeout,
                total_timeout: self.config.total_timeout,
            },
            retry: self.config.retry,
            clock: self.clock,
            job: self.job.clone(),
            spare_batches: Mutex::default(),
        }
    }

    fn metadata_writer(&self) -> MetadataWriter {
        MetadataWriter {
            cluster: self.cluster.clone(),
            rename: self.config.rename.clone(),
            left_out: self.config.left_out.clone(),
            conflict: self.config.index_conflict,
            warnings: Arc::clone(&self.warnings),
            job: self.job.clone(),
        }
    }

    fn report(&self, started: SystemTime, success: bool) -> RestoreReport {
        let counters = &self.job.counters;
        let duration = counters.elapsed();
        let (skipped, failed) = (counters.skipped.counts(), counters.failed.counts());
        let ignored = counters.ignored.counts();
        let (expired, inserted) = (counters.expired.count(), counters.inserted.count());
        let (existed, fresher) = (counters.existed.count(), counters.fresher.count());
        let read = counters.read.count();
        let [skipped_sum, ignored_sum, failed_sum] =
            [&skipped, &ignored, &failed].map(|counts| counts.values().sum());
        let mut warnings = self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if ignored_sum > 0 {
            warnings.push(format!("{ignored_sum} records were refused by the server and left out, as asked"));
        }
        let parts = [expired, skipped_sum, inserted, existed, fresher, ignored_sum, failed_sum];
        let rest = unaccounted(read, &parts);
        let unfinished = if success { 0 } else { u64::try_from(rest).unwrap_or(0) };
        let unaccounted = rest - i64::try_from(unfinished).unwrap_or(0);
        RestoreReport {
            span: report::Span::new(started, duration),
            namespace: self.config.rename.as_ref().map_or_else(String::new, ToString::to_string),
            source: source_report(
                &self.source,
                counters.files.count(),
                self.completeness.get().copied().unwrap_or_default(),
            ),
            records: Restored {
                read,
                expired,
                skipped,
                inserted,
                existed,
                fresher,
                ignored,
                failed,
                unfinished,
                unaccounted,
            },
            indexes: IndexesRestored {
                read: counters.indexes_read.count(),
                created: counters.indexes_written.count(),
                same: counters.indexes_same.count(),
                kept: counters.indexes_kept.count(),
                replaced: counters.indexes_replaced.count(),
                not_restored: counters.indexes_not_restored.count(),
                failed: counters.indexes_failed.count(),
            },
            udfs: UdfsRestored {
                read: counters.udfs_read.count(),
                created: counters.udfs_written.count(),
                not_restored: counters.udfs_not_restored.count(),
                failed: counters.udfs_failed.count(),
            },
            errors: Troubles::of(counters),
            bytes: Bytes::of(counters),
            rates: Rates::of(counters, duration),
            warnings,
        }
    }
}

pub(crate) fn source_report(source: &Local, files: u64, completeness: Completeness) -> Source {
    let place = Place { kind: "local", path: source.path().display().to_string(), files };
    Source { place, completeness }
}

/// Reads files and makes rows of their records.
struct Reader {
    to_rows: ToRows,
    clock: Clock,
    rows: async_channel::Sender<RowBlock>,
    metadata: async_channel::Sender<Metadata>,
    spare: Spare<RowBlock>,
    job: JobContext,
    in_hand: InProgress,
}

/// What a reader has in hand. Counts go to the job block by block: shared counters would cost more than the records.
#[derive(Default)]
struct InProgress {
    block: RowBlock,
    now: VoidTime,
    read: u64,
    expired: u64,
    /// By [`Skip`], in its order.
    skipped: [u64; Skip::ALL.len()],
}

impl Reader {
    fn run(mut self, source: &Local, files: &FileQueue) -> Result<(), Error> {
        let result = self.read_all(source, files);
        self.count();
        result
    }

    fn read_all(&mut self, source: &Local, files: &FileQueue) -> Result<(), Error> {
        let job = self.job.clone();
        let mut reader = FileReader::new(source, &job);
        while let Some(file) = files.take() {
            self.count();
            let finding = reader.read(&file, |entry| self.take(entry, &file.stored.name))?;
            refuse(finding.as_slice())?;
            self.send()?;
        }
        Ok(())
    }

    fn take(&mut self, entry: FileEntry<'_>, file: &str) -> Result<(), Error> {
        match entry {
            FileEntry::Record(record) => self.take_record(&record, file),
            FileEntry::SecondaryIndex(index) => self.send_metadata(Metadata::Index(index)),
            FileEntry::UdfModule(udf) => self.send_metadata(Metadata::Udf(udf)),
        }
    }

    fn take_record(&mut self, record: &RecordView<'_>, file: &str) -> Result<(), Error> {
        let hand = &mut self.in_hand;
        hand.read += 1;
        match self.to_rows.record(&mut hand.block, record, hand.now) {
            Taken::Row => {}
            Taken::Expired => hand.expired += 1,
            Taken::Skipped(skip) => hand.skipped[skip as usize] += 1,
            Taken::OtherNamespace => return Err(self.other_namespace(record.namespace, file)),
            Taken::BlockOfOtherNamespace => {
                hand.read -= 1;
                self.send()?;
                return self.take_record(record, file);
            }
        }
        if self.in_hand.block.bytes.len() >= BLOCK_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Error> {
        self.count();
        if self.in_hand.block.rows.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.in_hand.block, self.spare.take());
        self.rows.send_blocking(full).map_err(|_| Error::cancelled())
    }

    fn send_metadata(&self, metadata: Metadata) -> Result<(), Error> {
        self.metadata.send_blocking(metadata).map_err(|_| Error::cancelled())
    }

    fn count(&mut self) {
        let counters = &self.job.counters;
        counters.read.add(std::mem::take(&mut self.in_hand.read));
        counters.expired.add(std::mem::take(&mut self.in_hand.expired));
        for (skip, count) in Skip::ALL.into_iter().zip(std::mem::take(&mut self.in_hand.skipped)) {
            if count > 0 {
                counters.skipped.add(skip.name(), count);
            }
        }
        self.in_hand.now = VoidTime(self.clock.unix_s().saturating_sub(VoidTime::EPOCH_UNIX_SECONDS));
    }

    fn other_namespace(&self, namespace: &[u8], file: &str) -> Error {
        metadata::other_namespace(namespace, self.to_rows.rename(), Some(file))
    }
}
