//! What a directory holds, held against its manifest: all that names, sizes and the manifest itself show before a
//! data file is read.

mod several;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    io::Read,
    sync::Arc,
};

use asbackup_codec::{Step, asb::Decoder, envelope::AesKey};
use asbackup_model::RecordLayout;
use asbackup_storage::{Local, Part, StoredFile};
use serde::Serialize;

use super::{
    SideFile,
    document::{ListedFile, ListedSideFile, Manifest},
    error::DocumentError,
    hash::Hashing,
    unclosed::Unclosed,
};
use crate::{
    Error, ErrorKind,
    checkpoint::Unfinished,
    config::{ExpectedCompression, ExtraFiles, ManifestRule},
    error::Builder,
    naming,
    report::{Finding, FindingKind},
    source::open::{Encrypted, OpenFile, Opening, Workspace, missing_key_by, unused_key},
};

/// What a restore or a validation is to read.
#[derive(Debug, Default)]
pub(crate) struct BackupSet {
    pub(crate) files: Vec<SetFile>,
    /// One of each directory at most.
    pub(crate) side_files: Vec<SideFile>,
    /// What the manifest says, if it is whole and this is one directory.
    pub(crate) manifest: Option<Box<Manifest>>,
    /// What is wrong, as far as it can be seen without reading the files.
    pub(crate) findings: Vec<Finding>,
    /// Data files beside the set that don't belong to it.
    pub(crate) left_out: Vec<String>,
    /// States beside a set without a manifest, by their names those of older tools.
    pub(crate) foreign_states: Vec<String>,
    /// Whether there is a manifest that says what belongs to the set.
    pub(crate) completeness: Completeness,
    /// The sets that this one consists of, if it is read from several directories.
    pub(crate) members: Vec<Member>,
}

/// The set of one of several directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) part: Part,
    pub(crate) files: u64,
    pub(crate) completeness: Completeness,
}

/// A data file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetFile {
    pub(crate) stored: StoredFile,
    /// What the manifest says of it, if its size is the one that is listed there.
    pub(crate) listed: Option<ListedFile>,
    /// The namespace that the manifest names: entries of another one are damage.
    pub(crate) namespace: Option<Arc<str>>,
    /// How it is to be opened.
    pub(crate) opening: Opening,
}

/// Whether anything says which files belong to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// A manifest was there and holds.
    Checked,
    /// There is no manifest, or it doesn't hold: nobody knows what is missing.
    #[default]
    Unchecked,
}

/// What is asked of a set.
#[derive(Debug, Clone)]
pub(crate) struct SetRules {
    pub(crate) manifest: ManifestRule,
    pub(crate) extra: ExtraFiles,
    pub(crate) key: Option<AesKey>,
    pub(crate) compression: Option<ExpectedCompression>,
}

/// Lists the files of a backup and holds them against its manifest, if it has one. Of several directories each has its
/// own.
pub(crate) fn survey(source: &Local, rules: &SetRules) -> Result<BackupSet, Error> {
    match source.parts()? {
        Some(parts) => several::survey(source, &parts, rules),
        None => survey_one(source, source.list()?, rules),
    }
}

fn survey_one(source: &Local, stored: Vec<StoredFile>, rules: &SetRules) -> Result<BackupSet, Error> {
    let has_manifest = source.is_directory() && stored.iter().any(|file| file.name == naming::MANIFEST);
    if !has_manifest {
        return without_manifest(source, stored, rules);
    }
    match read(source, naming::MANIFEST)?.and_then(|bytes| Manifest::decode(&bytes, rules.key.as_ref())) {
        Ok(manifest) => {
            let mut set = against(source, stored, &manifest, rules)?;
            set.manifest = Some(Box::new(manifest));
            Ok(set)
        }
        Err(DocumentError::KeyMissing) => Err(missing_key_by(&in_full(source, naming::MANIFEST))),
        Err(DocumentError::KeyUnused) => Err(unused_key(&in_full(source, naming::MANIFEST))),
        Err(error) => {
            let files = stored.into_iter().filter(|file| naming::is_backup(&file.name));
            let files = files.map(|file| rules.unlisted(file));
            let findings = vec![document_finding(naming::MANIFEST, FindingKind::Manifest, &error)];
            Ok(BackupSet { files: files.collect(), findings, ..BackupSet::default() })
        }
    }
}

