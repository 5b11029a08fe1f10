//! Backs a namespace up in shares, as several machines would do it at once, and makes one backup of them.
//!
//! `cargo run -p asbackup --example shares -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, Client, Cluster, ClusterConfig, CompleteConfig, CompleteReport, Local, Seed, Shard,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!("{} records in {} shares", report.records.written, report.shares);
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<CompleteReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    // Each machine runs one of these jobs, into a directory that all of them see.
    let share = |index| -> Result<_, Box<dyn Error>> {
        let mut config = BackupConfig::new("test");
        config.shard = Some(Shard::new(index, 2)?);
        Ok(client.backup(config, Local::directory(directory)))
    };
    let (first, second) = (share(1)?, share(2)?);
    first.wait().await?;
    second.wait().await?;

    // Whoever sees that all are done closes the backup. Before that it can't be restored.
    Ok(asbackup::complete(CompleteConfig::new(), Local::directory(directory)).wait().await?)
}
