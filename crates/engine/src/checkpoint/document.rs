//! The state itself: its keys and its text. Source: docs/format/state.md, "Keys".

use std::collections::BTreeMap;

use asbackup_codec::envelope::AesKey;
use asbackup_model::{Digest, Inexact, PartitionId, PartitionSet};
use base64_simd::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::{
    manifest::{
        DocumentError, Hashing, ListedFile, SetIndex, ShardName, check_head, check_named_seal,
        partition_list, seal,
    },
    naming,
    progress::Counters,
    sink::file::EntryCounts,
};

const FORMAT: &str = "asbackup-state";
const VERSION: u64 = 1;

/// A state of version 1. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: String,
    version: u64,
    /// Names the run; all that go on with it have the same.
    pub(crate) run: String,
    /// How often it was gone on with.
    pub(crate) resumes: u64,
    /// When the first of them began, RFC 3339.
    pub(crate) started: String,
    /// From when ages in the options were reckoned, RFC 3339.
    #[serde(default)]
    pub(crate) as_of: Option<String>,
    /// Where the data was when it was begun.
    #[serde(default)]
    pub(crate) directory: Option<String>,
    pub(crate) first_file: u64,
    pub(crate) next_file: u64,
    pub(crate) fingerprint: String,
    pub(crate) options: Value,
    /// The share of the backup that it is about, if it is about one.
    #[serde(default)]
    pub(crate) shard: Option<ShardName>,
    /// Partitions that are to be read.
    #[serde(with = "partition_list")]
    pub(crate) partitions: PartitionSet,
    /// Files of the backup that this one takes the place of.
    pub(crate) replaces: Vec<String>,
    /// Indexes and UDF modules; none as long as they aren't written.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) files: Vec<StateFile>,
    /// At most one for each partition.
    #[serde(with = "cursor_list")]
    pub(crate) cursors: BTreeMap<PartitionId, Cursor>,
    pub(crate) counts: Counts,
    /// How it is sealed.
    hash: String,
    /// Last, see `manifest/seal.rs`.
    seal: String,
}

/// What became of indexes and UDF modules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// For the side file, which is written at the end.
    pub(crate) set_indexes: Vec<SetIndex>,
    pub(crate) warnings: Vec<String>,
}

/// A data file of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    pub(crate) name: String,
    pub(crate) state: FileState,
    /// Bytes that are synced; the whole file if it is complete.
    pub(crate) durable_bytes: u64,
    /// Null: the durable bytes of a local file are hashed again.
    hash_state: Option<String>,
    /// Hash of the stored bytes of a complete file.
    #[serde(default)]
    hash: Option<String>,
    pub(crate) records: u64,
    pub(crate) indexes: u64,
    pub(crate) udfs: u64,
    /// Bytes of text that are stored in them.
    #[serde(default)]
    text_bytes: u64,
    #[serde(with = "partition_list")]
    pub(crate) partitions: PartitionSet,
}

/// Whether a file has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileState {
    Open,
    Complete,
}

/// How far a partition is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cursor {
    /// The last record that is durable.
    pub(crate) digest: Option<Digest>,
    /// Whether the server has reported the partition done, and all of it is durable.
    pub(crate) done: bool,
    /// The file that holds the last record.
    file: Option<String>,
}

/// Counters over all runs, as far as their records are durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) records_read: u64,
    pub(crate) records_written: u64,
    pub(crate) records_skipped: u64,
    pub(crate) indexes_read: u64,
    pub(crate) udfs_read: u64,
    pub(crate) nan_payload: u64,
    pub(crate) unknown_particle: u64,
}

/// What a run begins with.
pub(crate) struct Beginning {
    pub(crate) run: String,
    pub(crate) started: String,
    pub(crate) as_of: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) first_file: u64,
    pub(crate) fingerprint: String,
    pub(crate) options: Value,
    pub(crate) shard: Option<ShardName>,
    pub(crate) replaces: Vec<String>,
    pub(crate) hashing: Hashing,
}

