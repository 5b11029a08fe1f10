//! How to reach the cluster.

use clap::{Args, value_parser};

/// How to reach the cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Nodes to begin with, as host[:port] or [IPv6]:port; separated by commas, or given again
    #[arg(short = 'h', long, value_name = "SEEDS", value_delimiter = ',', default_value = "127.0.0.1")]
    pub(crate) host: Vec<String>,

    /// Port of the nodes that name none
    #[arg(short, long, value_parser = value_parser!(u16).range(1..), default_value_t = 3000)]
    pub(crate) port: u16,
}
