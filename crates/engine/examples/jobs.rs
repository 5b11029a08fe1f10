//! Backs up several namespaces at once with one client, and no more scans at once than the cluster should bear.
//!
//! `cargo run -p asbackup --example jobs -- 127.0.0.1:3000 backup test other`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    BackupConfig, BackupReport, Client, Cluster, ClusterConfig, Local, Parallelism, ScanPermits, Seed,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let mut namespaces: Vec<String> = arguments.collect();
    if namespaces.is_empty() {
        namespaces.push("test".to_owned());
    }
    let reports = run(&address, Path::new(&directory), &namespaces).await?;
    for report in reports {
        println!("{}: {} records", report.namespace, report.records.written);
    }
    Ok(())
}

pub(crate) async fn run(
    address: &str,
    directory: &Path,
    namespaces: &[String],
) -> Result<Vec<Arc<BackupReport>>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    // Clones of the permits may be given to clients of other clusters, which share them then.
    let permits = ScanPermits::new(Parallelism::new(4)?);
    let client = Client::new(cluster).with_scan_permits(permits);

    let mut jobs = Vec::new();
    for namespace in namespaces {
        let mut config = BackupConfig::new(namespace.as_str());
        config.readers = Parallelism::new(4)?;
        let client = client.clone().with_id(namespace.as_str());
        jobs.push(client.backup(config, Local::directory(directory.join(namespace))));
    }

    let mut reports = Vec::new();
    for job in &jobs {
        // They all run already. If one fails, the others are cancelled because `jobs` is dropped.
        reports.push(job.wait().await?);
    }
    Ok(reports)
}