impl State {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let Beginning {
            run,
            started,
            as_of,
            directory,
            first_file,
            fingerprint,
            options,
            shard,
            replaces,
            hashing,
        } = beginning;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            run,
            resumes: 0,
            started,
            as_of,
            directory,
            first_file,
            next_file: first_file,
            fingerprint,
            options,
            shard,
            partitions: PartitionSet::EMPTY,
            replaces,
            metadata: None,
            files: Vec::new(),
            cursors: BTreeMap::new(),
            counts: Counts::default(),
            hash: hashing.name().to_owned(),
            seal: String::new(),
        }
    }

    /// Returns the text, sealed as it says.
    pub(crate) fn encode(&self, hashing: &Hashing) -> String {
        seal(self, hashing)
    }

    /// Reads a state and checks its seal. One that was sealed with a key needs it, and no other takes one.
    pub(crate) fn decode(bytes: &[u8], key: Option<&AesKey>) -> Result<Self, DocumentError> {
        let state = Self::parse(bytes, |text| check_named_seal(text, key))?;
        if key.is_some() && state.hash != Hashing::of(key).name() {
            return Err(DocumentError::KeyUnused);
        }
        Ok(state)
    }

    /// Returns whether a text says that it is a state, whatever else is wrong with it.
    pub(super) fn is_one(text: &[u8]) -> bool {
        text.windows(FORMAT.len()).any(|part| part == FORMAT.as_bytes())
    }

    /// Reads a state for the names in it alone: one that was sealed with a key is read without.
    pub(super) fn decode_names(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::parse(bytes, |text| match check_named_seal(text, None) {
            Err(DocumentError::KeyMissing) => Ok(()),
            checked => checked,
        })
    }

    fn parse(
        bytes: &[u8],
        check: impl FnOnce(&str) -> Result<(), DocumentError>,
    ) -> Result<Self, DocumentError> {
        let text = str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
        check_head(text, FORMAT, VERSION)?;
        check(text)?;
        let state: Self = serde_json::from_str(text)?;
        Ok(Self { seal: String::new(), ..state })
    }

    /// Returns the state of the same run if nothing of it were durable. It names its files still, so that they are found.
    pub(super) fn without_data(&self) -> Self {
        Self {
            metadata: None,
            files: self.files.iter().map(|file| StateFile::new(&file.name)).collect(),
            cursors: BTreeMap::new(),
            counts: Counts::default(),
            ..self.clone()
        }
    }

    /// Returns the state of the same run if it had no files yet. `first_file` may be lower than that of the run.
    pub(super) fn without_files(&self, first_file: u64) -> Self {
        let numbers = self.files.iter().filter_map(|file| naming::number(&file.name));
        let first_file = numbers.fold(first_file.min(self.first_file), u64::min);
        Self { files: Vec::new(), first_file, ..self.without_data() }
    }

    /// Returns the partitions that are done.
    pub(crate) fn done(&self) -> PartitionSet {
        self.cursors.iter().filter(|(_, cursor)| cursor.done).map(|(&partition, _)| partition).collect()
    }

    /// Returns the last durable record of each of these partitions that has any.
    pub(crate) fn cursors_of(&self, partitions: &[PartitionId]) -> impl Iterator<Item = Digest> {
        partitions.iter().filter_map(|partition| self.cursors.get(partition)?.digest)
    }

    /// Takes in how far partitions are, the last records of which are in `file`.
    pub(super) fn take_in(&mut self, file: Option<&str>, advance: &super::Advance) {
        for (&partition, &digest) in &advance.cursors {
            let cursor = self.cursors.entry(partition).or_default();
            (cursor.digest, cursor.file) = (Some(digest), file.map(str::to_owned));
        }
        advance.done.iter().for_each(|partition| self.cursors.entry(partition).or_default().done = true);
        let Inexact { nan_payload, unknown_particle } = advance.inexact;
        let counts = &mut self.counts;
        counts.records_read += advance.records + advance.skipped;
        counts.records_written += advance.records;
        counts.records_skipped += advance.skipped;
        counts.nan_payload += nan_payload;
        counts.unknown_particle += unknown_particle;
    }

    /// Returns the entry of a file, which is made if there is none.
    pub(super) fn file(&mut self, name: &str) -> &mut StateFile {
        let index = self.files.iter().position(|file| file.name == name).unwrap_or_else(|| {
            self.files.push(StateFile::new(name));
            self.files.len() - 1
        });
        &mut self.files[index]
    }
}

