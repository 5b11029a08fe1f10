//! The same for programs without an async runtime: a [`Client`] that brings a runtime of its own, and a [`Job`] whose
//! `wait` blocks the thread.
//!
//! Nothing here may be called from within an async runtime: what blocks would block the runtime's own thread.
//!
//! ```no_run
//! use asbackup::{BackupConfig, ClusterConfig, Local, Seed, blocking::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClusterConfig::new([Seed::parse("127.0.0.1", 3000)?]))?;
//! let job = client.backup(BackupConfig::new("test"), Local::directory("backups"));
//! println!("{} records", job.wait()?.records.written);
//! # Ok(())
//! # }
//! ```

use std::{fmt, num::NonZeroUsize, sync::Arc, thread};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
    BackupConfig, BackupReport, Cluster, ClusterConfig, CompleteConfig, CompleteReport, Error, ErrorKind,
    EstimateReport, Event, InspectConfig, InspectReport, Local, Progress, RemovalReport, RestoreConfig,
    RestoreReport, Sampling, ScanPermits, ValidateConfig, ValidateReport,
};

/// Starts jobs on a cluster. Cheap to clone; any number of jobs may run at once, from any thread.
#[derive(Debug, Clone)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Connects to a cluster.
    ///
    /// # Errors
    /// If no seed answers, or threads can't be started.
    pub fn connect(config: ClusterConfig) -> Result<Self, Error> {
        let runtime = runtime()?;
        let cluster = runtime.block_on(Cluster::connect(config)).map_err(crate::connect_error)?;
        Ok(Self { inner: crate::Client::new(cluster), runtime })
    }

    /// Sets how many scans may run at once; see [`crate::Client::with_scan_permits`].
    #[must_use]
    pub fn with_scan_permits(mut self, permits: ScanPermits) -> Self {
        self.inner = self.inner.with_scan_permits(permits);
        self
    }

    /// Sets a name for the jobs that are started from here on; see [`crate::Client::with_id`].
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.inner = self.inner.with_id(id);
        self
    }

    /// Starts a backup and returns at once.
    #[must_use = "dropping a job cancels it"]
    pub fn backup(&self, config: BackupConfig, target: Local) -> Job<BackupReport> {
        self.start(|| self.inner.backup(config, target))
    }

    /// Starts a restore and returns at once.
    #[must_use = "dropping a job cancels it"]
    pub fn restore(&self, config: RestoreConfig, source: Local) -> Job<RestoreReport> {
        self.start(|| self.inner.restore(config, source))
    }

    /// Starts to estimate how large a backup would be, and returns at once.
    #[must_use = "dropping a job cancels it"]
    pub fn estimate(&self, config: BackupConfig, sampling: Sampling) -> Job<EstimateReport> {
        self.start(|| self.inner.estimate(config, sampling))
    }

    fn start<R: Send + Sync + 'static>(&self, start: impl FnOnce() -> crate::Job<R>) -> Job<R> {
        Job::start(Arc::clone(&self.runtime), start)
    }
}

/// Starts a validation, which needs no cluster, and returns at once. Damage doesn't make it fail: it is in the report.
///
/// # Errors
/// If threads can't be started.
pub fn validate(config: ValidateConfig, source: Local) -> Result<Job<ValidateReport>, Error> {
    Ok(Job::start(runtime()?, || crate::validate(config, source)))
}

/// Starts to look at what a backup holds, and returns at once; see [`crate::inspect`].
///
/// # Errors
/// If threads can't be started.
pub fn inspect(source: Local) -> Result<Job<InspectReport>, Error> {
    Ok(Job::start(runtime()?, || crate::inspect(source)))
}

/// Does the same with a key for a backup that is encrypted; see [`crate::inspect_with`].
///
/// # Errors
/// If threads can't be started.
pub fn inspect_with(config: InspectConfig, source: Local) -> Result<Job<InspectReport>, Error> {
    Ok(Job::start(runtime()?, || crate::inspect_with(config, source)))
}

