//! The project's own chores: `cargo xtask <command>`. Each command prints what it checked or measured, and ends with a
//! code other than 0 when something doesn't hold.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod awkward;
mod bench;
mod ci;
mod damage;
#[cfg(test)]
mod differences;
mod fuzz;
mod interop;
mod kill;
mod layers;
mod limits;
mod measure;
mod memory;
mod process;
mod python;
mod tools;
mod vectors;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::workspace::Workspace;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// The whole gate: format, lints, tests, docs, layers, vectors, interop, kills, damage, demo, memory and a short bench.
    Ci,
    /// Compares the dependencies of the crates with the table in ARCHITECTURE.md.
    Layers,
    /// Holds the codec against the golden files and prints how many there are of which kind.
    Vectors,
    /// Backs up with our tools and restores with backup-go, the other way round, with common data and awkward data; runs
    /// the Python client's check.
    Interop,
    /// Kills backups and restores at random moments and goes on with them.
    Kill(kill::Args),
    /// Gives changed copies of the golden files to the decoders, guided by what code they reach.
    Fuzz(fuzz::Args),
    /// Damages backups at random and holds `asrestore --validate` to refusing each of them.
    Damage(damage::Args),
    /// Measures our tools beside backup-go on the same server and data.
    Bench(bench::Args),
    /// Measures the peak memory of our tools beside what their plans say, and beside backup-go's.
    Memory(memory::Args),
    /// Watches how steadily jobs keep limits of records and of bytes per second.
    Limits(limits::Args),
    /// Runs a command and prints what it used as one line of JSON; the bench calls this.
    #[command(hide = true)]
    Measure {
        /// Program and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    if let Command::Measure { command } = command {
        return measure::run(&command);
    }
    let workspace = Workspace::locate()?;
    match command {
        Command::Ci => ci::run(&workspace),
        Command::Layers => layers::run(&workspace),
        Command::Vectors => vectors::run(&workspace),
        Command::Interop => interop::run(&workspace),
        Command::Kill(args) => kill::run(&workspace, &args),
        Command::Fuzz(args) => fuzz::run(&workspace, &args),
        Command::Damage(args) => damage::run(&workspace, &args),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Memory(args) => memory::run(&workspace, &args),
        Command::Limits(args) => limits::run(&args),
        Command::Measure { command } => measure::run(&command),
    }
}
