//! One backup file on its way to storage.

use asbackup_codec::asb::{self, FileOrder, Version};
use asbackup_model::{Block, PartitionSet};
use asbackup_storage::{Local, Upload};

use crate::{
    Error,
    job::JobContext,
    manifest::{ListedFile, StoredHash},
};

/// A backup file that is being written. Dropping it removes it, unless it was settled.
#[derive(Debug)]
pub(crate) struct BackupFile {
    pub(super) name: String,
    pub(super) header_bytes: u64,
    pub(super) upload: Upload,
    pub(super) hash: StoredHash,
    /// Of what was written.
    pub(crate) counts: EntryCounts,
}

impl ListedFile {
    /// Counts a file that is complete.
    pub(super) fn count(&self, job: &JobContext) {
        job.counters.bytes_decoded.add(self.bytes);
        job.counters.written.add(self.records);
        job.counters.indexes_written.add(self.indexes);
        job.counters.udfs_written.add(self.udfs);
        job.counters.files.add(1);
    }
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
    /// Starts a file with its header.
    pub(crate) fn create(
        target: &Local,
        name: String,
        (version, namespace, order): (Version, &[u8], FileOrder),
    ) -> Result<Self, Error> {
        let mut upload = target.upload(&name)?;
        let mut header = Vec::new();
        asb::encode_header(&mut header, version, namespace, order);
        let mut hash = StoredHash::default();
        upload.write(&header)?;
        hash.update(&header);
        Ok(Self { name, header_bytes: header.len() as u64, upload, hash, counts: EntryCounts::default() })
    }

    /// Appends a block.
    pub(crate) fn write(&mut self, block: &Block, job: &JobContext) -> Result<(), Error> {
        job.store(&block.bytes, |bytes| Ok(self.upload.write(bytes)?))?;
        self.hash.update(&block.bytes);
        self.counts.records += block.records;
        self.counts.partitions |= block.partitions;
        job.counters.add_inexact(block.inexact);
        Ok(())
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many bytes storage has of it.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.upload.bytes()
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn complete(self, job: &JobContext) -> Result<ListedFile, Error> {
        let Self { name, header_bytes, upload, hash, counts } = self;
        let EntryCounts { records, indexes, udfs, partitions } = counts;
        let bytes = upload.bytes();
        upload.complete()?;
        tracing::info!(file = name, bytes, records, "file complete");
        job.counters.bytes_stored.add(header_bytes);
        let listed = ListedFile { name, bytes, hash: hash.hex(), records, indexes, udfs, partitions };
        listed.count(job);
        Ok(listed)
    }
}
