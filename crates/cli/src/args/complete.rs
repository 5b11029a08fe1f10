//! What the completion of a backup in shares is asked for.

use std::path::PathBuf;

use clap::Parser;

use super::{Encryption, Output, SecretAgent, version::version};

/// Makes one backup of the shares in a directory, when all of them are there; needs no cluster.
#[derive(Debug, Parser)]
#[command(
    name = "asbackup complete",
    bin_name = "asbackup complete",
    version = version(),
    disable_help_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Complete {
    /// Directory of the shares
    #[arg(short, long, value_name = "PATH")]
    pub(crate) directory: PathBuf,

    #[command(flatten)]
    pub(crate) encryption: Encryption,

    #[command(flatten)]
    pub(crate) secret_agent: SecretAgent,

    #[command(flatten)]
    pub(crate) output: Output,
}
