//! Rows into a cluster: dealt into batches by the present owner of their partition, written, and tried again row by
//! row until each has its final answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use asbackup_cluster::{Batch, Cluster, Node, ResultClass, RowResult, WriteDeadlines, class};
use asbackup_codec::wire::{ResultCode, row_digest};
use asbackup_model::{Digest, RowBlock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Clock, Error, ErrorKind,
    config::{BatchLimits, WriteRetry},
    job::JobContext,
    pipeline::{Spare, Tasks},
    plan::check_namespace,
};

/// Size from which on a batch is sent, however few rows it has.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Bytes of all batches under way.
pub(crate) const BYTES_IN_FLIGHT: usize = 16 << 20;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What all writes of a restore share.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) cluster: Cluster,
    pub(crate) limits: BatchLimits,
    pub(crate) deadlines: WriteDeadlines,
    pub(crate) retry: WriteRetry,
    pub(crate) clock: Clock,
    pub(crate) job: JobContext,
    pub(crate) spare_batches: Mutex<Vec<Batch>>,
}

/// Takes blocks from the queue until it ends, and waits until all their rows have a final answer.
pub(crate) async fn run(
    writer: Arc<Writer>,
    blocks: async_channel::Receiver<RowBlock>,
    spare: Spare<RowBlock>,
) -> Result<(), Error> {
    let mut dealer = Dealer::new(writer);
    let dealt = dealer.deal_all(&blocks, &spare).await;
    if dealt.is_err() {
        dealer.writer.job.token.cancel();
    }
    dealer.writes.join_after(dealt).await
}

/// One batch per owner. Rows of a partition that has no owner at the moment wait for one like any others that have to
/// be tried again.
#[derive(Default)]
struct Dealt(Vec<(Option<Node>, Batch)>);

impl Dealt {
    fn batch(&mut self, owner: Option<&Node>, writer: &Writer) -> &mut Batch {
        let index = match self.0.iter().position(|(dealt, _)| dealt.as_ref() == owner) {
            Some(index) => index,
            None => {
                self.0.push((owner.cloned(), writer.spare_batch()));
                self.0.len() - 1
            }
        };
        &mut self.0[index].1
    }
}

/// Deals rows into one open batch per node.
struct Dealer {
    writer: Arc<Writer>,
    namespace: Vec<u8>,
    open: Dealt,
    batches: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    writes: Tasks,
}

