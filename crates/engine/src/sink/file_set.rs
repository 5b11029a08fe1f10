//! The files that a backup consists of: their numbers and names, and what becomes of them when it ends.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use asbackup_codec::asb::{FileOrder, Version};
use asbackup_storage::Local;

use super::{
    durable::{CutFile, gone},
    file::{BackupFile, EntryCounts, Wrapping},
};
use crate::{
    Error, ErrorKind,
    checkpoint::{Advance, Checkpoint, FileState, State},
    config::{BackupConfig, ByteSize, FilePrefix, Shard},
    job::JobContext,
    manifest::ListedFile,
    naming,
    progress::Counter,
};

/// What all writers of a backup share.
#[derive(Debug)]
pub(crate) struct FileSet {
    target: Local,
    namespace: String,
    limit: Option<ByteSize>,
    wrapping: Wrapping,
    prefix: Option<FilePrefix>,
    /// Of the file that says that it is the first. Of all shares of a backup the first has it.
    first_number: Option<u64>,
    /// From one number to the next: shares take turns, so that no two have the same.
    step: u64,
    next_number: AtomicU64,
    /// Where the target is one file: that file, while nobody writes into it.
    begun: Mutex<Option<BackupFile>>,
    complete: Mutex<Complete>,
    checkpoint: Checkpoint,
}

/// What has its final name.
#[derive(Debug, Default)]
struct Complete {
    files: Vec<ListedFile>,
    documents: Vec<String>,
}

impl FileSet {
    /// Returns the set of a run that has this state, which may be that of an earlier one.
    pub(crate) fn new(
        (target, wrapping): (Local, Wrapping),
        config: &BackupConfig,
        state: &State,
        checkpoint: Checkpoint,
    ) -> Self {
        Self {
            target,
            wrapping,
            namespace: config.namespace.clone(),
            limit: config.file_limit,
            prefix: config.file_prefix.clone(),
            first_number: config.shard.is_none_or(Shard::is_first).then_some(state.first_file),
            step: config.shard.map_or(1, |shard| u64::from(shard.of())),
            next_number: AtomicU64::new(state.next_file),
            begun: Mutex::default(),
            complete: Mutex::default(),
            checkpoint,
        }
    }

    /// Takes over the files of an earlier run, and returns those that can be gone on with.
    pub(crate) fn take_over(&self, state: &State, job: &JobContext) -> Result<Vec<BackupFile>, Error> {
        if state.files.is_empty() {
            return Ok(Vec::new());
        }
        let sizes: BTreeMap<String, u64> =
            self.target.list()?.into_iter().map(|file| (file.name, file.bytes)).collect();
        let mut open = Vec::new();
        for file in &state.files {
            match (file.state, file.listed()) {
                (FileState::Complete, Some(listed)) => {
                    self.check_complete(&listed, sizes.get(&listed.name).copied())?;
                    file.counts().count(job);
                    job.counters.bytes_stored.add(listed.bytes);
                    self.lock_complete().files.push(listed);
                }
                _ => {
                    let durable = (file.name.clone(), file.durable_bytes);
                    let Wrapping { frames, key } = &self.wrapping;
                    let cut = CutFile::cut(&self.target, durable, file.counts(), &self.wrapping.hashing())?;
                    match key {
                        None => open.push(cut.go_on(frames.clone(), job)),
                        Some(_) => self.completed(cut.complete(job)?, &Advance::default())?,
                    }
                }
            }
        }
        Ok(open)
    }

    fn check_complete(&self, listed: &ListedFile, found: Option<u64>) -> Result<(), Error> {
        if found == Some(listed.bytes) {
            return Ok(());
        }
        let found = found.map_or_else(|| "isn't there".to_owned(), |bytes| format!("has {bytes} bytes"));
        let what = format!("it {found}, but had {} bytes when it was complete", listed.bytes);
        Err(gone(&listed.name, std::io::Error::other(what)))
    }

    /// Returns what is kept of the progress.
    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns whether all goes into one file, beside which nothing lies.
    pub(crate) fn is_single(&self) -> bool {
        !self.target.is_directory()
    }

    /// Starts the file for indexes and UDFs.
    pub(crate) fn metadata_file(&self, version: Version, job: &JobContext) -> Result<BackupFile, Error> {
        self.create(version, |number| naming::metadata_file(&self.namespace, number), job)
    }

    /// Starts a file for records.
    pub(crate) fn record_file(&self, writer: usize, job: &JobContext) -> Result<BackupFile, Error> {
        if let Some(file) = self.lock_begun().take() {
            return Ok(file);
        }
        let name = |number| naming::record_file(writer, self.prefix.as_ref(), &self.namespace, number);
        self.create(Version::V31, name, job)
    }

    fn create(
        &self,
        version: Version,
        name: impl FnOnce(u64) -> String,
        job: &JobContext,
    ) -> Result<BackupFile, Error> {
        let number = self.take_number();
        let order = if self.first_number == Some(number) { FileOrder::First } else { FileOrder::Later };
        let name = name(number);
        self.checkpoint.opened(&name, number + self.step)?;
        let header = (version, self.namespace.as_bytes(), order);
        BackupFile::create(&self.target, name, header, &self.wrapping, job)
    }

    /// Returns a number that no file has.
    pub(crate) fn take_number(&self) -> u64 {
        self.next_number.fetch_add(self.step, Relaxed)
    }

