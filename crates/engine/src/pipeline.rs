//! What both directions share: sizes, the queue of blocks, and the rule that whoever fails stops all others.

use std::{
    future::Future,
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

/// Blocks that may wait in the queue, per reader.
pub(crate) const QUEUED_BLOCKS_PER_READER: usize = 2;

/// A bounded queue of blocks, and a way back for the emptied ones, whose memory is used again.
#[derive(Debug)]
pub(crate) struct Queue<B> {
    sender: async_channel::Sender<B>,
    receiver: async_channel::Receiver<B>,
    spare: Spare<B>,
}

/// Emptied blocks.
#[derive(Debug)]
pub(crate) struct Spare<B> {
    sender: async_channel::Sender<B>,
    receiver: async_channel::Receiver<B>,
}

impl<B: Default> Queue<B> {
    /// Returns a queue for that many readers.
    pub(crate) fn new(readers: usize) -> Self {
        let capacity = QUEUED_BLOCKS_PER_READER * readers;
        let (sender, receiver) = async_channel::bounded(capacity);
        Self { sender, receiver, spare: Spare::new(capacity) }
    }

    /// Returns both ends. The queue ends when all senders are gone, so this one must not be kept.
    pub(crate) fn split(self) -> (async_channel::Sender<B>, async_channel::Receiver<B>, Spare<B>) {
        (self.sender, self.receiver, self.spare)
    }
}

impl<B: Default> Spare<B> {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = async_channel::bounded(capacity);
        Self { sender, receiver }
    }

    /// Returns an emptied block, or a new one.
    pub(crate) fn take(&self) -> B {
        self.receiver.try_recv().unwrap_or_default()
    }

    /// Keeps an emptied block for the next `take`, unless there are enough.
    pub(crate) fn give(&self, block: B) {
        // A full channel means that no more are needed: this one is freed.
        let _ = self.sender.try_send(block);
    }
}

impl<B> Clone for Spare<B> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), receiver: self.receiver.clone() }
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
