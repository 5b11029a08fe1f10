//! One stream of a backup: a scan of some partitions, encoded into blocks as its records arrive.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use asbackup_cluster::{LargePermit, Query, QueryProgress};
use asbackup_codec::asb::Spelling;
use asbackup_model::{Block, PartitionId, PartitionSet, RecordView};

use crate::{
    Error,
    job::JobContext,
    pipeline::Buffers,
    transcode::to_text::{self, Taken},
};

/// A block on its way to its writer.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) block: Block,
    /// If it holds a large record: until its text is gone.
    pub(crate) large: Option<LargePermit>,
}

/// Reads a stream to its end, and adds the partitions that the server has reported done. A full queue holds it back,
/// and through the socket the server too.
pub(crate) async fn run(
    mut query: Query,
    spelling: Spelling,
    blocks: async_channel::Sender<Filled>,
    buffers: Buffers,
    all_done: Arc<Mutex<PartitionSet>>,
    job: JobContext,
) -> Result<(), Error> {
    let _running = job.scan_permit().await?;
    let mut failures = Failures::default();
    let read = read(&mut query, (spelling, &mut failures), &blocks, &buffers, &job).await;
    failures.count(&query, &job);
    *all_done.lock().unwrap_or_else(PoisonError::into_inner) |= done(&query);
    read
}

/// Returns the partitions that the server has reported done.
fn done(query: &Query) -> PartitionSet {
    PartitionId::all().filter(|&partition| query.is_done(partition)).collect()
}

/// The failures of a query that were counted.
#[derive(Debug, Default)]
struct Failures {
    retries: u64,
    throttled: u64,
}

impl Failures {
    /// Counts those that came since the last call.
    fn count(&mut self, query: &Query, job: &JobContext) {
        (self.throttled..query.throttled()).for_each(|_| job.throttled());
        let more = query.retries() - self.retries;
        if more > 0 {
            job.retry("scan", more);
        }
        (self.retries, self.throttled) = (query.retries(), query.throttled());
    }
}

async fn read(
    query: &mut Query,
    (spelling, failures): (Spelling, &mut Failures),
    blocks: &async_channel::Sender<Filled>,
    buffers: &Buffers,
    job: &JobContext,
) -> Result<(), Error> {
    let (mut block, mut touched) = (empty_block(buffers, job).await?, PartitionSet::EMPTY);
    let full_bytes = buffers.block_bytes();
    loop {
        let mut records =
            Records { block: &mut block, full_bytes, touched: &mut touched, spelling, read: 0, skipped: 0 };
        let progress = job.or_cancelled(query.next(|record| records.take(record))).await;
        let read = records.read;
        failures.count(query, job);
        job.counters.read.add(read);
        let skipped = records.skipped;
        if skipped > 0 {
            job.counters.skipped.add("monitor_set", skipped);
            block.skipped += skipped;
        }
        let finished = progress?.map_err(crate::scan_error)? == QueryProgress::Finished;
        job.pace_records(read).await?;
        let large = query.take_permit();
        if block.bytes.len() >= full_bytes || large.is_some() || finished {
            let mut full = std::mem::take(&mut block);
            // All records that the query has handed on are in this block or in earlier ones.
            full.cursors.extend(touched.iter().filter_map(|partition| query.cursor(partition)));
            full.done = done(query);
            touched = PartitionSet::EMPTY;
            blocks.send(Filled { block: full, large }).await.map_err(|_| Error::cancelled())?;
            if finished {
                return Ok(());
            }
            block = empty_block(buffers, job).await?;
        }
    }
}

async fn empty_block(buffers: &Buffers, job: &JobContext) -> Result<Block, Error> {
    Ok(Block { bytes: job.or_cancelled(buffers.take()).await??, ..Block::default() })
}

/// What one read from the socket brought.
struct Records<'a> {
    block: &'a mut Block,
    /// Size at which the block goes.
    full_bytes: usize,
    /// Partitions of which it is, or some read before it since the last block was cut.
    touched: &'a mut PartitionSet,
    spelling: Spelling,
    read: u64,
    skipped: u64,
}

impl Records<'_> {
    fn take(&mut self, record: &RecordView<'_>) -> ControlFlow<()> {
        self.read += 1;
        self.touched.insert(record.digest.partition());
        if to_text::record(self.block, record, self.spelling) == Taken::MonitorSet {
            self.skipped += 1;
        }
        if self.block.bytes.len() < self.full_bytes {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}
