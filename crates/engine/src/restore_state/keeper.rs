//! Keeps the state of a restore from its beginning to its end.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use asbackup_storage::Local;

use super::{
    document::State,
    options::{Options, check, options},
    place::Place,
    tickets::Ledger,
};
use crate::{
    Error, ErrorKind, blocking,
    config::{RestoreConfig, Shard, Start, StateConfig, StatePlace, StateRule},
    manifest::{DocumentError, Hashing, SetFile},
    naming::{self, ShareFile},
    sink::dead_letters::DeadLetters,
};

/// Knows how far a restore is, and writes that down if it has a place for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) ledger: Arc<Ledger>,
    /// Where refused records are kept, if they are.
    pub(crate) dead_letters: Option<Arc<DeadLetters>>,
    kept: Option<Kept>,
    /// What a person should look at.
    pub(crate) warnings: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Kept {
    /// How it is sealed: with the key of the backup, if that is encrypted.
    hashing: Hashing,
    place: Place,
    period: Duration,
    run: String,
    resumes: u64,
    options: Options,
    /// Whether the last state could be written.
    is_there: AtomicBool,
}

/// What an interrupted restore left.
struct Left {
    run: String,
    resumes: u64,
    ledger: Ledger,
}

impl Keeper {
    /// Begins, or goes on where an interrupted restore has left off. The first state is written. Blocks.
    ///
    /// # Errors
    /// If another job is at it, or the state that is to be gone on with isn't one of this backup and these options.
    pub(crate) fn open(
        config: &RestoreConfig,
        source: &Local,
        cluster: Option<&str>,
        files: &[SetFile],
    ) -> Result<Self, Error> {
        let mut keeper = Self::begin(config, source, cluster, files)?;
        let start = match &config.state {
            StateRule::Kept(state) => state.start,
            StateRule::Off => Start::Anew,
        };
        if let Some(path) = &config.dead_letter {
            keeper.dead_letters = Some(Arc::new(DeadLetters::new(path, start)?));
        }
        keeper.save();
        Ok(keeper)
    }

    fn begin(
        config: &RestoreConfig,
        source: &Local,
        cluster: Option<&str>,
        files: &[SetFile],
    ) -> Result<Self, Error> {
        let StateRule::Kept(state) = &config.state else {
            return Ok(Self::without_state(files, Vec::new()));
        };
        let state = &of_share(state, config.shard);
        check_name(&state.name)?;
        let Some(root) = source.root() else {
            return match state.start {
                Start::Anew => Ok(Self::without_state(files, Vec::new())),
                Start::Continue => Err(no_state_without_a_directory()),
            };
        };
        let place = match Place::open(state, &root, config.shard) {
            Ok(place) => place,
            Err(error) if is_needed(state, &error) => return Err(error),
            Err(error) => {
                let warning = format!("no state is kept, so that this restore can't be continued: {error}");
                return Ok(Self::without_state(files, vec![warning]));
            }
        };
        let options = options(config, source, cluster);
        let hashing = Hashing::of(files.first().and_then(|file| file.opening.key.as_ref()));
        let mut warnings = Vec::new();
        let left = match (place.read()?, state.start) {
            (None, _) => None,
            (Some(_), Start::Anew) => {
                warnings.push(format!(
                    "this restore began anew, and dropped the state of an interrupted one, with which --continue would have gone on: {}",
                    place.path().display()
                ));
                None
            }
            (Some(bytes), Start::Continue) => {
                Some(Left::decode(&bytes, (&place, &hashing), &options, files)?)
            }
        };
        let (run, resumes, ledger) = match left {
            None => (format!("{:016x}", fastrand::u64(..)), 0, Ledger::new(files)),
            Some(left) => (left.run, left.resumes + 1, left.ledger),
        };
        let is_there = AtomicBool::new(false);
        let kept = Kept { place, hashing, period: state.period, run, resumes, options, is_there };
        let (ledger, warnings) = (Arc::new(ledger), Mutex::new(warnings));
        Ok(Self { ledger, dead_letters: None, kept: Some(kept), warnings })
    }

    /// Begins a restore that leaves no state.
    pub(crate) fn without_state(files: &[SetFile], warnings: Vec<String>) -> Self {
        let (ledger, warnings) = (Arc::new(Ledger::new(files)), Mutex::new(warnings));
        Self { ledger, dead_letters: None, kept: None, warnings }
    }

