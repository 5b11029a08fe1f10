//! How to reach the cluster.

use std::time::Duration;

use clap::{Args, value_parser};

use super::{Login, TlsFlags, value::milliseconds};

/// How to reach the cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Nodes to begin with, as host[:port], host:tls-name:port or [IPv6]:port; separated by commas, or given again
    #[arg(short = 'h', long, value_name = "SEEDS", value_delimiter = ',', default_value = "127.0.0.1")]
    pub(crate) host: Vec<String>,

    /// Port of the nodes that name none
    #[arg(short, long, value_parser = value_parser!(u16).range(1..), default_value_t = 3000)]
    pub(crate) port: u16,

    /// Ask the nodes for their alternate addresses
    #[arg(short = 'S', long)]
    pub(crate) services_alternate: bool,

    /// Longest time until the cluster is known at the beginning, in ms
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "30000")]
    pub(crate) client_timeout: Duration,

    #[command(flatten)]
    pub(crate) login: Login,

    #[command(flatten)]
    pub(crate) tls: TlsFlags,
}