impl Counts {
    /// Sets the counters of a job to where the earlier runs came. Those of files follow from the files.
    pub(crate) fn restore(&self, counters: &Counters) {
        let Self {
            records_read,
            records_skipped,
            indexes_read,
            udfs_read,
            nan_payload,
            unknown_particle,
            ..
        } = *self;
        counters.read.add(records_read);
        if records_skipped > 0 {
            counters.skipped.add("monitor_set", records_skipped);
        }
        counters.indexes_read.add(indexes_read);
        counters.udfs_read.add(udfs_read);
        counters.add_inexact(Inexact { nan_payload, unknown_particle });
    }
}

impl StateFile {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: FileState::Open,
            durable_bytes: 0,
            hash_state: None,
            hash: None,
            records: 0,
            indexes: 0,
            udfs: 0,
            text_bytes: 0,
            partitions: PartitionSet::EMPTY,
        }
    }

    pub(super) fn settle(&mut self, bytes: u64, counts: &EntryCounts) {
        let EntryCounts { records, indexes, udfs, partitions, text_bytes } = *counts;
        (self.durable_bytes, self.records, self.indexes, self.udfs) = (bytes, records, indexes, udfs);
        (self.partitions, self.text_bytes) = (partitions, text_bytes);
    }

    pub(super) fn complete(&mut self, listed: &ListedFile, counts: &EntryCounts) {
        self.settle(listed.bytes, counts);
        (self.state, self.hash) = (FileState::Complete, Some(listed.hash.clone()));
    }

    /// Returns what the manifest will say of it, if it is complete.
    pub(crate) fn listed(&self) -> Option<ListedFile> {
        let hash = self.hash.clone().filter(|_| self.state == FileState::Complete)?;
        let EntryCounts { records, indexes, udfs, partitions, .. } = self.counts();
        Some(ListedFile {
            name: self.name.clone(),
            bytes: self.durable_bytes,
            hash,
            records,
            indexes,
            udfs,
            partitions,
        })
    }

    /// Returns whether any entry of it is durable.
    pub(super) fn holds_entries(&self) -> bool {
        self.records + self.indexes + self.udfs > 0
    }

    pub(crate) fn counts(&self) -> EntryCounts {
        let Self { records, indexes, udfs, partitions, text_bytes, .. } = *self;
        EntryCounts { records, indexes, udfs, partitions, text_bytes }
    }
}

/// Cursors as a list.
mod cursor_list {
    use super::{
        BTreeMap, Cursor, Deserialize, Deserializer, Digest, PartitionId, STANDARD, Serialize, Serializer, de,
    };

