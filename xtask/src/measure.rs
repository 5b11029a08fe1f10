//! `measure`: what one run of a program uses.
//!
//! The bench doesn't start the tools itself but by way of this small process: the kernel counts a process's memory
//! before its `exec` as its own, and the bench holds the test server's data.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

/// What one run used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time in the program itself.
    pub(crate) user_s: f64,
    /// CPU time in the kernel on the program's behalf.
    pub(crate) system_s: f64,
    /// Largest resident set.
    pub(crate) peak_bytes: u64,
    /// From start to end.
    pub(crate) wall_s: f64,
}

impl Usage {
    /// Returns the CPU time in all.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Runs `command`, whose output goes where this process's goes, and prints its [`Usage`] as a line of JSON.
pub(crate) fn run(command: &[OsString]) -> Result<()> {
    let (program, args) = command.split_first().context("no command to measure")?;
    let start = Instant::now();
    let mut child = Command::new(program).args(args).stdin(Stdio::null()).spawn()?;
    let used = child.wait4()?;
    let wall = start.elapsed();
    ensure!(used.status.success(), "{} ended with {}", program.display(), used.status);

    let usage = Usage {
        user_s: used.rusage.utime.as_secs_f64(),
        system_s: used.rusage.stime.as_secs_f64(),
        peak_bytes: used.rusage.maxrss,
        wall_s: wall.as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&usage)?);
    Ok(())
}
