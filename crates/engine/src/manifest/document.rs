//! The manifest itself: its keys, its text, and what must hold within it. Source: docs/format/manifest.md, "Keys".

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use asbackup_cluster::Cluster;
use asbackup_codec::envelope::AesKey;
use asbackup_model::PartitionSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    error::DocumentError,
    hash::{ACCIDENTS, Hashing, KEYED},
    seal::{check_head, check_named_seal, seal},
    shares::{ShardName, Shards},
};
use crate::{
    config::{
        self, BackupConfig, BinSelection, EncryptionMode, EntryClass, Lifetime, Names, PartitionList, Shard,
    },
    progress::Counters,
};

pub(super) const FORMAT: &str = "asbackup-manifest";
pub(super) const VERSION: u64 = 1;

/// A manifest of version 1. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(super) format: String,
    pub(super) version: u64,
    /// Program and version that wrote it.
    pub(super) tool: String,
    pub(super) kind: String,
    pub(super) outcome: String,
    /// The run that wrote it, so that a state that it left is told from one of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<String>,
    pub(super) fingerprint: String,
    pub(super) cluster: ClusterFacts,
    pub(super) namespace: String,
    pub(super) started: String,
    pub(super) finished: String,
    pub(super) modified: Modified,
    pub(super) selection: Selection,
    /// Partitions that the server reported done.
    #[serde(with = "partition_list")]
    pub(super) partitions: PartitionSet,
    pub(super) envelope: Envelope,
    pub(super) hash: String,
    pub(super) files: Vec<ListedFile>,
    pub(super) extra: Option<ListedSideFile>,
    /// Files of the backup that this one took the place of.
    pub(super) replaces: Vec<String>,
    pub(super) totals: Totals,
    /// That of one share, or what shares it was made of.
    pub(super) shards: Option<Shards>,
    /// Last, see `seal.rs`.
    pub(crate) seal: String,
}

/// The cluster as it was at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFacts {
    pub(crate) name: Option<String>,
    pub(crate) build: String,
    pub(crate) nodes: u64,
}

/// Bounds of the last-update time, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Modified {
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
}

/// Which part of a namespace was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Selection {
    pub(super) scope: Scope,
    pub(super) sets: Vec<String>,
    pub(super) bins: Vec<String>,
    pub(super) filter: Option<String>,
    pub(super) no_ttl_only: bool,
    pub(super) max_records: Option<u64>,
    pub(super) no_bins: bool,
    pub(super) no_records: bool,
    pub(super) no_indexes: bool,
    pub(super) no_udfs: bool,
}

/// Which partitions were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub(super) enum Scope {
    Namespace,
    #[serde(with = "scope_list")]
    Partitions(PartitionList),
    AfterDigest(String),
    Nodes(Vec<serde_json::Value>),
    Racks(Vec<serde_json::Value>),
}

/// How the text was wrapped; null is not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) compression: Option<String>,
    pub(super) encryption: Option<String>,
}

impl Envelope {
    pub(super) fn of(config: &config::Envelope) -> Self {
        Self {
            compression: config.compression.map(|zstd| format!("zstd:{}", zstd.codec_level())),
            encryption: config.encryption.as_ref().map(|encryption| mode_name(encryption.mode).to_owned()),
        }
    }
}

/// Returns the word for a cipher.
pub(super) fn mode_name(mode: EncryptionMode) -> &'static str {
    match mode {
        EncryptionMode::Aes128 => "aes128",
        EncryptionMode::Aes256 => "aes256",
    }
}

/// A data file as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedFile {
    pub(crate) name: String,
    /// Stored size.
    pub(crate) bytes: u64,
    /// Hash of the stored bytes.
    pub(crate) hash: String,
    pub(crate) records: u64,
    pub(crate) indexes: u64,
    pub(crate) udfs: u64,
    /// Partitions of which it holds records.
    #[serde(with = "partition_list")]
    pub(crate) partitions: PartitionSet,
}

/// The side file as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedSideFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) hash: String,
}

/// Sums over all files; set indexes of the side file are indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) records: u64,
    pub(super) indexes: u64,
    pub(super) udfs: u64,
    /// Stored size of the data files.
    pub(super) bytes: u64,
    /// Values that the format can't say in full, by kind.
    pub(super) inexact: BTreeMap<String, u64>,
}

