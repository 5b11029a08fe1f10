//! `kill`: backups and restores that are killed by SIGKILL at random moments and gone on with.
//!
//! However a job ends, nothing that looks whole may lack anything: afterwards the target holds what the source holds.

mod backup;
mod check;
mod restore;
mod scenario;
mod stage;
mod tool;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use self::scenario::{Half, Scenario};
use self::stage::Stage;
use crate::workspace::Workspace;

/// How many runs, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs. Those with an even seed kill the backup, the others the restore.
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Seed of the first run, whose options and moments follow from it; each further run has the next number. Default:
    /// random.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs all, also after one that fails, and ends with a summary.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    workspace.build_programs()?;
    let stage = Stage::set(workspace)?;
    let first = args.seed.unwrap_or_else(|| fastrand::u64(..SEEDS));
    println!("kill: {} runs from seed {first} on", args.runs);
    let (mut total, mut failures) = (Tally::default(), Vec::new());
    for seed in first..first + args.runs {
        let scenario = Scenario::draw(seed);
        let (begun, mut tally) = (Instant::now(), Tally::default());
        let result = match scenario.half {
            Half::Backup => backup::run(&stage, &scenario, &mut tally),
            Half::Restore => restore::run(&stage, &scenario, &mut tally),
        };
        println!("kill: {scenario}: {tally}, in all {:.1} s", begun.elapsed().as_secs_f64());
        if let Err(error) = result {
            println!("kill: FAILED: {error:#}\nkill: again: cargo xtask kill --runs 1 --seed {seed}");
            failures.push(seed);
        }
        total.add(&tally);
    }
    println!("kill: {} runs, {} failures: {total}", args.runs, failures.len());
    ensure!(failures.is_empty(), "the runs of these seeds failed: {failures:?}");
    Ok(())
}

/// What happened in runs.
#[derive(Debug, Default)]
struct Tally {
    /// Signals that were to be sent.
    kills: u64,
    /// Of them those that ended a job.
    hits: u64,
    /// Jobs after one that was killed.
    resumes: u64,
    /// Of them those that found a state.
    with_state: u64,
    /// How long the undisturbed jobs took.
    undisturbed: Duration,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        let Self { kills, hits, resumes, with_state, undisturbed } = *other;
        self.kills += kills;
        self.hits += hits;
        self.resumes += resumes;
        self.with_state += with_state;
        self.undisturbed += undisturbed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, hits, resumes, with_state, undisturbed } = self;
        write!(
            f,
            "{kills} kills, {hits} of them during work; {resumes} resumes, {with_state} of them with a state; "
        )?;
        write!(f, "undisturbed {:.2} s", undisturbed.as_secs_f64())
    }
}

/// Short enough to be typed.
const SEEDS: u64 = 1_000_000;
