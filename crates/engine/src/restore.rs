//! The run of a restore, from its plan to its report.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use asbackup_cluster::{Cluster, LargeRecords, WriteDeadlines};
use asbackup_storage::Local;

use crate::{
    Clock, Error, ErrorKind, blocking,
    config::{Effect, MetadataOrder, RecordErrors, RestoreConfig, Verification},
    event::Phase,
    job::{JobContext, Outcome},
    key,
    manifest::{BackupSet, Completeness, Member, SetFile, SetRules, SideFile, refuse, survey},
    naming,
    pipeline::{BLOCK_BYTES, Buffers, LARGE_ENTRIES, QUEUED_PER_READER, Tasks, cpus, waiting_blocks},
    plan::{Packing, plan_restore, restore_bytes},
    progress::Named,
    report::{
        self, Bytes, IndexesRestored, Place, Rates, RestoreReport, Restored, Source, SourceDirectory,
        Troubles, UdfsRestored, unaccounted,
    },
    restore_state::{Counts, Keeper, Ledger, MetadataCounts},
    sink::{
        backoff::BackOff,
        cluster::{self, Writer},
        count,
        metadata::{self, MetadataWriter, NAME_FIRST},
        refusal::Refusals,
    },
    source::{
        ahead::Decompression,
        files::FileQueue,
        rows::{InProgress, RowReader, Texts},
        share::share_out,
        verify::{blame, verify},
    },
    transcode::to_rows::ToRows,
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
    let (members, completeness) = (OnceLock::new(), OnceLock::new());
    let keeper = OnceLock::new();
    let (owner, job) = (job.clone(), job.child());
    let restore =
        Restore { cluster, config, source, clock, warnings, members, completeness, keeper, owner, job };
    let result = restore.run().await;
    let report = restore.report(started, result.is_ok());
    Outcome { report: Some(Arc::new(report)), result }
}

struct Restore {
    cluster: Cluster,
    config: RestoreConfig,
    source: Local,
    clock: Clock,
    warnings: Arc<Mutex<Vec<String>>>,
    /// Known once it is known what to read.
    members: OnceLock<Vec<Member>>,
    /// Known once all files were read and hold.
    completeness: OnceLock<Completeness>,
    /// Known once the job is about to begin.
    keeper: OnceLock<Arc<Keeper>>,
    /// Cancelled by whoever owns the job.
    owner: JobContext,
    /// The same job, cancelled also by the first failure in it.
    job: JobContext,
}

impl Restore {
    async fn run(&self) -> Result<(), Error> {
        self.job.or_cancelled(plan_restore(&self.cluster, &self.config, &self.source)).await??;
        let mut set = self.survey().await?;
        self.members.get_or_init(|| std::mem::take(&mut set.members));
        for name in &set.left_out {
            self.warn(format!("{name} doesn't belong to the backup, and was left out"));
        }
        for name in &set.foreign_states {
            self.warn(format!(
                "{name} looks like the state of a backup that was interrupted: records may be missing"
            ));
        }
        if self.config.verification == Verification::First {
            self.verify(&set).await?;
        }
        self.tell_plan(&set);
        let keeper = self.open_keeper(&set.files).await?;
        self.keeper.get_or_init(|| Arc::clone(&keeper));
        keeper.keep(Box::pin(self.copy_or_blame(set, &keeper))).await
    }

    /// Copies the set. If that is refused, files are checked that were read in part.
    async fn copy_or_blame(&self, set: BackupSet, keeper: &Keeper) -> Result<(), Error> {
        let files = set.files.clone();
        let Err(error) = self.copy(set, keeper).await else { return Ok(()) };
        let is_under_way = |file: &&SetFile| keeper.ledger.is_under_way(&file.stored.name);
        let read: Vec<SetFile> = files.iter().filter(is_under_way).cloned().collect();
        Err(blame(error, &self.source, &read, self.config.readers, &self.owner).await)
    }

    fn tell_plan(&self, set: &BackupSet) {
        let files = set.files.iter().filter(|file| !naming::is_metadata(&file.stored.name)).count();
        let readers = self.config.readers.count().min(files);
        let is_compressed = set.manifest.as_ref().is_some_and(|manifest| manifest.is_compressed());
        let packing = if is_compressed { Packing::Compressed } else { Packing::Plain };
        let memory_bytes = restore_bytes(readers, packing, cpus()) + 2 * self.source.buffer_bytes();
        tracing::info!(readers, memory_bytes, "restore planned");
    }

