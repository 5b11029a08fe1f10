//! The report as one line of JSON. Source: docs/report.md.

use std::{
    fs,
    path::{self, Path},
    time::Instant,
};

use asbackup::Local;
use jiff::Timestamp;
use serde::Serialize;

use super::{Ended, Summary};
use crate::{
    exit::{Exit, Ignored},
    failure::Failure,
};

/// Version of the JSON report. New keys may come within a version.
const VERSION: u32 = 1;

/// What is known of a command before it has a job, which it may never get.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) command: Command,
    /// What the user says about ignored records.
    pub(crate) ignored: Ignored,
    started: Timestamp,
    since: Instant,
    namespace: String,
    kind: &'static str,
    /// None if it isn't known either.
    path: Option<String>,
    /// What standard output is for.
    pub(crate) stdout: Stdout,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// The report, if it is to be JSON.
    Report,
    /// The backup itself.
    Data,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Backup,
    Estimate,
    Restore,
    Validate,
    Inspect,
    Complete,
    RemoveArtifacts,
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Backup => "backup",
            Self::Estimate => "estimate",
            Self::Restore => "restore",
            Self::Validate => "validate",
            Self::Inspect => "inspect",
            Self::Complete => "completion",
            Self::RemoveArtifacts => "remove artifacts",
        })
    }
}

#[derive(Serialize)]
struct Line<'a, R> {
    version: u32,
    command: Command,
    outcome: &'static str,
    exit_code: u8,
    #[serde(flatten)]
    body: Body<'a, R>,
    state_file: Option<&'a str>,
    error: Option<&'a Failure>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a, R> {
    Report(&'a R),
    WithoutJob(WithoutJob<'a>),
}

/// What stands in the place of a job's report.
#[derive(Serialize)]
struct WithoutJob<'a> {
    started: String,
    finished: String,
    duration_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Place<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    kind: &'static str,
    path: &'a str,
}

/// Returns whether a file has the name of one that backup tools write.
pub(super) fn has_backup_name(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let whole = name.strip_suffix(".part").unwrap_or(&name);
    let documents = ["asbackup.manifest.", "asbackup.extra.", "asbackup.state."];
    whole.ends_with(".asb")
        || whole.ends_with(".asbx")
        || whole.ends_with(".json") && documents.iter().any(|start| whole.starts_with(start))
}

impl Known {
    /// Returns what is known of a command that begins now.
    pub(crate) fn new(command: Command, namespace: String, place: &Local) -> Self {
        let path = Some(place.path().display().to_string());
        let has_data = command == Command::Backup && place.kind() == "stdio";
        let stdout = if has_data { Stdout::Data } else { Stdout::Report };
        Self { namespace, kind: place.kind(), path, stdout, ..Self::unknown(command) }
    }

    /// Returns what is known of a command whose arguments can't be read.
    pub(crate) fn unknown(command: Command) -> Self {
        let (started, since) = (Timestamp::now(), Instant::now());
        let (namespace, kind, path, stdout) = (String::new(), "local", None, Stdout::Report);
        Self { command, ignored: Ignored::Pass, started, since, namespace, kind, path, stdout }
    }

    /// Returns whether a file lies in a directory that the command may make.
    pub(super) fn makes(&self, file: &Path) -> bool {
        let (Some(target), Command::Backup) = (&self.path, self.command) else { return false };
        let paths = (path::absolute(file), path::absolute(target));
        matches!(paths, (Ok(file), Ok(target)) if file.starts_with(&target))
    }

    /// Returns whether a file is one of the backup that the command is about, or has the name of one.
    pub(super) fn is_of_backup(&self, file: &Path) -> bool {
        let resolved = |path: &Path| fs::canonicalize(path).or_else(|_| path::absolute(path)).ok();
        let is_single = || self.path.as_ref().is_some_and(|path| resolved(Path::new(path)) == resolved(file));
        has_backup_name(file) || !file.is_dir() && is_single()
    }

    fn without_job(&self) -> WithoutJob<'_> {
        let duration = self.since.elapsed();
        let place = || self.path.as_ref().map(|path| Place { kind: self.kind, path });
        let is_target =
            matches!(self.command, Command::Backup | Command::Complete | Command::RemoveArtifacts);
        let is_source = matches!(self.command, Command::Restore | Command::Validate | Command::Inspect);
        WithoutJob {
            started: format!("{:.3}", self.started),
            finished: format!("{:.3}", self.started + duration),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            namespace: &self.namespace,
            target: is_target.then(place).flatten(),
            source: is_source.then(place).flatten(),
        }
    }
}

/// Returns the report.
pub(super) fn line<R: Summary>(ended: &Ended<R>, known: &Known, exit: Exit) -> String {
    let body = match &ended.report {
        Some(report) => Body::Report(report.as_ref()),
        None => Body::WithoutJob(known.without_job()),
    };
    let line = Line {
        version: VERSION,
        command: known.command,
        outcome: exit.outcome(),
        exit_code: exit.code(),
        body,
        state_file: ended.report.as_ref().and_then(|report| report.state_file()),
        error: ended.failure.as_ref(),
    };
    serde_json::to_string(&line).expect("every key is a string, and nothing else can fail")
}