/// Holds a set against a manifest whose key isn't at hand: names and sizes, for which nothing vouches. None if there is
/// no such manifest.
pub(crate) fn survey_unsealed(source: &Local, rules: &SetRules) -> Result<Option<BackupSet>, Error> {
    let stored = if source.is_directory() { source.list()? } else { Vec::new() };
    if !stored.iter().any(|file| file.name == naming::MANIFEST) {
        return Ok(None);
    }
    let bytes = read(source, naming::MANIFEST)?;
    let Ok(Some(manifest)) = bytes.and_then(|bytes| Manifest::decode_unsealed(&bytes)) else {
        return Ok(None);
    };
    let mut set = BackupSet::default();
    let found = stored.iter().map(|file| (file.name.as_str(), file)).collect();
    set.take_listed(&found, &manifest, rules);
    set.manifest = Some(Box::new(manifest));
    Ok(Some(set))
}

/// Holds the files of a share against its manifest. What else lies there is the business of other shares.
pub(crate) fn survey_share(
    source: &Local,
    manifest: &Manifest,
    rules: &SetRules,
) -> Result<Vec<Finding>, Error> {
    let (mut set, stored) = (BackupSet::default(), source.list()?);
    let found = stored.iter().map(|file| (file.name.as_str(), file)).collect();
    set.take_listed(&found, manifest, rules);
    set.check_side_file(source, manifest, &found, rules)?;
    Ok(set.findings)
}

/// Holds a directory against a manifest that isn't in it yet.
pub(crate) fn survey_against(
    source: &Local,
    manifest: &Manifest,
    rules: &SetRules,
) -> Result<BackupSet, Error> {
    against(source, source.list()?, manifest, rules)
}

/// Returns the error of a set that isn't what its manifest says, if that is so.
pub(crate) fn refuse(findings: &[Finding]) -> Result<(), Error> {
    damage(findings).map_or(Ok(()), |damage| Err(damage.build()))
}

/// Returns the error of a set in which that was found, if anything was.
pub(crate) fn damage(findings: &[Finding]) -> Option<Builder> {
    let first = findings.first()?;
    let message = match findings.len() - 1 {
        0 => first.message.clone(),
        more => format!("{} (and {more} more findings)", first.message),
    };
    let hint = match first.kind {
        FindingKind::Missing if first.file.ends_with(naming::MANIFEST) => {
            "without --require-manifest it is restored unchecked"
        }
        FindingKind::Unclosed => {
            "back up what is missing with asbackup --shard I/N, then make one backup of all with asbackup complete"
        }
        FindingKind::Unfinished => {
            "go on with it with asbackup --continue; to read what there is, take its state and .part files away"
        }
        FindingKind::Extra => {
            "take it away, or read only what the manifest names with asrestore --allow-extra"
        }
        _ => "check the whole backup with --validate",
    };
    let error = Error::of(ErrorKind::Integrity, message);
    Some(error.place(|place| place.file = Some(first.file.clone())).hint(hint))
}

fn without_manifest(source: &Local, stored: Vec<StoredFile>, rules: &SetRules) -> Result<BackupSet, Error> {
    let mut set = BackupSet::default();
    let stored = if source.is_directory() { set.take_data(source, stored) } else { stored };
    if stored.is_empty() && set.findings.is_empty() {
        return Err(no_backup(source)?);
    }
    if set.findings.is_empty() && rules.manifest == ManifestRule::Required {
        let message = format!("{} has no manifest, so nobody knows if it is whole", source.path().display());
        set.findings.push(Finding::new(naming::MANIFEST, FindingKind::Missing, message));
    }
    set.files = stored.into_iter().map(|file| rules.unlisted(file)).collect();
    Ok(set)
}

fn no_backup(source: &Local) -> Result<Error, Error> {
    let (below, hint) = match source.has_nested(".asb")? {
        true => (
            "; those in directories below it aren't read",
            "--recursive reads them too; --directory-list names some of them",
        ),
        false => ("", "name another directory with --directory"),
    };
    let message = format!("{} holds no backup: no file there ends in .asb{below}", source.path().display());
    Ok(Error::of(ErrorKind::Config, message).hint(hint).build())
}

fn against(
    source: &Local,
    stored: Vec<StoredFile>,
    manifest: &Manifest,
    rules: &SetRules,
) -> Result<BackupSet, Error> {
    let mut set = BackupSet { completeness: Completeness::Checked, ..BackupSet::default() };
    let found: BTreeMap<&str, &StoredFile> = stored.iter().map(|file| (file.name.as_str(), file)).collect();
    set.take_listed(&found, manifest, rules);
    set.check_side_file(source, manifest, &found, rules)?;
    set.check_others(source, manifest, &stored, rules)?;
    Ok(set)
}

