//! The same without an async runtime: waiting blocks the thread.
//!
//! `cargo run -p asbackup --example blocking -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{BackupConfig, BackupReport, ClusterConfig, Local, Seed, blocking::Client};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let report = run(&address, Path::new(&directory))?;
    println!("{} records", report.records.written);
    Ok(())
}

pub(crate) fn run(address: &str, directory: &Path) -> Result<Arc<BackupReport>, Box<dyn Error>> {
    // It has a runtime of its own, on a few threads.
    let client = Client::connect(ClusterConfig::new([Seed::parse(address, 3000)?]))?;

    let job = client.backup(BackupConfig::new("test"), Local::directory(directory));
    println!("{:?}", job.progress());
    Ok(job.wait()?)
}
