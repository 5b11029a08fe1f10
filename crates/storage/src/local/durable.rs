//! What a run leaves behind on purpose, for the one that goes on with it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
};

use super::{Local, Naming, Upload, part_of};
use crate::{Action, Error};

/// A directory that no other job locks. Dropping it, or the end of the process, lets it go.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Local {
    /// Locks a directory against other jobs that do the same; none if one of them has it. Nothing is written: the lock
    /// is on the directory itself, so that it leaves nothing behind.
    ///
    /// # Errors
    /// If the directory can't be opened, or its file system knows no locks.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        let file = File::open(self.path()).map_err(Error::new(Action::Lock, self.path()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::new(Action::Lock, self.path())(error)),
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

#[cfg(test)]
mod tests {
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
}
