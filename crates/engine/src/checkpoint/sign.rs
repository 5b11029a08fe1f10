//! What shows that a run hasn't ended, and which files are its: its state, or a sign if that lies elsewhere.

use std::collections::BTreeSet;

use asbackup_storage::Local;

use super::document::State;
use crate::{
    Error,
    manifest::{self, Hashing, Manifest},
    naming,
};

/// Leaves a state without files as the sign of a run, so that what it writes is told from what was there before.
pub(super) fn leave(target: &Local, state: &State, hashing: &Hashing) -> Result<(), Error> {
    let earlier = read_names(target, naming::STATE_ELSEWHERE);
    if earlier.as_ref().is_some_and(|earlier| earlier.run == state.run) {
        return Ok(());
    }
    // What another run has left, if anything, isn't part of a backup either.
    let first_file = earlier.map_or(u64::MAX, |earlier| earlier.first_file);
    // A state is written under this name before it is given its own.
    let mut upload = target.upload(naming::STATE)?;
    upload.write(state.without_files(first_file).encode(hashing).as_bytes())?;
    upload.settle()?;
    Ok(target.sync()?)
}

/// Reads a state for what it names, whatever it was sealed with; none if it can't be read.
pub(super) fn read_names(source: &Local, name: &str) -> Option<State> {
    State::decode_names(&manifest::read(source, name).ok()?.ok()?).ok()
}

/// Which files are those of a run that hasn't ended.
#[derive(Debug)]
pub(crate) struct Unfinished {
    run: String,
    names: BTreeSet<String>,
    /// All from this number on.
    first_file: Option<u64>,
}

impl Unfinished {
    /// Returns those that a run's state tells of, or its sign; none if there is neither that can be read.
    pub(crate) fn find(source: &Local) -> Option<Self> {
        match read_names(source, naming::STATE) {
            Some(State { run, files, .. }) => {
                let names = files.into_iter().map(|file| file.name).collect();
                Some(Self { run, names, first_file: None })
            }
            None => read_names(source, naming::STATE_ELSEWHERE).map(|State { run, first_file, .. }| Self {
                run,
                names: BTreeSet::new(),
                first_file: Some(first_file),
            }),
        }
    }

    /// Returns whether a manifest is that of the run, which was killed just before its end then.
    pub(crate) fn is_of(&self, manifest: &Manifest) -> bool {
        manifest.is_of(&self.run)
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        let name = name.strip_suffix(".part").unwrap_or(name);
        let is_from_first = |first| naming::number(name).is_some_and(|number| number >= first);
        self.names.contains(name) || self.first_file.is_some_and(is_from_first)
    }
}
