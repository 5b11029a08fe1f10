//! Where backups are written and read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use asbackup::Local;

use crate::{
    args::{Backup, Inspect, Restore},
    failure::Failure,
};

/// Returns where a backup is written.
pub(crate) fn target(args: &Backup) -> Local {
    let target = match &args.destination.output_file {
        Some(path) => file(path),
        None => Local::directory(args.destination.path()),
    };
    let mib = if is_standard_stream(&target) { args.std_buffer } else { args.local_buffer_size };
    target.buffered(bytes(mib))
}

/// Returns where a backup is read.
pub(crate) fn source(args: &Restore) -> Local {
    let source = match (&args.input.input_file, &args.input.directory) {
        (Some(path), _) => file(path),
        (None, Some(path)) if args.recursive => Local::tree(path),
        (None, Some(path)) => Local::directory(path),
        (None, None) if args.recursive => Local::trees(directories(args)),
        (None, None) => Local::directories(directories(args)),
    };
    if is_standard_stream(&source) { source.buffered(bytes(args.std_buffer)) } else { source }
}

/// Returns what is inspected.
pub(crate) fn inspected(args: &Inspect) -> Local {
    if args.path.is_file() { Local::file(&args.path) } else { Local::directory(&args.path) }
}

/// Returns a single file, or the standard streams for `-`.
fn file(path: &Path) -> Local {
    if path == Path::new(STANDARD_STREAM) { Local::standard_streams() } else { Local::file(path) }
}

fn is_standard_stream(place: &Local) -> bool {
    *place == Local::standard_streams()
}

pub(super) const STANDARD_STREAM: &str = "-";

fn bytes(mib: u16) -> usize {
    usize::from(mib) << 20
}

pub(super) fn directories(args: &Restore) -> impl Iterator<Item = PathBuf> {
    let parent = args.parent_directory.clone().unwrap_or_default();
    args.input.directory_list.iter().map(move |path| parent.join(path))
}

/// Checks that no directory is read twice.
pub(super) fn check_directories(args: &Restore) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match directories(args).find(|path| !seen.insert(path.clone())) {
        None => Ok(()),
        Some(path) => {
            let message = format!("the directory {} is named twice", path.display());
            Err(Failure::usage(message, "change --directory-list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use asbackup::ExistingFiles;
    use clap::Parser;

    use super::{
        super::{backup, restore, validate},
        *,
    };
    use crate::args::{Asbackup, Asrestore};

    #[test]
    fn target_is_a_directory_a_file_or_standard_output() {
        let args = |line: &str| Asbackup::try_parse_from(line.split(' ')).unwrap().backup;
        assert_eq!(target(&args("asbackup -n test -d out")), Local::directory("out"));
        assert_eq!(target(&args("asbackup -n test -o out")), Local::file("out"));
        assert_eq!(target(&args("asbackup -n test -o -")), Local::standard_streams());
        let forced = backup(&args("asbackup -n test -o out --force")).unwrap();
        assert_eq!(forced.existing, ExistingFiles::Replace);
        assert!(backup(&args("asbackup -n test -d out -q a/b")).is_err());
    }

    #[test]
    fn directories_are_those_of_the_list_within_the_parent() {
        let args = |line: &str| Asrestore::try_parse_from(line.split(' ')).unwrap().restore;
        let list = args("asrestore --directory-list a,b --parent-directory p");
        assert_eq!(source(&list), Local::directories(["p/a".into(), "p/b".into()]));
        assert_eq!(source(&args("asrestore --directory-list a")), Local::directories(["a".into()]));
        let twice = args("asrestore --directory-list a,b,a");
        assert!(restore(&twice, None).is_err() && validate(&twice).is_err());
    }

    #[test]
    fn directories_are_read_with_those_below_them_on_request() {
        let args = |line: &str| Asrestore::try_parse_from(line.split(' '));
        let source = |line| source(&args(line).unwrap().restore);
        assert_eq!(source("asrestore -d in --recursive"), Local::tree("in"));
        let list = "asrestore --directory-list a,b --parent-directory p --recursive";
        assert_eq!(source(list), Local::trees(["p/a".into(), "p/b".into()]));
        assert!(args("asrestore -i in --recursive").is_err() && args("asrestore -i - --recursive").is_err());
    }

    #[test]
    fn source_is_a_directory_or_a_file() {
        let args = |line: &str| Asrestore::try_parse_from(line.split(' ')).unwrap().restore;
        assert_eq!(source(&args("asrestore -d in")), Local::directory("in"));
        assert_eq!(source(&args("asrestore -i in")), Local::file("in"));
        assert_eq!(source(&args("asrestore -i -")), Local::standard_streams());
    }

    #[test]
    fn buffers_are_those_of_the_place() {
        let target = |line: &str| target(&Asbackup::try_parse_from(line.split(' ')).unwrap().backup);
        let source = |line: &str| source(&Asrestore::try_parse_from(line.split(' ')).unwrap().restore);
        let flags = "--std-buffer 3 --local-buffer-size 2";
        for (place, mib) in [
            (target(&format!("asbackup -n test -o - {flags}")), 3),
            (target(&format!("asbackup -n test -o out {flags}")), 2),
            (target(&format!("asbackup -n test -d out {flags}")), 2),
            (target("asbackup -n test -d out"), 0),
            (source("asrestore -i - --std-buffer 3"), 3),
            (source("asrestore -i in --std-buffer 3"), 0),
        ] {
            assert_eq!(place.buffer_bytes(), mib << 20, "{place:?}");
        }
    }
}