/// Starts to make one backup of the shares in a directory, and returns at once; see [`crate::complete()`].
///
/// # Errors
/// If the system has no threads left.
pub fn complete(config: CompleteConfig, target: Local) -> Result<Job<CompleteReport>, Error> {
    Ok(Job::start(runtime()?, || crate::complete(config, target)))
}

/// Starts to remove all files of backups from a directory, and returns at once; see [`crate::remove_artifacts`].
///
/// # Errors
/// If threads can't be started.
pub fn remove_artifacts(target: Local) -> Result<Job<RemovalReport>, Error> {
    Ok(Job::start(runtime()?, || crate::remove_artifacts(target)))
}

/// A run that was started. Dropping it cancels the run and waits for its end; [`Job::detach`] lets it go on.
pub struct Job<R: Send + Sync + 'static> {
    /// None once it is detached.
    inner: Option<crate::Job<R>>,
    runtime: Arc<Runtime>,
}

impl<R: Send + Sync + 'static> Job<R> {
    fn start(runtime: Arc<Runtime>, start: impl FnOnce() -> crate::Job<R>) -> Self {
        let inner = {
            let _inside = runtime.enter();
            start()
        };
        Self { inner: Some(inner), runtime }
    }

    /// Returns what was done so far. Cheap; from any thread, at any time.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.inner().progress()
    }

    /// Returns what happens in the run, from its beginning; see [`crate::Job::events`].
    #[must_use]
    pub fn events(&self) -> Events {
        Events { inner: self.inner().events(), runtime: Arc::clone(&self.runtime) }
    }

    /// Asks the run to end. What is half done is finished or undone; [`Job::wait`] tells when it is over.
    pub fn cancel(&self) {
        self.inner().cancel();
    }

    /// Blocks until the end. May be called from several threads, and again.
    ///
    /// # Errors
    /// Why the run failed. [`Job::report`] tells what it did before.
    ///
    /// # Panics
    /// Within an async runtime.
    pub fn wait(&self) -> Result<Arc<R>, Error> {
        self.runtime.block_on(self.inner().wait())
    }

    /// Returns what the run did, once it has ended in whatever way. None before, or if it never began.
    #[must_use]
    pub fn report(&self) -> Option<Arc<R>> {
        self.inner().report()
    }

    /// Lets the run go on without a handle, as long as the program runs.
    pub fn detach(mut self) {
        let Some(inner) = self.inner.take() else { return };
        let runtime = Arc::clone(&self.runtime);
        // Someone has to keep the runtime until the run has ended.
        thread::spawn(move || {
            // Nobody is left to hear of a failure.
            let _ = runtime.block_on(inner.wait());
        });
    }

    fn inner(&self) -> &crate::Job<R> {
        self.inner.as_ref().expect("only `detach` takes it, and consumes the job")
    }
}

impl<R: Send + Sync + 'static> Drop for Job<R> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        inner.cancel();
        // Within a runtime nothing may block: the run ends by itself then, if its own runtime lives long enough.
        if Handle::try_current().is_err() {
            // Whoever drops a job doesn't want to know how it ended.
            let _ = self.runtime.block_on(inner.wait());
        }
    }
}

impl<R: Send + Sync + 'static> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The events of one job. Each `next` blocks until there is one, and must not be called within an async runtime; the end
/// is that of the job.
#[derive(Debug)]
pub struct Events {
    inner: crate::Events,
    runtime: Arc<Runtime>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.runtime.block_on(self.inner.next())
    }
}

fn runtime() -> Result<Arc<Runtime>, Error> {
    let cpus = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = Builder::new_multi_thread().worker_threads(cpus.min(MOST_WORKERS)).enable_all().build();
    let failed = |error| Error::of(ErrorKind::Internal, "cannot start the runtime").source(error).build();
    runtime.map(Arc::new).map_err(failed)
}

/// Threads that wait for sockets and transcode. Four read faster than a disk or network takes it in.
const MOST_WORKERS: usize = 4;
