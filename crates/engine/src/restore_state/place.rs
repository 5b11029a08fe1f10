//! Where a state lies: a directory that is this job's alone for as long as it runs.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use asbackup_storage::Local;

use crate::{
    Error, ErrorKind,
    checkpoint::{End, Hold},
    config::{Shard, StateConfig, StatePlace},
    manifest,
    naming::ShareFile,
};

/// A directory, and the name of the state in it.
#[derive(Debug)]
pub(super) struct Place {
    directory: Local,
    name: String,
    /// Of the directory itself, so that no file is needed for it. The system drops it with the process.
    _lock: Hold,
}

/// More than any state of ours takes: 1 MiB is enough for some thousand files.
const LIMIT_BYTES: u64 = 256 << 20;

impl Place {
    /// Chooses the directory and takes it for this job, or for this job's share.
    pub(super) fn open(config: &StateConfig, source: &Local, shard: Option<Shard>) -> Result<Self, Error> {
        let directory = match &config.place {
            StatePlace::Directory(path) => path.clone(),
            StatePlace::Beside { otherwise } => match (can_write(source, &config.name), otherwise) {
                (Ok(()), _) => source.path().to_owned(),
                (Err(_), Some(cache)) => cache.join(folder(source.path())?),
                (Err(error), None) => return Err(error),
            },
        };
        let directory = Local::directory(directory);
        directory.prepare()?;
        let lock = lock(&directory, shard)?;
        Ok(Self { directory, name: config.name.clone(), _lock: lock })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Reads the state, if there is one.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let unreadable = |error: io::Error| {
            Error::of(ErrorKind::Storage, format!("cannot read the state {}", self.path().display()))
                .source(error)
                .build()
        };
        let mut bytes = Vec::new();
        match File::open(self.path()).and_then(|file| file.take(LIMIT_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Puts a state in the place of the one before: whichever moment the process ends at, one of the two is there.
    pub(super) fn write(&self, text: &str) -> Result<(), Error> {
        let mut upload = self.directory.upload(&self.name)?;
        upload.write(text.as_bytes())?;
        upload.complete()?;
        Ok(self.directory.sync()?)
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        Ok(self.directory.remove(&self.name)?)
    }
}

/// Tries it, since permissions don't tell of disks that are mounted read-only.
fn can_write(source: &Local, name: &str) -> Result<(), Error> {
    // Dropped before it is complete, an upload leaves nothing.
    Ok(source.upload(name).map(drop)?)
}

/// Returns the name of the folder of a backup among those of others.
fn folder(path: &Path) -> Result<String, Error> {
    let path = path.canonicalize().map_err(|error| {
        let message = format!("cannot find {}", path.display());
        Error::of(ErrorKind::Storage, message).source(error).build()
    })?;
    Ok(manifest::Hashing::default().hash(&[path.as_os_str().as_encoded_bytes()]))
}

fn lock(directory: &Local, shard: Option<Shard>) -> Result<Hold, Error> {
    let taken = || {
        let message = format!("another job is working with {}", directory.path().display());
        Error::of(ErrorKind::Config, message)
            .hint("wait for it, or keep the state elsewhere with --state-dir, or none with --no-resume")
            .build()
    };
    let Some(shard) = shard else { return Hold::whole(directory, taken) };
    let mut hold = Hold::share(directory, &ShareFile::RestoreLock.name(shard), taken)?;
    // Unlike that of a backup it says nothing about files.
    hold.end(End::Remove);
    Ok(hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(place: StatePlace) -> StateConfig {
        StateConfig { place, ..StateConfig::new() }
    }

    #[test]
    fn state_lies_beside_the_data_or_elsewhere_if_that_cannot_be() {
        let (data, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let source = Local::directory(data.path());
        let beside = config(StatePlace::Beside { otherwise: Some(cache.path().to_owned()) });
        let place = Place::open(&beside, &source, None).unwrap();
        assert_eq!(place.path(), data.path().join("asbackup.restore.state.json"));
        drop(place);
        // Nothing can be written under that name then, whoever asks.
        std::fs::create_dir(data.path().join("asbackup.restore.state.json.part")).unwrap();
        let place = Place::open(&beside, &source, None).unwrap();
        let folder = place.path().parent().unwrap().to_owned();
        assert_eq!(folder.parent().unwrap(), cache.path());
        assert_eq!(folder.file_name().unwrap().len(), 32);
        place.write("{}").unwrap();
        let again = Local::directory(data.path().join("."));
        drop(place);
        assert_eq!(Place::open(&beside, &again, None).unwrap().read().unwrap().as_deref(), Some(&b"{}"[..]));
        assert!(Place::open(&config(StatePlace::Beside { otherwise: None }), &source, None).is_err());
        let given = config(StatePlace::Directory(cache.path().join("a/b")));
        assert!(Place::open(&given, &source, None).unwrap().path().starts_with(cache.path().join("a/b")));
    }

    #[test]
    fn second_job_is_refused_as_long_as_the_first_runs() {
        let data = tempfile::tempdir().unwrap();
        let open = || Place::open(&StateConfig::new(), &Local::directory(data.path()), None);
        let first = open().unwrap();
        let error = open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("--state-dir"));
        drop(first);
        open().unwrap();
    }

    #[test]
    fn shares_work_at_once_and_each_once() {
        let data = tempfile::tempdir().unwrap();
        let open = |shard: &str| {
            Place::open(&StateConfig::new(), &Local::directory(data.path()), shard.parse().ok())
        };
        let held = [open("1/2").unwrap(), open("2/2").unwrap()];
        assert!(open("1/2").is_err() && open("the whole").is_err());
        drop(held);
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
        open("the whole").unwrap();
    }

    #[test]
    fn state_is_replaced_as_a_whole_and_removed() {
        let data = tempfile::tempdir().unwrap();
        let place = Place::open(&StateConfig::new(), &Local::directory(data.path()), None).unwrap();
        assert_eq!(place.read().unwrap(), None);
        place.write("a").unwrap();
        place.write("b").unwrap();
        assert_eq!(place.read().unwrap().as_deref(), Some(&b"b"[..]));
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 1);
        place.remove().unwrap();
        assert_eq!(place.read().unwrap(), None);
    }
}
