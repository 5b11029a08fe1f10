//! How a backup begins: what lies in its target already, and what becomes of that.

use std::{collections::BTreeSet, time::SystemTime};

use asbackup_codec::envelope::AesKey;
use asbackup_model::PartitionSet;
use asbackup_storage::Local;
use serde_json::Value;

use super::{
    StatePlace,
    document::{Beginning, State, StateFile},
    lock::{Hold, lock, taken as locked},
    shares::own_names,
    sign::{self, Unfinished, read_names},
};
use crate::{
    Error, ErrorKind,
    config::{BackupConfig, Checkpoint, ExistingFiles, ExtraFiles, ManifestRule, filter},
    manifest::{self, DocumentError, Hashing, Manifest, SetRules, ShardName},
    naming::{self, ShareFile},
    report,
    source::open::{missing_key_by, unused_key},
};

/// What a backup begins with.
#[derive(Debug)]
pub(crate) struct Start {
    /// Keeps other jobs away from the target, or from the same share of it.
    pub(crate) hold: Hold,
    pub(crate) place: StatePlace,
    /// The state of the run that is gone on with, or a new one.
    pub(crate) state: State,
    /// Whether the state is that of an earlier run.
    pub(crate) resumed: bool,
    /// The manifest of the backup that is there, if all that was asked for is done.
    pub(crate) complete: Option<Manifest>,
    /// Unfinished files of a killed run that go when the backup is complete.
    pub(crate) unfinished: Vec<String>,
}

/// Looks at a target, and decides what a backup begins with.
pub(crate) fn start(
    config: &BackupConfig,
    key: Option<&AesKey>,
    target: &Local,
    started: SystemTime,
) -> Result<Start, Error> {
    let place = place(config, target)?;
    target.prepare()?;
    if !target.is_directory() {
        return single((config, key), target, place, started);
    }
    place.directory.prepare()?;
    let has_state_beside = config.checkpoint != Checkpoint::Off && place.is_beside(target);
    let had_lock = match config.shard {
        Some(shard) => target.list()?.iter().any(|file| file.name == ShareFile::Lock.name(shard)),
        None => false,
    };
    let hold = match config.shard {
        None if has_state_beside => lock(target)?,
        None => lock(target)?.with_sign(target, naming::STATE_ELSEWHERE, || locked(target))?,
        Some(shard) => Hold::share(target, &ShareFile::Lock.name(shard), || locked(target))?,
    };
    let mut names: Vec<String> = target.list()?.into_iter().map(|file| file.name).collect();
    match config.shard {
        None if has_state_beside => {}
        None => names.retain(|name| name != naming::STATE_ELSEWHERE),
        Some(shard) => names = own_names(shard, (config, key), target, names)?,
    }
    let found = Found { config, key, target, place: &place, names, had_lock };
    let begun = match config.existing {
        ExistingFiles::Refuse => found.refuse(),
        ExistingFiles::Replace => found.replace(),
        ExistingFiles::Continue => found.go_on(),
    }?;
    let fresh = || found.new_state(&begun, started);
    let (state, resumed) = match begun.state {
        Some(ref state) => (state.as_ref().clone(), true),
        None => (fresh(), false),
    };
    let Begun { complete, unfinished, .. } = begun;
    if config.shard.is_none() && !has_state_beside && complete.is_none() {
        sign::leave(target, &state, &Hashing::of(key))?;
    }
    Ok(Start { hold, place: place.clone(), state, resumed, complete, unfinished })
}

/// A single file is begun from the start in any case: nothing lies beside it.
fn single(
    (config, key): (&BackupConfig, Option<&AesKey>),
    target: &Local,
    place: StatePlace,
    started: SystemTime,
) -> Result<Start, Error> {
    if config.existing == ExistingFiles::Refuse && target.is_taken() {
        return Err(taken(target));
    }
    let found = Found { config, key, target, place: &place, names: Vec::new(), had_lock: false };
    let state = found.new_state(&Begun::default(), started);
    Ok(Start { hold: Hold::default(), place, state, resumed: false, complete: None, unfinished: Vec::new() })
}

