//! Reading partitions, and going on after failures.

mod cursors;
mod large;
mod spec;

use std::{mem, num::NonZeroUsize, ops::ControlFlow};

use asbackup_codec::Step;
use asbackup_codec::wire::{Answer, QueryRequest, ResultCode, decode_answer};
use asbackup_model::{Digest, PartitionId, RecordLayout, RecordView};
use fastrand::Rng;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use crate::inbox::Inbox;
use crate::pool::Pooled;
use crate::retry::pause;
use crate::{Cluster, Error, ErrorKind, Node, PartitionMap};

use self::cursors::{Cursors, Reader, State};
pub use self::large::{LargePermit, LargeRecords};
pub use self::spec::QuerySpec;

/// How far a [`Query`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryProgress {
    /// There is more to read.
    More,
    /// The server has said that every partition is done, or there were as many records as asked for.
    Finished,
}

/// A running query: one stream of records. It reads from one node at a time.
#[derive(Debug)]
pub struct Query {
    cluster: Cluster,
    spec: QuerySpec,
    partitions: Cursors,
    stream: Option<Stream>,
    inbox: Inbox,
    /// For the record that the inbox has grown for, or that was handed on last.
    large: Option<LargePermit>,
    layout: RecordLayout,
    /// When the pause after a failure is over.
    paused_until: Option<Instant>,
    /// When it must be finished.
    deadline: Option<Instant>,
    /// The server has too many scans and said so first.
    throttled: bool,
    failures: u32,
    retries: u64,
    throttles: u64,
    /// Records were left in the buffer, since there were as many as wanted at once.
    more_to_hand_on: bool,
    records: u64,
    random: Rng,
}

/// What is read at once: enough to spare system calls, and a third of a millisecond of work.
const CHUNK_BYTES: usize = 256 * 1024;

/// A request that is being answered.
#[derive(Debug)]
struct Stream {
    node: Node,
    pooled: Pooled,
    /// Records that were asked for, 0 for all.
    max_records: u64,
    records: u64,
    answers: u64,
    unavailable: u64,
    last_digest: Option<Digest>,
}

/// What a message means for the stream.
enum Event {
    Record(ControlFlow<()>),
    /// A record of a partition that wasn't asked for.
    Stray(PartitionId),
    Partition(PartitionId, ResultCode),
    Last(ResultCode),
}

impl Cluster {
    /// Starts to read these partitions. Nothing is sent before [`Query::next`].
    #[must_use]
    pub fn query(&self, spec: QuerySpec, partitions: Vec<PartitionId>) -> Query {
        Query {
            cluster: self.clone(),
            deadline: spec.total_timeout.and_then(|longest| Instant::now().checked_add(longest)),
            spec,
            partitions: Cursors::new(&partitions),
            stream: None,
            inbox: Inbox::new(CHUNK_BYTES),
            large: None,
            layout: RecordLayout::new(),
            paused_until: None,
            throttled: false,
            failures: 0,
            retries: 0,
            throttles: 0,
            more_to_hand_on: false,
            records: 0,
            random: Rng::new(),
        }
    }
}

impl Query {
    /// Begins a partition behind a record that an earlier query handed on. Only before the first [`Self::next`].
    pub fn resume_after(&mut self, digest: Digest) {
        if let Some(cursor) = self.partitions.get_mut(digest.partition()) {
            cursor.last = Some(digest);
        }
    }

