//! Watches a backup from one task, and cancels it from another one if it takes too long.
//!
//! `cargo run -p asbackup --example progress -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use asbackup::{BackupConfig, BackupReport, Client, Cluster, ClusterConfig, ErrorKind, Job, Local, Seed};
use tokio::{task::JoinSet, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory), Duration::from_secs(3600)).await?;
    match report {
        Some(report) => println!("{} records", report.records.written),
        None => println!("cancelled: it took too long"),
    }
    Ok(())
}

/// Returns nothing if the backup took longer than that.
pub(crate) async fn run(
    address: &str,
    directory: &Path,
    longest: Duration,
) -> Result<Option<Arc<BackupReport>>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    // A job may be shared: progress, cancel and wait take `&self`.
    let job = Arc::new(client.backup(BackupConfig::new("test"), Local::directory(directory)));
    // The tasks end when this is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(watch(Arc::clone(&job)));
    tasks.spawn(cancel_after(Arc::clone(&job), longest));

    match job.wait().await {
        Ok(report) => Ok(Some(report)),
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn watch(job: Arc<Job<BackupReport>>) {
    let mut ticks = time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let progress = job.progress();
        let percent = progress.share().map_or(0.0, |share| 100.0 * share);
        println!("{percent:.0} %, {} records, {} bytes", progress.records_read, progress.bytes_stored);
    }
}

async fn cancel_after(job: Arc<Job<BackupReport>>, longest: Duration) {
    time::sleep(longest).await;
    job.cancel();
}
