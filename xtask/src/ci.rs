//! `ci`: the whole gate, the same on a laptop and on a build machine.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{damage, interop, layers, process, vectors};

/// Runs the steps in order up to the first that fails, and ends with a summary.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let mut done = Vec::new();
    let mut failure = None;
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let begun = Instant::now();
        let result = step(workspace);
        let elapsed = begun.elapsed();
        println!("=== {name}: {} after {:.1} s", verdict(result.is_ok()), elapsed.as_secs_f64());
        done.push((name, elapsed));
        if let Err(error) = result {
            failure = Some(error);
            break;
        }
    }
    summarize(&done, failure.is_none(), start.elapsed());
    match failure {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

fn summarize(done: &[(&str, Duration)], passed: bool, elapsed: Duration) {
    println!("\n=== summary");
    for (index, (name, elapsed)) in done.iter().enumerate() {
        let step_passed = passed || index + 1 < done.len();
        println!("{name:<8} {:<6} {:>7.1} s", verdict(step_passed), elapsed.as_secs_f64());
    }
    for (name, _) in &STEPS[done.len()..] {
        println!("{name:<8} not run");
    }
    println!("{:<8} {:<6} {:>7.1} s", "ci", verdict(passed), elapsed.as_secs_f64());
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

type Step = fn(&Workspace) -> Result<()>;

const STEPS: [(&str, Step); 13] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("build", Workspace::build_programs),
    ("test", test),
    ("doc", doc),
    ("layers", layers::run),
    ("vectors", vectors::run),
    ("interop", interop::run),
    ("kill", kill),
    ("damage", damage::run_short),
    ("demo", demo),
    ("memory", memory),
    ("bench", bench),
];

fn fmt(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(["test", "--workspace"]))
}

fn doc(workspace: &Workspace) -> Result<()> {
    // Only libraries: the program `asbackup` would overwrite the pages of the library `asbackup`.
    let mut command = workspace.cargo(["doc", "--workspace", "--no-deps", "--lib"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn demo(workspace: &Workspace) -> Result<()> {
    process::run(Command::new(workspace.program("asbackup-demo")).args(["--records", "20000"]))
}

fn kill(workspace: &Workspace) -> Result<()> {
    process::run(Command::new(workspace.program("asbackup-xtask")).args(["kill", "--runs", "20"]))
}

/// Shows that the bench runs; so few records say nothing about the targets.
/// Small records and few streams; the command without arguments measures all that there are bounds for.
fn memory(workspace: &Workspace) -> Result<()> {
    let args = ["memory", "--ours-only", "--only", "400", "--mib", "64", "--parallel", "8", "--check"];
    process::run(Command::new(workspace.program("asbackup-xtask")).args(args))
}

fn bench(workspace: &Workspace) -> Result<()> {
    println!("20,000 records show that it runs; the targets are for a million");
    let args = ["bench", "--records", "20000", "--rounds", "1"];
    process::run(Command::new(workspace.program("asbackup-xtask")).args(args))
}
