//! Backups in several directories, read as one: those of a list, and those below a directory.

use std::collections::BTreeSet;

use asbackup_storage::{Local, Part, StoredFile};

use super::{BackupSet, Completeness, Member, SetFile, SetRules, no_backup, survey_one};
use crate::{Error, ErrorKind, naming, report::Finding};

/// Holds each directory against its own manifest. Of those below a directory only those count that hold a backup.
pub(super) fn survey(source: &Local, parts: &[Part], rules: &SetRules) -> Result<BackupSet, Error> {
    check_each_is_once(parts)?;
    let mut whole = BackupSet { completeness: Completeness::Checked, ..BackupSet::default() };
    for parts in parts.chunk_by(|a, b| a.root == b.root) {
        let before = whole.members.len();
        whole.add_those_with_backups(parts, rules)?;
        if let Some(part) = parts.first().filter(|_| whole.members.len() == before) {
            return Err(match source.is_recursive() {
                true => no_backup_below(part),
                false => no_backup(&part.directory)?,
            });
        }
    }
    Ok(whole)
}

/// Checks that no directory is read twice, under whichever names.
fn check_each_is_once(parts: &[Part]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for Part { directory, .. } in parts {
        // What can't be resolved holds nothing, or can't be listed either, which is told there.
        let Ok(path) = directory.path().canonicalize() else { continue };
        if !seen.insert(path) {
            let message = format!("the directory {} would be read twice", directory.path().display());
            let hint = "name each directory once; with --recursive, those below it are read anyway";
            return Err(Error::of(ErrorKind::Config, message).hint(hint).build());
        }
    }
    Ok(())
}

/// Returns whether a directory holds a backup, or one that was begun.
fn holds_backup(stored: &[StoredFile]) -> bool {
    let belongs = |name| naming::is_backup(name) || naming::is_document(name) || naming::is_unfinished(name);
    stored.iter().any(|file| belongs(&file.name))
}

fn no_backup_below(part: &Part) -> Error {
    let message = format!("{} holds no backup: no file in it or below it ends in .asb", part.root.display());
    let hint = "name another directory; links to directories aren't followed";
    Error::of(ErrorKind::Config, message).hint(hint).build()
}

impl BackupSet {
    fn add_those_with_backups(&mut self, parts: &[Part], rules: &SetRules) -> Result<(), Error> {
        for part in parts {
            let stored = part.directory.list()?;
            if holds_backup(&stored) {
                self.add(survey_one(&part.directory, stored, rules)?, part)?;
            }
        }
        Ok(())
    }

    /// Adds the set of one of several directories; its names then say which.
    fn add(&mut self, set: Self, part: &Part) -> Result<(), Error> {
        if part.prefix.to_str().is_none() {
            return Err(not_utf8(part));
        }
        let within = |name: &str| part.prefix.join(name).to_string_lossy().into_owned();
        self.members.push(Member {
            part: part.clone(),
            files: set.files.len() as u64,
            completeness: set.completeness,
        });
        self.files.extend(set.files.into_iter().map(|file| SetFile {
            stored: StoredFile { name: within(&file.stored.name), ..file.stored },
            ..file
        }));
        self.side_files.extend(set.side_files);
        self.findings.extend(set.findings.into_iter().map(|finding| Finding {
            file: within(&finding.file),
            message: format!("{}: {}", part.directory.path().display(), finding.message),
            ..finding
        }));
        self.left_out.extend(set.left_out.iter().map(|name| within(name)));
        self.foreign_states.extend(set.foreign_states.iter().map(|name| within(name)));
        if set.completeness == Completeness::Unchecked {
            self.completeness = Completeness::Unchecked;
        }
        Ok(())
    }
}

/// Files are known by names, which are UTF-8.
fn not_utf8(part: &Part) -> Error {
    let message = format!("the path {} of a backup isn't UTF-8", part.directory.path().display());
    Error::of(ErrorKind::Config, message).hint("rename it, or read it by itself with --directory").build()
}
