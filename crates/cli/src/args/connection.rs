//! How to reach the cluster.

use std::time::Duration;

use clap::{Args, value_parser};

use super::value::{milliseconds, multiplier, pause_milliseconds};
use super::{Login, TlsFlags};

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

    /// Longest wait for the reply to an info command, in ms
    #[arg(short = 'T', long, value_name = "MS", value_parser = milliseconds, default_value = "10000")]
    pub(crate) info_timeout: Duration,

    /// Retries of an info command that got no answer; 0: none
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(crate) info_max_retries: u32,

    /// Pause before the first retry of an info command, in ms
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "1000")]
    pub(crate) info_retry_interval: Duration,

    /// Growth of the pauses between info commands, 1 to 100; they end at 10 s
    #[arg(long, value_name = "FACTOR", value_parser = multiplier, default_value = "1")]
    pub(crate) info_retry_multiplier: f64,
    #[command(flatten)]
    pub(crate) login: Login,

    #[command(flatten)]
    pub(crate) tls: TlsFlags,
}
