//! Backs up some of a namespace's 4096 partitions, and then all behind a record.
//!
//! `cargo run -p asbackup --example partitions -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, Client, Cluster, ClusterConfig, Local, PartitionList, Scope, Seed,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    for report in report {
        println!("{} records in {}", report.records.written, report.target.place.path);
    }
    Ok(())
}

/// The digest of a record, as base64; the record itself needn't exist.
pub(crate) const DIGEST: &str = "TgwDBAUGBwgJCgsMDQ4PEBESExQ=";

pub(crate) async fn run(address: &str, directory: &Path) -> Result<[Arc<BackupReport>; 2], Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    // Partitions 0 to 100, partition 200, and what lies behind the digest in its partition. One backup holds them all,
    // read by as many scans at once as there are readers.
    let mut config = BackupConfig::new("test");
    let some = PartitionList::range(0, 101)?.and(&PartitionList::range(200, 1)?)?;
    config.scope = Scope::Partitions(some.and(&DIGEST.parse()?)?);
    let listed = client.backup(config, Local::directory(directory.join("listed")));

    // What lies behind the digest in its partition, and all partitions with a higher number.
    let mut config = BackupConfig::new("test");
    config.scope = Scope::after_digest(DIGEST)?;
    let behind = client.backup(config, Local::directory(directory.join("behind")));

    Ok([listed.wait().await?, behind.wait().await?])
}