    async fn copy(&self, set: BackupSet, keeper: &Keeper) -> Result<(), Error> {
        let BackupSet { files, side_files, completeness, .. } = set;
        self.job.counters.files.add(files.len() as u64);
        let (metadata, records): (Vec<_>, Vec<_>) = files
            .into_iter()
            .filter(|file| !keeper.ledger.is_done(&file.stored.name))
            .partition(|file| naming::is_metadata(&file.stored.name));
        let bytes = metadata.iter().chain(&records).map(|file| file.stored.bytes).sum();
        self.job.counters.bytes_total.add(bytes);
        match self.config.metadata {
            MetadataOrder::First => {
                self.copy_metadata(side_files, metadata, keeper).await?;
                self.copy_records(records, keeper).await?;
            }
            MetadataOrder::Last => {
                self.copy_records(records, keeper).await?;
                self.copy_metadata(side_files, metadata, keeper).await?;
            }
        }
        self.completeness.get_or_init(|| completeness);
        Ok(())
    }

    fn warn(&self, warning: String) {
        self.job.warn(&warning);
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    async fn verify(&self, set: &BackupSet) -> Result<(), Error> {
        self.job.begin(Phase::Verifying);
        if set.completeness == Completeness::Unchecked {
            self.warn("there is no manifest, so that nothing could be verified first".to_owned());
        }
        refuse(&verify(&self.source, &set.files, self.config.readers, &self.job).await?)
    }

    /// Begins where an interrupted restore has left off, or at the beginning.
    async fn open_keeper(&self, files: &[SetFile]) -> Result<Arc<Keeper>, Error> {
        if self.config.effect == Effect::Count {
            return Ok(Arc::new(Keeper::without_state(files, Vec::new())));
        }
        let (config, source, files) = (self.config.clone(), self.source.clone(), files.to_vec());
        let cluster = self.cluster.name().map(str::to_owned);
        let open = move || Keeper::open(&config, &source, cluster.as_deref(), &files);
        Ok(Arc::new(blocking(open).await??))
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
        self.check_namespace(&set)?;
        Ok(match self.config.shard {
            Some(shard) => share_out(set, shard),
            None => set,
        })
    }

    /// A manifest says before anything is read whether the backup is of the namespace that is to be renamed.
    fn check_namespace(&self, set: &BackupSet) -> Result<(), Error> {
        let Some(rename) = &self.config.rename else { return Ok(()) };
        let other =
            set.files.iter().find_map(|file| file.namespace.as_deref().filter(|of| *of != rename.from));
        match other {
            Some(namespace) => {
                let message = format!("the backup is of namespace {namespace:?}, not of {:?}", rename.from);
                Err(Error::of(ErrorKind::Config, message).hint(NAME_FIRST).build())
            }
            None => Ok(()),
        }
    }

    /// Restores what isn't a record and lies in files of its own.
    async fn copy_metadata(
        &self,
        side_files: Vec<SideFile>,
        files: Vec<SetFile>,
        keeper: &Keeper,
    ) -> Result<(), Error> {
        let ledger = &keeper.ledger;
        if ledger.metadata_is_done() {
            return Ok(());
        }
        self.job.begin(Phase::Metadata);
        self.copy_side_files(&side_files, ledger).await?;
        self.copy_files(files, keeper).await?;
        ledger.metadata_done();
        Ok(())
    }

    async fn copy_side_files(&self, side_files: &[SideFile], ledger: &Ledger) -> Result<(), Error> {
        let before = MetadataCounts::of(&self.job.counters);
        let writer = self.metadata_writer();
        for side_file in side_files {
            for index in &side_file.set_indexes {
                writer.create_set_index(&side_file.namespace, index).await?;
            }
        }
        ledger.side_file_done(MetadataCounts::of(&self.job.counters).since(before));
        Ok(())
    }

    async fn copy_records(&self, files: Vec<SetFile>, keeper: &Keeper) -> Result<(), Error> {
        self.job.begin(Phase::Records);
        self.copy_files(files, keeper).await
    }

    async fn copy_files(&self, files: Vec<SetFile>, keeper: &Keeper) -> Result<(), Error> {
        let readers = self.config.readers.count().min(files.len());
        let files = Arc::new(FileQueue::new(files));
        let (buffers, returns) = Buffers::new(readers + waiting_blocks(readers), BLOCK_BYTES);
        let (sender, receiver) = async_channel::bounded(QUEUED_PER_READER * readers.max(1));
        let large_entries = LargeRecords::new(LARGE_ENTRIES);
        let (metadata_sender, metadata_receiver) = async_channel::bounded(1);
        let mut tasks = Tasks::new(self.job.token.clone());
        for _ in 0..readers {
            let reader = RowReader {
                to_rows: ToRows::new(&self.config),
                clock: self.clock,
                rows: sender.clone(),
                metadata: metadata_sender.clone(),
                buffers: buffers.clone(),
                decompression: Decompression::of(readers, cpus()),
                large_entries: large_entries.clone(),
                ledger: Arc::clone(&keeper.ledger),
                texts: if keeper.dead_letters.is_some() { Texts::Kept } else { Texts::Dropped },
                job: self.job.clone(),
                in_hand: InProgress::default(),
            };
            let (source, files) = (self.source.clone(), Arc::clone(&files));
            tasks.spawn_blocking(move || reader.run(&source, &files));
        }
        drop((sender, metadata_sender)); // The readers hold the rest: the queues end with the last of them.
        match self.config.effect {
            Effect::Write => tasks.spawn(cluster::run(Arc::new(self.writer(keeper)), receiver, returns)),
            Effect::Count => {
                tasks.spawn(count::run(self.cluster.clone(), self.job.clone(), receiver, returns))
            }
        }
        tasks.spawn(metadata::run(self.metadata_writer(), metadata_receiver));
        tasks.join().await
    }

    fn writer(&self, keeper: &Keeper) -> Writer {
        Writer {
            cluster: self.cluster.clone(),
            writes: self.job.limits.portions(self.config.writes),
            back_off: BackOff::new(self.config.writes.in_flight(), self.config.retry),
            refusals: Refusals::new(match &self.config.dead_letter {
                Some(_) => RecordErrors::Ignore,
                None => self.config.record_errors,
            }),
            dead_letters: keeper.dead_letters.clone(),
            renamed_from: self.config.rename.as_ref().map(|rename| rename.from.clone()),
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
            effect: self.config.effect,
            warnings: Arc::clone(&self.warnings),
            job: self.job.clone(),
        }
    }

    fn report(&self, started: SystemTime, success: bool) -> RestoreReport {
        let counters = &self.job.counters;
        let duration = counters.elapsed();
        let keeper = self.keeper.get();
        let earlier = keeper.map(|keeper| keeper.ledger.earlier.clone()).unwrap_or_default();
        let records = self.records(&earlier, success);
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(keeper) = keeper {
            let of_state = keeper.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            of_state.iter().for_each(|warning| self.job.warn(warning));
            warnings.extend(of_state.iter().cloned());
        }
        let ignored: u64 = records.ignored.values().sum();
        if ignored > 0 {
            let warning = format!("{ignored} records were refused by the server and left out, as asked");
            self.job.warn(&warning);
            warnings.push(warning);
        }
        let mut metadata = MetadataCounts::of(counters);
        metadata += earlier.metadata;
        RestoreReport {
            span: report::Span::new(started, duration),
            namespace: self.config.rename.as_ref().map_or_else(String::new, ToString::to_string),
            shard: self.config.shard.map(|shard| shard.to_string()),
            source: self.source_report(),
            records,
            indexes: IndexesRestored::of(metadata.indexes),
            udfs: UdfsRestored::of(metadata.udfs),
            errors: Troubles::of(counters),
            bytes: Bytes::of(counters),
            rates: Rates::of(counters, duration),
            warnings,
            dry_run: self.config.effect == Effect::Count,
            state_file: keeper.and_then(|keeper| keeper.state_file()).map(|path| path.display().to_string()),
        }
    }

    fn source_report(&self) -> Source {
        let mut members = self.members.get().cloned().unwrap_or_default();
        let completeness = self.completeness.get().copied();
        if completeness.is_none() {
            members.iter_mut().for_each(|member| member.completeness = Completeness::Unchecked);
        }
        let files = self.job.counters.files.count();
        source_report(&self.source, files, completeness.unwrap_or_default(), members)
    }

    /// Returns the records of this run and of those that it went on with.
    fn records(&self, Counts { records: earlier, .. }: &Counts, success: bool) -> Restored {
        let counters = &self.job.counters;
        let sum = |earlier: Named, counts: Named| {
            let mut sums = earlier;
            counts.into_iter().for_each(|(name, count)| *sums.entry(name).or_default() += count);
            sums
        };
        let mut records = Restored {
            read: earlier.read + counters.read.count(),
            expired: earlier.expired + counters.expired.count(),
            skipped: sum(earlier.skipped(), counters.skipped.counts()),
            inserted: earlier.inserted + counters.inserted.count(),
            existed: earlier.existed + counters.existed.count(),
            fresher: earlier.fresher + counters.fresher.count(),
            ignored: sum(earlier.ignored(), counters.ignored.counts()),
            failed: counters.failed.counts(),
            unfinished: 0,
            unaccounted: 0,
        };
        let named = [&records.skipped, &records.ignored, &records.failed].map(|counts| counts.values().sum());
        let parts = [records.expired, records.inserted, records.existed, records.fresher];
        let rest = unaccounted(records.read, &[&parts[..], &named[..]].concat());
        records.unfinished = if success { 0 } else { u64::try_from(rest).unwrap_or(0) };
        records.unaccounted = rest - i64::try_from(records.unfinished).unwrap_or(0);
        records
    }
}

pub(crate) fn source_report(
    source: &Local,
    files: u64,
    completeness: Completeness,
    members: Vec<Member>,
) -> Source {
    let place = Place { kind: source.kind(), path: source.path().display().to_string(), files };
    let directories = members.into_iter().map(|member| SourceDirectory {
        path: member.part.directory.path().display().to_string(),
        files: member.files,
        completeness: member.completeness,
    });
    Source { place, completeness, directories: directories.collect() }
}
