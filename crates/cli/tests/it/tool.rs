//! Runs the tools.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// How a tool ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns the JSON report on standard output, which has to be one line.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:#?}");
        serde_json::from_str(&self.stdout).expect("the report is JSON")
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Checks that standard error holds all of `texts`.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} isn't in {self:#?}");
        }
        self
    }
}

/// Returns `asbackup`, to which arguments can be added.
pub(crate) fn asbackup() -> Command {
    tool(env!("CARGO_BIN_EXE_asbackup"))
}

/// Returns `asrestore`, to which arguments can be added.
pub(crate) fn asrestore() -> Command {
    tool(env!("CARGO_BIN_EXE_asrestore"))
}

fn tool(path: &str) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a tool to its end. Words of `arguments` are separated by blanks; `{}` stands for `path`.
pub(crate) fn run(mut command: Command, arguments: &str, path: &Path) -> Ran {
    let path = path.to_str().expect("paths of tests are UTF-8");
    let words = arguments.split_whitespace().map(|word| word.replace("{}", path));
    let output = command.args(words).output().expect("the tool can be run");
    let text = |bytes| String::from_utf8(bytes).expect("the tools print UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Replaces what differs from run to run.
pub(crate) fn without_times(text: &str, dir: &Path) -> String {
    let dir = dir.to_str().expect("paths of tests are UTF-8");
    let lines = text.lines().map(|line| match line.split_once("  time ") {
        Some((before, _)) => format!("{before}  time"),
        None => line.replace(dir, "DIR"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
