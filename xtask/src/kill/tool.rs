//! Programs that are killed.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// How a program ended that was to be killed.
#[derive(Debug)]
pub(crate) enum End {
    /// By the signal.
    Killed,
    /// Well, before the signal; this is its report.
    Before(Value),
}

/// Starts a program and kills it after that time.
#[expect(clippy::disallowed_methods, reason = "this thread is no runtime's")]
pub(crate) fn kill_after(command: &mut Command, moment: Duration) -> Result<End> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| process::describe(command))?;
    thread::sleep(moment);
    // One that has ended already stays as it is.
    child.kill()?;
    let output = child.wait_with_output()?;
    match output.status.signal() {
        Some(SIGKILL) => Ok(End::Killed),
        _ => Ok(End::Before(process::line_of(command, output)?)),
    }
}

/// Runs a program to its end; returns how long that took.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    process::json_line(command)?;
    Ok(begun.elapsed())
}

/// Runs a program that may fail.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| process::describe(command))
}

const SIGKILL: i32 = 9;
