//! How to reach the service that hands out secrets.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};

use super::value::milliseconds;

/// How to reach the Secret Agent, which is asked for values written as secrets:RESOURCE:KEY.
#[derive(Debug, Args)]
#[command(next_help_heading = "Secret agent")]
pub(crate) struct SecretAgent {
    /// How the secret agent is reached
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, default_value = "TCP")]
    pub(crate) sa_connection_type: AgentConnection,

    /// Host of the secret agent, with or without :port, or the path of its Unix socket
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sa_address: Option<String>,

    /// Port of the secret agent, if its address names none
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    pub(crate) sa_port: Option<u16>,

    /// Longest wait for the secret agent, in ms: for the connection, for sending, and for the reply, each anew
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "10000")]
    pub(crate) sa_timeout: Duration,

    /// CA certificates in PEM; with them the connection to the secret agent is encrypted
    #[arg(long, value_name = "PATH")]
    pub(crate) sa_ca_file: Option<PathBuf>,

    /// Name in the secret agent's certificate, if it isn't the host
    #[arg(long, value_name = "NAME", requires = "sa_ca_file")]
    pub(crate) sa_tls_name: Option<String>,

    /// Certificate for the secret agent, in PEM
    #[arg(long, value_name = "PATH", requires_all = ["sa_ca_file", "sa_key_file"])]
    pub(crate) sa_cert_file: Option<PathBuf>,

    /// Key of that certificate, in PEM, without a password
    #[arg(long, value_name = "PATH", requires_all = ["sa_ca_file", "sa_cert_file"])]
    pub(crate) sa_key_file: Option<PathBuf>,

    /// Take what the secret agent hands out for base64
    #[arg(long)]
    pub(crate) sa_is_base64: bool,
}

/// Kinds of connections to a secret agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgentConnection {
    #[value(name = "TCP")]
    Tcp,
    #[value(name = "UNIX")]
    Unix,
}
