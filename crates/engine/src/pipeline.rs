//! What both directions share: sizes, the queue of blocks, and the rule that whoever fails stops all others.

use std::{
    future::Future,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::{Error, ErrorKind};

/// Bytes that are asked for at once from a socket or a file. Larger chunks fall out of the cache between the steps.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// Size from which on a block goes into the queue.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// Room in a buffer behind the size at which its block goes: for the entry that made it reach that size.
const ROOM_BYTES: usize = 96 << 10;

/// Blocks that may wait in a queue, per reader of it.
pub(crate) const QUEUED_PER_READER: usize = 2;

/// The most blocks that may wait for the sinks of a job, however many readers there are: a disk or a network takes in one after another.
const MOST_WAITING: usize = 32;

/// What is left of an empty buffer that has given its memory back.
pub(crate) const PAGE_BYTES: usize = 4 << 10;

/// Entries larger than a chunk that may be in memory at once.
pub(crate) const LARGE_ENTRIES: usize = 4;

/// Returns how many blocks may wait for the sink of a job with that many readers.
pub(crate) fn waiting_blocks(readers: usize) -> usize {
    (QUEUED_PER_READER * readers).min(MOST_WAITING)
}

/// Returns how many threads can work at once.
pub(crate) fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The memory of a job's blocks: so many buffers and no more, which are filled, wait, are emptied and come back. Whoever
/// asks for one while all are under way waits, and so the reading is as fast as the writing.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    emptied: async_channel::Receiver<Vec<u8>>,
    block_bytes: usize,
}

/// The way back of emptied buffers. When the last one is gone, so is the hope for another buffer.
#[derive(Debug, Clone)]
pub(crate) struct Returns {
    emptied: async_channel::Sender<Vec<u8>>,
    usual_bytes: usize,
}

impl Buffers {
    /// Returns buffers for blocks that go once they have `block_bytes`. Memory is taken when they are filled first.
    pub(crate) fn new(count: usize, block_bytes: usize) -> (Self, Returns) {
        let (emptied, receiver) = async_channel::bounded(count.max(1));
        let returns = Returns { emptied, usual_bytes: block_bytes + ROOM_BYTES };
        (0..count.max(1)).for_each(|_| returns.send(Vec::new()));
        (Self { emptied: receiver, block_bytes }, returns)
    }

    /// Returns the size from which on a block goes.
    pub(crate) fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Waits for an empty buffer.
    ///
    /// # Errors
    /// If those who give them back have ended before their time.
    pub(crate) async fn take(&self) -> Result<Vec<u8>, Error> {
        self.emptied.recv().await.map(|buffer| self.ready(buffer)).map_err(|_| Error::cancelled())
    }

    /// The same where blocking is allowed.
    pub(crate) fn take_blocking(&self) -> Result<Vec<u8>, Error> {
        self.emptied.recv_blocking().map(|buffer| self.ready(buffer)).map_err(|_| Error::cancelled())
    }

    fn ready(&self, mut buffer: Vec<u8>) -> Vec<u8> {
        // Growing step by step would copy, and leave up to twice as much.
        buffer.reserve_exact(self.block_bytes + ROOM_BYTES);
        buffer
    }
}

impl Returns {
    /// Gives a buffer back; one that isn't from here is dropped.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        self.shrink(&mut buffer);
        if buffer.capacity() >= PAGE_BYTES {
            self.send(buffer);
        }
    }

    /// Empties a buffer, and gives the memory of one that has grown for a large entry back to the system. It isn't freed for
    /// that: with each larger block that is freed, glibc keeps larger ones for itself from then on.
    fn shrink(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > self.usual_bytes {
            buffer.shrink_to(PAGE_BYTES);
        }
    }

    fn send(&self, buffer: Vec<u8>) {
        // There is room for all that were taken. Closed: nobody asks any more.
        let _ = self.emptied.try_send(buffer);
    }
}

/// The tasks of one run. The first failure cancels the run; the others end then, and are waited for.
#[derive(Debug)]
pub(crate) struct Tasks {
    tasks: JoinSet<Result<(), Error>>,
    token: CancellationToken,
}

