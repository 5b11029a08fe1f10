//! How fast a job may be at most.

use clap::Args;

/// How fast a job may be at most.
#[derive(Debug, Args)]
pub(crate) struct Rates {
    /// Most records per second, over all nodes and streams; 0: no limit
    #[arg(short = 'L', long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) records_per_second: u32,

    /// Most MiB per second to or from storage, over all files; 0: no limit
    #[arg(short = 'N', long, visible_alias = "nice", value_name = "MIB", default_value_t = 0)]
    pub(crate) bandwidth: u64,
}