    /// Gives a file its name. `advance` is what was written into it since it was settled last. The only one gets its
    /// name at the very end: it may take the place of an old one, and records follow the indexes and UDFs in it.
    pub(crate) fn complete(
        &self,
        file: BackupFile,
        advance: &Advance,
        job: &JobContext,
    ) -> Result<(), Error> {
        if self.is_single() {
            *self.lock_begun() = Some(file);
            return Ok(());
        }
        self.name(file, advance, job)
    }

    fn name(&self, file: BackupFile, advance: &Advance, job: &JobContext) -> Result<(), Error> {
        self.completed(file.complete(job)?, advance)
    }

    fn completed(&self, (listed, counts): (ListedFile, EntryCounts), advance: &Advance) -> Result<(), Error> {
        // It has its name, whatever becomes of the state: whoever abandons the backup has to know of it.
        self.lock_complete().files.push(listed.clone());
        self.checkpoint.completed(&listed, &counts, advance)
    }

    /// Makes durable what was written into a file, so that another run can go on behind it.
    pub(crate) fn settle(
        &self,
        file: &mut BackupFile,
        advance: &Advance,
        job: &JobContext,
    ) -> Result<(), Error> {
        let bytes = file.settle(job)?;
        self.checkpoint.settled((file.name(), bytes), &file.counts, advance)
    }

    /// Writes a document that lies beside the data.
    pub(crate) fn write_document(&self, name: &str, text: &str) -> Result<(), Error> {
        let mut upload = self.target.upload(name)?;
        upload.write(text.as_bytes())?;
        upload.complete()?;
        self.lock_complete().documents.push(name.to_owned());
        Ok(())
    }

    /// Ends a successful backup. A namespace that is empty still makes a file, so that it can be told from a mistake.
    pub(crate) fn finish(&self, job: &JobContext) -> Result<(), Error> {
        if self.lock_complete().files.is_empty() {
            self.name(self.record_file(0, job)?, &Advance::default(), job)?;
        }
        Ok(())
    }

    /// Returns the complete data files in the order of their numbers.
    pub(crate) fn listed(&self) -> Vec<ListedFile> {
        let mut files = self.lock_complete().files.clone();
        files.sort_by_key(|file| naming::number(&file.name));
        files
    }

    /// Removes the files that a finished backup replaces. One that stays doesn't spare the others.
    pub(crate) fn remove(&self, replaced: &[String]) -> Result<(), Error> {
        // The new manifest's name must be durable before anything that it replaces goes.
        self.target.sync()?;
        let mut removed = Ok(());
        for name in replaced {
            removed = removed.and(self.target.remove(name).map_err(|error| left_over(name, error)));
        }
        removed.and(Ok(self.target.sync()?))
    }

    /// Ends a backup that has failed: what another run can go on with stays, with the state; all else is undone.
    /// Returns the path of the state in the first case.
    pub(crate) fn abandon(&self, job: &JobContext) -> Option<String> {
        if self.checkpoint.is_worth_keeping() {
            self.remove_each(&self.lock_complete().documents);
            job.counters.written.reset();
            job.counters.written.add(self.checkpoint.records_written());
            return self.checkpoint.path();
        }
        let Complete { files, documents } = std::mem::take(&mut *self.lock_complete());
        self.remove_each(files.iter().map(|file| &file.name).chain(&documents));
        if let Err(error) = self.checkpoint.remove() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove the state of a failed backup"
            );
        }
        let counters = &job.counters;
        let undone = [&counters.written, &counters.files, &counters.indexes_written, &counters.udfs_written];
        undone.into_iter().for_each(Counter::reset);
        None
    }

    fn remove_each<'a>(&self, names: impl IntoIterator<Item = &'a String>) {
        for name in names {
            if let Err(error) = self.target.remove(name) {
                tracing::warn!(
                    file = name,
                    error = &error as &dyn std::error::Error,
                    "cannot remove a file of a failed backup"
                );
            }
        }
    }

    fn lock_begun(&self) -> MutexGuard<'_, Option<BackupFile>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_complete(&self) -> MutexGuard<'_, Complete> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a file has the size at which the next one is begun.
    pub(crate) fn is_full(&self, file: &mut BackupFile, job: &JobContext) -> Result<bool, Error> {
        self.limit.map_or(Ok(false), |limit| file.reaches(limit, job))
    }
}

fn left_over(name: &str, error: asbackup_storage::Error) -> Error {
    Error::of(
        ErrorKind::Storage,
        "the backup is complete, but a file of the one that it replaces is still there",
    )
    .place(|place| place.file = Some(name.to_owned()))
    .hint("remove that file by hand: tools that know no manifest would restore its records too")
    .source(error)
    .build()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        checkpoint::start,
        config::{self, BackupConfig},
        manifest::Hashing,
    };

    #[test]
    fn file_that_cannot_be_removed_spares_no_other_and_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let target = Local::directory(directory.path());
        std::fs::create_dir(directory.path().join("0_test_1.asb")).unwrap();
        std::fs::write(directory.path().join("0_test_2.asb"), "old").unwrap();
        let config = BackupConfig::new("test");
        let other = Local::directory(directory.path().join("new"));
        let plan = start(&config, None, &other, SystemTime::now()).unwrap();
        let keeper = (plan.place, target.clone(), Hashing::default());
        let checkpoint = Checkpoint::new(config::Checkpoint::Off, keeper, plan.state.clone());
        let files = FileSet::new((target.clone(), Wrapping::default()), &config, &plan.state, checkpoint);
        let error = files.remove(&["0_test_1.asb".into(), "0_test_2.asb".into()]).unwrap_err();
        assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Storage, Some("0_test_1.asb")));
        assert!(target.list().unwrap().is_empty());
    }
}
