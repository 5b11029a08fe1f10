//! One namespace: its settings and its 4096 partitions.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use asbackup_model::{Digest, PARTITIONS, PartitionId};

/// The settings of a namespace. Defaults are those of a server that was just installed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NamespaceConfig {
    /// Name.
    pub name: String,
    /// TTL in seconds of records that are written with TTL 0. Default 0: they never expire.
    pub default_ttl_s: u32,
    /// Whether records may expire. Default: yes.
    pub expiry: Expiry,
    /// The largest record, as it is kept. Default 1 MiB.
    pub max_record_bytes: usize,
}

/// Whether the records of a namespace may expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The server looks for expired records from time to time.
    Allowed,
    /// It never looks (`nsup-period 0`), so a write with a TTL is refused with code 22.
    Refused,
}

impl NamespaceConfig {
    /// Returns the default settings under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), default_ttl_s: 0, expiry: Expiry::Allowed, max_record_bytes: 1024 * 1024 }
    }
}

impl From<&str> for NamespaceConfig {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for NamespaceConfig {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// The records of one partition in the order in which a scan sends them.
pub(crate) type Partition = BTreeMap<Digest, Record>;

/// A record.
#[derive(Debug)]
pub(crate) struct Record {
    /// When it was written last, in nanoseconds since the Unix epoch.
    pub(crate) last_update_ns: u64,
    /// The message that a scan sends for it, so that a scan only copies.
    pub(crate) message: Box<[u8]>,
}

/// A namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) config: NamespaceConfig,
    partitions: Box<[Mutex<Partition>]>,
}

impl Namespace {
    pub(crate) fn new(config: NamespaceConfig) -> Self {
        Self { config, partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.config.name.as_bytes()
    }

    pub(crate) fn partition(&self, id: PartitionId) -> MutexGuard<'_, Partition> {
        // A panic while the lock was held is a failed test already; the map itself is never half changed.
        self.partitions[id.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of records, expired ones that are still kept included.
    pub(crate) fn record_count(&self) -> u64 {
        self.record_count_of(|_| true)
    }

    /// Returns the number of records in the partitions that `is_meant` says.
    pub(crate) fn record_count_of(&self, is_meant: impl Fn(PartitionId) -> bool) -> u64 {
        PartitionId::all().filter(|&id| is_meant(id)).map(|id| self.partition(id).len() as u64).sum()
    }
}