    #[derive(Serialize, Deserialize)]
    struct Listed {
        partition: u16,
        /// Null: one scan covers all sets.
        set: Option<String>,
        digest: Option<String>,
        done: bool,
        #[serde(default)]
        file: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(
        cursors: &BTreeMap<PartitionId, Cursor>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(cursors.iter().map(|(partition, cursor)| Listed {
            partition: partition.number(),
            set: None,
            digest: cursor.digest.map(|digest| STANDARD.encode_to_string(digest.0)),
            done: cursor.done,
            file: cursor.file.clone(),
        }))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<BTreeMap<PartitionId, Cursor>, D::Error> {
        Vec::<Listed>::deserialize(from)?
            .into_iter()
            .map(|listed| cursor(listed).map_err(de::Error::custom))
            .collect()
    }

    fn cursor(listed: Listed) -> Result<(PartitionId, Cursor), String> {
        let Listed { partition: number, digest: text, done, file, .. } = listed;
        let partition = PartitionId::new(number).ok_or_else(|| format!("there is no partition {number}"))?;
        let digest = text.as_deref().map(digest).transpose()?;
        if digest.is_some_and(|digest| digest.partition() != partition) {
            return Err(format!("the digest {text:?} isn't of partition {number}"));
        }
        Ok((partition, Cursor { digest, done, file }))
    }

    fn digest(text: &str) -> Result<Digest, String> {
        let bytes = STANDARD.decode_to_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Digest).ok_or_else(|| format!("{text:?} is no digest"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::Advance;

    const KEY: AesKey = AesKey::Aes128([7; 16]);

    fn state() -> State {
        state_with(None)
    }

    fn state_with(key: Option<&AesKey>) -> State {
        let mut state = State::new(Beginning {
            as_of: None,
            directory: None,
            run: "r".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            first_file: 3,
            fingerprint: "00".to_owned(),
            options: json!({"namespace": "users"}),
            shard: None,
            replaces: vec!["0_users_1.asb".to_owned()],
            hashing: Hashing::of(key),
        });
        let digest = Digest([7; 20]);
        state.partitions = PartitionSet::ALL;
        let counts = EntryCounts { records: 10, ..EntryCounts::default() };
        state.file("0_users_3.asb").settle(123, &counts);
        let mut advance = Advance { records: 10, skipped: 1, ..Advance::default() };
        advance.cursors.insert(digest.partition(), digest);
        advance.done = "0..1".parse().unwrap();
        state.take_in(Some("0_users_3.asb"), &advance);
        state
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for key in [None, Some(&KEY)] {
            let state = state_with(key);
            let text = state.encode(&Hashing::of(key));
            assert_eq!(State::decode(text.as_bytes(), key).unwrap(), state);
            assert_eq!(State::decode_names(text.as_bytes()).unwrap(), state);
        }
        let state = state();
        assert_eq!(state.done(), "0..1".parse().unwrap());
        assert_eq!((state.counts.records_read, state.counts.records_written), (11, 10));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        for key in [None, Some(&KEY)] {
            let text = state_with(key).encode(&Hashing::of(key)).into_bytes();
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(State::decode(&flipped, key).is_err(), "bit {bit}");
            }
            for len in 0..text.len() {
                assert!(State::decode(&text[..len], key).is_err(), "cut at {len}");
            }
        }
    }

    #[test]
    fn key_is_needed_exactly_if_a_state_was_sealed_with_it() {
        let keyed = state_with(Some(&KEY)).encode(&Hashing::of(Some(&KEY)));
        let error = |text: &str, key| State::decode(text.as_bytes(), key).unwrap_err();
        assert!(matches!(error(&keyed, None), DocumentError::KeyMissing));
        assert!(matches!(error(&keyed, Some(&AesKey::Aes128([8; 16]))), DocumentError::KeyedSeal));
        let plain = state().encode(&Hashing::default());
        assert!(matches!(error(&plain, Some(&KEY)), DocumentError::KeyUnused));
        let relabelled = keyed.replace("blake3-keyed", "md5");
        assert!(matches!(error(&relabelled, Some(&KEY)), DocumentError::Hash { .. }));
    }

    #[test]
    fn cursor_of_another_partition_is_refused() {
        let text = serde_json::to_string(&state()).unwrap();
        for (from, to, expected) in [
            (r#""partition":1799"#, r#""partition":4096"#, "there is no partition 4096"),
            (r#""partition":1799"#, r#""partition":1798"#, "isn't of partition 1798"),
            ("BwcH", "!!!!", "is no digest"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = serde_json::from_str::<State>(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn keys_of_later_writers_are_ignored() {
        let text = serde_json::to_string(&state()).unwrap().replacen('{', r#"{"of a later writer":[1],"#, 1);
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state());
    }
}
