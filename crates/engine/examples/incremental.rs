//! Makes a full backup, then one of what has changed since, and restores both.
//!
//! `cargo run -p asbackup --example incremental -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use asbackup::{
    BackupConfig, BackupReport, Client, Cluster, ClusterConfig, ExistsRule, GenerationRule, Local, Modified,
    RestoreConfig, Seed, WriteRules,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let started = SystemTime::now();
    let full = back_up(&address, &Path::new(&directory).join("full"), None).await?;
    let changes = back_up(&address, &Path::new(&directory).join("changes"), Some(started)).await?;
    restore(&address, Path::new(&directory)).await?;
    println!("{} records, {} of them again", full.records.written, changes.records.written);
    Ok(())
}

/// Backs up what has changed since the last backup was started, or everything.
pub(crate) async fn back_up(
    address: &str,
    directory: &Path,
    last_start: Option<SystemTime>,
) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = BackupConfig::new("test");
    // The servers' clocks may be behind ours: what is backed up twice does no harm, what is missed does.
    let after = last_start.map(|start| start - Duration::from_secs(60));
    config.modified = Modified::new(after, None)?;

    let job = client.backup(config, Local::directory(directory));
    Ok(job.wait().await?)
}

/// Restores the full backup, then the changes. Records that were deleted in between come back: no backup knows of them.
pub(crate) async fn restore(address: &str, directory: &Path) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let full = Local::directory(directory.join("full"));
    client.restore(RestoreConfig::new(), full).wait().await?;

    // The changes win: a restore doesn't keep generations, so they can't tell which record is newer.
    let mut config = RestoreConfig::new();
    config.rules = WriteRules { exists: ExistsRule::Replace, generation: GenerationRule::Ignore };
    let changes = Local::directory(directory.join("changes"));
    client.restore(config, changes).wait().await?;
    Ok(())
}
