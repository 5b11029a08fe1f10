//! Estimates how large a backup would be, from a sample of its records.
//!
//! `cargo run -p asbackup --example estimate -- 127.0.0.1:3000`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, num::NonZeroU32, sync::Arc};

use asbackup::{BackupConfig, Client, Cluster, ClusterConfig, EstimateReport, Sampling, Seed, Zstd};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let estimate = &run(&address).await?.estimate;
    let size = estimate.bytes;
    println!(
        "{} records: {} bytes, in 95 of 100 cases {} to {}",
        estimate.records, size.mean, size.low_95, size.high_95
    );
    Ok(())
}

pub(crate) async fn run(address: &str) -> Result<Arc<EstimateReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);

    // That of the backup: compression and selections count.
    let mut config = BackupConfig::new("test");
    config.envelope.compression = Some(Zstd::level(3)?);

    let mut sampling = Sampling::default();
    sampling.samples = NonZeroU32::new(5_000).ok_or("no samples")?;
    let job = client.estimate(config, sampling);
    Ok(job.wait().await?)
}
