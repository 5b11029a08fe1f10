//! What of a namespace or of a backup is wanted.

use clap::Args;

/// What is left out as a whole.
#[derive(Debug, Args)]
pub(crate) struct LeftOut {
    /// Leave out records
    #[arg(short = 'R', long)]
    pub(crate) no_records: bool,

    /// Leave out secondary indexes
    #[arg(short = 'I', long)]
    pub(crate) no_indexes: bool,

    /// Leave out UDF modules
    #[arg(long)]
    pub(crate) no_udfs: bool,
}

/// Which partitions are backed up.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Partitions to back up: ids, BEGIN-COUNT, FIRST..LAST, or digests in base64 for the rest of their partition;
    /// separated by commas, or given again
    #[arg(short = 'X', long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) partition_list: Vec<String>,

    /// Back up what lies behind this digest in its partition, and all later partitions
    #[arg(short = 'D', long, value_name = "BASE64", conflicts_with = "partition_list")]
    pub(crate) after_digest: Option<String>,

    /// Back up the partitions that these nodes own: names, HOST:PORT or [IPv6]:PORT; separated by commas, or given again
    #[arg(
        short = 'l',
        long,
        value_name = "NODES",
        value_delimiter = ',',
        conflicts_with_all = ["partition_list", "after_digest"]
    )]
    pub(crate) node_list: Vec<String>,

    /// Back up the partitions that the nodes of these racks own; separated by commas, or given again
    #[arg(
        long,
        value_name = "RACKS",
        value_delimiter = ',',
        conflicts_with_all = ["partition_list", "after_digest", "node_list"]
    )]
    pub(crate) rack_list: Vec<String>,

    /// Read from nodes of these racks if they have a copy, of the first one first; separated by commas, or given again
    #[arg(
        long,
        value_name = "RACKS",
        value_delimiter = ',',
        conflicts_with_all = ["node_list", "rack_list"]
    )]
    pub(crate) prefer_racks: Vec<String>,
}

/// Which records are backed up, and what of them.
#[derive(Debug, Args)]
pub(crate) struct Records {
    /// Back up the records of these sets alone; separated by commas, or given again
    #[arg(short, long, visible_alias = "set", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) set_list: Vec<String>,

    /// Back up these bins alone, and no record that has none of them; separated by commas, or given again
    #[arg(short = 'B', long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) bin_list: Vec<String>,

    /// Back up keys and metadata without bins; such records can't be restored
    #[arg(short = 'x', long, conflicts_with = "bin_list")]
    pub(crate) no_bins: bool,

    /// Back up records that were updated at this time or later: YYYY-MM-DD_HH:MM:SS, YYYY-MM-DD or HH:MM:SS (today) of the
    /// local time, RFC 3339, @SECONDS since 1970, or a time ago such as -90m or -2d
    #[arg(short = 'a', long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) modified_after: Option<String>,

    /// Back up records that were last updated before this time
    #[arg(short = 'b', long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) modified_before: Option<String>,

    /// Times without a zone are UTC, not local
    #[arg(long)]
    pub(crate) utc: bool,

    /// Back up records that never expire alone
    #[arg(long)]
    pub(crate) no_ttl_only: bool,

    /// Back up records that meet this filter expression, in base64
    #[arg(short, long, value_name = "BASE64")]
    pub(crate) filter_exp: Option<String>,

    /// Back up so many records at most; 0: all. Needs --parallel 1
    #[arg(short = 'M', long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) max_records: u64,
}

/// Which records are restored, and what of them.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Restore the records of these sets alone; separated by commas, or given again
    #[arg(short, long, visible_alias = "set", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) set_list: Vec<String>,

    /// Restore these bins alone, and no record that has none of them; separated by commas, or given again
    #[arg(short = 'B', long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) bin_list: Vec<String>,

    #[command(flatten)]
    pub(crate) left_out: LeftOut,
}
