//! Tells what happens in a backup as it happens: files that are begun and complete, retries, warnings, nodes that go.
//!
//! `cargo run -p asbackup --example events -- 127.0.0.1:3000 backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path};

use asbackup::{BackupConfig, Client, Cluster, ClusterConfig, Event, Local, Seed};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let files = run(&address, Path::new(&directory)).await?;
    println!("{} files", files.len());
    Ok(())
}

/// Returns the names of the files as they became complete.
pub(crate) async fn run(address: &str, directory: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let job = Client::new(cluster).backup(BackupConfig::new("test"), Local::directory(directory));

    let mut files = Vec::new();
    // A reader gets all events from the beginning on, and doesn't hold the job up. It ends with the job.
    let mut events = job.events();
    while let Some(event) = events.next().await {
        match event {
            Event::FileComplete { name, bytes, records, .. } => {
                println!("{name}: {records} records, {bytes} bytes");
                files.push(name);
            }
            Event::Warning { message, .. } => println!("warning: {message}"),
            Event::NodeLost { node, .. } => println!("{node} is gone"),
            // There will be others.
            other => println!("{other:?}"),
        }
    }
    job.wait().await?;
    Ok(files)
}