impl BackupSet {
    /// Returns the data files of a directory without a manifest. What shows that there are to be more of them is a finding.
    fn take_data(&mut self, source: &Local, mut stored: Vec<StoredFile>) -> Vec<StoredFile> {
        let path = source.path().display();
        let shares = Unclosed::find(stored.iter().map(|file| file.name.as_str())).pop();
        let mut names = stored.iter().map(|file| &file.name);
        let left = names.find(|name| *name == naming::STATE || naming::is_unfinished(name)).cloned();
        let foreign = stored.iter().filter(|file| naming::may_be_foreign_state(&file.name));
        self.foreign_states.extend(foreign.map(|file| file.name.clone()));
        stored.retain(|file| naming::is_backup(&file.name));
        if let Some(shares) = shares {
            let message = format!("{path} holds a backup whose shares aren't made one yet: {shares}");
            self.findings.push(Finding::new(naming::MANIFEST, FindingKind::Unclosed, message));
        } else if let Some(left) = left {
            let unfinished = Unfinished::find(source);
            let is_of_it =
                |file: &StoredFile| unfinished.as_ref().is_none_or(|files| files.holds(&file.name));
            let (of_it, others): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_of_it);
            // A backup of another tool, which the run that was interrupted was to replace.
            if !others.is_empty() {
                self.left_out.extend(of_it.into_iter().map(|file| file.name));
                return others;
            }
            stored = of_it;
            let message = format!("{path} holds an unfinished backup, which has left {left}");
            self.findings.push(Finding::new(left, FindingKind::Unfinished, message));
        }
        stored
    }

    /// Takes the data files that are listed, and finds those that are missing or have another size.
    fn take_listed(&mut self, found: &BTreeMap<&str, &StoredFile>, manifest: &Manifest, rules: &SetRules) {
        let opening = rules.opening(if manifest.is_encrypted() { Encrypted::Yes } else { Encrypted::No });
        let namespace: Arc<str> = manifest.namespace.as_str().into();
        for listed in &manifest.files {
            let Some(&stored) = found.get(listed.name.as_str()) else {
                self.find(&listed.name, FindingKind::Missing, "is missing: the manifest lists it");
                continue;
            };
            let same_size = stored.bytes == listed.bytes;
            if !same_size {
                let what = format!("has {} bytes, but the manifest says {}", stored.bytes, listed.bytes);
                self.find(&listed.name, FindingKind::Size, &what);
            }
            let listed = same_size.then(|| listed.clone());
            let (stored, namespace) = (stored.clone(), Some(Arc::clone(&namespace)));
            self.files.push(SetFile { stored, listed, namespace, opening: opening.clone() });
        }
    }

    fn find(&mut self, file: &str, kind: FindingKind, what: &str) {
        self.findings.push(Finding::new(file, kind, format!("{file} {what}")));
    }

    fn check_side_file(
        &mut self,
        source: &Local,
        manifest: &Manifest,
        found: &BTreeMap<&str, &StoredFile>,
        rules: &SetRules,
    ) -> Result<(), Error> {
        let Some(listed) = &manifest.extra else { return Ok(()) };
        if !found.contains_key(listed.name.as_str()) {
            self.find(&listed.name, FindingKind::Missing, "is missing: the manifest lists it");
            return Ok(());
        }
        match read(source, &listed.name)? {
            Ok(bytes) => {
                let hash = Hashing::of(rules.key.as_ref()).hash(&[&bytes]);
                self.check_side_file_bytes(&bytes, &hash, listed, manifest);
            }
            Err(error) => {
                self.findings.push(document_finding(&listed.name, FindingKind::Decode, &error));
            }
        }
        Ok(())
    }

    fn check_side_file_bytes(
        &mut self,
        bytes: &[u8],
        hash: &str,
        listed: &ListedSideFile,
        manifest: &Manifest,
    ) {
        if bytes.len() as u64 != listed.bytes {
            let what = format!("has {} bytes, but the manifest says {}", bytes.len(), listed.bytes);
            return self.find(&listed.name, FindingKind::Size, &what);
        }
        if hash != listed.hash {
            return self.find(&listed.name, FindingKind::Hash, OTHER_HASH);
        }
        let side_file = match SideFile::decode(bytes) {
            Ok(side_file) => side_file,
            Err(error) => {
                return self.findings.push(document_finding(&listed.name, FindingKind::Decode, &error));
            }
        };
        if side_file.namespace != manifest.namespace {
            let what = format!("is of namespace {:?}, not {:?}", side_file.namespace, manifest.namespace);
            self.find(&listed.name, FindingKind::Manifest, &what);
        }
        if let Err(error) = manifest.check_indexes(side_file.set_indexes.len() as u64) {
            self.findings.push(document_finding(naming::MANIFEST, FindingKind::Count, &error));
        }
        self.side_files.push(side_file);
    }

    /// Checks that no other data of the same namespace lies beside the set.
    fn check_others(
        &mut self,
        source: &Local,
        manifest: &Manifest,
        stored: &[StoredFile],
        rules: &SetRules,
    ) -> Result<(), Error> {
        let files = manifest.files.iter().map(|file| &file.name);
        let known: BTreeSet<&String> = files.chain(&manifest.replaces).collect();
        let unfinished = Unfinished::find(source).filter(|unfinished| !unfinished.is_of(manifest));
        let is_unfinished = |name: &str| unfinished.as_ref().is_some_and(|files| files.holds(name));
        let others = stored.iter().filter(|file| naming::is_data(&file.name) && !known.contains(&file.name));
        for file in others {
            let of_others = is_unfinished(&file.name)
                || namespace_of(source, &file.name, rules)?
                    .is_some_and(|namespace| namespace != manifest.namespace.as_bytes());
            if rules.extra == ExtraFiles::Refuse && !of_others {
                self.find(&file.name, FindingKind::Extra, "isn't in the manifest");
            } else {
                self.left_out.push(file.name.clone());
            }
        }
        Ok(())
    }
}