impl Manifest {
    /// Returns the text, sealed.
    pub(crate) fn encode(&self, hashing: &Hashing) -> String {
        seal(self, hashing)
    }

    /// Returns whether the files are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.envelope.compression.is_some()
    }

    /// Reads a manifest, and checks its seal and what it says about itself. One that was sealed with a key needs it, and
    /// no other takes one. That of a share isn't that of a backup.
    pub(crate) fn decode(bytes: &[u8], key: Option<&AesKey>) -> Result<Self, DocumentError> {
        Self::decode_of(None, bytes, key)
    }

    /// Reads the manifest of a backup, or of one share of it.
    pub(crate) fn decode_of(
        shard: Option<Shard>,
        bytes: &[u8],
        key: Option<&AesKey>,
    ) -> Result<Self, DocumentError> {
        let manifest = Self::parse(bytes, key)?;
        let found = match &manifest.shards {
            Some(Shards::One(found)) => Some(*found),
            Some(Shards::All(_)) | None => None,
        };
        if found == shard.map(Into::into) {
            return Ok(manifest);
        }
        let name = |share: Option<String>| {
            share.map_or_else(|| "a whole backup".to_owned(), |share| format!("share {share} of a backup"))
        };
        let (found, expected) = (found.map(ShardName::text), shard.map(|shard| shard.to_string()));
        let what = format!("it is the manifest of {}, not of {}", name(found), name(expected));
        Err(DocumentError::Contradiction { what })
    }

    fn parse(bytes: &[u8], key: Option<&AesKey>) -> Result<Self, DocumentError> {
        let text = text_of(bytes)?;
        check_named_seal(text, key)?;
        let manifest = Self::content(text)?;
        if key.is_some() && manifest.hash == ACCIDENTS {
            return Err(DocumentError::KeyUnused);
        }
        Ok(manifest)
    }

    /// Reads a manifest without its key, so that nothing vouches for what it says. None if it was sealed without a key.
    pub(crate) fn decode_unsealed(bytes: &[u8]) -> Result<Option<Self>, DocumentError> {
        Ok(Some(Self::decode_unchecked(bytes)?).filter(|manifest| manifest.hash != ACCIDENTS))
    }

    /// Reads a manifest without a look at its seal.
    pub(crate) fn decode_unchecked(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::content(text_of(bytes)?)
    }

    fn content(text: &str) -> Result<Self, DocumentError> {
        let manifest: Self = serde_json::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Counts what it lists, as if it had been written just now.
    pub(crate) fn count(&self, counters: &Counters) {
        let Totals { records, indexes, udfs, bytes, inexact } = &self.totals;
        [&counters.read, &counters.written].iter().for_each(|counter| counter.add(*records));
        [&counters.indexes_read, &counters.indexes_written].iter().for_each(|counter| counter.add(*indexes));
        [&counters.udfs_read, &counters.udfs_written].iter().for_each(|counter| counter.add(*udfs));
        counters.bytes_stored.add(*bytes);
        counters.files.add(self.files.len() as u64);
        let inexact = |kind| inexact.get(kind).copied().unwrap_or(0);
        counters.nan_payload.add(inexact("nan_payload"));
        counters.unknown_particle.add(inexact("unknown_particle"));
    }

    /// Returns the totals of records, indexes, UDF modules and bytes.
    pub(crate) fn counts(&self) -> [u64; 4] {
        let Totals { records, indexes, udfs, bytes, .. } = self.totals;
        [records, indexes, udfs, bytes]
    }

    /// Returns how many data files it lists.
    pub(crate) fn file_count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Returns whether it lists a file.
    pub(crate) fn lists(&self, name: &str) -> bool {
        let extra = self.extra.iter().map(|file| &file.name);
        self.files.iter().map(|file| &file.name).chain(extra).any(|listed| listed == name)
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns whether that run wrote it.
    pub(crate) fn is_of(&self, run: &str) -> bool {
        self.run() == Some(run)
    }

    /// Returns the run that wrote it.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    pub(super) fn check(&self) -> Result<(), DocumentError> {
        if self.is_encrypted() != (self.hash == KEYED) {
            let what = format!("its hash is {:?}, its encryption {:?}", self.hash, self.envelope.encryption);
            return Err(DocumentError::Contradiction { what });
        }
        self.check_names()?;
        self.check_partitions()?;
        let sum = |count: fn(&ListedFile) -> u64| self.files.iter().map(count).fold(0, u64::saturating_add);
        self.check_total("records", self.totals.records, sum(|file| file.records))?;
        self.check_total("udfs", self.totals.udfs, sum(|file| file.udfs))?;
        self.check_total("bytes", self.totals.bytes, sum(|file| file.bytes))?;
        match self.extra {
            Some(_) => Ok(()), // How many indexes it holds shows only when it is read.
            None => self.check_indexes(0),
        }
    }

    /// Returns whether its files are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.envelope.encryption.is_some()
    }

    /// Checks the total of indexes, given how many the side file holds.
    pub(super) fn check_indexes(&self, in_side_file: u64) -> Result<(), DocumentError> {
        let in_files = self.files.iter().map(|file| file.indexes).fold(0, u64::saturating_add);
        self.check_total("indexes", self.totals.indexes, in_files.saturating_add(in_side_file))
    }

    fn check_total(&self, what: &str, total: u64, sum: u64) -> Result<(), DocumentError> {
        if total == sum {
            return Ok(());
        }
        let what = format!("its total of {what} is {total}, but its files sum up to {sum}");
        Err(DocumentError::Contradiction { what })
    }

    /// Checks that each name is that of a file beside the manifest, and that none comes twice.
    fn check_names(&self) -> Result<(), DocumentError> {
        let mut names = BTreeSet::new();
        for name in self.names() {
            if ["", ".", ".."].contains(&name) || name.contains(['/', '\\', '\0']) {
                let what = format!("{name:?} is no name of a file beside it");
                return Err(DocumentError::Contradiction { what });
            }
            if !names.insert(name) {
                let what = format!("{name:?} is listed twice");
                return Err(DocumentError::Contradiction { what });
            }
        }
        Ok(())
    }

    /// Returns the names of data files and side file.
    fn names(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| file.name.as_str());
        files.chain(self.extra.iter().map(|extra| extra.name.as_str()))
    }

    fn check_partitions(&self) -> Result<(), DocumentError> {
        // Which partitions those of nodes and racks were is known by the cluster alone.
        let selected = self.selection.scope.asked()?.partitions().unwrap_or(PartitionSet::EMPTY);
        match &self.shards {
            Some(Shards::One(share)) => return self.check_share(share.shard()?, &selected),
            Some(Shards::All(shares)) => shares.check()?,
            None => {}
        }
        let unread = self.selection.max_records.is_some() || self.selection.no_records;
        if unread || self.partitions.is_superset(&selected) {
            return Ok(());
        }
        let missing: PartitionSet =
            selected.iter().filter(|&partition| !self.partitions.contains(partition)).collect();
        let what = format!("partitions {missing} were asked for, but aren't among those that are done");
        Err(DocumentError::Contradiction { what })
    }
}

