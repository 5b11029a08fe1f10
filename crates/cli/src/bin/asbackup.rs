//! Backs up a namespace of an Aerospike cluster into files.

use std::process::ExitCode;

fn main() -> ExitCode {
    asbackup_cli::asbackup(std::env::args_os())
}
