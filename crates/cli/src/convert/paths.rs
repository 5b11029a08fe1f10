//! Checks that what lies at a path is what its flag says. A job would only find that it can't be read, or nothing in it.

use std::{fs, io::ErrorKind, path::Path};

use super::places::{STANDARD_STREAM, directories};
use crate::{
    args::{Backup, Inspect, Restore},
    failure::Failure,
};

/// Checks where a backup is to be written. What isn't there yet is made.
pub(crate) fn check_target(args: &Backup) -> Result<(), Failure> {
    let at = &args.destination;
    at.directory.as_deref().map_or(Ok(()), |path| check_kind(path, Kind::Directory, NO_TARGET_DIRECTORY))?;
    at.output_file.as_deref().map_or(Ok(()), |path| check_kind(path, Kind::File, NO_TARGET_FILE))
}

/// Checks what is restored or validated.
pub(crate) fn check_source(args: &Restore) -> Result<(), Failure> {
    if let Some(path) = args.input.input_file.as_deref().filter(|path| *path != Path::new(STANDARD_STREAM)) {
        check_there(path, "file", "-i, --input-file, names the file of a backup")?;
        check_kind(path, Kind::File, "a directory is read with -d, --directory")?;
    }
    if let Some(path) = &args.input.directory {
        check_directory(path)?;
    }
    if let Some(path) = &args.rules.dead_letter {
        check_dead_letter(path, args.input.directory.as_deref())?;
    }
    directories(args).try_for_each(|path| {
        check_there(&path, "directory", "--directory-list names directories of backups")?;
        check_kind(&path, Kind::Directory, "a single file is read with -i, --input-file")
    })
}

/// Checks where refused records go: in the directory of a backup the next restore would take them for a part of it.
fn check_dead_letter(path: &Path, source: Option<&Path>) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_there(parent, "directory", "--dead-letter names a file in a directory that is there")?;
    let is_same = |source: &Path| matches!((fs::canonicalize(parent), fs::canonicalize(source)), (Ok(parent), Ok(source)) if parent == source);
    match source.is_some_and(is_same) {
        true => Err(Failure::usage(
            format!("--dead-letter {} lies in the directory of the backup", path.display()),
            "name a file elsewhere: there it would be taken for a part of the backup",
        )),
        false => Ok(()),
    }
}

/// Checks a directory in which there is a backup.
pub(crate) fn check_directory(path: &Path) -> Result<(), Failure> {
    check_there(path, "directory", "-d, --directory, names the directory of a backup")?;
    check_kind(
        path,
        Kind::Directory,
        "-d, --directory, names the directory of a backup; asrestore -i reads a file",
    )
}

/// Checks what is inspected.
pub(crate) fn check_inspected(args: &Inspect) -> Result<(), Failure> {
    check_there(
        &args.path,
        "backup",
        "name the directory of a backup, as for asrestore -d, or its file, as for -i",
    )
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    /// Also a pipe or a device.
    File,
}

/// Checks that there is something. What can't be looked at is left to the job, which says why.
fn check_there(path: &Path, what: &str, hint: &'static str) -> Result<(), Failure> {
    match fs::metadata(path).map_err(|error| error.kind()) {
        Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Failure::usage(format!("there is no {what} {}", path.display()), hint))
        }
        _ => Ok(()),
    }
}

/// Checks that what is there, if anything is, is of that kind.
fn check_kind(path: &Path, wanted: Kind, hint: &'static str) -> Result<(), Failure> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let what = match (wanted, found.is_dir()) {
        (Kind::Directory, false) => "a file, not a directory",
        (Kind::File, true) => "a directory, not a file",
        _ => return Ok(()),
    };
    Err(Failure::usage(format!("{} is {what}", path.display()), hint))
}

const NO_TARGET_DIRECTORY: &str =
    "-d, --directory, names a directory; a single file is written with -o, --output-file";
const NO_TARGET_FILE: &str =
    "-o, --output-file, names a file; a directory is written into with -d, --directory";
