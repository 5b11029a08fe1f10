//! Backs a namespace up into a directory.
//!
//! `cargo run -p asbackup --example backup -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, Client, Cluster, ClusterConfig, ExistingFiles, Local, Parallelism, Seed,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!("{} records in {} files", report.records.written, report.target.place.files);
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = BackupConfig::new("test");
    config.readers = Parallelism::new(10)?;
    config.writers = Parallelism::new(10)?;
    // A backup that is there already stays until the new one is complete.
    config.existing = ExistingFiles::Replace;

    // The job runs from here on; dropping it would cancel it.
    let job = client.backup(config, Local::directory(directory));
    Ok(job.wait().await?)
}
