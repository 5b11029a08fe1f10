//! Makes a backup in files of limited size that can be gone on with: after a failure, or if the program was killed, run it
//! again.
//!
//! `cargo run -p asbackup --example resume -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use asbackup::{
    BackupConfig, BackupReport, ByteSize, Checkpoint, Client, Cluster, ClusterConfig, ExistingFiles, Local,
    Seed,
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
    // A file that has reached this size is completed, and the next one begun.
    config.file_limit = Some(ByteSize::mib(64));
    // What a killed program loses at most. A job that fails or is cancelled loses nothing.
    config.checkpoint = Checkpoint::Every(Duration::from_secs(5));
    // An empty directory is begun from the start; every record is in the result once, however often it went on.
    config.existing = ExistingFiles::Continue;

    let job = client.backup(config, Local::directory(directory));
    match job.wait().await {
        Ok(report) => Ok(report),
        Err(error) => {
            if let Some(state) = job.report().and_then(|report| report.state_file.clone()) {
                println!("run this again to go on, by {state}");
            }
            Err(error.into())
        }
    }
}
