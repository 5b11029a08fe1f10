//! What a restore, or a validation, is asked for.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, ValueEnum, value_parser};

use super::{
    Codec, Encryption, Rates,
    selection::Selection,
    value::{
        Namespaces, batch_limit, microseconds, milliseconds, multiplier, namespaces, pause_milliseconds,
    },
};

/// What a restore, or a validation, is asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Restore")]
pub(crate) struct Restore {
    /// Namespace of the backup, and the one to write into if that is another: SOURCE[,TARGET]
    #[arg(short, long, value_name = "NAMES", value_parser = namespaces)]
    pub(crate) namespace: Option<Namespaces>,

    #[command(flatten)]
    pub(crate) input: Input,

    /// Directory that those of --directory-list lie in
    #[arg(long, value_name = "PATH", requires = "directory_list", conflicts_with_all = ["directory", "input_file"])]
    pub(crate) parent_directory: Option<PathBuf>,

    /// Read the backups in all directories below, too
    #[arg(long, conflicts_with = "input_file")]
    pub(crate) recursive: bool,

    /// Check and decode the whole backup and write nothing; needs no cluster
    #[arg(long)]
    pub(crate) validate: bool,

    /// Restore one of N equal shares of the files; share 1 takes indexes and UDF modules
    #[arg(long, value_name = "I/N", conflicts_with_all = ["input_file", "validate"])]
    pub(crate) shard: Option<String>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Refuse a backup without a manifest, which says what belongs to it
    #[arg(long)]
    pub(crate) require_manifest: bool,

    /// Leave out data files that the manifest doesn't name, rather than refuse the backup
    #[arg(long)]
    pub(crate) allow_extra: bool,

    /// Check the hashes of all files against the manifest before the first write, not only while they are read
    #[arg(long, conflicts_with = "validate")]
    pub(crate) verify_first: bool,

    /// Read, filter and count, and write nothing; connects to check namespace and indexes
    #[arg(long, conflicts_with_all = ["validate", "go_on"])]
    pub(crate) dry_run: bool,

    /// Refuse files that aren't compressed like this; without it, it is detected
    #[arg(short = 'z', long, value_enum, value_name = "CODEC", ignore_case = true)]
    pub(crate) compress: Option<Codec>,

    #[command(flatten)]
    pub(crate) encryption: Encryption,

    /// Files that are read at once, 1 to 1024; default: as many as there are CPUs
    #[arg(short = 'w', long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) parallel: Option<u16>,

    /// MiB that are asked for at once from standard input; 0: 256 KiB
    #[arg(long, value_name = "MIB", value_parser = value_parser!(u16).range(0..=1024), default_value_t = 0)]
    pub(crate) std_buffer: u16,

    /// Records in one batch, 1 to 65535; a batch also ends at 1 MiB
    #[arg(long, value_name = "COUNT", value_parser = batch_limit, default_value = "128")]
    pub(crate) batch_size: NonZeroUsize,

    /// Batches under way at once, or single writes, 1 to 65535
    #[arg(long, value_name = "COUNT", value_parser = batch_limit, default_value = "32")]
    pub(crate) max_async_batches: NonZeroUsize,

    /// Write each record with a request of its own, for servers that take no batches
    #[arg(long)]
    pub(crate) disable_batch_writes: bool,

    #[command(flatten)]
    pub(crate) rates: Rates,

    #[command(flatten)]
    pub(crate) rules: Rules,

    #[command(flatten)]
    pub(crate) metadata: Metadata,

    #[command(flatten)]
    pub(crate) waits: Waits,

    #[command(flatten)]
    pub(crate) state: State,
}

/// Whether a restore of a directory can be gone on with, and whether this one goes on.
#[derive(Debug, Args)]
pub(crate) struct State {
    /// Go on with an interrupted restore; NAME is that of its state if it isn't asbackup.restore.state.json, or with --shard asbackup.restore.state.I-of-N.json
    #[arg(long = "continue", value_name = "NAME", conflicts_with_all = ["no_resume", "input_file", "validate"])]
    #[expect(clippy::option_option, reason = "the flag, and its value, may be left out")]
    pub(crate) go_on: Option<Option<String>>,

