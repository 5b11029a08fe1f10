//! Rows into a cluster, first half: dealt into batches by the present owner of their partition. `write.rs` is the second.

use std::sync::{Arc, Mutex, PoisonError};

use asbackup_cluster::{Batch, Cluster, LargePermit, Node, WriteDeadlines};
use asbackup_model::{RowBlock, VoidTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Clock, Error,
    config::{WriteRetry, Writes},
    job::JobContext,
    pipeline::{CHUNK_BYTES, PAGE_BYTES, Returns, Tasks},
    plan::check_namespace,
    restore_state::Ticket,
    sink::{backoff::BackOff, dead_letters::DeadLetters, refusal::Refusals, write::Write},
};

/// Size from which on a batch is sent, however few rows it has.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Memory of all batches under way.
pub(crate) const BYTES_IN_FLIGHT: usize = 8 << 20;

/// Memory that emptied batches keep for the next ones: as much as may be under way, which is where they go again.
const SPARE_BATCH_BYTES: usize = BYTES_IN_FLIGHT;

/// Rows of one block, and the ticket that counts their answers.
#[derive(Debug, Default)]
pub(crate) struct TrackedRows {
    pub(crate) rows: RowBlock,
    pub(crate) ticket: Arc<Ticket>,
    /// If it holds a large record: until that is in a batch.
    pub(crate) large: Option<LargePermit>,
}

/// What all writes of a restore share.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) cluster: Cluster,
    pub(crate) writes: Writes,
    pub(crate) back_off: BackOff,
    pub(crate) refusals: Refusals,
    pub(crate) dead_letters: Option<Arc<DeadLetters>>,
    /// The namespace in the backup, if it is another one in the cluster.
    pub(crate) renamed_from: Option<String>,
    pub(crate) deadlines: WriteDeadlines,
    pub(crate) retry: WriteRetry,
    pub(crate) clock: Clock,
    pub(crate) job: JobContext,
    pub(crate) spare_batches: Mutex<Vec<Batch>>,
}

/// Takes blocks from the queue until it ends, and waits until all their rows have a final answer.
pub(crate) async fn run(
    writer: Arc<Writer>,
    blocks: async_channel::Receiver<TrackedRows>,
    returns: Returns,
) -> Result<(), Error> {
    let mut dealer = Dealer::new(writer);
    let dealt = dealer.deal_all(&blocks, &returns).await;
    if dealt.is_err() {
        dealer.writer.job.token.cancel();
    }
    dealer.writes.join_after(dealt).await
}

/// A batch that is being filled. A partition may have no owner at the moment: its rows wait for one like any others that
/// have to be tried again.
struct Open {
    owner: Option<Node>,
    batch: Batch,
    /// Those of its rows; a row's origin is the place of its own.
    tickets: Vec<Arc<Ticket>>,
}

impl Open {
    fn new(owner: Option<Node>, writer: &Writer) -> Self {
        Self { owner, batch: writer.spare_batch(), tickets: Vec::new() }
    }

    fn push(&mut self, row: &[u8], void_time: VoidTime, ticket: &Arc<Ticket>) {
        if self.tickets.last().is_none_or(|last| !Arc::ptr_eq(last, ticket)) {
            self.tickets.push(Arc::clone(ticket));
        }
        let origin = u32::try_from(self.tickets.len() - 1).expect("a batch has at most 65,535 rows");
        self.batch.push(row, void_time, origin);
    }
}

/// Deals rows into one open batch per node.
struct Dealer {
    writer: Arc<Writer>,
    namespace: Vec<u8>,
    open: Vec<Open>,
    batches: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    writes: Tasks,
}

