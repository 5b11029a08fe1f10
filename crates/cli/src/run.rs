//! The run of a command: from its flags to its exit.

use std::{num::NonZeroUsize, thread, time::Duration};

use asbackup::{Client, Cluster, CompleteConfig, ErrorKind, InspectConfig, Job, Local};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, interval_at},
};

use crate::{
    args::{Asbackup, Asrestore, Complete, Connection, Encryption, Inspect, Output, SecretAgent},
    cache,
    console::Console,
    convert, envelope,
    exit::{Exit, Ignored},
    failure::Failure,
    logging,
    progress::{Meter, ProgressFile, Reading},
    report::{self, Command, Ended, Known, Summary},
    signal::{Signal, Signals},
    value_source::ValueSource,
};

/// Runs `asbackup`.
pub(crate) fn backup(args: Asbackup) -> Exit {
    if args.backup.remove_artifacts {
        return remove_artifacts(&args);
    }
    if args.backup.sample.estimate { estimate(&args) } else { copy(&args) }
}

fn estimate(args: &Asbackup) -> Exit {
    let Asbackup { connection, secret_agent, backup, output } = args;
    let namespace = backup.namespace.clone().unwrap_or_default();
    let known = Known::new(Command::Estimate, namespace, &convert::target(backup));
    command(&known, output, async |session| {
        let mut config = convert::backup(backup)?;
        config.envelope.encryption = session.encryption(&backup.encryption, secret_agent).await?;
        envelope::check_key(config.envelope.encryption.as_ref())?;
        let cluster = session.connect(connection, secret_agent, usize::from(backup.parallel)).await?;
        session.wait(Client::new(cluster).estimate(config, convert::sampling(backup))).await
    })
}

fn copy(args: &Asbackup) -> Exit {
    let Asbackup { connection, secret_agent, backup, output } = args;
    let namespace = backup.namespace.clone().unwrap_or_default();
    let known = Known::new(Command::Backup, namespace, &convert::target(backup));
    command(&known, output, async |session| {
        convert::check_target(backup)?;
        let mut config = convert::backup(backup)?;
        config.envelope.encryption = session.encryption(&backup.encryption, secret_agent).await?;
        let cluster = session.connect(connection, secret_agent, usize::from(backup.parallel)).await?;
        let target = convert::target(backup);
        session.grace = target.is_stream().then_some(GRACE_OF_STREAMS);
        session.wait(Client::new(cluster).backup(config, target)).await
    })
}

fn remove_artifacts(args: &Asbackup) -> Exit {
    let Asbackup { connection, secret_agent, backup, output } = args;
    let target = convert::target(backup);
    let known = Known::new(Command::RemoveArtifacts, String::new(), &target);
    command(&known, output, async |session| {
        convert::check_directory(backup.destination.path())?;
        // All arguments have to be good before anything goes, also those that aren't needed for it.
        convert::backup(backup)?;
        let encryption = session.encryption(&backup.encryption, secret_agent).await?;
        envelope::check_key(encryption.as_ref())?;
        convert::cluster(connection, &ValueSource::new(secret_agent)?, 1).await?;
        session.wait(asbackup::remove_artifacts(target)).await
    })
}

/// Runs `asbackup inspect`.
pub(crate) fn inspect(args: Inspect) -> Exit {
    let source = convert::inspected(&args);
    let Inspect { encryption, secret_agent, output, .. } = &args;
    let known = Known::new(Command::Inspect, String::new(), &source);
    command(&known, output, async |session| {
        convert::check_inspected(&args)?;
        let mut config = InspectConfig::new();
        config.encryption = session.encryption(encryption, secret_agent).await?;
        session.wait(asbackup::inspect_with(config, source)).await
    })
}