impl ClusterFacts {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self {
            name: cluster.name().map(str::to_owned),
            build: cluster.build().to_string(),
            nodes: cluster.nodes().len() as u64,
        }
    }
}

impl Scope {
    fn of(scope: &config::Scope) -> Self {
        match scope {
            config::Scope::Namespace => Self::Namespace,
            config::Scope::Partitions(list) => Self::Partitions(list.clone()),
            config::Scope::AfterDigest(digest) => {
                Self::AfterDigest(base64_simd::STANDARD.encode_to_string(digest.0))
            }
            config::Scope::Nodes(nodes) => {
                Self::Nodes(nodes.iter().map(|node| node.to_string().into()).collect())
            }
            config::Scope::Racks(racks) => {
                Self::Racks(racks.iter().map(|rack| rack.number().into()).collect())
            }
        }
    }

    /// Returns the scope in the words of the configuration, but for what only a cluster can tell.
    fn asked(&self) -> Result<config::Scope, DocumentError> {
        match self {
            Self::Namespace => Ok(config::Scope::Namespace),
            Self::Partitions(list) => Ok(config::Scope::Partitions(list.clone())),
            Self::AfterDigest(digest) => config::Scope::after_digest(digest)
                .map_err(|error| DocumentError::Contradiction { what: format!("its scope {error}") }),
            Self::Nodes(_) => Ok(config::Scope::Nodes(Vec::new())),
            Self::Racks(_) => Ok(config::Scope::Racks(Vec::new())),
        }
    }
}

