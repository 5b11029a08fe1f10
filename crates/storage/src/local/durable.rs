//! What a run leaves behind on purpose, for the one that goes on with it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{Local, Naming, Upload, part_of};
use crate::{Action, Error};

/// A directory that no other job locks. Dropping it, or the end of the process, lets it go.
#[derive(Debug)]
pub struct Lock(File);

/// A file that no other job locks. Dropping it, or the end of the process, lets it go; the file stays.
#[derive(Debug)]
pub struct FileLock {
    #[expect(dead_code, reason = "it is held, not used")]
    lock: Lock,
    is_new: bool,
}

impl FileLock {
    /// Returns whether the file was made for the lock, and not there before.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Local {
    /// Locks a directory against other jobs that do the same; none if one of them has it. Nothing is written: the lock
    /// is on the directory itself, so that it leaves nothing behind.
    ///
    /// # Errors
    /// If the directory can't be opened, or its file system knows no locks.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        lock(self.path(), File::open(self.path()), File::try_lock)
    }

    /// Locks a directory against those who want it for themselves, but not against others who share it; none if somebody
    /// has it.
    ///
    /// # Errors
    /// If the directory can't be opened, or its file system knows no locks.
    pub fn lock_shared(&self) -> Result<Option<Lock>, Error> {
        lock(self.path(), File::open(self.path()), File::try_lock_shared)
    }

    /// Locks a file, which is made if it isn't there, empty; none if another job has it. Whoever has the lock may remove
    /// the file.
    ///
    /// # Errors
    /// If the file can't be opened, or its file system knows no locks; it is there then all the same.
    pub fn lock_file(&self, name: &str) -> Result<Option<FileLock>, Error> {
        let path = self.path_of(name);
        let failed = |error| Error::new(Action::Lock, &path)(error);
        loop {
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            let is_new = made.is_ok();
            let opened = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match OpenOptions::new().write(true).open(&path) {
                        // Removed between the two.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        opened => opened,
                    }
                }
                made => made,
            };
            let lock = lock(&path, opened, File::try_lock)?;
            let Some(lock) = lock else { return Ok(None) };
            // Whoever had the lock before may have removed the file: then the lock is on one that nobody finds.
            let inode = lock.0.metadata().map_err(failed)?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == inode) {
                return Ok(Some(FileLock { lock, is_new }));
            }
        }
    }

    /// Goes on with a file that an earlier run settled: what lies behind its first `bytes` is cut off.
    ///
    /// # Errors
    /// If it isn't there, complete or not, or is shorter.
    pub fn reopen(&self, name: &str, bytes: u64) -> Result<Upload, Error> {
        let path = self.path_of(name);
        let part = part_of(&path);
        let failed = |error| Error::new(Action::Reopen, &path)(error);
        // The earlier run was killed when the file had its name, but before it could say so.
        if !part.exists() && path.exists() {
            fs::rename(&path, &part).map_err(failed)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&part).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < bytes {
            let what = format!("it has {found} bytes, but {bytes} were durable");
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
        }
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let mut upload = self.start(file, part, Naming::Settled(path));
        upload.bytes = bytes;
        Ok(upload)
    }
}

impl Upload {
    /// Makes durable what was written so far. From then on it stays when this is dropped.
    ///
    /// # Errors
    /// If it can't be synced.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.flush()?;
        let synced = self.faults.step().and_then(|()| self.file.sync_data());
        synced.map_err(Error::new(Action::Write, &self.path))?;
        if let Naming::Later(name) = &mut self.naming {
            self.naming = Naming::Settled(std::mem::take(name));
        }
        Ok(())
    }

    /// Hands all bytes of a reopened file to `each`, in chunks.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn read_back(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let failed = |error| Error::new(Action::Read, &self.path)(error);
        self.file.rewind().map_err(failed)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            self.file.read_exact(&mut chunk[..len]).map_err(failed)?;
            each(&chunk[..len]);
            left -= len as u64;
        }
        Ok(())
    }
}

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Creates a file, empty, that nobody else writes into; it is locked as long as it is open. In a directory, the lock of
/// that does the same.
pub(super) fn create_alone(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another job is writing this file";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            // Some network disks know no locks.
            Err(TryLockError::Error(_)) => return File::create(path),
        }
        // The other job may have given it its name, or removed it, since it was opened.
        if fs::metadata(path).is_ok_and(|found| file.metadata().is_ok_and(|own| own.ino() == found.ino())) {
            file.set_len(0)?;
            return Ok(file);
        }
    }
}

