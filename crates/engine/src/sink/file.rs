//! The files of a backup: each writer fills one after another, and a file gets its name when it is whole.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use asbackup_codec::asb::{self, FileOrder, Version};
use asbackup_model::{Block, PartitionSet};
use asbackup_storage::{Local, Upload};

use crate::{
    Error, ErrorKind,
    config::ByteSize,
    job::JobContext,
    manifest::{ListedFile, StoredHash},
    naming,
    pipeline::Spare,
    progress::Counter,
};

/// What all writers of a backup share.
#[derive(Debug)]
pub(crate) struct FileSet {
    target: Local,
    namespace: String,
    limit: Option<ByteSize>,
    first_number: u64,
    next_number: AtomicU64,
    complete: Mutex<Complete>,
}

/// What has its final name.
#[derive(Debug, Default)]
struct Complete {
    files: Vec<ListedFile>,
    documents: Vec<String>,
}

impl FileSet {
    pub(crate) fn new(target: Local, namespace: String, limit: Option<ByteSize>, first_number: u64) -> Self {
        let next_number = AtomicU64::new(first_number);
        Self { target, namespace, limit, first_number, next_number, complete: Mutex::default() }
    }

    /// Starts the file for indexes and UDFs.
    pub(crate) fn metadata_file(&self, version: Version) -> Result<BackupFile, Error> {
        self.create(version, |number| naming::metadata_file(&self.namespace, number))
    }

    fn record_file(&self, writer: usize) -> Result<BackupFile, Error> {
        self.create(Version::V31, |number| naming::record_file(writer, &self.namespace, number))
    }

    fn create(&self, version: Version, name: impl FnOnce(u64) -> String) -> Result<BackupFile, Error> {
        let number = self.take_number();
        let name = name(number);
        let mut upload = self.target.upload(&name)?;
        let order = if number == self.first_number { FileOrder::First } else { FileOrder::Later };
        let mut header = Vec::new();
        asb::encode_header(&mut header, version, self.namespace.as_bytes(), order);
        let mut hash = StoredHash::default();
        upload.write(&header)?;
        hash.update(&header);
        let header_bytes = header.len() as u64;
        Ok(BackupFile { name, header_bytes, upload, hash, counts: EntryCounts::default() })
    }

    /// Returns a number that no file has.
    pub(crate) fn take_number(&self) -> u64 {
        self.next_number.fetch_add(1, Relaxed)
    }

    /// Gives a file its name.
    pub(crate) fn complete(&self, file: BackupFile, job: &JobContext) -> Result<(), Error> {
        let BackupFile { name, header_bytes, upload, hash, counts } = file;
        let (records, bytes) = (counts.records, upload.bytes());
        upload.complete()?;
        tracing::info!(file = name, bytes, records, "file complete");
        job.counters.bytes_stored.add(header_bytes);
        job.counters.bytes_decoded.add(bytes);
        job.counters.written.add(records);
        job.counters.files.add(1);
        let EntryCounts { records, indexes, udfs, partitions } = counts;
        let listed = ListedFile { name, bytes, hash: hash.hex(), records, indexes, udfs, partitions };
        self.lock_complete().files.push(listed);
        Ok(())
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
            self.complete(self.record_file(0)?, job)?;
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

    /// Undoes what a backup wrote that has failed.
    pub(crate) fn abandon(&self, job: &JobContext) {
        let Complete { files, documents } = std::mem::take(&mut *self.lock_complete());
        for name in files.iter().map(|file| &file.name).chain(&documents) {
            if let Err(error) = self.target.remove(name) {
                tracing::warn!(
                    file = name,
                    error = &error as &dyn std::error::Error,
                    "cannot remove a file of a failed backup"
                );
            }
        }
        let counters = &job.counters;
        let undone = [&counters.written, &counters.files, &counters.indexes_written, &counters.udfs_written];
        undone.into_iter().for_each(Counter::reset);
    }

    fn lock_complete(&self) -> MutexGuard<'_, Complete> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, file: &BackupFile) -> bool {
        self.limit.is_some_and(|limit| file.upload.bytes() >= limit.0)
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

/// A backup file that is being written. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct BackupFile {
    name: String,
    header_bytes: u64,
    upload: Upload,
    hash: StoredHash,
    /// Of what was written.
    pub(crate) counts: EntryCounts,
}

/// How many entries a file holds, and records of which partitions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EntryCounts {
    pub(crate) records: u64,
    pub(crate) indexes: u64,
    pub(crate) udfs: u64,
    pub(crate) partitions: PartitionSet,
}

impl BackupFile {
    /// Appends a block.
    pub(crate) fn write(&mut self, block: &Block, job: &JobContext) -> Result<(), Error> {
        self.upload.write(&block.bytes)?;
        self.hash.update(&block.bytes);
        self.counts.records += block.records;
        self.counts.partitions |= block.partitions;
        job.counters.bytes_stored.add(block.bytes.len() as u64);
        job.counters.add_inexact(block.inexact);
        Ok(())
    }
}

/// One writer: takes blocks from the queue until it ends. Blocks, so it belongs on a thread of its own.
pub(crate) fn run(
    writer: usize,
    files: &FileSet,
    blocks: &async_channel::Receiver<Block>,
    spare: &Spare<Block>,
    job: &JobContext,
) -> Result<(), Error> {
    let mut open: Option<BackupFile> = None;
    while let Ok(mut block) = blocks.recv_blocking() {
        if job.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        let mut file = match open.take() {
            Some(file) => file,
            None => files.record_file(writer)?,
        };
        file.write(&block, job)?;
        block.clear();
        spare.give(block);
        if files.is_full(&file) {
            files.complete(file, job)?;
        } else {
            open = Some(file);
        }
    }
    if job.token.is_cancelled() {
        return Err(Error::cancelled());
    }
    open.map_or(Ok(()), |file| files.complete(file, job))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_cannot_be_removed_spares_no_other_and_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let target = Local::directory(directory.path());
        std::fs::create_dir(directory.path().join("0_test_1.asb")).unwrap();
        std::fs::write(directory.path().join("0_test_2.asb"), "old").unwrap();
        let files = FileSet::new(target.clone(), "test".into(), None, 3);
        let error = files.remove(&["0_test_1.asb".into(), "0_test_2.asb".into()]).unwrap_err();
        assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Storage, Some("0_test_1.asb")));
        assert!(target.list().unwrap().is_empty());
    }
}
