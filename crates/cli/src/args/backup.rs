//! What a backup is asked for.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, value_parser};

use super::{
    Compression, Encryption, LeftOut, Rates, Resume,
    selection::{Records, Scope},
    value::pause_milliseconds,
};

/// What a backup is asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Backup")]
pub(crate) struct Backup {
    /// Namespace to back up
    #[arg(short, long, required_unless_present = "remove_artifacts")]
    pub(crate) namespace: Option<String>,

    #[command(flatten)]
    pub(crate) destination: Destination,

    /// What the names of record files begin with, in place of the writer's number
    #[arg(short = 'q', long, value_name = "TEXT", conflicts_with = "output_file")]
    pub(crate) output_file_prefix: Option<String>,

    /// Replace the file of --output-file, in one step, if it is there already
    #[arg(long, requires = "output_file", conflicts_with = "directory")]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) sample: Sample,

    /// Scans and files at once, 1 to 1024
    #[arg(short = 'w', long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024), default_value_t = 1)]
    pub(crate) parallel: u16,

    /// Files at once, 1 to 1024, if not as many as scans; more than scans are of no use
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024), conflicts_with = "output_file")]
    pub(crate) parallel_write: Option<u16>,

    /// Size from which on a file is closed and the next one begun, in MiB; 0: never
    #[arg(short = 'F', long, value_name = "MIB", default_value_t = 250)]
    pub(crate) file_limit: u64,

    /// Write blob-like values as raw bytes, not as base64
    #[arg(short = 'C', long)]
    pub(crate) compact: bool,

    #[command(flatten)]
    pub(crate) compression: Compression,

    #[command(flatten)]
    pub(crate) encryption: Encryption,

    #[command(flatten)]
    pub(crate) left_out: LeftOut,

    #[command(flatten)]
    pub(crate) scope: Scope,

    /// Back up one of N equal shares of that, beside the other shares in the directory; asbackup complete makes one backup of all
    #[arg(long, value_name = "I/N", conflicts_with_all = ["output_file", "remove_files", "remove_artifacts", "estimate"])]
    pub(crate) shard: Option<String>,

    #[command(flatten)]
    pub(crate) records: Records,

    #[command(flatten)]
    pub(crate) rates: Rates,

    /// Replace the backup files in the directory, once the new ones are complete; other files stay
    #[arg(short, long, conflicts_with_all = ["output_file", "go_on"])]
    pub(crate) remove_files: bool,

    /// Remove the backup files in the directory, and do nothing else; other files stay
    #[arg(long, conflicts_with_all = ["output_file", "remove_files", "go_on", "estimate"])]
    pub(crate) remove_artifacts: bool,

    /// What is written to standard output goes out in pieces of so many MiB; 0: as it comes
    #[arg(long, value_name = "MIB", value_parser = value_parser!(u16).range(0..=1024), default_value_t = 0)]
    pub(crate) std_buffer: u16,

    /// What is written to each file goes out in pieces of so many MiB; 0: as it comes
    #[arg(long, value_name = "MIB", value_parser = value_parser!(u16).range(0..=1024), default_value_t = 0)]
    pub(crate) local_buffer_size: u16,

    #[command(flatten)]
    pub(crate) resume: Resume,

    /// How long a scan may stay silent, in ms; 0: as long as --total-timeout, or 10 minutes if that is 0 too
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "10000")]
    pub(crate) socket_timeout: Duration,

    /// How long all scans together may take, in ms; 0: as long as they need
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "0")]
    pub(crate) total_timeout: Duration,

    /// Most records that one request of a scan asks for; 0: all at once
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) scan_page_size: u64,

    /// Retries of a scan since its last record
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) max_retries: u32,

    /// Pause before the first retry, in ms; each further one is twice as long, up to 10 s
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "100")]
    pub(crate) sleep_between_retries: Duration,

    /// Pause of a scan if the server has too many, in ms
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "10000")]
    pub(crate) throttle_pause: Duration,
}

/// An estimate in the place of a backup.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// Say how large the backup would be, by a sample of the records, and write nothing
    #[arg(short, long, group = "Destination", conflicts_with = "remove_files")]
    pub(crate) estimate: bool,

    /// About how many records an estimate reads
    #[arg(long, value_name = "COUNT", default_value = "10000", conflicts_with_all = ["directory", "output_file"])]
    pub(crate) estimate_samples: NonZeroU32,
}

/// Where the backup is written.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Destination {
    /// Directory to write into; it is created if it doesn't exist, and must be empty, or be gone on with
    #[arg(short, long, value_name = "PATH")]
    pub(crate) directory: Option<PathBuf>,

    /// One file for everything, or - for standard output; without manifest and without limit
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output_file: Option<PathBuf>,
}

impl Destination {
    /// Returns the path that was given; an empty one for an estimate, which has none.
    pub(crate) fn path(&self) -> &Path {
        self.directory.as_deref().or(self.output_file.as_deref()).unwrap_or_else(|| Path::new(""))
    }
}
