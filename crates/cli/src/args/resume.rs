//! Going on with a run that ended before its time.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::value::milliseconds;

/// Going on with a run that ended before its time.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Go on with an unfinished run, whose state has this name; default: asbackup.state.json, of a share
    /// asbackup.state.I-of-N.json. An empty directory is begun from the start
    #[arg(
        short = 'c',
        long = "continue",
        id = "go_on",
        value_name = "NAME",
        num_args = 0..=1,
        conflicts_with_all = ["state_file_dst", "no_resume"]
    )]
    pub(crate) go_on: Option<Option<String>>,

    /// Name of the state that is kept while the job runs; default: asbackup.state.json
    #[arg(long, value_name = "NAME", conflicts_with = "no_resume")]
    pub(crate) state_file_dst: Option<String>,

    /// Directory of the state; default: that of the backup
    #[arg(long, value_name = "PATH", conflicts_with = "no_resume")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Time between two states, in ms: what a crash costs at most
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "10000", conflicts_with = "no_resume")]
    pub(crate) state_interval: Duration,

    /// Keep no state: a job that fails leaves nothing, and one that is killed can't be gone on with
    #[arg(long)]
    pub(crate) no_resume: bool,
}

impl Resume {
    /// Returns the name of the state, if one is given.
    pub(crate) fn state_name(&self) -> Option<&String> {
        self.go_on.iter().flatten().chain(&self.state_file_dst).next()
    }
}
