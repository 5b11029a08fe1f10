//! Restores a backup into an Aerospike cluster, or checks one without a cluster.

use std::process::ExitCode;

fn main() -> ExitCode {
    asbackup_cli::asrestore(std::env::args_os())
}
