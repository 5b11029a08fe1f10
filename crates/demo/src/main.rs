//! Backs up a sample namespace of an embedded server, restores it into a second one, and compares both byte for byte.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use asbackup::{BackupConfig, Client, Cluster, ClusterConfig, Local, Parallelism, RestoreConfig, Seed};
use asbackup_demo::{
    compare::{Side, compare},
    sample,
};
use asbackup_model::VoidTime;
use asbackup_testserver::TestServer;
use clap::Parser;

const NAMESPACE: &str = "test";

/// Backs up a sample namespace, restores it elsewhere and compares both. Needs no set-up.
#[derive(Debug, Parser)]
#[command(name = "asbackup-demo", version)]
struct Arguments {
    /// Number of records.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,

    /// Leaves the backup in this directory, which must be empty. Default: a temporary one, removed at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir().context("cannot make a temporary directory")?;
    let directory = arguments.keep.unwrap_or_else(|| temporary.path().to_owned());
    let from = TestServer::builder().namespace(NAMESPACE).start().context("cannot start the first server")?;
    let into =
        TestServer::builder().namespace(NAMESPACE).start().context("cannot start the second server")?;

    say(format_args!("loading {} records into {}", arguments.records, from.address()))?;
    sample::load_records(from.store(), NAMESPACE, arguments.records, now()?);
    sample::load_metadata(from.store(), NAMESPACE);

    back_up(&from, &directory).await?;
    restore(&into, &directory).await?;

    let side = |server| Side { store: TestServer::store(server), namespace: NAMESPACE };
    let verdict = compare(side(&from), side(&into));
    say(format_args!("verdict: {verdict}"))?;
    Ok(if verdict.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn back_up(server: &TestServer, directory: &std::path::Path) -> anyhow::Result<()> {
    say(format_args!("backing up into {}", directory.display()))?;
    let mut config = BackupConfig::new(NAMESPACE);
    config.readers = parallelism()?;
    config.writers = config.readers;
    let job = client(server).await?.backup(config, Local::directory(directory));
    let report = job.wait().await.context("the backup failed")?;
    say(format_args!(
        "  {} records, {} indexes, {} UDF modules in {} files, {}",
        report.records.written,
        report.indexes.written,
        report.udfs.written,
        report.target.place.files,
        rate(report.records.written, report.bytes.stored, report.span.duration_ms),
    ))
}

async fn restore(server: &TestServer, directory: &std::path::Path) -> anyhow::Result<()> {
    say(format_args!("restoring into {}", server.address()))?;
    let mut config = RestoreConfig::new();
    config.readers = parallelism()?;
    let job = client(server).await?.restore(config, Local::directory(directory));
    let report = job.wait().await.context("the restore failed")?;
    say(format_args!(
        "  {} records, {} indexes, {} UDF modules, {}",
        report.records.inserted,
        report.indexes.created,
        report.udfs.created,
        rate(report.records.inserted, report.bytes.stored, report.span.duration_ms),
    ))
}

async fn client(server: &TestServer) -> anyhow::Result<Client> {
    let address = server.address();
    let seed = Seed::parse(&address.ip().to_string(), address.port())?;
    let cluster = Cluster::connect(ClusterConfig::new([seed])).await.context("cannot connect")?;
    Ok(Client::new(cluster))
}

fn parallelism() -> anyhow::Result<Parallelism> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Parallelism::new(cores.min(8))?)
}

fn now() -> anyhow::Result<VoidTime> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(VoidTime::EPOCH_UNIX_SECONDS);
    Ok(VoidTime(epoch.elapsed().context("the clock stands before 2010")?.as_secs()))
}

fn rate(records: u64, bytes: u64, duration_ms: u64) -> String {
    let per_s = |count: u64| count.saturating_mul(1000) / duration_ms.max(1);
    let (mib, mib_per_s) = (bytes >> 20, per_s(bytes) >> 20);
    format!("{mib} MiB in {duration_ms} ms: {} records/s, {mib_per_s} MiB/s", per_s(records))
}

fn say(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot print")
}
