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