impl Tasks {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), token }
    }

    /// Starts a task that waits for network or queues. It logs where whoever starts it does.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let token = self.token.clone();
        self.tasks.spawn(async move { cancel_on_error(&token, task.await) }.in_current_span());
    }

    /// Starts a task that blocks: on a disk, or on a queue. It logs where whoever starts it does, and has a thread of its
    /// own: tasks that wait for each other would wait forever if they shared the blocking threads of a runtime that has
    /// fewer than they are. The runtime is there for what it waits for.
    pub(crate) fn spawn_blocking(&mut self, task: impl FnOnce() -> Result<(), Error> + Send + 'static) {
        let token = self.token.clone();
        let (span, runtime) = (Span::current(), Handle::current());
        let (sender, ended) = oneshot::channel();
        let work = move || {
            let _inside = runtime.enter();
            let ended = catch_unwind(AssertUnwindSafe(|| cancel_on_error(&token, span.in_scope(task))));
            // A runtime that has ended waits for nobody.
            let _ = sender.send(ended);
        };
        let started = thread::Builder::new().name("asbackup".to_owned()).spawn(work);
        self.spawn(async move {
            started.map_err(|error| {
                Error::of(ErrorKind::Internal, "cannot start a thread for a file").source(error).build()
            })?;
            let ended = ended.await.expect("the thread sends how it ended, even if it panicked");
            ended.unwrap_or_else(|panic| resume_unwind(panic))
        });
    }

    /// Forgets the tasks that have ended.
    ///
    /// # Errors
    /// If one of them failed.
    pub(crate) fn reap(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.flatten(ended)?;
        }
        Ok(())
    }

    /// Waits until all tasks have ended, and returns the failure that came first.
    pub(crate) async fn join(mut self) -> Result<(), Error> {
        let mut first = None;
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = self.flatten(ended) {
                first = Some(first_cause(first, error));
            }
        }
        match first {
            Some(error) => Err(error),
            None if self.token.is_cancelled() => Err(Error::cancelled()),
            None => Ok(()),
        }
    }

    /// Waits like [`Tasks::join`] for the tasks of an owner that has ended with `own` itself.
    pub(crate) async fn join_after(self, own: Result<(), Error>) -> Result<(), Error> {
        match (self.join().await, own) {
            (Err(first), Err(error)) => Err(first_cause(Some(first), error)),
            (joined, own) => joined.and(own),
        }
    }

    fn flatten(&self, ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
        ended.unwrap_or_else(|error| {
            self.token.cancel();
            Err(Error::of(ErrorKind::Internal, "a task panicked").source(error).build())
        })
    }
}

/// Cancels before the task's ends of the queues are dropped: the end of a queue means success.
fn cancel_on_error(token: &CancellationToken, result: Result<(), Error>) -> Result<(), Error> {
    if result.is_err() {
        token.cancel();
    }
    result
}

/// Returns the error to report: tasks that were cancelled by another one's failure aren't its cause.
fn first_cause(first: Option<Error>, error: Error) -> Error {
    match first {
        Some(first) if first.kind() != ErrorKind::Cancelled => first,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_only_so_many_buffers() {
        let (buffers, returns) = Buffers::new(2, BLOCK_BYTES);
        let (first, _second) = (buffers.take().await.unwrap(), buffers.take().await.unwrap());
        assert!(buffers.emptied.is_empty());
        returns.give(Vec::with_capacity(7));
        assert!(buffers.emptied.is_empty(), "a buffer that isn't one of them");
        returns.give(first);
        assert_eq!(buffers.emptied.len(), 1);
    }

    #[test]
    fn a_buffer_that_has_grown_gives_its_memory_back() {
        let (buffers, returns) = Buffers::new(1, BLOCK_BYTES);
        let mut buffer = buffers.take_blocking().unwrap();
        let usual = buffer.capacity();
        buffer.resize(usual, 7);
        returns.give(buffer);
        let mut buffer = buffers.take_blocking().unwrap();
        assert_eq!((buffer.len(), buffer.capacity()), (0, usual));
        buffer.resize(usual + 1, 7);
        returns.shrink(&mut buffer);
        assert_eq!(buffer.capacity(), PAGE_BYTES);
        returns.give(buffer);
        assert_eq!(buffers.take_blocking().unwrap().capacity(), usual);
    }

    #[test]
    fn nobody_waits_for_buffers_that_cannot_come_back() {
        let (buffers, returns) = Buffers::new(1, BLOCK_BYTES);
        let _only = buffers.take_blocking().unwrap();
        drop(returns);
        assert_eq!(buffers.take_blocking().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    fn refused() -> Error {
        Error::of(ErrorKind::Refused, "no").build()
    }

    /// Waits for one task beside its owner's own end, and returns the kind of the failure.
    async fn join(task: Result<(), Error>, own: Result<(), Error>) -> Option<ErrorKind> {
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.spawn(async { task });
        tasks.join_after(own).await.err().map(|error| error.kind())
    }

    #[tokio::test]
    async fn panic_on_a_thread_is_an_internal_error_and_cancels() {
        let token = CancellationToken::new();
        let mut tasks = Tasks::new(token.clone());
        tasks.spawn_blocking(|| panic!("oh"));
        let error = tasks.join().await.unwrap_err();
        assert_eq!((error.kind(), token.is_cancelled()), (ErrorKind::Internal, true));
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("oh"), "{cause}");
    }

    #[tokio::test]
    async fn a_cause_is_never_hidden_by_those_that_it_cancelled() {
        assert_eq!(join(Err(Error::cancelled()), Err(refused())).await, Some(ErrorKind::Refused));
        assert_eq!(join(Err(refused()), Err(Error::cancelled())).await, Some(ErrorKind::Refused));
        assert_eq!(join(Ok(()), Err(refused())).await, Some(ErrorKind::Refused));
        assert_eq!(join(Err(refused()), Ok(())).await, Some(ErrorKind::Refused));
        assert_eq!(join(Ok(()), Ok(())).await, None);
    }
}
