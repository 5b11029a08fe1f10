//! Makes an encrypted backup and checks that it can be read again. The key, an RSA private key, comes from a PEM file, an
//! environment variable, or a Secret Agent; the third argument is a path, `env:NAME` or `secrets:RESOURCE:KEY`.
//!
//! `cargo run -p asbackup --example encryption -- 127.0.0.1:3000 backup key.pem`
#![allow(clippy::print_stdout, reason = "a program may print, a library never does")]

use std::{error::Error, path::Path, sync::Arc};

use asbackup::{
    AgentAddress, BackupConfig, Client, Cluster, ClusterConfig, Encryption, ExposeSecret as _, KeySource,
    KeyText, Local, SecretAgent, SecretName, Seed, ValidateConfig, ValidateReport,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "backup".to_owned());
    let place = arguments.next().unwrap_or_else(|| "key.pem".to_owned());
    let key = if let Some(name) = SecretName::parse(&place)? {
        let address = AgentAddress::Tcp { host: "127.0.0.1".to_owned(), port: 3005, tls: None };
        key_of_agent(address, &name).await?
    } else if let Some(variable) = place.strip_prefix("env:") {
        key_of_environment(variable)?
    } else {
        KeySource::File(place.into())
    };
    let report = run(&address, Path::new(&directory), key).await?;
    println!("{} records read again, {} findings", report.records.read, report.findings.len());
    Ok(())
}

pub(crate) fn key_of_environment(variable: &str) -> Result<KeySource, Box<dyn Error>> {
    Ok(KeySource::Text(KeyText::new(std::env::var(variable)?)))
}

pub(crate) async fn key_of_agent(
    address: AgentAddress,
    name: &SecretName,
) -> Result<KeySource, Box<dyn Error>> {
    let secret = SecretAgent::new(address).secret(name).await?;
    Ok(KeySource::Text(KeyText::new(str::from_utf8(secret.expose_secret())?)))
}

pub(crate) async fn run(
    address: &str,
    directory: &Path,
    key: KeySource,
) -> Result<Arc<ValidateReport>, Box<dyn Error>> {
    let cluster = Cluster::connect(ClusterConfig::new([Seed::parse(address, 3000)?])).await?;
    let client = Client::new(cluster);
    let encryption = Encryption::aes256(key);

    let mut config = BackupConfig::new("test");
    config.envelope.encryption = Some(encryption.clone());
    client.backup(config, Local::directory(directory)).wait().await?;

    // A restore is told the same: `RestoreConfig::encryption`.
    let mut config = ValidateConfig::new();
    config.encryption = Some(encryption);
    Ok(asbackup::validate(config, Local::directory(directory)).wait().await?)
}
