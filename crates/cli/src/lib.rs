//! The command-line tools `asbackup` and `asrestore`: flags in, a job of the engine, a report and an exit code out.
//!
//! Flags are in `args`, `config` adds what a file and the environment say, and `convert` makes the engine's configuration of them. `run` starts the job and waits for it;
//! `report` and `exit` say how it ended. Environment, terminal and signals are dealt with here and nowhere below.

mod args;
mod cache;
mod config;
mod console;
mod convert;
mod envelope;
mod exit;
mod failure;
mod logging;
mod number;
mod progress;
mod report;
mod run;
mod signal;
mod time;
mod value_source;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use report::Command;

/// Runs `asbackup` with these arguments, the program's name first, and returns its exit code. Variables of the process and
/// a file give flags too.
pub fn asbackup(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("inspect") => {
            arguments.remove(1);
            main::<args::Inspect>(arguments, Command::Inspect, run::inspect)
        }
        Some("complete") => {
            arguments.remove(1);
            main::<args::Complete>(arguments, Command::Complete, run::complete)
        }
        _ => main::<args::Asbackup>(arguments, Command::Backup, run::backup),
    }
}

/// Runs `asrestore` with these arguments, the program's name first, and returns its exit code. Variables of the process and
/// a file give flags too.
pub fn asrestore(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    main::<args::Asrestore>(arguments.into_iter().collect(), Command::Restore, run::restore)
}

fn main<A: Parser>(
    arguments: Vec<OsString>,
    command: Command,
    run: impl FnOnce(A) -> exit::Exit,
) -> ExitCode {
    match config::parse(arguments.clone(), std::env::vars_os()) {
        Ok(args) => run(args),
        Err(answer) => {
            if answer.exit() == exit::Exit::Usage {
                report::deliver_unusable(&arguments, command, &answer.to_string());
            }
            answer.print()
        }
    }
    .into()
}
