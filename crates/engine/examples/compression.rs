//! Makes a compressed backup. A restore finds out by itself that it is compressed.
//!
//! `cargo run -p asbackup --example compression -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{BackupConfig, BackupReport, Client, Cluster, ClusterConfig, Local, Seed, Zstd};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!("{} bytes of text in {} bytes", report.bytes.decoded, report.bytes.stored);
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = BackupConfig::new("test");
    // 1 is the fastest level, 22 the densest.
    config.envelope.compression = Some(Zstd::level(3)?);

    let job = client.backup(config, Local::directory(directory));
    Ok(job.wait().await?)
}