    /// Returns how many attempts failed and were repeated.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Returns how many of them failed because the server had too many scans.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.throttles
    }

    /// Returns the last record of a partition that was handed on, by this query or the one that it resumes.
    #[must_use]
    pub fn cursor(&self, partition: PartitionId) -> Option<Digest> {
        self.partitions.get(partition).and_then(|cursor| cursor.last)
    }

    /// Returns whether the server has said that a partition is done.
    #[must_use]
    pub fn is_done(&self, partition: PartitionId) -> bool {
        self.partitions.state(partition) == State::Done
    }

    /// Returns the permit for the record that was handed on last, if it was a large one. Whoever keeps the record keeps
    /// the permit too.
    pub fn take_permit(&mut self) -> Option<LargePermit> {
        if self.inbox.is_large() { None } else { self.large.take() }
    }

    /// Reads once from the socket and hands whole records to `on_record`, as many at once as the query allows and until
    /// it breaks off; the rest comes next time. After a failure it waits, asks who owns the partitions now, and goes on
    /// behind the last record of each.
    ///
    /// # Errors
    /// If the server refuses the query, or more attempts failed since the last record than the query allows.
    ///
    /// # Cancel safety
    /// No record is lost or comes twice when this is dropped and called again.
    pub async fn next(
        &mut self,
        on_record: impl FnMut(&RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<QueryProgress, Error> {
        if let Err(error) = self.attempt_in_time(on_record).await? {
            self.fail(error)?;
        }
        let finished = self.stream.is_none() && self.paused_until.is_none() && self.is_finished();
        Ok(if finished { QueryProgress::Finished } else { QueryProgress::More })
    }

    /// Makes an attempt, whose failure is within. It isn't made or goes on when the time for all is over.
    async fn attempt_in_time(
        &mut self,
        on_record: impl FnMut(&RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<Result<(), Error>, Error> {
        let Some(deadline) = self.deadline else { return Ok(self.attempt(on_record).await) };
        // A server that always has something at hand would never be timed out below.
        if Instant::now() < deadline
            && let Ok(attempt) = timeout_at(deadline, self.attempt(on_record)).await
        {
            return Ok(attempt);
        }
        let longest = self.spec.total_timeout.unwrap_or_default();
        Err(Error::new(ErrorKind::Timeout, format!("the scan isn't finished within {longest:?}")))
    }

    async fn attempt(
        &mut self,
        on_record: impl FnMut(&RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if let Some(until) = self.paused_until {
            sleep_until(until).await;
            self.cluster.refresh().await?;
            self.paused_until = None;
        }
        if self.stream.is_none() {
            if self.is_finished() {
                return Ok(());
            }
            self.ask().await?;
        }
        match self.inbox.is_large() {
            true if self.large.is_none() => self.large = Some(self.spec.large_records.permit().await),
            true => {}
            // Nobody took it with the record that it was for.
            false => self.large = None,
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if !mem::take(&mut self.more_to_hand_on) {
            self.inbox.fill(&mut stream.pooled.connection, self.spec.socket_timeout).await?;
        }
        self.hand_on(on_record)
    }

    fn is_finished(&self) -> bool {
        let full = self.spec.max_records > 0 && self.records >= self.spec.max_records;
        full || self.partitions.are_done()
    }

    /// Asks one owner of open partitions for all that it owns of them.
    async fn ask(&mut self) -> Result<(), Error> {
        let (node, asked) = self.next_reader()?;
        let left = self.spec.max_records.saturating_sub(self.records);
        let max_records = match (left, self.spec.page_records) {
            (0, bound) | (bound, 0) => bound,
            (left, page) => left.min(page),
        };
        let mut request = QueryRequest {
            namespace: &self.spec.namespace,
            set: self.spec.set.as_deref(),
            bins: self.spec.bins.iter().map(Vec::as_slice).collect(),
            content: self.spec.content,
            filter: self.spec.filter.as_deref(),
            max_records,
            records_per_second: self.spec.records_per_second,
            socket_timeout_ms: u32::try_from(self.spec.socket_timeout.as_millis()).unwrap_or(u32::MAX),
            // A new number each time: the server may still be busy with the request that failed.
            task_id: self.random.u64(..),
            ..QueryRequest::default()
        };
        for &partition in &asked {
            match self.cursor(partition) {
                Some(digest) => request.after.push(digest),
                None => request.from_start.push(partition),
            }
        }
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let mut pooled = node.connection().await?;
        let sent = pooled.connection.send(&bytes, self.spec.socket_timeout).await;
        sent.map_err(|error| error.at(node.name()))?;
        self.partitions.begin(&asked);
        self.inbox.clear();
        let (records, answers, unavailable, last_digest) = (0, 0, 0, None);
        self.stream = Some(Stream { node, pooled, max_records, records, answers, unavailable, last_digest });
        Ok(())
    }

    /// Returns the node that reads the first open partition that has one, with all open partitions that it reads.
    fn next_reader(&self) -> Result<(Node, Vec<PartitionId>), Error> {
        let view = self.cluster.view();
        let Some(owners) = view.namespaces.get(&self.spec.namespace) else {
            let what = format!("no namespace {}", String::from_utf8_lossy(&self.spec.namespace));
            return Err(Error::new(ErrorKind::Namespace, what));
        };
        let open = || self.partitions.open();
        let Some(node) = open().find_map(|id| self.reader(owners, id)) else {
            let what = format!("no node owns the {} partitions that are left", open().count());
            return Err(Error::new(ErrorKind::NoOwner, what));
        };
        Ok((node.clone(), open().filter(|&id| self.reader(owners, id) == Some(node)).collect()))
    }

    fn reader<'a>(&'a self, owners: &'a PartitionMap, partition: PartitionId) -> Option<&'a Node> {
        let chosen = match self.partitions.get(partition).map_or(Reader::Chosen, |cursor| cursor.reader) {
            Reader::Chosen => self.spec.readers.as_ref().and_then(|readers| readers.reader(partition)),
            Reader::Owner => None,
        };
        chosen.or_else(|| owners.owner(partition))
    }

    /// Hands on what lies in the buffer.
    fn hand_on(
        &mut self,
        mut on_record: impl FnMut(&RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let (layout, partitions) = (&mut self.layout, &mut self.partitions);
        let mut allowed = self.spec.records_at_once.map_or(usize::MAX, NonZeroUsize::get);
        loop {
            let event = self.inbox.message(|bytes| match decode_answer(bytes, layout) {
                Step::Need(more) => Step::Need(more),
                Step::Damaged(error) => Step::Damaged(error),
                Step::Done { value: Answer::Record, used } => {
                    let partition = layout.digest.partition();
                    let cursor = partitions.get_mut(partition);
                    let Some(cursor) = cursor.filter(|cursor| cursor.is_asked()) else {
                        return Step::Done { value: Event::Stray(partition), used };
                    };
                    let flow = on_record(&layout.view(bytes));
                    cursor.last = Some(layout.digest);
                    Step::Done { value: Event::Record(flow), used }
                }
                Step::Done { value: Answer::PartitionDone { partition, result }, used } => {
                    Step::Done { value: Event::Partition(partition, result), used }
                }
                Step::Done { value: Answer::Last(result), used } => {
                    Step::Done { value: Event::Last(result), used }
                }
            })?;
            let Some(event) = event else { return Ok(()) };
            stream.answers += 1;
            match event {
                Event::Record(flow) => {
                    stream.records += 1;
                    stream.last_digest = Some(layout.digest);
                    self.records += 1;
                    self.failures = 0;
                    allowed -= 1;
                    if allowed == 0 || flow.is_break() {
                        self.more_to_hand_on = true;
                        return Ok(());
                    }
                }
                Event::Stray(partition) => {
                    let what = format!("record of partition {partition}, which was not asked for");
                    return Err(Error::new(ErrorKind::Damaged, what));
                }
                Event::Partition(_, ResultCode::OK) => {}
                Event::Partition(partition, result) => {
                    debug!(partition = partition.number(), %result, node = stream.node.name(), "partition unavailable");
                    if partitions.give_up(partition) {
                        stream.unavailable += 1;
                    }
                }
                Event::Last(result) => return self.end(result),
            }
        }
    }

    /// The server has said that the stream is over. Only this makes partitions done.
    fn end(&mut self, result: ResultCode) -> Result<(), Error> {
        let Some(stream) = &self.stream else { return Ok(()) };
        if result != ResultCode::OK {
            self.throttled = result == ResultCode::FORBIDDEN && stream.answers == 1;
            let kind = match result {
                ResultCode::NAMESPACE => ErrorKind::Namespace,
                other => ErrorKind::Server(other),
            };
            return Err(Error::new(kind, format!("query refused: {result}")));
        }
        let Some(stream) = self.stream.take() else { return Ok(()) };
        if self.partitions.are_read() {
            self.failures = 0;
        }
        let is_full = stream.max_records > 0 && stream.records >= stream.max_records;
        self.partitions.end(if is_full { State::Open } else { State::Done });
        if self.inbox.is_finished() {
            stream.pooled.give_back();
        }
        match stream.unavailable {
            0 => Ok(()),
            count => Err(unavailable(count).at(stream.node.name())),
        }
    }

    /// Ends the stream, and plans the next attempt if the failure allows one.
    fn fail(&mut self, mut error: Error) -> Result<(), Error> {
        if let Some(stream) = self.stream.take() {
            error = error.at(stream.node.name());
            if let Some(digest) = stream.last_digest {
                error = error.context(&format!("behind record {digest} of partition {}", digest.partition()));
            }
        }
        self.partitions.give_up_all();
        self.more_to_hand_on = false;
        self.inbox.clear();
        self.large = None;
        let throttled = mem::take(&mut self.throttled);
        if !(throttled || error.is_retryable()) || self.failures >= self.spec.max_retries {
            return Err(error);
        }
        self.failures += 1;
        self.retries += 1;
        self.throttles += u64::from(throttled);
        let pause = match throttled {
            true => self.spec.throttle_pause,
            false => pause(self.spec.first_pause, self.failures, self.random.f64()),
        };
        debug!(%error, retry = self.failures, pause_ms = pause.as_millis(), "query goes on after a failure");
        self.paused_until = Some(Instant::now() + pause);
        Ok(())
    }
}

fn unavailable(partitions: u64) -> Error {
    let what = format!("the node refused {partitions} of its partitions as unavailable");
    Error::new(ErrorKind::Server(ResultCode::UNAVAILABLE), what)
}
