//! Makes a backup that leaves the cluster and the disk to others.
//!
//! `cargo run -p asbackup --example limits -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, num::NonZeroU32, path::Path, sync::Arc};

use asbackup::{BackupConfig, BackupReport, ByteSize, Client, Cluster, ClusterConfig, Local, Seed};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!(
        "{} records per second, {} bytes per second",
        report.rates.records_per_s, report.rates.stored_bytes_per_s
    );
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = BackupConfig::new("test");
    // Over all readers and nodes together.
    config.limits.records_per_second = NonZeroU32::new(20_000);
    // Bytes per second, of all files together, after compression.
    config.limits.bandwidth = Some(ByteSize::mib(50));

    // A restore takes `limits` too.
    let job = client.backup(config, Local::directory(directory));
    Ok(job.wait().await?)
}
