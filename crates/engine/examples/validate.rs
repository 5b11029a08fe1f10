//! Reads a backup as a restore would, without a cluster, and says what is wrong with it.
//!
//! `cargo run -p asbackup --example validate -- backup`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{Local, ManifestRule, Parallelism, ValidateConfig, ValidateReport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "backup".to_owned());
    let report = run(Path::new(&directory)).await?;
    println!("{} records", report.records.read);
    for finding in &report.findings {
        println!("{finding:?}");
    }
    Ok(())
}

pub(crate) async fn run(directory: &Path) -> Result<Arc<ValidateReport>, Box<dyn Error>> {
    let mut config = ValidateConfig::new();
    config.readers = Parallelism::new(4)?;
    config.manifest = ManifestRule::Required;

    // Damage is no error of the job, but in its report.
    let job = asbackup::validate(config, Local::directory(directory));
    Ok(job.wait().await?)
}