    /// Directory of the state, if it isn't to lie beside the data
    #[arg(long, value_name = "PATH", conflicts_with_all = ["no_resume", "input_file", "directory_list", "validate"])]
    pub(crate) state_dir: Option<PathBuf>,

    /// Time between two states, in ms: what a crash costs at most
    #[arg(
        long,
        value_name = "MS",
        value_parser = milliseconds,
        default_value = "10000",
        conflicts_with_all = ["no_resume", "input_file", "validate"]
    )]
    pub(crate) state_interval: Duration,

    /// Keep no state, so that the restore can't be gone on with
    #[arg(long)]
    pub(crate) no_resume: bool,
}

/// Where the backup lies.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Input {
    /// Directory whose .asb files are read
    #[arg(short, long, value_name = "PATH")]
    pub(crate) directory: Option<PathBuf>,

    /// One file to read, or - for standard input
    #[arg(short, long, value_name = "PATH")]
    pub(crate) input_file: Option<PathBuf>,

    /// Several directories to read, each with a manifest of its own; separated by commas, or given again
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    pub(crate) directory_list: Vec<PathBuf>,
}

/// When a record that exists already gives way.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("ignoring").args(["ignore_record_error", "dead_letter"]).multiple(true))]
pub(crate) struct Rules {
    /// Write also if the existing record's generation is as high or higher
    #[arg(short = 'g', long)]
    pub(crate) no_generation: bool,

    /// Leave existing records as they are
    #[arg(short, long, conflicts_with = "replace")]
    pub(crate) unique: bool,

    /// Replace existing records as a whole: bins that the backup doesn't have go
    #[arg(short, long)]
    pub(crate) replace: bool,

    /// Seconds that are added to the time that is left of records that expire
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) extra_ttl: u32,

    /// Count and leave out records that the server refuses; 1,000 of the same kind in a row still end the job
    #[arg(long)]
    pub(crate) ignore_record_error: bool,

    /// Keep the records that the server refuses in this file, which can be restored, and the reasons in FILE.reasons; implies
    /// --ignore-record-error
    #[arg(long, value_name = "FILE", conflicts_with_all = ["validate", "dry_run"])]
    pub(crate) dead_letter: Option<PathBuf>,

    /// End with exit code 3 if records were left out by --ignore-record-error or --dead-letter
    #[arg(long, requires = "ignoring")]
    pub(crate) fail_if_ignored: bool,
}

/// How indexes and UDF modules are restored.
#[derive(Debug, Args)]
pub(crate) struct Metadata {
    /// Indexes and UDF modules after the records, if they are in metadata files
    #[arg(long)]
    pub(crate) apply_metadata_last: bool,

    /// What becomes of an index whose name another one has already
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = IndexConflict::Fail)]
    pub(crate) index_conflict: IndexConflict,
}

/// What becomes of an index whose name another one has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndexConflict {
    /// Leave the one that is there.
    Keep,
    /// Drop the one that is there and create the backup's.
    Replace,
    /// Leave the one that is there, and end with exit code 3.
    Fail,
}

/// How long writes wait, and how they are tried again.
#[derive(Debug, Args)]
pub(crate) struct Waits {
    /// How long a write may stay silent, in ms; 0: as long as --total-timeout, or 10 minutes if that is 0 too
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "10000")]
    pub(crate) socket_timeout: Duration,

    /// How long one attempt of a write may take in all, in ms; 0: as long as it isn't silent
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "10000")]
    pub(crate) total_timeout: Duration,

    /// Pause before the first retry of a write, in ms
    #[arg(long, value_name = "MS", value_parser = pause_milliseconds, default_value = "1000")]
    pub(crate) retry_base_interval: Duration,

    /// The same in microseconds, as the C tool takes it
    #[arg(long, value_name = "US", value_parser = microseconds, conflicts_with = "retry_base_interval", hide = true)]
    pub(crate) retry_scale_factor: Option<Duration>,

    /// Growth of the pauses from one retry to the next, 1 to 100; they end at 10 s
    #[arg(long, value_name = "FACTOR", value_parser = multiplier, default_value = "2")]
    pub(crate) retry_multiplier: f64,

    /// Retries of one record; 0: none
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) retry_max_attempts: u32,
}