/// What lies in a target.
struct Found<'a> {
    config: &'a BackupConfig,
    key: Option<&'a AesKey>,
    target: &'a Local,
    place: &'a StatePlace,
    names: Vec<String>,
    /// Whether an earlier job of the same share has left its lock.
    had_lock: bool,
}

/// What was decided.
#[derive(Default)]
struct Begun {
    state: Option<Box<State>>,
    complete: Option<Manifest>,
    replaced: Vec<String>,
    unfinished: Vec<String>,
}

impl Found<'_> {
    /// Accepts only a target that is empty.
    fn refuse(&self) -> Result<Begun, Error> {
        if self.has_state()? {
            self.check_is_here()?;
            return Err(self.unfinished_run());
        }
        match self.names.len() {
            0 => Ok(Begun::default()),
            files => Err(self.not_empty(files)),
        }
    }

    /// Takes the place of the backup that is there. Of a killed run beside it nothing is needed.
    fn replace(&self) -> Result<Begun, Error> {
        let mut names = self.names.clone();
        if self.has_state()? {
            self.check_is_here()?;
            let manifest = self.manifest()?;
            if let Some(Ok(state)) = self.state()?
                && !is_of(manifest.as_ref(), &state)
                && self.is_about_files_here(&state, manifest.as_ref())
            {
                // If this run is killed as well, no state relies on a file that is gone.
                self.place.save(&state.without_data().encode(&Hashing::of(self.key)), self.target)?;
                let dropped: BTreeSet<String> = state.files.into_iter().map(|file| file.name).collect();
                dropped.iter().try_for_each(|name| self.remove_file(name))?;
                names.retain(|name| !dropped.contains(name.strip_suffix(".part").unwrap_or(name)));
            }
            self.place.remove()?;
        }
        self.drop_run_with_state_elsewhere(&mut names)?;
        let goes = |name: &&String| naming::is_unfinished(name) || naming::is_of_share(name);
        let unfinished = names.iter().filter(goes).cloned().collect();
        let replaced = names.into_iter().filter(|name| naming::is_data(name) || naming::is_side_file(name));
        Ok(Begun { replaced: replaced.collect(), unfinished, ..Begun::default() })
    }

    /// Removes what a run has left that keeps its state at another place than this one. If this run is killed as well, what
    /// is left of that one must still be told from the backup that is there.
    fn drop_run_with_state_elsewhere(&self, names: &mut Vec<String>) -> Result<(), Error> {
        let Some(unfinished) = Unfinished::find(self.target) else { return Ok(()) };
        let manifest = match self.read_manifest()?.transpose() {
            Ok(manifest) => manifest,
            // It may be the one that the run ended with.
            Err(_) => return Ok(()),
        };
        let is_listed = |name: &str| manifest.as_ref().is_some_and(|manifest| manifest.lists(name));
        let (dropped, others): (Vec<_>, Vec<_>) = std::mem::take(names)
            .into_iter()
            .partition(|name| unfinished.holds(name) && !is_listed(name) || name == naming::STATE);
        *names = others;
        let (state, files): (Vec<_>, Vec<_>) = dropped.into_iter().partition(|name| name == naming::STATE);
        files.iter().chain(&state).try_for_each(|name| Ok(self.target.remove(name)?))
    }

    /// Checks that what has the name of the state is one, and of a backup into this target: nothing else may go.
    fn check_is_here(&self) -> Result<(), Error> {
        if let Some(state) = read_names(&self.place.directory, &self.place.name) {
            let is_here = state.directory == directory_name(self.target)
                || self.is_about_files_here(&state, self.manifest()?.as_ref());
            return if is_here { Ok(()) } else { Err(self.about_something_else()) };
        }
        match self.state()? {
            Some(Err(error @ DocumentError::NotText)) => Err(self.unreadable(error)),
            // It may be the only way to go on with a backup elsewhere.
            Some(Err(error)) if !self.place.is_in(self.target) => Err(self.unreadable(error)),
            _ => Ok(()),
        }
    }

    /// Returns whether the files that a state names are those in this target. If it lies elsewhere the sign here is that of
    /// the same run, and no state is about a file of a complete backup of another run.
    fn is_about_files_here(&self, state: &State, manifest: Option<&Manifest>) -> bool {
        let is_listed = |file: &StateFile| manifest.is_some_and(|manifest| manifest.lists(&file.name));
        let is_signed = match self.config.shard {
            _ if self.place.is_beside(self.target) => true,
            None => {
                read_names(self.target, naming::STATE_ELSEWHERE).is_some_and(|left| left.run == state.run)
            }
            Some(_) => self.had_lock || self.place.is_in(self.target),
        };
        is_of(manifest, state) || is_signed && !state.files.iter().any(is_listed)
    }

    fn about_something_else(&self) -> Error {
        let (state, target) = (self.place.directory.path().join(&self.place.name), self.target.path());
        let message = format!("{} isn't the state of what is in {}", state.display(), target.display());
        Error::of(ErrorKind::State, message)
            .hint("name the directory of its backup, or another state with --state-dir or --state-file-dst")
            .build()
    }

    /// Goes on with the run that is there.
    fn go_on(&self) -> Result<Begun, Error> {
        let Some(state) = self.state()? else {
            return match self.complete_manifest()? {
                Some(manifest) => self.done(manifest),
                None if self.names.iter().all(|name| self.is_first_state(name)) => Ok(Begun::default()),
                None => Err(self.nothing_to_continue()),
            };
        };
        let state = state.map_err(|error| self.unreadable(error))?;
        let manifest = self.manifest()?;
        if is_of(manifest.as_ref(), &state) {
            return self.clear_up(manifest, &state);
        }
        self.check_share(&state)?;
        if !self.is_about_files_here(&state, manifest.as_ref()) {
            return Err(self.about_something_else());
        }
        check_options(&state.options, &manifest::options(self.config, self.key), UNFINISHED)?;
        let unfinished = self.leftovers(&state);
        Ok(Begun { state: Some(Box::new(self.keep_durable(state)?)), unfinished, ..Begun::default() })
    }

    /// The backup that is there is all that was asked for, if it has the same options and is whole.
    fn done(&self, manifest: Manifest) -> Result<Begun, Error> {
        if manifest.fingerprint() != manifest::fingerprint(self.config, self.key) {
            let path = self.target.path().display();
            let message = format!("{path} holds a complete backup with other options");
            return Err(Error::of(ErrorKind::Config, message).hint(self.choose_another()).build());
        }
        let rules = SetRules {
            manifest: ManifestRule::Required,
            extra: ExtraFiles::Refuse,
            key: self.key.cloned(),
            compression: None,
        };
        manifest::refuse(&match self.config.shard {
            None => manifest::survey(self.target, &rules)?.findings,
            Some(_) => manifest::survey_share(self.target, &manifest, &rules)?,
        })?;
        Ok(Begun { complete: Some(manifest), ..Begun::default() })
    }

    /// The run was killed when its manifest was in place: what was left to do is done now.
    fn clear_up(&self, manifest: Option<Manifest>, state: &State) -> Result<Begun, Error> {
        check_options(&state.options, &manifest::options(self.config, self.key), UNFINISHED)?;
        for name in state.replaces.iter().chain(&self.leftovers(state)) {
            self.target.remove(name)?;
        }
        self.target.sync()?;
        self.place.remove()?;
        manifest.map_or_else(|| Ok(Begun::default()), |manifest| self.done(manifest))
    }

    /// Removes what the killed run wrote that isn't durable, and forgets it.
    fn keep_durable(&self, mut state: State) -> Result<State, Error> {
        let written = state.metadata.is_some();
        let (kept, dropped) = std::mem::take(&mut state.files)
            .into_iter()
            .partition(|file| file.holds_entries() && (written || !naming::is_metadata(&file.name)));
        state.files = kept;
        let dropped: Vec<super::StateFile> = dropped;
        dropped.iter().try_for_each(|file| self.remove_file(&file.name))?;
        // A side file is written at the end, and again by the run that comes so far.
        let own = |name: &&String| {
            naming::is_side_file(name)
                && naming::number(name).map_or(state.replaces.is_empty(), |number| number >= state.first_file)
        };
        self.names.iter().filter(own).try_for_each(|name| self.remove_file(name))?;
        let has_first = state.files.iter().any(|file| naming::number(&file.name) == Some(state.first_file));
        if !has_first {
            state.first_file = state.next_file;
        }
        state.resumes += 1;
        Ok(state)
    }

    /// Returns the unfinished files that aren't those of the run that is gone on with.
    fn leftovers(&self, state: &State) -> Vec<String> {
        let of_run =
            |part: &str| state.files.iter().any(|file| part.strip_suffix(".part") == Some(&file.name));
        // A run that takes the place of shares leaves nothing of them.
        let goes = |name: &str| {
            let is_of_replaced = self.config.shard.is_none() && naming::is_of_share(name);
            is_of_replaced || naming::is_unfinished(name) && !of_run(name)
        };
        let parts = self.names.iter().filter(|name| goes(name));
        parts.cloned().collect()
    }

    fn remove_file(&self, name: &str) -> Result<(), Error> {
        self.target.remove(name)?;
        Ok(self.target.remove(&format!("{name}.part"))?)
    }

    fn new_state(&self, begun: &Begun, started: SystemTime) -> State {
        State::new(Beginning {
            run: format!("{:016x}", fastrand::u64(..)),
            started: report::rfc3339(started),
            as_of: self.config.as_of.map(filter::rfc3339),
            directory: directory_name(self.target),
            first_file: match self.config.shard {
                Some(shard) => u64::from(shard.index()),
                None => self.names.iter().filter_map(|name| naming::number(name)).max().unwrap_or(0) + 1,
            },
            fingerprint: manifest::fingerprint(self.config, self.key),
            options: manifest::options(self.config, self.key),
            shard: self.config.shard.map(Into::into),
            replaces: begun.replaced.clone(),
            hashing: Hashing::of(self.key),
        })
    }

    /// Returns whether a file is a state that isn't complete. Without a complete one beside it, its run was killed before it
    /// wrote anything else.
    fn is_first_state(&self, name: &str) -> bool {
        name.strip_suffix(".part") == Some(&self.place.name)
    }

    fn has_state(&self) -> Result<bool, Error> {
        Ok(self.place.directory.list()?.iter().any(|file| file.name == self.place.name))
    }

    fn state(&self) -> Result<Option<Result<State, DocumentError>>, Error> {
        if !self.has_state()? {
            return Ok(None);
        }
        let bytes = manifest::read(&self.place.directory, &self.place.name)?;
        Ok(Some(bytes.and_then(|bytes| {
            // What doesn't say that it is a state is no damaged one of ours, but perhaps one of an older tool.
            match State::is_one(&bytes) {
                true => State::decode(&bytes, self.key),
                false => Err(DocumentError::NotText),
            }
        })))
    }

    /// Returns the manifest that is there. A damaged one is no backup to be left as it is, and none to be relied on; one
    /// with another key isn't of a run with this one.
    fn manifest(&self) -> Result<Option<Manifest>, Error> {
        Ok(self.read_manifest()?.and_then(Result::ok))
    }

    /// Returns the manifest of a complete backup, which must have been made with the same key.
    fn complete_manifest(&self) -> Result<Option<Manifest>, Error> {
        match self.read_manifest()?.transpose() {
            Err(DocumentError::KeyMissing) => Err(missing_key_by(&self.manifest_name())),
            Err(DocumentError::KeyUnused) => Err(unused_key(&self.manifest_name())),
            Err(error @ DocumentError::KeyedSeal) => Err(other_key(&self.manifest_name(), error)),
            manifest => Ok(manifest.ok().flatten()),
        }
    }

    fn read_manifest(&self) -> Result<Option<Result<Manifest, DocumentError>>, Error> {
        let name = self.manifest_name();
        if !self.names.contains(&name) {
            return Ok(None);
        }
        let bytes = manifest::read(self.target, &name)?;
        Ok(Some(bytes.and_then(|bytes| Manifest::decode_of(self.config.shard, &bytes, self.key))))
    }

    fn manifest_name(&self) -> String {
        naming::manifest(self.config.shard)
    }

    /// Checks that a state is about the same share, or about the whole.
    fn check_share(&self, state: &State) -> Result<(), Error> {
        if state.shard == self.config.shard.map(Into::into) {
            return Ok(());
        }
        let share = |text: Option<String>| {
            text.map_or_else(|| "a whole backup".to_owned(), |text| format!("share {text}"))
        };
        let before = share(state.shard.map(ShardName::text));
        let now = share(self.config.shard.map(|shard| shard.to_string()));
        let message = format!("{} is the state of {before}, but this run is of {now}", self.place.name);
        Err(Error::of(ErrorKind::State, message).hint("change --shard, or name another state").build())
    }

    fn unfinished_run(&self) -> Error {
        let path = self.target.path().display();
        let message = format!("the target {path} isn't empty: it holds an unfinished backup");
        Error::of(ErrorKind::State, message)
            .place(|place| place.file = Some(self.place.name.clone()))
            .hint(self.way_out(
                "go on with it with --continue, or replace it with --remove-files",
                "go on with it with --continue",
            ))
            .build()
    }

    fn not_empty(&self, files: usize) -> Error {
        let path = self.target.path().display();
        let (message, hint) = match self.config.shard {
            None => (format!("the target {path} isn't empty: it holds {files} files"), self.choose_another()),
            Some(shard) if self.names.contains(&self.manifest_name()) => (
                format!("share {shard} is complete already in {path}"),
                "when all shares are, make one backup of them with asbackup complete",
            ),
            Some(_) => (
                format!("{path} holds {files} files that aren't of other shares"),
                "if a job of this share left them that kept no state, remove them by hand; if not, choose another directory",
            ),
        };
        Error::of(ErrorKind::Config, message)
            .place(|place| place.file = self.config.shard.and(self.names.first().cloned()))
            .hint(hint)
            .build()
    }

    fn choose_another(&self) -> &'static str {
        self.way_out(
            "choose another directory, or replace the backup in it with --remove-files",
            "choose another directory",
        )
    }

    /// Returns what can be done about a target; shares can't replace anything.
    fn way_out(&self, of_whole: &'static str, of_share: &'static str) -> &'static str {
        if self.config.shard.is_none() { of_whole } else { of_share }
    }

    fn nothing_to_continue(&self) -> Error {
        let (path, name) = (self.target.path().display(), &self.place.name);
        let message = format!("{path} has no {name}, so there is no run to go on with, and it isn't empty");
        Error::of(ErrorKind::State, message)
            .hint(self.way_out(
                "name the state with --continue NAME or --state-dir, or replace what is there with --remove-files",
                "name the state with --continue NAME or --state-dir, or choose another directory",
            ))
            .build()
    }

    fn unreadable(&self, error: DocumentError) -> Error {
        let name = &self.place.name;
        let file = |place: &mut crate::ErrorPlace| place.file = Some(name.clone());
        match error {
            DocumentError::NotText => {
                let message = format!(
                    "{name} isn't a state of this program, but perhaps one of backup-go or the C tools"
                );
                Error::of(ErrorKind::State, message).hint(
                    "finish that backup with the tool that began it, start anew in an empty directory, or move that file away",
                )
            }
            DocumentError::Format { .. } | DocumentError::Version { .. } => {
                Error::of(ErrorKind::State, format!("{name} isn't a state that this program can go on with"))
                    .hint("start anew in an empty directory, or with --remove-files")
                    .source(error)
            }
            DocumentError::KeyMissing => return missing_key_by(name),
            DocumentError::KeyUnused => return unused_key(name),
            DocumentError::KeyedSeal => return other_key(name, error),
            error => Error::of(ErrorKind::Integrity, format!("{name} can't be relied on"))
                .hint("start anew in an empty directory, or with --remove-files")
                .source(error),
        }
        .place(file)
        .build()
    }
}