impl Dealer {
    fn new(writer: Arc<Writer>) -> Self {
        Self {
            namespace: Vec::new(),
            open: Vec::new(),
            batches: Arc::new(Semaphore::new(writer.writes.in_flight())),
            bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT)),
            writes: Tasks::new(writer.job.token.clone()),
            writer,
        }
    }

    async fn deal_all(
        &mut self,
        blocks: &async_channel::Receiver<TrackedRows>,
        returns: &Returns,
    ) -> Result<(), Error> {
        let job = self.writer.job.clone();
        while let Ok(block) = job.or_cancelled(blocks.recv()).await? {
            self.deal(&block.rows, &block.ticket).await?;
            returns.give(block.rows.bytes);
        }
        self.flush().await
    }

    async fn deal(&mut self, block: &RowBlock, ticket: &Arc<Ticket>) -> Result<(), Error> {
        if block.namespace != self.namespace {
            self.flush().await?;
            self.begin_namespace(&block.namespace).await?;
        }
        // Rows dealt by a map that has changed are refused by the node, and dealt again by the new one.
        let map = self.writer.cluster.partition_map(&self.namespace);
        for row in &block.rows {
            let bytes = block.row(row);
            let owner = map.owner(row.partition);
            let index = self.open_for(owner);
            if self.writer.is_full(&self.open[index].batch, bytes.len()) {
                let empty = Open::new(owner.cloned(), &self.writer);
                let full = std::mem::replace(&mut self.open[index], empty);
                self.send(full).await?;
            }
            self.open[index].push(bytes, row.void_time, ticket);
        }
        Ok(())
    }

    /// Returns the place of the batch for an owner.
    fn open_for(&mut self, owner: Option<&Node>) -> usize {
        self.open.iter().position(|open| open.owner.as_ref() == owner).unwrap_or_else(|| {
            self.open.push(Open::new(owner.cloned(), &self.writer));
            self.open.len() - 1
        })
    }

    /// A namespace that the cluster doesn't have would look like partitions that wait for an owner.
    async fn begin_namespace(&mut self, namespace: &[u8]) -> Result<(), Error> {
        let check = check_namespace(&self.writer.cluster, namespace);
        self.writer.job.or_cancelled(check).await??;
        self.namespace = namespace.to_vec();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        for open in std::mem::take(&mut self.open) {
            self.send(open).await?;
        }
        Ok(())
    }

    /// Hands a batch to a task of its own, as soon as the limits allow one more.
    async fn send(&mut self, Open { owner, batch, tickets }: Open) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let permits = self.permits(batch.memory_bytes()).await?;
        let write = Write { writer: Arc::clone(&self.writer), namespace: self.namespace.clone(), tickets };
        self.writes.spawn(async move {
            let result = write.run(owner, batch).await;
            drop(permits);
            result
        });
        self.writes.reap()
    }

    /// Waits for one batch to end if there are as many as allowed.
    async fn permits(&self, bytes: usize) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), Error> {
        // A single row may be larger than all that is allowed: it goes alone then.
        let bytes = u32::try_from(bytes.min(BYTES_IN_FLIGHT)).expect("the bound fits");
        let both = async {
            let batch = Arc::clone(&self.batches).acquire_owned().await;
            let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await;
            batch.and_then(|batch| Ok((batch, bytes?)))
        };
        let both = self.writer.job.or_cancelled(both).await?;
        Ok(both.expect("nothing closes the semaphores"))
    }
}

impl Writes {
    /// Returns how many rows one task writes, and tries again if it has to. A single one, where each is a request of its
    /// own, so that no row waits for another's retries.
    fn rows(&self) -> usize {
        match self {
            Self::Batches(limits) => limits.rows.get(),
            Self::Single { .. } => 1,
        }
    }

    /// Returns how many such tasks there are at once.
    pub(crate) fn in_flight(&self) -> usize {
        match self {
            Self::Batches(limits) => limits.in_flight.get(),
            Self::Single { in_flight } => in_flight.get(),
        }
    }
}

impl Writer {
    fn is_full(&self, batch: &Batch, more_bytes: usize) -> bool {
        batch.len() >= self.writes.rows() || batch.bytes() + more_bytes > BATCH_BYTES
    }

    pub(super) fn spare_batch(&self) -> Batch {
        self.spare_batches.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn keep_batch(&self, mut batch: Batch) {
        // Few batches of large records are under way at once, and many that were would keep their memory.
        let is_of_large_records = batch.memory_bytes() > batch.len() * CHUNK_BYTES;
        batch.clear();
        let mut spare = self.spare_batches.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = spare.iter().map(Batch::memory_bytes).sum();
        if is_of_large_records || kept + batch.memory_bytes() > SPARE_BATCH_BYTES {
            // Not freed, for the reason that `Returns::shrink` has.
            batch.shrink_to(PAGE_BYTES);
        }
        spare.push(batch);
    }
}
