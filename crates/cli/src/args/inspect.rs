//! What an inspection is asked for.

use std::path::PathBuf;

use clap::Parser;

use super::{Encryption, Output, SecretAgent, version::version};

/// Shows what a backup holds, without a cluster and without reading all of it.
#[derive(Debug, Parser)]
#[command(
    name = "asbackup inspect",
    bin_name = "asbackup inspect",
    version = version(),
    disable_help_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Inspect {
    /// Directory of the backup, or its single file
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) encryption: Encryption,

    #[command(flatten)]
    pub(crate) secret_agent: SecretAgent,

    #[command(flatten)]
    pub(crate) output: Output,
}