fn other_key(name: &str, error: DocumentError) -> Error {
    Error::of(ErrorKind::Integrity, format!("{name} can't be relied on"))
        .place(|place| place.file = Some(name.to_owned()))
        .hint(
            "give the cipher and the key that the backup was begun with, or start anew in an empty directory",
        )
        .source(error)
        .build()
}

/// Returns the name of a target that doesn't depend on where it is called from; none if there is no such name as text.
fn directory_name(target: &Local) -> Option<String> {
    std::fs::canonicalize(target.path()).ok()?.into_os_string().into_string().ok()
}

/// Returns whether a manifest was written by the run whose state this is.
fn is_of(manifest: Option<&Manifest>, state: &State) -> bool {
    manifest.is_some_and(|manifest| manifest.is_of(&state.run))
}

fn taken(target: &Local) -> Error {
    Error::of(ErrorKind::Config, format!("the file {} is there already", target.path().display()))
        .hint("choose another name, or replace the file with --force")
        .build()
}

/// Checks that a run writes the same as the one that it goes on with.
pub(super) fn check_options(before: &Value, now: &Value, of: &str) -> Result<(), Error> {
    let (Some(before), Some(now)) = (before.as_object(), now.as_object()) else {
        return Err(Error::of(ErrorKind::Integrity, "the state has no options").build());
    };
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        let value = |options: &serde_json::Map<String, Value>| options.get(name).cloned().unwrap_or_default();
        if value(before) != value(now) {
            let (before, now) = (value(before), value(now));
            let message = format!("{of} has the option {name} = {before}, but this run has {now}");
            return Err(Error::of(ErrorKind::State, message)
                .hint("give the options that the backup was begun with, or start anew in an empty directory")
                .build());
        }
    }
    Ok(())
}

