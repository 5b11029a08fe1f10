//! Reading partitions, and going on after failures.

mod spec;

use std::{mem, num::NonZeroUsize};

use asbackup_codec::Step;
use asbackup_codec::wire::{Answer, QueryRequest, ResultCode, decode_answer};
use asbackup_model::{Digest, PARTITIONS, PartitionId, RecordLayout, RecordView};
use fastrand::Rng;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use crate::inbox::Inbox;
use crate::pool::Pooled;
use crate::retry::pause;
use crate::{Cluster, Error, ErrorKind, Node, PartitionMap};

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
    /// One per partition of the namespace, by its number.
    partitions: Vec<Cursor>,
    stream: Option<Stream>,
    inbox: Inbox,
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

/// How far one partition is.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    state: State,
    /// The last record that was handed downstream.
    last: Option<Digest>,
    reader: Reader,
}

/// Who is asked for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reader {
    /// Whoever the spec names, or the owner.
    #[default]
    Chosen,
    /// The owner: another one has failed.
    Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    NotAsked,
    Open,
    /// Part of the request that is being answered.
    Reading,
    Done,
}

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
    Record,
    /// A record of a partition that wasn't asked for.
    Stray(PartitionId),
    Partition(PartitionId, ResultCode),
    Last(ResultCode),
}

impl Cluster {
    /// Starts to read these partitions. Nothing is sent before [`Query::next`].
    #[must_use]
    pub fn query(&self, spec: QuerySpec, partitions: Vec<PartitionId>) -> Query {
        let mut cursors = vec![Cursor::default(); usize::from(PARTITIONS)];
        for partition in partitions {
            cursors[partition.index()].state = State::Open;
        }
        Query {
            cluster: self.clone(),
            deadline: spec.total_timeout.and_then(|longest| Instant::now().checked_add(longest)),
            spec,
            partitions: cursors,
            stream: None,
            inbox: Inbox::new(CHUNK_BYTES),
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
        self.partitions[digest.partition().index()].last = Some(digest);
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
        self.partitions[partition.index()].last
    }

    /// Returns whether the server has said that a partition is done.
    #[must_use]
    pub fn is_done(&self, partition: PartitionId) -> bool {
        self.partitions[partition.index()].state == State::Done
    }

    /// Reads once from the socket and hands every whole record to `on_record`, as many at once as the query allows. After a failure it waits, asks who owns
    /// the partitions now, and goes on behind the last record of each.
    ///
    /// # Errors
    /// If the server refuses the query, or more attempts failed since the last record than the query allows.
    ///
    /// # Cancel safety
    /// No record is lost or comes twice when this is dropped and called again.
    pub async fn next(&mut self, on_record: impl FnMut(&RecordView<'_>)) -> Result<QueryProgress, Error> {
        if let Err(error) = self.attempt_in_time(on_record).await? {
            self.fail(error)?;
        }
        let finished = self.stream.is_none() && self.paused_until.is_none() && self.is_finished();
        Ok(if finished { QueryProgress::Finished } else { QueryProgress::More })
    }

    /// Makes an attempt, whose failure is within. It isn't made or goes on when the time for all is over.
    async fn attempt_in_time(
        &mut self,
        on_record: impl FnMut(&RecordView<'_>),
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

    async fn attempt(&mut self, on_record: impl FnMut(&RecordView<'_>)) -> Result<(), Error> {
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
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if !mem::take(&mut self.more_to_hand_on) {
            self.inbox.fill(&mut stream.pooled.connection, self.spec.socket_timeout).await?;
        }
        self.hand_on(on_record)
    }

    fn is_finished(&self) -> bool {
        let full = self.spec.max_records > 0 && self.records >= self.spec.max_records;
        full || self.partitions.iter().all(|cursor| matches!(cursor.state, State::NotAsked | State::Done))
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
            match self.partitions[partition.index()].last {
                Some(digest) => request.after.push(digest),
                None => request.from_start.push(partition),
            }
        }
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let mut pooled = node.connection().await?;
        let sent = pooled.connection.send(&bytes, self.spec.socket_timeout).await;
        sent.map_err(|error| error.at(node.name()))?;
        for partition in asked {
            self.partitions[partition.index()].state = State::Reading;
        }
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
        let open = || PartitionId::all().filter(|id| self.partitions[id.index()].state == State::Open);
        let Some(node) = open().find_map(|id| self.reader(owners, id)) else {
            let what = format!("no node owns the {} partitions that are left", open().count());
            return Err(Error::new(ErrorKind::NoOwner, what));
        };
        Ok((node.clone(), open().filter(|&id| self.reader(owners, id) == Some(node)).collect()))
    }

    fn reader<'a>(&'a self, owners: &'a PartitionMap, partition: PartitionId) -> Option<&'a Node> {
        let chosen = match self.partitions[partition.index()].reader {
            Reader::Chosen => self.spec.readers.as_ref().and_then(|readers| readers.reader(partition)),
            Reader::Owner => None,
        };
        chosen.or_else(|| owners.owner(partition))
    }

    /// Hands on what lies in the buffer.
    fn hand_on(&mut self, mut on_record: impl FnMut(&RecordView<'_>)) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let (layout, partitions) = (&mut self.layout, &mut self.partitions);
        let mut allowed = self.spec.records_at_once.map_or(usize::MAX, NonZeroUsize::get);
        loop {
            let event = self.inbox.message(|bytes| match decode_answer(bytes, layout) {
                Step::Need(more) => Step::Need(more),
                Step::Damaged(error) => Step::Damaged(error),
                Step::Done { value: Answer::Record, used } => {
                    let partition = layout.digest.partition();
                    let cursor = &mut partitions[partition.index()];
                    if matches!(cursor.state, State::NotAsked | State::Done) {
                        return Step::Done { value: Event::Stray(partition), used };
                    }
                    on_record(&layout.view(bytes));
                    cursor.last = Some(layout.digest);
                    Step::Done { value: Event::Record, used }
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
                Event::Record => {
                    stream.records += 1;
                    stream.last_digest = Some(layout.digest);
                    self.records += 1;
                    self.failures = 0;
                    allowed -= 1;
                    if allowed == 0 {
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
                    let cursor = &mut partitions[partition.index()];
                    if cursor.state == State::Reading {
                        (cursor.state, cursor.reader) = (State::Open, Reader::Owner);
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
        if self.partitions.iter().any(|cursor| cursor.state == State::Reading) {
            self.failures = 0;
        }
        let is_full = stream.max_records > 0 && stream.records >= stream.max_records;
        self.set_reading(if is_full { State::Open } else { State::Done });
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
        for cursor in self.partitions.iter_mut().filter(|cursor| cursor.state == State::Reading) {
            (cursor.state, cursor.reader) = (State::Open, Reader::Owner);
        }
        self.more_to_hand_on = false;
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

    fn set_reading(&mut self, state: State) {
        for cursor in self.partitions.iter_mut().filter(|cursor| cursor.state == State::Reading) {
            cursor.state = state;
        }
    }
}

fn unavailable(partitions: u64) -> Error {
    let what = format!("the node refused {partitions} of its partitions as unavailable");
    Error::new(ErrorKind::Server(ResultCode::UNAVAILABLE), what)
}
