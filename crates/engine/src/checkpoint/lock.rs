//! Keeping other jobs away from a directory, or from one share of what is in it, where its file system can.

use asbackup_storage::{FileLock, Local, Lock};

use crate::{Error, ErrorKind};

/// What keeps other jobs away. The system drops it with the process.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Says that a job is under way whose state doesn't. Dropped before the directory is let go.
    sign: Option<Sign>,
    #[expect(dead_code, reason = "it is held, not used")]
    directory: Option<Lock>,
}

/// A file that a job holds. A process that is killed leaves it, as the sign that a backup, or a share of one, was begun.
#[derive(Debug)]
struct Sign {
    directory: Local,
    name: String,
    end: End,
    #[expect(dead_code, reason = "it is held, not used")]
    lock: Option<FileLock>,
}

/// What becomes of a sign when its job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes: what was begun is whole, or nothing of it is left.
    Remove,
    /// It stays, since files do.
    Leave,
}

impl Hold {
    /// Takes a directory for this job alone.
    pub(crate) fn whole(directory: &Local, taken: impl FnOnce() -> Error) -> Result<Self, Error> {
        Ok(Self { sign: None, directory: held(directory, directory.lock(), taken)? })
    }

    /// Takes a share of a directory: jobs of other shares may hold theirs, each by the name of its sign.
    pub(crate) fn share(directory: &Local, sign: &str, taken: impl Fn() -> Error) -> Result<Self, Error> {
        let shared = held(directory, directory.lock_shared(), &taken)?;
        Self { sign: None, directory: shared }.with_sign(directory, sign, taken)
    }

    /// Leaves a sign of that name in the directory.
    pub(crate) fn with_sign(
        self,
        directory: &Local,
        name: &str,
        taken: impl FnOnce() -> Error,
    ) -> Result<Self, Error> {
        let lock = held(directory, directory.lock_file(name), taken)?;
        // One that was there before is that of an earlier job, whose files may be there too.
        let end = if lock.as_ref().is_some_and(FileLock::is_new) { End::Remove } else { End::Leave };
        let sign = Sign { directory: directory.clone(), name: name.to_owned(), end, lock };
        Ok(Self { sign: Some(sign), ..self })
    }

    /// Says what becomes of the sign, if there is one.
    pub(crate) fn end(&mut self, end: End) {
        self.sign.iter_mut().for_each(|sign| sign.end = end);
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        if self.end == End::Leave {
            return;
        }
        if let Err(error) = self.directory.remove(&self.name) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot remove the sign of a job");
        }
    }
}

/// Takes a target for one job.
pub(crate) fn lock(target: &Local) -> Result<Hold, Error> {
    Hold::whole(target, || taken(target))
}

/// Returns the error of a target that another job has.
pub(crate) fn taken(target: &Local) -> Error {
    let message = format!("another job is working in {}", target.path().display());
    Error::of(ErrorKind::Config, message).hint("wait for its end, or choose another directory").build()
}

/// Returns the lock, or fails with `taken` if another job has it. Some network disks know no locks, and a job there is
/// better than none.
fn held<L>(
    directory: &Local,
    locked: Result<Option<L>, asbackup_storage::Error>,
    taken: impl FnOnce() -> Error,
) -> Result<Option<L>, Error> {
    match locked {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(taken()),
        Err(error) => {
            tracing::warn!(
                directory = %directory.path().display(),
                error = &error as &dyn std::error::Error,
                "the directory can't be locked against other jobs"
            );
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(directory: &Local, sign: &str) -> Result<Hold, Error> {
        Hold::share(directory, sign, || taken(directory))
    }

    #[test]
    fn shares_go_together_and_a_whole_job_goes_alone() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let shares = [share(&local, "a").unwrap(), share(&local, "b").unwrap()];
        assert!(share(&local, "a").is_err() && lock(&local).is_err());
        assert_eq!(local.list().unwrap().len(), 2);
        drop(shares);
        let whole = lock(&local).unwrap();
        assert!(share(&local, "a").is_err());
        drop(whole);
        assert!(local.list().unwrap().is_empty(), "each took its own away");
    }

    #[test]
    fn sign_stays_as_long_as_files_do() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        share(&local, "a").unwrap().end(End::Leave);
        assert_eq!(local.list().unwrap().len(), 1);
        // Whoever finds it and leaves early knows nothing better.
        drop(share(&local, "a").unwrap());
        assert_eq!(local.list().unwrap().len(), 1);
        share(&local, "a").unwrap().end(End::Remove);
        assert!(local.list().unwrap().is_empty());
    }
}