/// What a run goes on with.
const UNFINISHED: &str = "the unfinished backup";

fn place(config: &BackupConfig, target: &Local) -> Result<StatePlace, Error> {
    let name = config.state_name.clone().unwrap_or_else(|| naming::state(config.shard));
    let is_other = ShareFile::of(&name).is_some_and(|(kind, _)| kind != ShareFile::State);
    let taken = naming::is_data(&name) || naming::is_side_file(&name) || name == naming::MANIFEST || is_other;
    if ["", ".", ".."].contains(&name.as_str())
        || name.contains(['/', '\\', '\0'])
        || taken
        || name.ends_with(".part")
    {
        let message = format!("{name:?} can't be the name of a state");
        return Err(Error::of(ErrorKind::Config, message)
            .hint("give a name without separators that doesn't end in .asb, .asbx or .part; --state-dir says where it lies")
            .build());
    }
    if config.checkpoint == Checkpoint::Off && config.existing == ExistingFiles::Continue {
        let message = "a run that keeps no state can't go on with an earlier one";
        let hint = match target.is_directory() {
            true => "leave out --no-resume or --continue",
            false => "only a backup into a --directory keeps one: leave out --continue",
        };
        return Err(Error::of(ErrorKind::Config, message).hint(hint).build());
    }
    let directory = config.state_directory.as_ref().map_or_else(|| target.clone(), Local::directory);
    Ok(StatePlace { directory, name })
}