/// What is said of a file whose bytes aren't those that were written.
pub(crate) const OTHER_HASH: &str =
    "isn't what was written: its bytes have another hash than the manifest says";

/// Returns the namespace that the header of a file names, if it is one in the text format that names any, and can be
/// opened.
fn namespace_of(source: &Local, name: &str, rules: &SetRules) -> Result<Option<Vec<u8>>, Error> {
    let header = match read_header(source, name, rules) {
        Err(error) if error.kind() == ErrorKind::Storage => return Err(error),
        header => header.unwrap_or_default(),
    };
    let (mut decoder, mut layout, mut at) = (Decoder::new(), RecordLayout::new(), 0);
    while decoder.namespace().is_none() {
        match decoder.decode(&header[at..], &mut layout) {
            Step::Done { used, .. } => at += used,
            Step::Need(_) | Step::Damaged(_) => break,
        }
    }
    Ok(decoder.namespace().map(<[u8]>::to_vec))
}

/// Reads the beginning of a file's text, whose key may be another one than that of the set.
pub(crate) fn read_header(source: &Local, name: &str, rules: &SetRules) -> Result<Vec<u8>, Error> {
    let mut opening = Opening { compression: None, ..rules.opening(Encrypted::Unknown) };
    let (mut with_key, mut without) = (Workspace::default(), Workspace::default());
    let mut file = OpenFile::open(source.read(name)?, name, &opening, &mut with_key).or_else(|_| {
        opening.key = None;
        OpenFile::open(source.read(name)?, name, &opening, &mut without)
    })?;
    let (mut header, mut len) = (vec![0; HEADER_BYTES], 0);
    while len < header.len() {
        match file.read(&mut header[len..])? {
            0 => break,
            read => len += read,
        }
    }
    header.truncate(len);
    Ok(header)
}

/// Reads a document as a whole; one that is too large isn't believed.
pub(crate) fn read(source: &Local, name: &str) -> Result<Result<Vec<u8>, DocumentError>, Error> {
    let mut bytes = Vec::new();
    let read = source.read(name)?.take(LIMIT_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&in_full(source, name), error))?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Ok(Err(DocumentError::TooLarge { limit_bytes: LIMIT_BYTES }));
    }
    Ok(Ok(bytes))
}

/// Returns a name with its directory: there may be others of that name in the same job.
fn in_full(source: &Local, name: &str) -> String {
    source.path().join(name).display().to_string()
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    Error::of(ErrorKind::Storage, format!("cannot read {name}"))
        .place(|place| place.file = Some(name.to_owned()))
        .source(error)
        .build()
}

impl SetRules {
    fn opening(&self, encrypted: Encrypted) -> Opening {
        Opening { key: self.key.clone(), encrypted, compression: self.compression }
    }

    fn unlisted(&self, stored: StoredFile) -> SetFile {
        SetFile { stored, listed: None, namespace: None, opening: self.opening(Encrypted::Unknown) }
    }
}

fn document_finding(file: &str, kind: FindingKind, error: &DocumentError) -> Finding {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    Finding::new(file, kind, format!("{file} {error}{cause}"))
}

/// The most that a manifest or side file may have: ours. A file takes 12 KiB if its partitions lie scattered, and less
/// than 1 KiB if not, so this is enough for 20,000 to 300,000 files.
const LIMIT_BYTES: u64 = 256 << 20;
/// More than the header of any file takes.
const HEADER_BYTES: usize = 4096;
