//! The report as one line of JSON. Source: docs/report.md.

use std::{path::Path, time::Instant};

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
    path: String,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Backup,
    Estimate,
    Restore,
    Validate,
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Backup => "backup",
            Self::Estimate => "estimate",
            Self::Restore => "restore",
            Self::Validate => "validate",
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

impl Known {
    /// Returns what is known of a command that begins now.
    pub(crate) fn new(command: Command, namespace: String, path: &Path) -> Self {
        let path = path.display().to_string();
        let (started, since) = (Timestamp::now(), Instant::now());
        Self { command, ignored: Ignored::Pass, started, since, namespace, path }
    }

    fn without_job(&self) -> WithoutJob<'_> {
        let duration = self.since.elapsed();
        let place = || Place { kind: "local", path: &self.path };
        WithoutJob {
            started: format!("{:.3}", self.started),
            finished: format!("{:.3}", self.started + duration),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            namespace: &self.namespace,
            target: (self.command == Command::Backup).then(place),
            source: matches!(self.command, Command::Restore | Command::Validate).then(place),
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