fn lock(
    path: &Path,
    opened: io::Result<File>,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<Option<Lock>, Error> {
    let file = opened.map_err(Error::new(Action::Lock, path))?;
    match lock(&file) {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::new(Action::Lock, path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

    use super::*;

    fn text(local: &Local, name: &str) -> Vec<u8> {
        let mut text = Vec::new();
        local.read(name).unwrap().read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn settled_file_stays_and_is_gone_on_with_behind_what_was_durable() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let mut upload = local.upload("a.asb").unwrap();
        upload.write(b"abc").unwrap();
        upload.settle().unwrap();
        upload.write(b"torn").unwrap();
        drop(upload);
        assert_eq!(text(&local, "a.asb.part"), b"abctorn");
        let mut upload = local.reopen("a.asb", 3).unwrap();
        let mut read = Vec::new();
        upload.read_back(|bytes| read.extend_from_slice(bytes)).unwrap();
        upload.write(b"def").unwrap();
        assert_eq!((read.as_slice(), upload.bytes()), (&b"abc"[..], 6));
        upload.complete().unwrap();
        assert_eq!(text(&local, "a.asb"), b"abcdef");
    }

    #[test]
    fn file_that_has_its_name_already_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        fs::write(directory.path().join("a.asb"), "abcdef").unwrap();
        drop(local.reopen("a.asb", 2).unwrap());
        assert_eq!(text(&local, "a.asb.part"), b"ab");
        assert!(!directory.path().join("a.asb").exists());
    }

    #[test]
    fn file_that_is_too_short_or_gone_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        fs::write(directory.path().join("a.asb.part"), "ab").unwrap();
        let error = local.reopen("a.asb", 3).unwrap_err();
        assert_eq!(error.source.to_string(), "it has 2 bytes, but 3 were durable");
        assert_eq!(local.reopen("b.asb", 0).unwrap_err().action, Action::Reopen);
    }

    #[test]
    fn directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let lock = local.lock().unwrap().unwrap();
        assert!(local.lock().unwrap().is_none());
        drop(lock);
        assert!(local.lock().unwrap().is_some());
        assert_eq!(Local::directory("/nonexistent").lock().unwrap_err().action, Action::Lock);
    }

    #[test]
    fn directory_is_shared_or_locked_by_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let shared = [local.lock_shared().unwrap().unwrap(), local.lock_shared().unwrap().unwrap()];
        assert!(local.lock().unwrap().is_none());
        drop(shared);
        let lock = local.lock().unwrap().unwrap();
        assert!(local.lock_shared().unwrap().is_none());
        drop(lock);
    }

    #[test]
    fn file_that_is_removed_by_its_holder_is_never_held_twice() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let (is_held, held) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let Some(lock) = local.lock_file("lock").unwrap() else { continue };
                        assert!(!is_held.swap(true, Relaxed));
                        held.fetch_add(1, Relaxed);
                        std::thread::yield_now();
                        is_held.store(false, Relaxed);
                        local.remove("lock").unwrap();
                        drop(lock);
                    }
                });
            }
        });
        assert!(held.into_inner() > 0);
    }

    #[test]
    fn single_file_has_one_writer() {
        let directory = tempfile::tempdir().unwrap();
        let file = Local::file(directory.path().join("one.asb"));
        let mut first = file.upload("").unwrap();
        first.write(b"first").unwrap();
        let busy = file.upload("").unwrap_err();
        assert_eq!((busy.action, busy.source.kind()), (Action::Create, io::ErrorKind::ResourceBusy));
        first.complete().unwrap();
        assert_eq!(text(&file, ""), b"first");
        // What a killed job left is written over.
        fs::write(directory.path().join("one.asb.part"), "longer than what follows").unwrap();
        let mut next = file.upload("").unwrap();
        next.write(b"next").unwrap();
        next.complete().unwrap();
        assert_eq!(text(&file, ""), b"next");
        drop(file.upload("").unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn file_is_locked_once_and_made_if_it_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let first = local.lock_file("lock").unwrap().unwrap();
        assert!(first.is_new() && local.lock_file("lock").unwrap().is_none());
        assert!(local.lock_file("other").unwrap().is_some());
        drop(first);
        let second = local.lock_file("lock").unwrap().unwrap();
        assert!(!second.is_new());
        // Whoever opened it before it was removed mustn't take the old one for the new one.
        local.remove("lock").unwrap();
        let third = local.lock_file("lock").unwrap().unwrap();
        assert!(third.is_new() && local.lock_file("lock").unwrap().is_none());
        let nowhere = Local::directory(directory.path().join("nowhere"));
        assert_eq!(nowhere.lock_file("lock").unwrap_err().action, Action::Lock);
    }
}