impl Modified {
    pub(super) fn of(config: &BackupConfig) -> Self {
        let [after, before] = config.modified.rfc3339();
        Self { after, before }
    }
}

/// Returns names as text; one that isn't UTF-8 with its other bytes escaped.
fn texts(names: Option<&Names>) -> Vec<String> {
    let text =
        |name: &[u8]| str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned);
    names.into_iter().flat_map(Names::iter).map(text).collect()
}

impl Selection {
    pub(super) fn of(config: &BackupConfig) -> Self {
        let left_out = |class| config.left_out.contains(&class);
        Self {
            scope: Scope::of(&config.scope),
            sets: texts(config.sets.as_ref()),
            bins: texts(match &config.bins {
                BinSelection::Only(names) => Some(names),
                BinSelection::All | BinSelection::None => None,
            }),
            filter: config.filter.as_ref().map(ToString::to_string),
            no_ttl_only: config.lifetime == Lifetime::Unlimited,
            max_records: config.max_records.map(NonZeroU64::get),
            no_bins: config.bins == BinSelection::None,
            no_records: left_out(EntryClass::Records),
            no_indexes: left_out(EntryClass::Indexes),
            no_udfs: left_out(EntryClass::UdfModules),
        }
    }
}

/// Partition lists as text.
pub(crate) mod partition_list {
    use super::{Deserialize, Deserializer, PartitionSet, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(partitions: &PartitionSet, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(partitions)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PartitionSet, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| de::Error::custom(format!("{text:?} is {error}")))
    }
}

/// Lists of partitions with digests, as text.
mod scope_list {
    use super::{Deserialize, Deserializer, PartitionList, Serializer, de};

