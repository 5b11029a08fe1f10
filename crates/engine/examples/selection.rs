//! Backs up some sets and bins of a namespace, without its indexes and UDF modules.
//!
//! `cargo run -p asbackup --example selection -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, BinSelection, Client, Cluster, ClusterConfig, EntryClass, Local, Names, Seed,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!("{} records", report.records.written);
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = BackupConfig::new("test");
    config.sets = Some(Names::new(["users", "orders"])?);
    // Records that have neither of the two aren't backed up.
    config.bins = BinSelection::Only(Names::new(["integer", "string"])?);
    config.left_out = [EntryClass::Indexes, EntryClass::UdfModules].into();

    // A restore takes `sets`, `bins` and `left_out` too.
    let job = client.backup(config, Local::directory(directory));
    Ok(job.wait().await?)
}