/// Runs `asbackup complete`.
pub(crate) fn complete(args: Complete) -> Exit {
    let Complete { directory, encryption, secret_agent, output } = &args;
    let target = Local::directory(directory);
    let known = Known::new(Command::Complete, String::new(), &target);
    command(&known, output, async |session| {
        convert::check_directory(directory)?;
        let mut config = CompleteConfig::new();
        config.encryption = session.encryption(encryption, secret_agent).await?;
        session.wait(asbackup::complete(config, target)).await
    })
}

/// Runs `asrestore`.
pub(crate) fn restore(args: Asrestore) -> Exit {
    if args.restore.validate { validate(&args) } else { write(&args) }
}

fn write(args: &Asrestore) -> Exit {
    let Asrestore { connection, secret_agent, restore, output } = args;
    let names = restore.namespace.as_ref().map_or_else(String::new, ToString::to_string);
    let mut known = Known::new(Command::Restore, names, &convert::source(restore));
    if restore.rules.fail_if_ignored {
        known.ignored = Ignored::Fail;
    }
    command(&known, output, async |session| {
        convert::check_source(restore)?;
        let mut config = convert::restore(restore, cache::directory())?;
        config.encryption = session.encryption(&restore.encryption, secret_agent).await?;
        let batches = restore.max_async_batches.get();
        let cluster = session.connect(connection, secret_agent, batches).await?;
        session.wait(Client::new(cluster).restore(config, convert::source(restore))).await
    })
}

fn validate(args: &Asrestore) -> Exit {
    let Asrestore { secret_agent, restore, output, .. } = args;
    let known = Known::new(Command::Validate, String::new(), &convert::source(restore));
    command(&known, output, async |session| {
        convert::check_source(restore)?;
        let mut config = convert::validate(restore)?;
        config.encryption = session.encryption(&restore.encryption, secret_agent).await?;
        session.wait(asbackup::validate(config, convert::source(restore))).await
    })
}

/// Does what all commands have in common around `run`.
fn command<R: Summary>(
    known: &Known,
    output: &Output,
    run: impl AsyncFnOnce(&mut Session<'_>) -> Result<Ended<R>, Failure>,
) -> Exit {
    let console = Console::new(output);
    let ready = report::check_outputs(output, known)
        .and_then(|()| logging::install(output, &console))
        .and_then(|()| report::check_file(output, known));
    let ended = ready.and_then(|()| runtime()).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let mut session = Session::new(output, &console)?;
            run(&mut session).await.or_else(|failure| Ok(session.failed(failure)))
        });
        // All tasks have ended, unless a second signal cut them short.
        runtime.shutdown_background();
        ended
    });
    console.clear();
    let ended = ended.unwrap_or_else(Ended::failed);
    report::deliver(ended, known, output, &console)
}

/// Waits until a moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let cpus = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(cpus.min(MOST_WORKERS))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorKind::Internal, "cannot start the runtime").because(&error))
}

/// Threads that wait for sockets and transcode. Four read faster than a disk or network takes it in.
const MOST_WORKERS: usize = 4;
/// Threads for short work that blocks. Files have threads of their own.
const BLOCKING_THREADS: usize = 16;
/// No task recurses, so half of the usual stack is plenty.
const STACK_BYTES: usize = 1 << 20;

/// What is half written into a pipe is of no use, so there is nothing to wait for but a reader that may have stalled.
const GRACE_OF_STREAMS: Duration = Duration::from_secs(5);
/// How often progress is told where there is no live line.
const PLAIN_PERIOD: Duration = Duration::from_secs(10);
/// How often a line goes into the progress file.
const FILE_PERIOD: Duration = Duration::from_secs(1);
/// How often the live line changes.
const LIVE_PERIOD: Duration = Duration::from_millis(250);

/// What the user sees of a job while it runs, and how the user ends it.
struct Session<'a> {
    output: &'a Output,
    console: &'a Console,
    signals: Signals,
    progress_file: Option<ProgressFile>,
    /// The signal that came.
    signal: Option<Signal>,
    /// How long a job may take to end when a signal has come. None: as long as it needs.
    grace: Option<Duration>,
}

