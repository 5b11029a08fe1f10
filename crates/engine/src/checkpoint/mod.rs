//! Progress that survives the process: what of a backup is durable, kept beside its data while it runs, so that a run
//! that was killed can be gone on with. Source of all facts: docs/format/state.md.
//!
//! A cursor is saved only after the bytes before it are durable. Names are too: a file is in the state before it is in
//! the directory.

mod document;
mod lock;
mod shares;
mod sign;
mod start;

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use asbackup_model::{Block, Digest, Inexact, PartitionId, PartitionSet};
use asbackup_storage::Local;

use crate::{
    Error,
    config::Checkpoint as Period,
    manifest::{Hashing, ListedFile, SetIndex},
    naming,
    progress::Counters,
    sink::file::EntryCounts,
};

pub(crate) use document::{FileState, Metadata, State, StateFile};
pub(crate) use lock::{End, Hold, lock};
pub(crate) use sign::Unfinished;
pub(crate) use start::{Start, start};

/// Keeps the state of a backup, or doesn't if that isn't wanted.
#[derive(Debug)]
pub(crate) struct Checkpoint(Option<Keeper>);

#[derive(Debug)]
struct Keeper {
    place: StatePlace,
    /// Where the data lies.
    target: Local,
    hashing: Hashing,
    period: Duration,
    state: Mutex<Changing>,
    /// The number of the last change that was saved. Held while a state is saved.
    saved: Mutex<u64>,
}

/// A state, and how often it was changed.
#[derive(Debug)]
struct Changing {
    state: State,
    changes: u64,
}

/// Where a state lies.
#[derive(Debug, Clone)]
pub(crate) struct StatePlace {
    pub(crate) directory: Local,
    pub(crate) name: String,
}

/// How far a writer has come since it was last saved.
#[derive(Debug, Default)]
pub(crate) struct Advance {
    cursors: BTreeMap<PartitionId, Digest>,
    done: PartitionSet,
    records: u64,
    skipped: u64,
    inexact: Inexact,
}

impl Advance {
    /// Adds a block that was written.
    pub(crate) fn add(&mut self, block: &Block) {
        self.cursors.extend(block.cursors.iter().map(|digest| (digest.partition(), *digest)));
        self.done |= block.done;
        self.records += block.records;
        self.skipped += block.skipped;
        self.inexact += block.inexact;
    }
}

impl Checkpoint {
    /// Returns the keeper of a state at that place, about data in that target, which isn't saved before
    /// [`Self::begin`].
    pub(crate) fn new(
        period: Period,
        (place, target, hashing): (StatePlace, Local, Hashing),
        state: State,
    ) -> Self {
        let Period::Every(period) = period else { return Self(None) };
        let state = Mutex::new(Changing { state, changes: 0 });
        Self(Some(Keeper { place, target, hashing, period, state, saved: Mutex::new(0) }))
    }

    /// Returns whether it is time to save what was written after `last`.
    pub(crate) fn is_due(&self, last: Instant) -> bool {
        self.0.as_ref().is_some_and(|keeper| last.elapsed() >= keeper.period)
    }

    /// Returns whether a state is kept.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Saves the state before any data is written.
    pub(crate) fn begin(&self, partitions: PartitionSet) -> Result<(), Error> {
        self.change(|state| state.partitions = partitions)
    }

    /// A file is about to be created.
    pub(crate) fn opened(&self, name: &str, next_file: u64) -> Result<(), Error> {
        self.change(|state| {
            state.file(name);
            state.next_file = state.next_file.max(next_file);
        })
    }

    /// The first `bytes` of a file are durable, and with them all that `advance` tells.
    pub(crate) fn settled(
        &self,
        (name, bytes): (&str, u64),
        counts: &EntryCounts,
        advance: &Advance,
    ) -> Result<(), Error> {
        self.change(|state| {
            state.file(name).settle(bytes, counts);
            state.take_in(Some(name), advance);
        })
    }

    /// A file has its name, and all that `advance` tells is durable.
    pub(crate) fn completed(
        &self,
        listed: &ListedFile,
        counts: &EntryCounts,
        advance: &Advance,
    ) -> Result<(), Error> {
        self.change(|state| {
            state.file(&listed.name).complete(listed, counts);
            state.take_in(Some(&listed.name), advance);
        })
    }

    /// Nothing that `advance` tells needs any more bytes.
    pub(crate) fn advanced(&self, advance: &Advance) -> Result<(), Error> {
        self.change(|state| state.take_in(None, advance))
    }

