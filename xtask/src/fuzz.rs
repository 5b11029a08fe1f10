//! `fuzz`: the fuzz targets under libFuzzer, where a nightly compiler and cargo-fuzz are installed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use asbackup_fuzz::{TARGETS, Target};

use crate::process;
use crate::workspace::Workspace;

/// How long to look, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// This target only; without it, all of them one after another.
    #[arg(long, value_parser = TARGETS.map(|target| target.name))]
    target: Option<String>,
}

/// Runs the targets up to the first that fails; libFuzzer then says where it keeps the input.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let found = nightly(&["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        found.is_ok_and(|status| status.success()),
        "fuzzing needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`; \
         a bounded run of each target is part of `cargo test` and needs neither"
    );
    for target in
        TARGETS.iter().filter(|target| args.target.as_deref().is_none_or(|name| name == target.name))
    {
        println!("\n=== {} for {} s", target.name, args.seconds);
        let corpus = write_seeds(workspace, target)?;
        let mut command = nightly(&["fuzz", "run", target.name]);
        command.arg(corpus).arg("--target-dir").arg(workspace.target("fuzz/build"));
        command.arg("--").arg(format!("-max_total_time={}", args.seconds)).args(LIMITS);
        process::run(command.current_dir(workspace.path("fuzz")))?;
    }
    Ok(())
}

/// Writes the seeds of a target beside what earlier runs have found, and returns the folder.
fn write_seeds(workspace: &Workspace, target: &Target) -> Result<PathBuf> {
    let corpus = workspace.target("fuzz/corpus").join(target.name);
    fs::create_dir_all(&corpus)?;
    let seeds = (target.seeds)()?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number:03}")), seed)?;
    }
    println!("{} seeds in {}", seeds.len(), corpus.display());
    Ok(corpus)
}

/// Returns a call of the nightly cargo. This program was started by a stable one, which `CARGO` still names.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(args).env_remove("CARGO");
    command
}

/// An input may take ten seconds and 1 GiB, far above what any of some kilobytes needs.
const LIMITS: [&str; 4] = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", "-print_final_stats=1"];
