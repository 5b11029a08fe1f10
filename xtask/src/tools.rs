//! The two sides that interop and bench hold against each other, and how each is asked to do the same job.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::Workspace;

/// Whose programs do a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `asbackup` and `asrestore`.
    Ours,
    /// The driver over backup-go.
    BackupGo,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::BackupGo => "backup-go",
        })
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Job<'a> {
    /// The namespace into the directory.
    Backup { namespace: &'a str, spelling: Spelling },
    /// The directory into `source,target`.
    Restore { namespaces: &'a str },
}

/// How blob-like values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Base64,
    Compact,
}

/// What the files of a backup are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// Level of ZSTD.
    pub(crate) level: Option<u8>,
    /// Word for the cipher, and the file with its key.
    pub(crate) encryption: Option<(&'a str, &'a Path)>,
}

impl Envelope<'_> {
    /// Adds the flags that a job needs. Ours finds out by itself how a backup is compressed.
    pub(crate) fn add_to(self, command: &mut Command, side: Side, job: Option<Job<'_>>) {
        let is_backup = matches!(job, Some(Job::Backup { .. }));
        if let Some(level) = self.level {
            let level = level.to_string();
            match side {
                Side::Ours if is_backup => command.args(["-z", "ZSTD", "--compression-level", &level]),
                Side::Ours => command,
                Side::BackupGo => command.args(["-compress", "ZSTD", "-level", &level]),
            };
        }
        if let Some((cipher, key)) = self.encryption {
            let [encrypt, key_file] = match side {
                Side::Ours => ["--encrypt", "--encryption-key-file"],
                Side::BackupGo => ["-encrypt", "-key-file"],
            };
            command.args([encrypt, cipher, key_file]).arg(key);
        }
    }
}

impl fmt::Display for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            None => f.write_str("not compressed")?,
            Some(level) => write!(f, "zstd {level}")?,
        }
        write!(f, ", {}", self.encryption.map_or("not encrypted", |(cipher, _)| cipher))
    }
}

/// Where a job is done, and with how many streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) directory: &'a Path,
    pub(crate) parallel: u16,
}

/// The programs of both sides.
#[derive(Debug)]
pub(crate) struct Tools {
    asbackup: PathBuf,
    asrestore: PathBuf,
    driver: PathBuf,
}

impl Tools {
    /// Builds the programs of both sides.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        workspace.build_programs()?;
        Ok(Self {
            asbackup: workspace.program("asbackup"),
            asrestore: workspace.program("asrestore"),
            driver: workspace.build_driver()?,
        })
    }

    /// Returns the command with which `side` does `job`; it prints one line of JSON.
    pub(crate) fn command(&self, side: Side, job: Job<'_>, place: Place<'_>) -> Command {
        let mut command = match side {
            Side::Ours => self.ours(job, place),
            Side::BackupGo => self.theirs(job, place),
        };
        let (Job::Backup { namespace, .. } | Job::Restore { namespaces: namespace }) = job;
        command.args(["-n", namespace, "-d"]).arg(place.directory);
        command
    }

    /// Returns the command with which `side` reads a directory without a cluster; it prints one line of JSON.
    pub(crate) fn validate(&self, side: Side, directory: &Path) -> Command {
        let (program, args): (_, &[&str]) = match side {
            Side::Ours => (&self.asrestore, &["--validate", "--report", "json"]),
            Side::BackupGo => (&self.driver, &["validate"]),
        };
        let mut command = Command::new(program);
        command.args(args).arg("-d").arg(directory);
        command
    }

    /// Returns the command of ours that makes one backup of shares; it prints one line of JSON.
    pub(crate) fn complete(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.asbackup);
        command.args(["complete", "--report", "json", "-d"]).arg(directory);
        command
    }

    fn ours(&self, job: Job<'_>, place: Place<'_>) -> Command {
        let mut command = match job {
            Job::Backup { .. } => Command::new(&self.asbackup),
            Job::Restore { .. } => Command::new(&self.asrestore),
        };
        command.args(["-h", &place.server.ip().to_string(), "-p", &place.server.port().to_string()]).args([
            "--parallel",
            &place.parallel.to_string(),
            "--report",
            "json",
        ]);
        match job {
            Job::Backup { spelling: Spelling::Compact, .. } => command.arg("--compact"),
            Job::Backup { spelling: Spelling::Base64, .. } => &mut command,
            Job::Restore { .. } => command.args(["--batch-size", BATCH_SIZE, "--max-async-batches", BATCHES]),
        };
        command
    }

    fn theirs(&self, job: Job<'_>, place: Place<'_>) -> Command {
        let mut command = Command::new(&self.driver);
        command.arg(match job {
            Job::Backup { .. } => "backup",
            Job::Restore { .. } => "restore",
        });
        command.args(["-h", &place.server.to_string()]).args(["-parallel", &place.parallel.to_string()]);
        match job {
            Job::Backup { spelling: Spelling::Compact, .. } => command.arg("-compact"),
            Job::Backup { spelling: Spelling::Base64, .. } => &mut command,
            Job::Restore { .. } => command.args(["-batch-size", BATCH_SIZE, "-max-async-batches", BATCHES]),
        };
        command
    }
}

/// Returns how many records the report of a finished job says were written, to files or to the cluster.
pub(crate) fn records_written(side: Side, job: Job<'_>, report: &Value) -> Result<u64> {
    match (side, job) {
        (Side::Ours, Job::Backup { .. }) => count(report, "/records/written"),
        (Side::Ours, Job::Restore { .. }) => count(report, "/records/inserted"),
        (Side::BackupGo, Job::Backup { .. }) => count(report, "/counters/records_read"),
        (Side::BackupGo, Job::Restore { .. }) => count(report, "/counters/records_inserted"),
    }
}

/// Returns how many records a report says were read.
pub(crate) fn records_read(side: Side, report: &Value) -> Result<u64> {
    match side {
        Side::Ours => count(report, "/records/read"),
        Side::BackupGo => count(report, "/counters/records_read"),
    }
}

fn count(report: &Value, path: &str) -> Result<u64> {
    let count = report.pointer(path).and_then(Value::as_u64);
    count.with_context(|| format!("no number at {path} of {report}"))
}

/// Both sides' default.
const BATCH_SIZE: &str = "128";

/// Both sides' default.
const BATCHES: &str = "32";