impl<'a> Session<'a> {
    fn new(output: &'a Output, console: &'a Console) -> Result<Self, Failure> {
        let signals = Signals::new().map_err(|error| {
            Failure::new(ErrorKind::Internal, "cannot listen for signals").because(&error)
        })?;
        let progress_file = output.progress_file.as_deref().map(ProgressFile::open).transpose()?;
        Ok(Self { output, console, signals, progress_file, signal: None, grace: None })
    }

    /// Connects with that many data connections, unless a signal comes first.
    async fn connect(
        &mut self,
        connection: &Connection,
        secret_agent: &SecretAgent,
        data_connections: usize,
    ) -> Result<Cluster, Failure> {
        self.before_job(async {
            let values = ValueSource::new(secret_agent)?;
            let config = convert::cluster(connection, &values, data_connections).await?;
            Cluster::connect(config).await.map_err(|error| Failure::connect(&error))
        })
        .await
    }

    /// Returns how the files are encrypted, unless a signal comes first: the key may be a secret.
    async fn encryption(
        &mut self,
        args: &Encryption,
        secret_agent: &SecretAgent,
    ) -> Result<Option<asbackup::Encryption>, Failure> {
        self.before_job(async { envelope::encryption(args, &ValueSource::new(secret_agent)?).await }).await
    }

    async fn before_job<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            signal = self.signals.next() => {
                self.signal = Some(signal);
                Err(Failure::cancelled("ended before the job began"))
            }
            done = work => done,
        }
    }

    /// Waits for a job, tells its progress, and cancels it if a signal comes.
    async fn wait<R: Send + Sync + 'static>(&mut self, job: Job<R>) -> Result<Ended<R>, Failure> {
        let period = if self.console.is_live() { LIVE_PERIOD } else { PLAIN_PERIOD };
        let mut ticks = interval_at(Instant::now() + period, period);
        let mut file_ticks = interval_at(Instant::now() + FILE_PERIOD, FILE_PERIOD);
        let mut meter = Meter::default();
        let mut ended = std::pin::pin!(job.wait());
        let mut cut_off = None;
        let result = loop {
            tokio::select! {
                biased;
                result = &mut ended => break result,
                () = until(cut_off) => {
                    return Err(Failure::cancelled("ended at once: nobody takes what is written"));
                }
                signal = self.signals.next() => {
                    if self.signal.replace(signal).is_some() {
                        return Err(Failure::cancelled("ended at once: files ending in .part may be left"));
                    }
                    self.say_stopping();
                    job.cancel();
                    cut_off = self.grace.map(|grace| Instant::now() + grace);
                }
                _ = ticks.tick() => self.show(&meter.read(job.progress().into())),
                _ = file_ticks.tick() => self.record(&meter.read(job.progress().into())),
            }
        };
        self.record(&meter.read(job.progress().into()));
        let failure = result.err().map(Failure::from);
        Ok(Ended { report: job.report(), failure, signal: self.signal })
    }

    fn say_stopping(&self) {
        self.console.line(if self.output.log_json {
            r#"{"event":"stopping"}"#
        } else {
            "stopping: what is half done is finished or undone; a second signal ends at once"
        });
    }

    fn show(&self, reading: &Reading) {
        match (self.output.quiet, self.console.is_live(), self.output.log_json) {
            (true, ..) => {}
            (false, true, _) => self.console.show(reading.text()),
            (false, false, true) => self.console.line(&reading.json()),
            (false, false, false) => self.console.line(&format!("progress: {}", reading.text())),
        }
    }

    fn record(&mut self, reading: &Reading) {
        if let Some(file) = &mut self.progress_file {
            file.write(reading);
        }
    }

    fn failed<R>(&self, failure: Failure) -> Ended<R> {
        Ended { signal: self.signal, ..Ended::failed(failure) }
    }
}
