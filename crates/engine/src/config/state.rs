//! The state of a restore, by which it goes on after it was interrupted.

use std::{path::PathBuf, time::Duration};

/// Whether a restore keeps a state. A single file never has one, since it is read in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRule {
    /// None is kept, and none is looked for.
    Off,
    /// It is written from time to time and when the job is interrupted, and removed after success.
    Kept(StateConfig),
}

/// Where a state lies, and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateConfig {
    /// Its directory. Default: beside the data.
    pub place: StatePlace,
    /// Its name there. Default: `asbackup.restore.state.json`; that of a share is `asbackup.restore.state.I-of-N.json`,
    /// unless it is given another name than the default.
    pub name: String,
    /// Where the job begins. Default: at the beginning.
    pub start: Start,
    /// Time between two states. Default: 10 s.
    pub period: Duration,
}

/// The directory of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePlace {
    /// That of the data.
    Beside {
        /// Where it lies if that of the data can't be written to, in a folder named after a hash of the data's path.
        /// None: there is no state then, and a warning.
        otherwise: Option<PathBuf>,
    },
    /// This one. It is created if it isn't there.
    Directory(PathBuf),
}

/// Where a job begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the beginning, whatever an interrupted job left.
    Anew,
    /// Where an interrupted job has left off; at the beginning if there is none.
    Continue,
}

impl StateConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            place: StatePlace::Beside { otherwise: None },
            name: crate::naming::RESTORE_STATE.to_owned(),
            start: Start::Anew,
            // What a crash costs at most, at a price that nobody notices.
            period: Duration::from_secs(10),
        }
    }
}

impl Default for StateConfig {
    fn default() -> Self {
        Self::new()
    }
}