impl BackupConfig {
    /// Returns the [`Self::as_of`] of the unfinished backup in a target, if this one is to go on with it. Times that are
    /// reckoned from then are the same as those that it was begun with. Reads the state, and blocks meanwhile.
    #[must_use]
    pub fn as_of_unfinished(&self, target: &Local) -> Option<SystemTime> {
        if self.existing != ExistingFiles::Continue {
            return None;
        }
        let place = place(self, target).ok()?;
        let as_of: jiff::Timestamp = read_names(&place.directory, &place.name)?.as_of?.parse().ok()?;
        Some(as_of.into())
    }
}

impl Start {
    /// Returns the partitions that the whole backup reads, given those that are selected now, and what is left of them
    /// to read. An earlier run has settled the former.
    pub(crate) fn left_of(
        &self,
        wanted: PartitionSet,
        config: &BackupConfig,
    ) -> (PartitionSet, PartitionSet) {
        let selected = if self.resumed { self.state.partitions } else { wanted };
        let done = match self.records_left(config) {
            Some(0) => selected,
            _ => self.state.done(),
        };
        (selected, selected.iter().filter(|&partition| !done.contains(partition)).collect())
    }

    /// Returns how many records are still to be read, if there is a bound.
    pub(crate) fn records_left(&self, config: &BackupConfig) -> Option<u64> {
        Some(config.max_records?.get().saturating_sub(self.state.counts.records_read))
    }
}
