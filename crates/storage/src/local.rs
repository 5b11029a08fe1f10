//! Directories and single files on a local disk, and the standard streams of the process.

mod durable;
mod parts;
mod upload;

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use crate::{Action, Error, faults::Faults};

pub use durable::{FileLock, Lock};
pub use parts::Part;
pub use upload::Upload;
use upload::{Naming, WriteBuffer};

/// Ending of a file that isn't whole yet. Older tools look only at names that end in `.asb` or `.asbx`.
const PART: &str = ".part";

/// Where backup files lie: in a directory, in several or with all below it (for reading), as one file, or in a standard
/// stream.
///
/// One file is one stream without a name of its own: a regular file, a pipe with a name, or a device. It can't hold
/// more than one stream, and nothing can lie beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    path: PathBuf,
    shape: Shape,
    /// 0: none.
    buffer_bytes: usize,
    faults: Faults,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Directory,
    /// A directory and those below it.
    Tree,
    /// Names begin with the path of their directory.
    Directories(Vec<PathBuf>),
    /// The same, with those below them.
    Trees(Vec<PathBuf>),
    File,
    /// Standard input to read, standard output to write.
    Streams,
}

/// The name of the standard streams where others have a path.
const STREAMS: &str = "-";

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
        Self::new(path.into(), Shape::Directory)
    }

    /// Returns the files directly in several directories, to read them as one: the name of a file begins with the path
    /// of its directory.
    pub fn directories(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        Self::new(joined(&paths), Shape::Directories(paths))
    }

    /// Returns the files in a directory and in all directories below it, to read them as one: the name of a file is its
    /// path within that directory. Symbolic links to directories aren't followed.
    pub fn tree(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), Shape::Tree)
    }

    /// Returns the files in several directories and in all directories below them, to read them as one: the name of a file
    /// begins with the path of its directory. Symbolic links to directories aren't followed, but for those named here.
    pub fn trees(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        Self::new(joined(&paths), Shape::Trees(paths))
    }

    /// Returns one file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), Shape::File)
    }

    /// Returns standard input for reading, and standard output for writing.
    #[must_use]
    pub fn standard_streams() -> Self {
        Self::new(STREAMS.into(), Shape::Streams)
    }

    fn new(path: PathBuf, shape: Shape) -> Self {
        Self { path, shape, buffer_bytes: 0, faults: Faults::default() }
    }

    /// Writes files in pieces of that size, but for the last one of each; the reader of a stream may ask for pieces of that
    /// size too. 0: what is written goes out as it comes. Default: 0. Each file that is written takes as much memory.
    #[must_use]
    pub fn buffered(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Returns the size of the pieces that were asked for; 0 if none was.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Makes storage fail on purpose from the step with that number on, counted from 0; see [`crate::Fault`].
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn failing_at(mut self, step: u64, fault: crate::Fault) -> Self {
        self.faults = Faults::at(step, fault);
        self
    }

    /// Returns the path that was given; several are joined by commas, and standard streams are `-`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this is a directory of files, and not one file.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.shape == Shape::Directory
    }

    /// Returns whether this is one file or stream, and no directory or several.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.shape, Shape::File | Shape::Streams)
    }

    /// Returns the kind of storage: `local`, or `stdio` for standard streams.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.shape == Shape::Streams { "stdio" } else { "local" }
    }

    /// Returns whether files in directories below are among these.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        matches!(self.shape, Shape::Tree | Shape::Trees(_))
    }

    /// Returns the one directory in which files, or the directories with them, lie; none if there is no such one.
    #[must_use]
    pub fn root(&self) -> Option<Self> {
        matches!(self.shape, Shape::Directory | Shape::Tree).then(|| Self::directory(&self.path))
    }

    /// Returns the files, those of each directory in ascending order of their names. A directory that doesn't exist holds none. The size of what
    /// is no regular file isn't known, and 0.
    ///
    /// # Errors
    /// If the directory can't be listed, or the file doesn't exist.
    pub fn list(&self) -> Result<Vec<StoredFile>, Error> {
        match &self.shape {
            Shape::File => self.list_file(),
            Shape::Streams => Ok(vec![StoredFile { name: STREAMS.to_owned(), bytes: 0 }]),
            Shape::Directory => list_directory(&self.path),
            Shape::Tree | Shape::Directories(_) | Shape::Trees(_) => {
                let mut files = Vec::new();
                for part in self.parts()?.into_iter().flatten() {
                    let listed = list_directory(part.directory.path())?;
                    files.extend(listed.into_iter().map(|file| file.within(&part.prefix)));
                }
                Ok(files)
            }
        }
    }

    /// Returns whether there are directories in this directory that hold a file whose name ends like that.
    ///
    /// # Errors
    /// If the directory, or one in it, can't be listed.
    pub fn has_nested(&self, ending: &str) -> Result<bool, Error> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Ok(false) };
        for entry in entries {
            let path = entry.map_err(Error::new(Action::List, &self.path))?.path();
            if path.is_dir() && list_directory(&path)?.iter().any(|file| file.name.ends_with(ending)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether this is one regular file and is there already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.shape == Shape::File && fs::metadata(&self.path).is_ok_and(|metadata| metadata.is_file())
    }

    /// Creates the directory and those above it, if they don't exist.
    ///
    /// # Errors
    /// If that isn't allowed, or something else has one of the names, or this is several directories: those can only be
    /// read.
    pub fn prepare(&self) -> Result<(), Error> {
        let wrong = match self.shape {
            Shape::File if self.path.is_dir() => Some(io::ErrorKind::IsADirectory),
            Shape::Tree | Shape::Directories(_) | Shape::Trees(_) => Some(io::ErrorKind::Unsupported),
            _ => None,
        };
        if let Some(kind) = wrong {
            return Err(Error::new(Action::Create, &self.path)(kind.into()));
        }
        let Some(directory) = self.home() else { return Ok(()) };
        fs::create_dir_all(directory).map_err(Error::new(Action::Create, directory))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// If it doesn't exist or may not be read.
    pub fn read(&self, name: &str) -> Result<File, Error> {
        if self.shape == Shape::Streams {
            return stream(io::stdin().as_fd()).map_err(Error::new(Action::Read, STANDARD_INPUT));
        }
        let path = self.path_of(name);
        File::open(&path).map_err(Error::new(Action::Read, path))
    }

    /// Starts a file. It appears under its name when [`Upload::complete`] returns, never before. What has no name of
    /// its own (a standard stream, a pipe, a device) gets the bytes as they come.
    ///
    /// # Errors
    /// If the file can't be created.
    pub fn upload(&self, name: &str) -> Result<Upload, Error> {
        if self.shape == Shape::Streams {
            let file = stream(io::stdout().as_fd()).map_err(Error::new(Action::Create, STANDARD_OUTPUT))?;
            return Ok(self.start(file, STANDARD_OUTPUT.into(), Naming::Done));
        }
        let path = self.path_of(name);
        if self.is_stream() {
            let opened = File::options().write(true).open(&path);
            let file = opened.map_err(Error::new(Action::Create, &path))?;
            return Ok(self.start(file, path, Naming::Done));
        }
        let part = part_of(&path);
        let create =
            || if self.shape == Shape::File { durable::create_alone(&part) } else { File::create(&part) };
        let file = self.faults.step().and_then(|()| create());
        let file = file.map_err(Error::new(Action::Create, &part))?;
        Ok(self.start(file, part, Naming::Later(path)))
    }

    /// Removes a file; one that isn't there is no error.
    ///
    /// # Errors
    /// If the file may not be removed.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        if self.is_stream() {
            return Ok(());
        }
        let path = self.path_of(name);
        self.faults.step().map_err(Error::new(Action::Remove, &path))?;
        remove_if_there(&path)
    }

    /// Makes names durable that were given or removed since the last call.
    ///
    /// # Errors
    /// If the directory can't be synced.
    pub fn sync(&self) -> Result<(), Error> {
        let Some(directory) = self.home().filter(|_| !self.is_stream()) else { return Ok(()) };
        self.faults
            .step()
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(Error::new(Action::Complete, directory))
    }

    /// Returns the directory in which names are given.
    fn home(&self) -> Option<&Path> {
        match self.shape {
            Shape::Directory => Some(&self.path),
            Shape::File => Some(parent(&self.path)),
            Shape::Tree | Shape::Directories(_) | Shape::Trees(_) | Shape::Streams => None,
        }
    }

    /// Returns whether this is something that bytes go through, and where no name is given or removed: a standard stream,
    /// a pipe with a name, or a device.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        match self.shape {
            Shape::Streams => true,
            Shape::File => fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir()),
            Shape::Directory | Shape::Tree | Shape::Directories(_) | Shape::Trees(_) => false,
        }
    }

    fn path_of(&self, name: &str) -> PathBuf {
        match self.shape {
            Shape::Directory | Shape::Tree => self.path.join(name),
            Shape::Directories(_) | Shape::Trees(_) => name.into(),
            Shape::File | Shape::Streams => self.path.clone(),
        }
    }

    fn start(&self, file: File, path: PathBuf, naming: Naming) -> Upload {
        let buffer = WriteBuffer { bytes: self.buffer_bytes, pending: Vec::new() };
        Upload { file, path, naming, bytes: 0, buffer, faults: self.faults.clone() }
    }

    fn list_file(&self) -> Result<Vec<StoredFile>, Error> {
        let metadata = fs::metadata(&self.path).map_err(Error::new(Action::Read, &self.path))?;
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned();
        let bytes = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(vec![StoredFile { name, bytes }])
    }
}