impl Dealer {
    fn new(writer: Arc<Writer>) -> Self {
        Self {
            namespace: Vec::new(),
            open: Dealt::default(),
            batches: Arc::new(Semaphore::new(writer.limits.in_flight.get())),
            bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT)),
            writes: Tasks::new(writer.job.token.clone()),
            writer,
        }
    }

    async fn deal_all(
        &mut self,
        blocks: &async_channel::Receiver<RowBlock>,
        spare: &Spare<RowBlock>,
    ) -> Result<(), Error> {
        let job = self.writer.job.clone();
        while let Ok(mut block) = job.or_cancelled(blocks.recv()).await? {
            self.deal(&block).await?;
            block.clear();
            spare.give(block);
        }
        self.flush().await
    }

    async fn deal(&mut self, block: &RowBlock) -> Result<(), Error> {
        if block.namespace != self.namespace {
            self.flush().await?;
            self.begin_namespace(&block.namespace).await?;
        }
        // Rows dealt by a map that has changed are refused by the node, and dealt again by the new one.
        let map = self.writer.cluster.partition_map(&self.namespace);
        for row in &block.rows {
            let bytes = block.row(row);
            let owner = map.owner(row.partition);
            let batch = self.open.batch(owner, &self.writer);
            if self.writer.is_full(batch, bytes.len()) {
                let full = std::mem::replace(batch, self.writer.spare_batch());
                self.send(owner.cloned(), full).await?;
            }
            self.open.batch(owner, &self.writer).push(bytes, row.void_time);
        }
        Ok(())
    }

    /// A namespace that the cluster doesn't have would look like partitions that wait for an owner.
    async fn begin_namespace(&mut self, namespace: &[u8]) -> Result<(), Error> {
        let check = check_namespace(&self.writer.cluster, namespace);
        self.writer.job.or_cancelled(check).await??;
        self.namespace = namespace.to_vec();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        for (owner, batch) in std::mem::take(&mut self.open.0) {
            self.send(owner, batch).await?;
        }
        Ok(())
    }

    /// Hands a batch to a task of its own, as soon as the limits allow one more.
    async fn send(&mut self, owner: Option<Node>, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let permits = self.permits(batch.bytes()).await?;
        let write = Write { writer: Arc::clone(&self.writer), namespace: self.namespace.clone() };
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

impl Writer {
    fn is_full(&self, batch: &Batch, more_bytes: usize) -> bool {
        batch.len() >= self.limits.rows.get() || batch.bytes() + more_bytes > BATCH_BYTES
    }

    fn spare_batch(&self) -> Batch {
        self.spare_batches.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn keep_batch(&self, mut batch: Batch) {
        batch.clear();
        self.spare_batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }
}

/// One batch on its way, until each of its rows has its final answer.
struct Write {
    writer: Arc<Writer>,
    namespace: Vec<u8>,
}

/// Rows that have to be tried again, and why.
#[derive(Default)]
struct Left {
    rows: Batch,
    in_doubt: u64,
    reason: &'static str,
    cause: Option<asbackup_cluster::Error>,
}

impl Write {
    async fn run(self, owner: Option<Node>, batch: Batch) -> Result<(), Error> {
        let mut parts = Dealt(vec![(owner, batch)]);
        let mut pause = self.writer.retry.first_pause;
        for retries in 0.. {
            let left = self.attempt_all(parts).await?;
            if left.rows.is_empty() {
                return Ok(());
            }
            if retries == self.writer.retry.max_retries {
                return Err(self.give_up(left));
            }
            self.writer.job.counters.retries.add(left.reason, left.rows.len() as u64);
            self.writer.job.or_cancelled(tokio::time::sleep(pause)).await?;
            pause = pause.mul_f64(self.writer.retry.multiplier).min(LONGEST_PAUSE);
            parts = self.deal_again(&left.rows).await;
        }
        unreachable!("the loop only ends by returning")
    }

    async fn attempt_all(&self, parts: Dealt) -> Result<Left, Error> {
        let mut left = Left::default();
        for (owner, mut batch) in parts.0 {
            self.attempt(owner.as_ref(), &mut batch, &mut left).await?;
            self.writer.keep_batch(batch);
        }
        Ok(left)
    }

    /// Writes each row once, counts the final answers, and puts the other rows into `left`.
    async fn attempt(&self, owner: Option<&Node>, batch: &mut Batch, left: &mut Left) -> Result<(), Error> {
        let Some(node) = owner else {
            left.reason = "no_owner";
            batch.rows().for_each(|(row, void_time, _)| left.rows.push(row, void_time));
            return Ok(());
        };
        let now_unix_s = self.writer.clock.unix_s();
        let write = node.write_batch(batch, &self.writer.deadlines, now_unix_s);
        // What is under way when the job is cancelled stays without a final answer.
        if let Err(error) = self.writer.job.or_cancelled(write).await? {
            left.reason = error.reason();
            left.cause = Some(error);
        }
        match self.settle(batch, left) {
            None => Ok(()),
            Some((code, digest)) => Err(refused(code, digest, node)),
        }
    }

    /// Counts the final answers of a batch. Returns the first row that ends the job, if one does.
    fn settle(&self, batch: &Batch, left: &mut Left) -> Option<(ResultCode, Digest)> {
        let counters = &self.writer.job.counters;
        let (mut inserted, mut fresher, mut existed, mut ending) = (0, 0, 0, None);
        for (row, void_time, result) in batch.rows() {
            match result {
                RowResult::Answered(ResultCode::OK) => inserted += 1,
                RowResult::Answered(ResultCode::GENERATION) => fresher += 1,
                RowResult::Answered(ResultCode::EXISTS) => existed += 1,
                RowResult::Answered(code) if class(code) == ResultClass::Transient => {
                    left.reason = code.name();
                    left.rows.push(row, void_time);
                }
                RowResult::Answered(code) => {
                    counters.failed.add(code.name(), 1);
                    ending = ending.or(Some((code, row_digest(row))));
                }
                RowResult::Unanswered { in_doubt } => {
                    left.in_doubt += u64::from(in_doubt);
                    left.rows.push(row, void_time);
                }
            }
        }
        counters.inserted.add(inserted);
        counters.fresher.add(fresher);
        counters.existed.add(existed);
        counters.in_doubt_attempts.add(left.in_doubt);
        ending
    }

    /// Deals rows anew, by a map of the partitions that was asked for again.
    async fn deal_again(&self, rows: &Batch) -> Dealt {
        if let Err(error) = self.writer.cluster.refresh().await {
            // The rows are tried with the old map: if that fails too, their own error says more than this one.
            tracing::debug!(error = &error as &dyn std::error::Error, "cannot refresh the partition map");
        }
        let map = self.writer.cluster.partition_map(&self.namespace);
        let mut parts = Dealt::default();
        for (row, void_time, _) in rows.rows() {
            let owner = map.owner(row_digest(row).partition());
            parts.batch(owner, &self.writer).push(row, void_time);
        }
        parts
    }

    fn give_up(&self, left: Left) -> Error {
        let counters = &self.writer.job.counters;
        counters.failed.add(left.reason, left.rows.len() as u64);
        counters.in_doubt_records.add(left.in_doubt);
        let retries = self.writer.retry.max_retries;
        let message = format!(
            "{} records have no final answer after {retries} retries ({})",
            left.rows.len(),
            left.reason
        );
        let error = Error::of(ErrorKind::Refused, message).hint(
            "restore once more when the cluster is well: records that are there already are left as they are",
        );
        match left.cause {
            Some(cause) => error.source(cause).build(),
            None => error.build(),
        }
    }
}

/// Returns the error of a row that ends the job.
fn refused(code: ResultCode, digest: Digest, node: &Node) -> Error {
    let (kind, message) = match class(code) {
        ResultClass::JobFatal => (ErrorKind::Write, format!("the server takes no more records: {code}")),
        _ => (ErrorKind::Refused, format!("the server refused record {digest}: {code}")),
    };
    let error = Error::of(kind, message).place(|place| {
        place.code = Some(code.0);
        place.digest = Some(digest.to_string());
        place.node = Some(node.name().to_owned());
    });
    match hint(code) {
        Some(hint) => error.hint(hint).build(),
        None => error.build(),
    }
}

fn hint(code: ResultCode) -> Option<&'static str> {
    match code {
        ResultCode::BATCH_TOO_LARGE => Some("lower --batch-size, or raise batch-max-requests on the server"),
        ResultCode::FORBIDDEN => Some(
            "records with a time to live are refused while the namespace has nsup-period 0: set it on the server",
        ),
        ResultCode::OUT_OF_SPACE => {
            Some("free memory or disk on the cluster: its namespace is full or has stopped writes")
        }
        _ => None,
    }
}
