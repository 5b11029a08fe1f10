//! A directory, or a single file, on a local disk.

mod durable;

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Action, Error};

pub use durable::Lock;

/// Ending of a file that isn't whole yet. Older tools look only at names that end in `.asb` or `.asbx`.
const PART: &str = ".part";

/// A directory of backup files, or one such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    path: PathBuf,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Directory,
    File,
}

/// A file in storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredFile {
    /// Its name within the storage; names that aren't UTF-8 aren't those of a backup tool and aren't listed.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Local {
    /// Returns the files directly in a directory. The directory needn't exist yet.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), shape: Shape::Directory }
    }

    /// Returns one file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), shape: Shape::File }
    }

    /// Returns the path that was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this is a directory of files, and not one file.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.shape == Shape::Directory
    }

    /// Returns the files in ascending order of their names. A directory that doesn't exist holds none.
    ///
    /// # Errors
    /// If the directory can't be listed, or the file doesn't exist.
    pub fn list(&self) -> Result<Vec<StoredFile>, Error> {
        match self.shape {
            Shape::File => self.list_file(),
            Shape::Directory => self.list_directory(),
        }
    }

    /// Creates the directory and those above it, if they don't exist.
    ///
    /// # Errors
    /// If that isn't allowed, or something else has one of the names.
    pub fn prepare(&self) -> Result<(), Error> {
        let directory = match self.shape {
            Shape::Directory => self.path.as_path(),
            Shape::File => parent(&self.path),
        };
        fs::create_dir_all(directory).map_err(Error::new(Action::Create, directory))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// If it doesn't exist or may not be read.
    pub fn read(&self, name: &str) -> Result<File, Error> {
        let path = self.path_of(name);
        File::open(&path).map_err(Error::new(Action::Read, path))
    }

    /// Starts a file. It appears under its name when [`Upload::complete`] returns, never before.
    ///
    /// # Errors
    /// If the file can't be created.
    pub fn upload(&self, name: &str) -> Result<Upload, Error> {
        let path = self.path_of(name);
        let part = part_of(&path);
        let file = File::create(&part).map_err(Error::new(Action::Create, &part))?;
        Ok(Upload { file, part, path, bytes: 0, stays: false })
    }

    /// Removes a file; one that isn't there is no error.
    ///
    /// # Errors
    /// If the file may not be removed.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        remove_if_there(&self.path_of(name))
    }

    /// Makes names durable that were given or removed since the last call.
    ///
    /// # Errors
    /// If the directory can't be synced.
    pub fn sync(&self) -> Result<(), Error> {
        let directory = match self.shape {
            Shape::Directory => self.path.as_path(),
            Shape::File => parent(&self.path),
        };
        File::open(directory)
            .and_then(|file| file.sync_all())
            .map_err(Error::new(Action::Complete, directory))
    }

    fn path_of(&self, name: &str) -> PathBuf {
        match self.shape {
            Shape::Directory => self.path.join(name),
            Shape::File => self.path.clone(),
        }
    }

    fn list_file(&self) -> Result<Vec<StoredFile>, Error> {
        let metadata = fs::metadata(&self.path).map_err(Error::new(Action::Read, &self.path))?;
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned();
        Ok(vec![StoredFile { name, bytes: metadata.len() }])
    }

    fn list_directory(&self) -> Result<Vec<StoredFile>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(Error::new(Action::List, &self.path))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::new(Action::List, &self.path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_file() => files.push(StoredFile { name, bytes: metadata.len() }),
                Ok(_) => {}
                // A link to nothing is listed, so that whoever reads it is told; what was removed just now isn't.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                        files.push(StoredFile { name, bytes: 0 });
                    }
                }
                Err(error) => return Err(Error::new(Action::List, entry.path())(error)),
            }
        }
        files.sort();
        Ok(files)
    }
}

/// A file that is being written. Dropping it before it is complete or settled removes what was written.
#[derive(Debug)]
pub struct Upload {
    file: File,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
    /// Whether what was written stays when this is dropped.
    stays: bool,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    /// If they can't be written, for instance because the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::new(Action::Write, &self.part))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns how many bytes were written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the bytes durable and gives the file its name.
    ///
    /// # Errors
    /// If either fails; the file is removed then, unless it was settled before.
    pub fn complete(mut self) -> Result<(), Error> {
        self.file
            .sync_data()
            .and_then(|()| fs::rename(&self.part, &self.path))
            .map_err(Error::new(Action::Complete, &self.path))?;
        self.stays = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.stays {
            // The error that led here is the one to report; a `.part` file that stays is never taken for a backup.
            let _ = remove_if_there(&self.part);
        }
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::new(Action::Remove, path)),
    }
}

/// Returns the path of a file as long as it isn't complete.
fn part_of(path: &Path) -> PathBuf {
    let mut part = OsString::from(path);
    part.push(PART);
    PathBuf::from(part)
}

/// Returns the directory that a file lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn names(local: &Local) -> Vec<String> {
        local.list().unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn file_appears_only_when_complete() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let mut upload = local.upload("a.asb").unwrap();
        upload.write(b"abc").unwrap();
        assert_eq!(names(&local), ["a.asb.part"]);
        upload.complete().unwrap();
        assert_eq!(local.list().unwrap(), [StoredFile { name: "a.asb".into(), bytes: 3 }]);
        let mut text = String::new();
        local.read("a.asb").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    #[test]
    fn dropped_upload_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        local.upload("a.asb").unwrap().write(b"abc").unwrap();
        assert!(names(&local).is_empty());
    }

    #[test]
    fn directory_that_does_not_exist_is_empty_until_prepared() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path().join("a/b"));
        assert!(names(&local).is_empty());
        local.prepare().unwrap();
        local.upload("x.asb").unwrap().complete().unwrap();
        local.sync().unwrap();
        assert_eq!(names(&local), ["x.asb"]);
        local.remove("x.asb").unwrap();
        local.remove("x.asb").unwrap();
        assert!(names(&local).is_empty());
    }

    #[test]
    fn links_are_listed_like_files_and_never_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("x"), "abc").unwrap();
        let link = |to: PathBuf, name| std::os::unix::fs::symlink(to, directory.path().join(name)).unwrap();
        link(elsewhere.path().join("x"), "file.asb");
        link(elsewhere.path().join("gone"), "lost.asb");
        link(elsewhere.path().to_owned(), "directory.asb");
        let local = Local::directory(directory.path());
        let file = |name: &str, bytes| StoredFile { name: name.into(), bytes };
        assert_eq!(local.list().unwrap(), [file("file.asb", 3), file("lost.asb", 0)]);
        assert_eq!(local.read("lost.asb").unwrap_err().action, Action::Read);
    }

    #[test]
    fn failure_names_action_and_path() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        let error = local.read("none.asb").unwrap_err();
        assert_eq!(error.action, Action::Read);
        assert!(error.to_string().ends_with("none.asb"), "{error}");
        assert!(Local::file(directory.path().join("none.asb")).list().is_err());
    }
}