    pub(super) fn serialize<S: Serializer>(list: &PartitionList, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(list)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PartitionList, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Returns the text of what says that it is a manifest.
fn text_of(bytes: &[u8]) -> Result<&str, DocumentError> {
    let text = str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
    check_head(text, FORMAT, VERSION)?;
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::manifest) fn manifest() -> Manifest {
        let text = r#"{"format": "asbackup-manifest", "version": 1,
            "tool": "asbackup 0.1.0", "kind": "scan", "outcome": "complete", "fingerprint": "00",
            "cluster": {"name": "prod", "build": "8.1.2", "nodes": 3}, "namespace": "users",
            "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z",
            "modified": {"after": null, "before": null},
            "selection": {"scope": "namespace", "sets": [], "bins": [], "filter": null, "no_ttl_only": false,
                "max_records": null, "no_bins": false, "no_records": false, "no_indexes": false, "no_udfs": false},
            "partitions": "0..4095",
            "envelope": {"compression": null, "encryption": null}, "hash": "xxh3-128",
            "files": [
                {"name": "metadata_users_1.asb", "bytes": 20, "hash": "00", "records": 0, "indexes": 2, "udfs": 1,
                 "partitions": ""},
                {"name": "0_users_2.asb", "bytes": 103, "hash": "00", "records": 10, "indexes": 0, "udfs": 0,
                 "partitions": "0..2047,4095"}],
            "extra": null, "replaces": ["0_users_1.asb"],
            "totals": {"records": 10, "indexes": 2, "udfs": 1, "bytes": 123, "inexact": {"nan_payload": 1}},
            "shards": null, "seal": "", "of a later writer": [1]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let manifest = manifest();
        let mut decoded = Manifest::decode(manifest.encode(&PLAIN).as_bytes(), None).unwrap();
        assert_eq!(std::mem::take(&mut decoded.seal).len(), 32);
        assert_eq!(decoded, manifest);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        check_damage(&manifest().encode(&PLAIN).into_bytes(), None);
        check_damage(&encrypted().encode(&Hashing::of(Some(&KEY))).into_bytes(), Some(&KEY));
    }

    const PLAIN: Hashing = Hashing::Accidents;
    const KEY: AesKey = AesKey::Aes128([7; 16]);

    fn encrypted() -> Manifest {
        let mut manifest = manifest();
        manifest.envelope.encryption = Some("aes128".to_owned());
        manifest.hash = KEYED.to_owned();
        manifest
    }

    #[test]
    fn the_key_has_to_be_the_one_that_the_backup_was_made_with() {
        let sealed = encrypted().encode(&Hashing::of(Some(&KEY)));
        Manifest::decode(sealed.as_bytes(), Some(&KEY)).unwrap();
        let error = |text: &str, key| Manifest::decode(text.as_bytes(), key).unwrap_err();
        assert!(matches!(error(&sealed, None), DocumentError::KeyMissing));
        let other = AesKey::Aes128([8; 16]);
        assert!(matches!(error(&sealed, Some(&other)), DocumentError::KeyedSeal));
        let plain = manifest().encode(&PLAIN);
        assert!(matches!(error(&plain, Some(&KEY)), DocumentError::KeyUnused));
        let mut unsafe_hash = encrypted();
        unsafe_hash.hash = ACCIDENTS.to_owned();
        let text = unsafe_hash.encode(&PLAIN);
        assert!(matches!(error(&text, Some(&KEY)), DocumentError::Contradiction { .. }));
    }

    fn check_damage(text: &[u8], key: Option<&AesKey>) {
        for bit in 0..text.len() * 8 {
            let mut flipped = text.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped, key).is_err(), "bit {bit}");
        }
        for len in 0..text.len() {
            assert!(Manifest::decode(&text[..len], key).is_err(), "cut at {len}");
        }
    }

    /// Checks that a sealed manifest is refused.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Manifest), expected: &str) {
        let mut manifest = manifest();
        change(&mut manifest);
        let error = Manifest::decode(manifest.encode(&PLAIN).as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn contradictions_are_refused() {
        check(
            |manifest| manifest.totals.records = 9,
            "its total of records is 9, but its files sum up to 10",
        );
        check(|manifest| manifest.totals.indexes = 3, "its total of indexes is 3");
        check(|manifest| manifest.totals.udfs = 0, "its total of udfs is 0");
        check(|manifest| manifest.files[0].bytes = u64::MAX, "its total of bytes is 123");
        check(|manifest| manifest.hash = "sha1".to_owned(), r#"uses the hash "sha1""#);
        check(|manifest| manifest.envelope.encryption = Some("aes128".to_owned()), "its encryption Some");
        check(|manifest| manifest.version = 2, "has version 2; this program knows version 1");
        check(|manifest| manifest.format = "other".to_owned(), r#"has the format "other""#);
        for name in ["", ".", "..", "a/b", "/a", "a\\b"] {
            check(|manifest| manifest.files[0].name = name.to_owned(), "is no name of a file beside it");
        }
        check(|manifest| manifest.files[0].name = "0_users_2.asb".to_owned(), "is listed twice");
    }

    #[test]
    fn partitions_that_were_asked_for_must_be_done() {
        let half = || "0..2047".parse().unwrap();
        let half_list = || "0..2047".parse().unwrap();
        check(|manifest| manifest.partitions = half(), "partitions 2048..4095 were asked for");
        let mut manifest = manifest();
        manifest.partitions = half();
        manifest.selection.scope = Scope::Partitions(half_list());
        manifest.check().unwrap();
        for (digest, expected) in
            [("AAgAAAAAAAAAAAAAAAAAAAAAAAE=", "partitions 2048..4095"), ("x", "its scope")]
        {
            manifest.selection.scope = Scope::AfterDigest(digest.to_owned());
            let error = manifest.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        manifest.selection.scope = Scope::Nodes(vec!["a".into()]);
        manifest.check().unwrap();
        manifest.selection.scope = Scope::Namespace;
        manifest.selection.max_records = Some(1);
        manifest.check().unwrap();
    }

    #[test]
    fn scopes_have_the_words_of_the_format() {
        for (scope, expected) in [
            (Scope::Namespace, r#""namespace""#),
            (Scope::Partitions("0..1".parse().unwrap()), r#"{"partitions":"0..1"}"#),
            (Scope::AfterDigest("x".to_owned()), r#"{"after_digest":"x"}"#),
            (Scope::Nodes(vec!["a".into()]), r#"{"nodes":["a"]}"#),
            (Scope::Racks(vec![1.into()]), r#"{"racks":[1]}"#),
        ] {
            assert_eq!(serde_json::to_string(&scope).unwrap(), expected);
            assert_eq!(serde_json::from_str::<Scope>(expected).unwrap(), scope);
        }
    }
}
