//! The files of a backup: each writer fills one after another, and a file gets its name when it is whole.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use asbackup_codec::asb::{self, FileOrder, Version};
use asbackup_model::Block;
use asbackup_storage::{Local, Upload};

use crate::{Error, config::ByteSize, job::JobContext, naming, pipeline::Spare};

/// What all writers of a backup share.
#[derive(Debug)]
pub(crate) struct FileSet {
    target: Local,
    namespace: String,
    limit: Option<ByteSize>,
    first_number: u64,
    next_number: AtomicU64,
    complete: Mutex<Vec<String>>,
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
        let number = self.next_number.fetch_add(1, Relaxed);
        let name = name(number);
        let mut upload = self.target.upload(&name)?;
        let order = if number == self.first_number { FileOrder::First } else { FileOrder::Later };
        let mut header = Vec::new();
        asb::encode_header(&mut header, version, self.namespace.as_bytes(), order);
        upload.write(&header)?;
        Ok(BackupFile { name, header_bytes: header.len() as u64, upload, records: 0 })
    }

    /// Gives a file its name.
    pub(crate) fn complete(&self, file: BackupFile, job: &JobContext) -> Result<(), Error> {
        let (name, records, bytes) = (file.name, file.records, file.upload.bytes());
        file.upload.complete()?;
        tracing::info!(file = name, bytes, records, "file complete");
        job.counters.bytes_stored.add(file.header_bytes);
        job.counters.bytes_decoded.add(bytes);
        job.counters.written.add(records);
        job.counters.files.add(1);
        self.names().push(name);
        Ok(())
    }

    /// Ends a successful backup. A namespace that is empty still makes a file, so that it can be told from a mistake.
    pub(crate) fn finish(&self, replaced: &[String], job: &JobContext) -> Result<(), Error> {
        if self.names().is_empty() {
            self.complete(self.record_file(0)?, job)?;
        }
        self.target.sync()?;
        let complete = self.names();
        for name in replaced.iter().filter(|name| !complete.contains(name)) {
            self.target.remove(name)?;
        }
        Ok(())
    }

    /// Undoes what a backup wrote that has failed.
    pub(crate) fn abandon(&self) {
        for name in self.names().iter() {
            if let Err(error) = self.target.remove(name) {
                tracing::warn!(
                    file = name,
                    error = &error as &dyn std::error::Error,
                    "cannot remove a file of a failed backup"
                );
            }
        }
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, file: &BackupFile) -> bool {
        self.limit.is_some_and(|limit| file.upload.bytes() >= limit.0)
    }
}

/// A backup file that is being written. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct BackupFile {
    name: String,
    header_bytes: u64,
    upload: Upload,
    records: u64,
}

impl BackupFile {
    /// Appends a block.
    pub(crate) fn write(&mut self, block: &Block, job: &JobContext) -> Result<(), Error> {
        self.upload.write(&block.bytes)?;
        self.records += block.records;
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
