//! `limits`: how steadily jobs keep the rates that they are told.
//!
//! Everything runs in this process. Each second a job's progress is read; what is printed is how far any ten seconds after
//! the first five are off.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use asbackup::{
    BackupConfig, ByteSize, Client, Cluster, ClusterConfig, Job, Limits, Local, Parallelism, Progress,
    RestoreConfig, Seed,
};
use asbackup_testserver::TestServer;
use tokio::time::{MissedTickBehavior, interval};

use crate::bench::{Size, load};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each job is watched, in seconds.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(16..))]
    seconds: u64,
    /// Limits of records per second.
    #[arg(long, value_delimiter = ',', default_values = ["20000", "200"])]
    records_per_second: Vec<NonZeroU32>,
    /// Limits of stored MiB per second.
    #[arg(long, value_delimiter = ',', default_values = ["8", "1"])]
    bandwidth: Vec<u64>,
    /// With these numbers of streams.
    #[arg(long, value_delimiter = ',', default_values = ["8"])]
    parallel: Vec<usize>,
    /// Ends with an error if ten seconds are off by more than 5 %.
    #[arg(long)]
    check: bool,
}

/// Watches a backup and a restore with each limit, and prints how far they were off.
pub(crate) fn run(args: &Args) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run_all(args))
}

async fn run_all(args: &Args) -> Result<()> {
    let from = TestServer::builder().namespace(NAMESPACE).start()?;
    let most = args.records_per_second.iter().map(|rate| u64::from(rate.get())).max().unwrap_or(0);
    let widest = args.bandwidth.iter().max().map_or(0, |rate| (rate << 20) / TEXT_BYTES);
    let records = most.max(widest) * (args.seconds + 5);
    println!("{records} records of 400 B, each job watched for {} s", args.seconds);
    load(&from, NAMESPACE, Size::Medium, records);
    let folder = tempfile::tempdir()?;
    let source = Local::directory(folder.path());
    let mut config = BackupConfig::new(NAMESPACE);
    (config.readers, config.writers) = (Parallelism::new(8)?, Parallelism::new(8)?);
    client(&from).await?.backup(config, source.clone()).wait().await?;
    println!("{:<10}{:>10}{:>16}{:>12}{:>12}", "job", "parallel", "limit", "mean off", "worst off");
    let mut worst: f64 = 0.0;
    for &parallel in &args.parallel {
        for limit in limits(args) {
            let parallel = Parallelism::new(parallel)?;
            worst = worst.max(watch_backup(&from, limit, parallel, args.seconds).await?);
            worst = worst.max(watch_restore(&source, limit, parallel, args.seconds).await?);
        }
    }
    if args.check && worst > 0.05 {
        bail!("off by {:.1} %", worst * 100.0);
    }
    Ok(())
}

/// One limit of a job.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Records(NonZeroU32),
    Mebibytes(u64),
}

fn limits(args: &Args) -> impl Iterator<Item = Limit> {
    let records = args.records_per_second.iter().copied().map(Limit::Records);
    records.chain(args.bandwidth.iter().copied().map(Limit::Mebibytes))
}

impl Limit {
    fn limits(self) -> Limits {
        let mut limits = Limits::default();
        match self {
            Self::Records(rate) => limits.records_per_second = Some(rate),
            Self::Mebibytes(rate) => limits.bandwidth = Some(ByteSize::mib(rate)),
        }
        limits
    }

    #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
    fn per_second(self) -> f64 {
        match self {
            Self::Records(rate) => f64::from(rate.get()),
            Self::Mebibytes(rate) => (rate << 20) as f64,
        }
    }

    fn label(self) -> String {
        match self {
            Self::Records(rate) => format!("{rate} records/s"),
            Self::Mebibytes(rate) => format!("{rate} MiB/s"),
        }
    }
}

async fn client(server: &TestServer) -> Result<Client> {
    let seed = Seed::parse(&server.address().to_string(), 3000)?;
    Ok(Client::new(Cluster::connect(ClusterConfig::new([seed])).await?))
}

async fn watch_backup(from: &TestServer, limit: Limit, parallel: Parallelism, seconds: u64) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut config = BackupConfig::new(NAMESPACE);
    (config.readers, config.writers, config.limits) = (parallel, parallel, limit.limits());
    let job = client(from).await?.backup(config, Local::directory(folder.path()));
    let samples = watch(&job, seconds, |progress| match limit {
        Limit::Records(_) => progress.records_read,
        Limit::Mebibytes(_) => progress.bytes_stored,
    });
    print("backup", parallel, limit, &samples.await?)
}

async fn watch_restore(source: &Local, limit: Limit, parallel: Parallelism, seconds: u64) -> Result<f64> {
    let into = TestServer::builder().namespace(NAMESPACE).start()?;
    let mut config = RestoreConfig::new();
    (config.readers, config.limits) = (parallel, limit.limits());
    let job = client(&into).await?.restore(config, source.clone());
    let samples = watch(&job, seconds, |progress| match limit {
        Limit::Records(_) => progress.records_done,
        Limit::Mebibytes(_) => progress.bytes_stored,
    });
    print("restore", parallel, limit, &samples.await?)
}

/// Reads a job's progress each second, then ends it. Returns when and how much was done each time.
async fn watch<R: Send + Sync + 'static>(
    job: &Job<R>,
    seconds: u64,
    done: impl Fn(&Progress) -> u64,
) -> Result<Vec<(f64, u64)>> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (start, mut samples) = (Instant::now(), Vec::new());
    for _ in 0..=seconds {
        ticks.tick().await;
        samples.push((start.elapsed().as_secs_f64(), done(&job.progress())));
    }
    ensure!(job.report().is_none(), "the job was over too soon");
    job.cancel();
    job.wait().await.ok(); // It ends as cancelled.
    Ok(samples)
}

/// Prints how far the samples are off, and returns the worst ten seconds.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn print(job: &str, parallel: Parallelism, limit: Limit, samples: &[(f64, u64)]) -> Result<f64> {
    let steady = samples.get(FIRST_S..).unwrap_or_default();
    let off = |first: &(f64, u64), last: &(f64, u64)| {
        (last.1 - first.1) as f64 / (last.0 - first.0) / limit.per_second() - 1.0
    };
    let (Some(first), Some(last)) = (steady.first(), steady.last()) else { bail!("too few samples") };
    let windows = steady.iter().zip(steady.iter().skip(WINDOW_S)).map(|(first, last)| off(first, last));
    let worst = windows.fold(0.0, |worst: f64, off| if off.abs() > worst.abs() { off } else { worst });
    let (mean, shown) = (off(first, last) * 100.0, worst * 100.0);
    println!("{job:<10}{:>10}{:>16}{mean:>+10.2} %{shown:>+10.2} %", parallel.count(), limit.label());
    Ok(worst.abs())
}

const NAMESPACE: &str = "test";
/// Text of a record; a little less than it is, so that the data never runs out.
const TEXT_BYTES: u64 = 450;
const FIRST_S: usize = 5;
const WINDOW_S: usize = 10;