impl StoredFile {
    fn within(self, directory: &Path) -> Self {
        Self { name: directory.join(self.name).to_string_lossy().into_owned(), ..self }
    }
}

fn joined(paths: &[PathBuf]) -> PathBuf {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",").into()
}

fn list_directory(directory: &Path) -> Result<Vec<StoredFile>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::new(Action::List, directory))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::new(Action::List, directory))?;
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

/// Names of the standard streams in errors.
const STANDARD_INPUT: &str = "standard input";
const STANDARD_OUTPUT: &str = "standard output";

/// Returns a standard stream without the buffer and the lock that the process shares.
fn stream(stream: BorrowedFd<'_>) -> io::Result<File> {
    stream.try_clone_to_owned().map(File::from)
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
    fn buffered_file_is_written_in_pieces_of_that_size() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path()).buffered(8);
        let mut upload = local.upload("a.asb").unwrap();
        let stored = || fs::read(directory.path().join("a.asb.part")).unwrap();
        for (text, written) in [("abc", 0), ("defgh", 8), ("ij", 8), ("klmnopqrstuvwxyz", 24)] {
            upload.write(text.as_bytes()).unwrap();
            assert_eq!(stored().len(), written, "after {text}");
        }
        upload.settle().unwrap();
        assert_eq!((stored().len(), upload.bytes()), (26, 26), "what is durable is written");
        upload.write(b"!").unwrap();
        upload.complete().unwrap();
        assert_eq!(fs::read(directory.path().join("a.asb")).unwrap(), b"abcdefghijklmnopqrstuvwxyz!");
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
    fn several_directories_are_read_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::create_dir(path).unwrap();
            fs::write(path.join("x.asb"), path.to_str().unwrap()).unwrap();
        }
        let local = Local::directories(paths.clone());
        assert_eq!(
            names(&local),
            paths.each_ref().map(|path| path.join("x.asb").to_str().unwrap().to_owned())
        );
        let mut text = String::new();
        local.read(&names(&local)[1]).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, paths[1].to_str().unwrap());
        let parts = local.parts().unwrap().unwrap().into_iter().map(|part| part.directory);
        assert_eq!(parts.collect::<Vec<_>>(), paths.map(Local::directory));
        assert_eq!(Local::directory("a").parts().unwrap(), None);
        assert!(Local::file("a").is_single() && !local.is_single() && !Local::directory("a").is_single());
        assert_eq!(local.prepare().unwrap_err().source.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn single_file_is_replaced_in_one_step() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/one.asb");
        let local = Local::file(&path);
        local.prepare().unwrap();
        assert!(!local.is_taken());
        for text in ["a longer text", "short"] {
            let mut upload = local.upload("any name").unwrap();
            upload.write(text.as_bytes()).unwrap();
            assert_eq!(
                local.is_taken(),
                text == "short",
                "the old one is there until the new one is complete"
            );
            upload.complete().unwrap();
            local.sync().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn directory_is_no_single_file() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Local::file(directory.path()).prepare().unwrap_err().action, Action::Create);
    }

    #[test]
    fn devices_are_written_to_and_stay() {
        let local = Local::file("/dev/null");
        local.prepare().unwrap();
        assert!(!local.is_taken());
        let mut upload = local.upload("").unwrap();
        upload.write(b"abc").unwrap();
        assert_eq!(upload.bytes(), 3);
        upload.complete().unwrap();
        local.sync().unwrap();
        local.remove("").unwrap();
        assert!(Path::new("/dev/null").exists());
        assert_eq!(local.list().unwrap()[0].bytes, 0);
        let error = Local::file("/dev/full").upload("").unwrap().write(b"abc").unwrap_err();
        assert_eq!((error.action, error.source.kind()), (Action::Write, io::ErrorKind::StorageFull));
    }

    #[test]
    fn standard_streams_have_one_file_and_no_directory() {
        let streams = Local::standard_streams();
        assert_eq!((streams.kind(), names(&streams)), ("stdio", vec!["-".to_owned()]));
        streams.prepare().unwrap();
        streams.remove("-").unwrap();
        streams.sync().unwrap();
        streams.read("-").unwrap();
        assert!(!streams.is_directory() && !streams.is_taken());
    }

    #[test]
    fn nested_files_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::directory(directory.path());
        assert!(!local.has_nested(".asb").unwrap());
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/notes.txt"), "").unwrap();
        assert!(!local.has_nested(".asb").unwrap());
        fs::write(directory.path().join("sub/a.asb"), "").unwrap();
        assert!(local.has_nested(".asb").unwrap());
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