    /// Indexes and UDF modules are written, but for the set indexes, which the side file takes up.
    pub(crate) fn metadata_done(
        &self,
        set_indexes: &[SetIndex],
        warnings: &[String],
        counters: &Counters,
    ) -> Result<(), Error> {
        self.change(|state| {
            let (set_indexes, warnings) = (set_indexes.to_vec(), warnings.to_vec());
            state.metadata = Some(Metadata { set_indexes, warnings });
            state.counts.indexes_read = counters.indexes_read.count();
            state.counts.udfs_read = counters.udfs_read.count();
        })
    }

    /// Returns whether there is anything that is worth another run: records. All else is read again at no cost.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.0.as_ref().is_some_and(|keeper| !locked(&keeper.state).state.cursors.is_empty())
    }

    /// Returns how many records are durable.
    pub(crate) fn records_written(&self) -> u64 {
        self.0.as_ref().map_or(0, |keeper| locked(&keeper.state).state.counts.records_written)
    }

    /// Returns the path of the state.
    pub(crate) fn path(&self) -> Option<String> {
        let place = &self.0.as_ref()?.place;
        Some(place.directory.path().join(&place.name).display().to_string())
    }

    /// Removes the state: the backup is whole, or nothing of it is left.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |keeper| keeper.place.remove())
    }

    /// Changes the state, and returns once that is saved.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let Some(keeper) = &self.0 else { return Ok(()) };
        let number = {
            let mut changing = locked(&keeper.state);
            change(&mut changing.state);
            changing.changes += 1;
            changing.changes
        };
        keeper.save(number)
    }
}

impl Keeper {
    /// Saves a change, and all that have come meanwhile: many files begin and end together.
    fn save(&self, number: u64) -> Result<(), Error> {
        let mut saved = locked(&self.saved);
        if *saved >= number {
            return Ok(());
        }
        let (text, changes) = {
            let changing = locked(&self.state);
            (changing.state.encode(&self.hashing), changing.changes)
        };
        self.place.save(&text, &self.target)?;
        *saved = changes;
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StatePlace {
    /// Returns whether a state here is seen by whoever reads the data in `target`.
    fn is_beside(&self, target: &Local) -> bool {
        self.name == naming::STATE && self.is_in(target)
    }

    /// Returns whether it lies in the same directory as the data, however that is named.
    fn is_in(&self, target: &Local) -> bool {
        let [state, data] = [self.directory.path(), target.path()];
        let resolved = || (fs::canonicalize(state), fs::canonicalize(data));
        state == data || matches!(resolved(), (Ok(state), Ok(data)) if state == data)
    }

    /// Puts the text of a state in the place of the one before. `target` is where the data lies.
    fn save(&self, text: &str, target: &Local) -> Result<(), Error> {
        // The names of the files that it names must be durable before its own bytes are.
        target.sync()?;
        let mut upload = self.directory.upload(&self.name)?;
        upload.write(text.as_bytes())?;
        upload.complete()?;
        // A file that is created next must not outlive a state that doesn't name it.
        self.directory.sync()?;
        tracing::debug!(directory = %target.path().display(), "state saved");
        Ok(())
    }

    fn remove(&self) -> Result<(), Error> {
        self.directory.remove(&self.name)?;
        Ok(self.directory.sync()?)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use serde_json::Value;

    use super::{document::Beginning, *};

    #[test]
    fn what_was_changed_is_saved_whoever_saves_it() {
        const FILES: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let target = Local::directory(folder.path());
        let place = StatePlace { directory: target.clone(), name: "state".to_owned() };
        let state = State::new(Beginning {
            as_of: None,
            directory: None,
            run: "r".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            first_file: 1,
            fingerprint: "00".to_owned(),
            options: Value::Null,
            shard: None,
            replaces: Vec::new(),
            hashing: Hashing::default(),
        });
        let period = Period::Every(Duration::ZERO);
        let checkpoint = Checkpoint::new(period, (place, target, Hashing::default()), state);
        let open = |writer: usize| {
            for file in 0..FILES {
                let name = format!("{writer}-{file}");
                checkpoint.opened(&name, 1).unwrap();
                let saved = State::decode(&fs::read(folder.path().join("state")).unwrap(), None).unwrap();
                assert!(saved.files.iter().any(|file| file.name == name), "{name} isn't saved");
            }
        };
        thread::scope(|threads| {
            (0..FILES).for_each(|writer| {
                threads.spawn(move || open(writer));
            });
        });
    }
}
