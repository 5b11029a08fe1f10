//! The state itself: its keys, its text, and how it is held against the files. Source: docs/format/restore-state.md, "Keys".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    counts::Counts,
    options::{Options, fingerprint},
    tickets::Saved,
};
use crate::{
    Error, ErrorKind,
    manifest::{DocumentError, Hashing, SetFile, check_head, check_seal, seal},
};

const FORMAT: &str = "asbackup-restore-state";
const VERSION: u64 = 1;

/// A state of version 1. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: String,
    version: u64,
    /// Which restore it is, over all its runs.
    pub(super) run: String,
    /// How many runs went on with it.
    pub(super) resumes: u64,
    fingerprint: String,
    pub(super) options: Options,
    files: Vec<FileState>,
    metadata_done: bool,
    counts: Counts,
    /// Last, see `manifest/seal.rs`.
    pub(crate) seal: String,
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    pub(super) name: String,
    /// Stored size.
    pub(super) bytes: u64,
    /// That of the manifest, if there is one.
    pub(super) hash: Option<String>,
    /// Offset in the decoded text, between two entries, up to which every entry has its final answer.
    pub(super) acknowledged_bytes: u64,
    /// Whether that is so for all of it, and the file is what the manifest says.
    pub(super) done: bool,
}

impl FileState {
    /// Returns the state of a file of which nothing is done.
    pub(super) fn new(file: &SetFile) -> Self {
        let hash = file.listed.as_ref().map(|listed| listed.hash.clone());
        let SetFile { stored, .. } = file;
        Self { name: stored.name.clone(), bytes: stored.bytes, hash, acknowledged_bytes: 0, done: false }
    }
}

impl State {
    pub(super) fn new(run: String, resumes: u64, options: Options, saved: Saved) -> Self {
        let Saved { files, metadata_done, counts } = saved;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            run,
            resumes,
            fingerprint: fingerprint(&options),
            options,
            files,
            metadata_done,
            counts,
            seal: String::new(),
        }
    }

    pub(crate) fn encode(&self, hashing: &Hashing) -> String {
        seal(self, hashing)
    }

    pub(crate) fn decode(bytes: &[u8], hashing: &Hashing) -> Result<Self, DocumentError> {
        let text = str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
        check_head(text, FORMAT, VERSION)?;
        check_seal(text, hashing)?;
        Ok(serde_json::from_str(text)?)
    }

    /// Returns how far the restore is, if the backup is still the one that it reads.
    pub(super) fn saved(self, files: &[SetFile]) -> Result<Saved, Error> {
        let found: BTreeMap<&str, &SetFile> =
            files.iter().map(|file| (file.stored.name.as_str(), file)).collect();
        for file in &self.files {
            let Some(&set_file) = found.get(file.name.as_str()) else {
                return Err(other_file(&file.name, "is gone"));
            };
            let present = FileState::new(set_file);
            if present.bytes != file.bytes {
                let what = format!("has {} bytes now, and had {}", present.bytes, file.bytes);
                return Err(other_file(&file.name, &what));
            }
            if present.hash != file.hash {
                return Err(other_file(&file.name, "has another hash now in the manifest"));
            }
        }
        if let Some(name) = found.keys().find(|name| !self.files.iter().any(|file| file.name == **name)) {
            return Err(other_file(name, "wasn't there"));
        }
        let Self { files, metadata_done, counts, .. } = self;
        Ok(Saved { files, metadata_done, counts })
    }
}

fn other_file(name: &str, what: &str) -> Error {
    Error::of(
        ErrorKind::Integrity,
        format!("the backup isn't the one that was being restored: {name} {what}"),
    )
    .place(|place| place.file = Some(name.to_owned()))
    .hint("check it with --validate, and restore it from its beginning without --continue")
    .build()
}

#[cfg(test)]
mod tests {
    use asbackup_storage::StoredFile;
    use serde_json::json;

    use super::*;
    use crate::source::open::Opening;

    fn file(name: &str, bytes: u64) -> SetFile {
        SetFile {
            stored: StoredFile { name: name.to_owned(), bytes },
            listed: None,
            namespace: None,
            opening: Opening::default(),
        }
    }

    fn state(files: &[SetFile]) -> State {
        let options = Options::from_iter([("namespace".to_owned(), json!("users,copy"))]);
        let mut counts = Counts::default();
        counts.records.read = 7;
        let files = files.iter().map(FileState::new).collect();
        State::new("1".to_owned(), 2, options, Saved { files, metadata_done: true, counts })
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let state = state(&[file("a.asb", 3), file("b.asb", 4)]);
        let text = state.encode(&Hashing::default());
        let decoded = State::decode(text.as_bytes(), &Hashing::default()).unwrap();
        assert_eq!(State { seal: String::new(), ..decoded }, state);
        let flipped = text.replace("\"bytes\": 3", "\"bytes\": 2");
        assert!(matches!(
            State::decode(flipped.as_bytes(), &Hashing::default()),
            Err(DocumentError::Seal { .. })
        ));
        assert!(matches!(State::decode(b"\xff", &Hashing::default()), Err(DocumentError::NotText)));
        let backup = br#"{"format": "asbackup-state", "version": 1}"#;
        assert!(matches!(State::decode(backup, &Hashing::default()), Err(DocumentError::Format { .. })));
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let before = [file("a.asb", 3), file("b.asb", 4)];
        let mut listed = before.clone();
        listed[1].listed = Some(crate::manifest::ListedFile {
            name: "b.asb".to_owned(),
            bytes: 4,
            hash: "1".to_owned(),
            records: 0,
            indexes: 0,
            udfs: 0,
            partitions: asbackup_model::PartitionSet::EMPTY,
        });
        for (now, what) in [
            (&[file("a.asb", 3), file("b.asb", 5)][..], "b.asb has 5 bytes now, and had 4"),
            (&[file("b.asb", 4)], "a.asb is gone"),
            (&[file("a.asb", 3), file("b.asb", 4), file("c.asb", 1)], "c.asb wasn't there"),
            (&listed, "b.asb has another hash now in the manifest"),
        ] {
            let error = state(&before).saved(now).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity);
            assert!(error.to_string().ends_with(what), "{error}");
        }
        state(&before).saved(&before).unwrap();
    }
}