    /// Returns where the state lies that is there now.
    pub(crate) fn state_file(&self) -> Option<PathBuf> {
        self.kept.as_ref().filter(|kept| kept.is_there.load(Relaxed)).map(|kept| kept.place.path())
    }

    /// Waits for the restore, and writes its state from time to time and at its end; after success there is none.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        restore: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let Some(Kept { period, .. }) = self.kept else {
            let result = restore.await;
            let keeper = Arc::clone(self);
            return result.and(blocking(move || keeper.sync_dead_letters()).await?);
        };
        let mut restore = std::pin::pin!(restore);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut restore => break result,
                () = tokio::time::sleep(period) => {}
            }
            let keeper = Arc::clone(self);
            blocking(move || keeper.save()).await?;
        };
        let keeper = Arc::clone(self);
        blocking(move || keeper.end(result)).await?
    }

    fn end(&self, result: Result<(), Error>) -> Result<(), Error> {
        let result = result.and_then(|()| self.sync_dead_letters());
        match &result {
            Ok(()) => self.remove(),
            Err(_) => self.save(),
        }
        result
    }

    fn sync_dead_letters(&self) -> Result<(), Error> {
        self.dead_letters.as_ref().map_or(Ok(()), |dead_letters| dead_letters.sync())
    }

    /// Writes the state. A restore doesn't fail for its sake: it goes on, and says that it can't be continued.
    fn save(&self) {
        let Some(kept) = &self.kept else { return };
        let saved = self.ledger.save();
        let state = State::new(kept.run.clone(), kept.resumes, kept.options.clone(), saved);
        // The state says of refused records that they are done with, so they have to be durable before it is.
        match self.sync_dead_letters().and_then(|()| kept.place.write(&state.encode(&kept.hashing))) {
            Ok(()) => kept.is_there.store(true, Relaxed),
            Err(error) => self.warn(format!("the state can't be written: {}", chain(&error))),
        }
    }

    fn remove(&self) {
        let Some(kept) = &self.kept else { return };
        match kept.place.remove() {
            Ok(()) => kept.is_there.store(false, Relaxed),
            Err(error) => self.warn(format!("the state can't be removed: {}", chain(&error))),
        }
    }

    fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk would say so every few seconds.
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

impl Left {
    fn decode(
        bytes: &[u8],
        (place, hashing): (&Place, &Hashing),
        ours: &Options,
        files: &[SetFile],
    ) -> Result<Self, Error> {
        let state = State::decode(bytes, hashing).map_err(|error| unusable(place, error))?;
        check(ours, &state.options)?;
        let (run, resumes) = (state.run.clone(), state.resumes);
        Ok(Self { run, resumes, ledger: Ledger::go_on(state.saved(files)?) })
    }
}

/// Returns whether a restore without a state isn't what was asked for.
fn is_needed(state: &StateConfig, error: &Error) -> bool {
    let is_given = matches!(state.place, StatePlace::Directory(_));
    is_given || state.start == Start::Continue || matches!(error.kind(), ErrorKind::Config | ErrorKind::State)
}

/// Returns where the state of a share lies: shares that are restored at once have names of their own.
fn of_share(state: &StateConfig, shard: Option<Shard>) -> StateConfig {
    let mut state = state.clone();
    if let Some(shard) = shard.filter(|_| state.name == naming::RESTORE_STATE) {
        state.name = ShareFile::RestoreState.name(shard);
    }
    state
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains(['/', '\0']) || [".", ".."].contains(&name) {
        let message = format!("{name:?} is no name of a state");
        return Err(Error::of(ErrorKind::Config, message)
            .hint("give a name without separators, and the directory with --state-dir")
            .build());
    }
    Ok(())
}

fn no_state_without_a_directory() -> Error {
    let message =
        "only the restore of one directory has a state: one of a file or of several can't be continued";
    Error::of(ErrorKind::Config, message)
        .hint("restore it from its beginning: records that are there already are left as they are")
        .build()
}

fn unusable(place: &Place, error: DocumentError) -> Error {
    let kind = match error {
        // The manifest fits the key, so this can't be the wrong one.
        DocumentError::Seal { .. } | DocumentError::KeyedSeal => ErrorKind::Integrity,
        _ => ErrorKind::State,
    };
    Error::of(kind, format!("the state {} can't be gone on with", place.path().display()))
        .hint(
            "begin anew without --continue; the state of another tool can only be gone on with by that tool",
        )
        .source(error)
        .build()
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::sink::metadata::chain(error)
}
