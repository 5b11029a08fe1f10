//! What a query reads.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use asbackup_codec::wire::Content;

use crate::{LargeRecords, Readers};

/// What to read, and how patiently.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QuerySpec {
    /// Namespace.
    pub namespace: Vec<u8>,
    /// Set; none for all.
    pub set: Option<Vec<u8>>,
    /// Bins; empty for all.
    pub bins: Vec<Vec<u8>>,
    /// Whether records come with their bins.
    pub content: Content,
    /// Filter expression.
    pub filter: Option<Vec<u8>>,
    /// Longest wait for the next bytes, at both ends. Zero: the server's default there, ten minutes here. Default: 10 s.
    pub socket_timeout: Duration,
    /// Attempts that may fail since the last record. Default: 10.
    pub max_retries: u32,
    /// Pause before the first retry; it doubles up to 10 s. Default: 100 ms.
    pub first_pause: Duration,
    /// Pause when the server has too many scans already. Default: 10 s.
    pub throttle_pause: Duration,
    /// Most records a second, 0 for no bound.
    pub records_per_second: u32,
    /// Most records that one [`Query::next`](crate::Query::next) hands on; none for as many as a read brings.
    pub records_at_once: Option<NonZeroUsize>,
    /// Most records in all, 0 for no bound; the query is finished when it has them.
    pub max_records: u64,
    /// Most records that one request asks for, 0 for no bound. Default: 0.
    pub page_records: u64,
    /// Longest time that the query may take in all. Default: none.
    pub total_timeout: Option<Duration>,
    /// What shares the permits for records larger than a read. Default: a permit for this query alone.
    pub large_records: LargeRecords,
    /// Who reads partitions in place of their owners, until it fails. Default: nobody.
    pub readers: Option<Arc<Readers>>,
}

impl QuerySpec {
    /// Returns a query for all records of a namespace.
    pub fn new(namespace: impl Into<Vec<u8>>) -> Self {
        Self {
            namespace: namespace.into(),
            set: None,
            bins: Vec::new(),
            content: Content::Bins,
            filter: None,
            socket_timeout: Duration::from_secs(10),
            max_retries: 10,
            first_pause: Duration::from_millis(100),
            throttle_pause: Duration::from_secs(10),
            records_per_second: 0,
            records_at_once: None,
            max_records: 0,
            page_records: 0,
            total_timeout: None,
            large_records: LargeRecords::new(1),
            readers: None,
        }
    }
}
