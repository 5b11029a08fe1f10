//! Running other programs.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Runs `command` with this process's output and no input; an error unless it ends with code 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| describe(command))?;
    ensure!(status.success(), "{} ended with {status}", describe(command));
    Ok(())
}

/// Runs `command` and returns the lines of JSON that it printed; an error unless it ends with code 0.
pub(crate) fn json_lines(command: &mut Command) -> Result<Vec<Value>> {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).output().with_context(|| describe(command))?;
    lines_of(command, output)
}

fn lines_of(command: &Command, output: Output) -> Result<Vec<Value>> {
    let printed = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}\n{printed}{complaint}", describe(command), output.status);
    }
    printed
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}

/// Runs `command` and returns the one line of JSON that it printed.
pub(crate) fn json_line(command: &mut Command) -> Result<Value> {
    let lines = json_lines(command)?;
    only(command, lines)
}

/// Returns the one line of JSON that `command` printed; an error unless it ended with code 0.
pub(crate) fn line_of(command: &Command, output: Output) -> Result<Value> {
    let lines = lines_of(command, output)?;
    only(command, lines)
}

fn only(command: &Command, mut lines: Vec<Value>) -> Result<Value> {
    ensure!(lines.len() == 1, "{} printed {} lines instead of one", describe(command), lines.len());
    Ok(lines.remove(0))
}

/// Fails with `reason` if `program` isn't installed.
pub(crate) fn require(program: &str, version_flag: &str, reason: &str) -> Result<()> {
    let found = Command::new(program).arg(version_flag).stdin(Stdio::null()).output();
    ensure!(found.is_ok_and(|output| output.status.success()), "{program} isn't installed: {reason}");
    Ok(())
}

/// Returns the command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
