//! Restores a backup of the namespace `test` into the namespace `copy`.
//!
//! `cargo run -p asbackup --example restore -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    Client, Cluster, ClusterConfig, Local, ManifestRule, Parallelism, Rename, RestoreConfig, RestoreReport,
    Seed,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory)).await?;
    println!("{} of {} records written", report.records.inserted, report.records.read);
    Ok(())
}

pub(crate) async fn run(address: &str, directory: &Path) -> Result<Arc<RestoreReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    let mut config = RestoreConfig::new();
    config.readers = Parallelism::new(5)?;
    // Without this each entry goes where it came from.
    config.rename = Some(Rename { from: "test".to_owned(), to: "copy".to_owned() });
    // The manifest comes last in a backup: with it, the backup is known to be complete.
    config.manifest = ManifestRule::Required;

    let job = client.restore(config, Local::directory(directory));
    Ok(job.wait().await?)
}
