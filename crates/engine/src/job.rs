//! The handle of a run: progress, cancel, wait. A job owns every task of its run.

use std::{fmt, sync::Arc};

use tokio::{runtime::Handle, sync::watch, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use crate::{
    Error, ErrorKind, Events, Progress, ScanPermits,
    config::Limits,
    event::{Event, EventLog, Kept, Phase},
    limit::{JobLimits, Paced, ScanPermit},
    progress::Counters,
};

/// A run that was started. Dropping it cancels the run; [`Job::detach`] lets it go on.
pub struct Job<R> {
    counters: Arc<Counters>,
    events: watch::Receiver<Kept>,
    token: CancellationToken,
    outcome: watch::Receiver<Option<Outcome<R>>>,
    /// Cancels the run when the job is dropped.
    guard: Option<DropGuard>,
}

/// How a run ended: what it did, and why it failed if it did.
#[derive(Debug)]
pub(crate) struct Outcome<R> {
    pub(crate) report: Option<Arc<R>>,
    pub(crate) result: Result<(), Error>,
}

/// What a run shares with its handle.
#[derive(Debug, Clone)]
pub(crate) struct JobContext {
    pub(crate) counters: Arc<Counters>,
    pub(crate) token: CancellationToken,
    pub(crate) limits: Arc<JobLimits>,
    pub(crate) events: EventLog,
}

impl JobContext {
    /// Sets limits that the job didn't have so far.
    pub(crate) fn limited(self, limits: Limits, scans: Option<ScanPermits>) -> Self {
        Self { limits: Arc::new(JobLimits::new(limits, scans)), ..self }
    }

    /// Returns the same job with a token of its own: cancelling that one leaves this one as it is.
    pub(crate) fn child(&self) -> Self {
        Self { token: self.token.child_token(), ..self.clone() }
    }

    /// Tells that a part of the work begins.
    pub(crate) fn begin(&self, phase: Phase) {
        self.events.tell(Event::Phase { phase });
    }

    /// Tells of a warning that the report will hold.
    pub(crate) fn warn(&self, message: &str) {
        self.events.tell(Event::Warning { message: message.to_owned() });
    }

    /// Counts attempts that failed and are made again, and tells of them.
    pub(crate) fn retry(&self, reason: &'static str, count: u64) {
        self.counters.retries.add(reason, count);
        self.events.tell(Event::Retry { reason, count });
    }

    /// Counts a wait for the server's sake, and tells of it.
    pub(crate) fn throttled(&self) {
        self.counters.throttle_waits.add(1);
        self.events.tell(Event::Throttled);
    }

    /// Waits until one more scan may run; it may as long as the permit is there.
    pub(crate) async fn scan_permit(&self) -> Result<ScanPermit, Error> {
        self.or_cancelled(self.limits.scan_permit()).await
    }

    /// Waits until the records that were moved have had their time.
    pub(crate) async fn pace_records(&self, records: u64) -> Result<(), Error> {
        self.limits.records.pace(records, &self.token).await
    }

    /// Stores bytes with `step` as fast as the limit allows, in portions, and counts them. Blocks.
    pub(crate) fn store(
        &self,
        bytes: &[u8],
        mut step: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.limits.stored.move_blocking(bytes, &self.token, |portion| {
            step(portion)?;
            self.counters.bytes_stored.add(portion.len() as u64);
            Ok(())
        })
    }

    /// Returns input that is read as fast as the limit of stored bytes allows. Reading blocks.
    pub(crate) fn paced<R>(&self, input: R) -> Paced<'_, R> {
        Paced::new(input, &self.limits.stored, &self.token)
    }
    /// Waits for `work`, unless the job is cancelled first: `work` is dropped then, so it must be safe to drop. A
    /// cancelled job comes first, lest it look like the end of a queue or a scan.
    pub(crate) async fn or_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Error::cancelled()),
            done = work => Ok(done),
        }
    }
}

impl<R: Send + Sync + 'static> Job<R> {
    /// Starts `run` on the current runtime and returns at once.
    pub(crate) fn start<F>(run: impl FnOnce(JobContext) -> F) -> Self
    where
        F: Future<Output = Outcome<R>> + Send + 'static,
    {
        let counters = Arc::new(Counters::new());
        let token = CancellationToken::new();
        let (sender, outcome) = watch::channel(None);
        let (log, events) = EventLog::new();
        let run = run(JobContext {
            counters: Arc::clone(&counters),
            token: token.clone(),
            limits: Arc::default(),
            events: log,
        });
        let run = run.in_current_span();
        // The one task that nobody joins: it ends by itself, and its end is what `wait` waits for.
        Handle::current().spawn(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(run);
            let ended = tasks.join_next().await.unwrap_or_else(|| Ok(Outcome::broken("the run vanished")));
            sender.send_replace(Some(ended.unwrap_or_else(|error| Outcome::broken(&error.to_string()))));
        });
        let guard = Some(token.clone().drop_guard());
        Self { counters, events, token, outcome, guard }
    }

    /// Returns what was done so far. Cheap; from any thread, at any time.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.counters.progress()
    }

    /// Returns what happens in the run, from its beginning; the latest 1,024 events are kept. There may be several
    /// readers, each of which gets all, and none of which holds the run up.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.events.clone())
    }

    /// Asks the run to end. What is half done is finished or undone; [`Job::wait`] tells when it is over.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits for the end. May be called from several places, and again.
    ///
    /// # Errors
    /// Why the run failed. [`Job::report`] tells what it did before.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait(&self) -> Result<Arc<R>, Error> {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        let internal = |message| Error::of(ErrorKind::Internal, message).build();
        let Ok(Some(Outcome { report, result })) = ended.as_deref() else {
            return Err(internal("the runtime ended before the job"));
        };
        result.clone()?;
        report.clone().ok_or_else(|| internal("the job left no report"))
    }

    /// Returns what the run did, once it has ended in whatever way. None before, or if it never began.
    #[must_use]
    pub fn report(&self) -> Option<Arc<R>> {
        self.outcome.borrow().as_ref().and_then(|outcome| outcome.report.clone())
    }

    /// Lets the run go on without a handle.
    pub fn detach(mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }
}

impl<R> Outcome<R> {
    /// Returns the outcome of a run that panicked or vanished.
    fn broken(why: &str) -> Self {
        Self {
            report: None,
            result: Err(Error::of(ErrorKind::Internal, format!("a task panicked: {why}")).build()),
        }
    }
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("counters", &self.counters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(result: Result<(), Error>) -> Outcome<u8> {
        Outcome { report: Some(Arc::new(7)), result }
    }

    #[tokio::test]
    async fn wait_may_be_called_twice() {
        let job = Job::start(|_| async { ended(Ok(())) });
        assert_eq!(*job.wait().await.unwrap(), 7);
        assert_eq!(*job.wait().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn report_is_there_after_a_failure() {
        let job = Job::start(|_| async { ended(Err(Error::cancelled())) });
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(job.report().as_deref(), Some(&7));
    }

    #[tokio::test]
    async fn panic_is_an_internal_error() {
        let job = Job::<u8>::start(|_| async { panic!("oh") });
        assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Internal);
        assert!(job.report().is_none());
    }

    #[tokio::test]
    async fn dropping_cancels_and_detaching_does_not() {
        for (detach, cancelled) in [(false, true), (true, false)] {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let job = Job::start(|job| async move {
                sender.send(job.token).ok();
                ended(Ok(()))
            });
            let token = receiver.await.unwrap();
            if detach {
                job.detach()
            } else {
                drop(job)
            }
            assert_eq!(token.is_cancelled(), cancelled);
        }
    }
}
