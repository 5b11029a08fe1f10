//! The run of an inspection: what a backup holds, as far as manifest, names, headers and the entries before the first
//! record tell it. No data file is read to its end.

use std::{sync::Arc, time::SystemTime};

use asbackup_cluster::LargeRecords;
use asbackup_codec::{
    Step,
    asb::{Decoder, Version},
    envelope::AesKey,
};
use asbackup_model::{IndexKind, IndexedType, RecordLayout, SecondaryIndex, UdfModule};
use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking,
    config::{Encryption, ExtraFiles, ManifestRule},
    job::{JobContext, Outcome},
    key,
    manifest::{
        BackupSet, Completeness, ManifestFacts, SetFile, SetIndex, SetRules, read_header, survey,
        survey_unsealed,
    },
    naming,
    report::{InspectReport, Inspected, InspectedFile, InspectedIndex, InspectedUdf, Span},
    restore::source_report,
    source::{
        ahead::Decompression,
        files::{FileEntry, FileReader},
    },
    validate::finding,
};

/// What an inspection is to know beside the backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InspectConfig {
    /// How the backup is encrypted. Default: not at all, or by a key that isn't at hand. Without it nothing vouches for the
    /// manifest of an encrypted backup, and its indexes and UDF modules aren't shown.
    pub encryption: Option<Encryption>,
}

impl InspectConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Runs an inspection to its end.
pub(crate) async fn run(
    config: InspectConfig,
    source: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<InspectReport> {
    let (mut inspected, completeness, result) = match inspect_with_key(config, source.clone(), &job).await {
        Ok((inspected, completeness)) => (inspected, completeness, Ok(())),
        Err(error) => (Inspected::default(), Completeness::Unchecked, Err(error)),
    };
    inspected.findings.sort_by(|a, b| a.file.cmp(&b.file));
    let holds = if inspected.findings.is_empty() { completeness } else { Completeness::Unchecked };
    let report = InspectReport {
        span: Span::new(started, job.counters.elapsed()),
        source: source_report(&source, inspected.files.len() as u64, holds, Vec::new()),
        inspected,
    };
    Outcome { report: Some(Arc::new(report)), result }
}

async fn inspect_with_key(
    config: InspectConfig,
    source: Local,
    job: &JobContext,
) -> Result<(Inspected, Completeness), Error> {
    let key = job.or_cancelled(key::fetch(config.encryption.as_ref())).await??;
    let job = job.clone();
    blocking(move || inspect(&source, key, &job)).await?
}

fn inspect(
    source: &Local,
    key: Option<AesKey>,
    job: &JobContext,
) -> Result<(Inspected, Completeness), Error> {
    let has_key = key.is_some();
    let (manifest, extra) = (ManifestRule::Optional, ExtraFiles::Refuse);
    let rules = SetRules { manifest, extra, key, compression: None };
    let unsealed = if has_key { None } else { survey_unsealed(source, &rules)? };
    let set = match unsealed {
        Some(set) => set,
        None => survey(source, &rules)?,
    };
    let BackupSet { files, side_files, manifest, findings, completeness, .. } = set;
    let mut inspected = Inspected {
        manifest: manifest.as_deref().map(ManifestFacts::of),
        bytes: files.iter().map(|file| file.stored.bytes).sum(),
        findings,
        ..Inspected::default()
    };
    // Encrypted files show nothing to those without the key.
    let is_encrypted = inspected.manifest.as_ref().is_some_and(|manifest| manifest.encryption.is_some());
    let mut reader = FileReader::new(source, job, Decompression::InStep, LargeRecords::new(1));
    for file in &files {
        if job.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        let header = Header::read(source, &file.stored.name, &rules)?;
        if (has_key || !is_encrypted) && may_hold_metadata(file, &header) {
            inspected.read_metadata(&mut reader, file)?;
        }
        inspected.files.push(header.describe(file));
    }
    for side_file in side_files {
        let indexes = side_file.set_indexes.iter();
        inspected.indexes.extend(indexes.map(|index| of_set(&side_file.namespace, index)));
    }
    Ok((inspected, completeness))
}

/// Returns whether indexes or UDFs may stand before the first record of a file: older tools put them into a metadata
/// file or into the first one.
fn may_hold_metadata(file: &SetFile, header: &Header) -> bool {
    match &file.listed {
        Some(listed) => listed.indexes + listed.udfs > 0,
        None => naming::is_metadata(&file.stored.name) || header.is_first,
    }
}

impl Inspected {
    /// Adds the indexes and UDFs at the beginning of a file.
    fn read_metadata(&mut self, reader: &mut FileReader<'_>, file: &SetFile) -> Result<(), Error> {
        let mut ended = false;
        // What is found on the way isn't held against the manifest, since the file isn't read as a whole.
        let unlisted = SetFile { listed: None, ..file.clone() };
        let read = reader.read(&unlisted, |entry, _| {
            match entry {
                FileEntry::SecondaryIndex(index) => self.indexes.push(of_index(&index)),
                FileEntry::UdfModule(udf) => self.udfs.push(of_udf(&udf)),
                FileEntry::Record { .. } => {
                    ended = true;
                    return Err(Error::cancelled());
                }
            }
            Ok(())
        });
        match read {
            Err(error) if error.kind() == ErrorKind::Format => {
                self.findings.push(finding(&file.stored.name, &error));
                Ok(())
            }
            Err(_) if ended => Ok(()),
            read => read.map(|_| ()),
        }
    }
}

/// The beginning of a file.
struct Header {
    version: Option<Version>,
    namespace: Option<Vec<u8>>,
    is_first: bool,
}

impl Header {
    fn read(source: &Local, name: &str, rules: &SetRules) -> Result<Self, Error> {
        let bytes = match read_header(source, name, rules) {
            Err(error) if error.kind() == ErrorKind::Storage => return Err(error),
            // What can't be opened shows no header.
            bytes => bytes.unwrap_or_default(),
        };
        let (mut decoder, mut layout, mut at) = (Decoder::new(), RecordLayout::new(), 0);
        let mut is_first = false;
        while bytes.get(at) == Some(&b'#') || at == 0 {
            let Step::Done { used, .. } = decoder.decode(&bytes[at..], &mut layout) else { break };
            is_first |= bytes[at..].starts_with(b"# first-file\n");
            at += used;
        }
        let namespace = decoder.namespace().map(<[u8]>::to_vec);
        Ok(Self { version: decoder.version(), namespace, is_first })
    }

    fn describe(&self, SetFile { stored, listed, .. }: &SetFile) -> InspectedFile {
        InspectedFile {
            name: stored.name.clone(),
            bytes: stored.bytes,
            version: self.version.map(|version| match version {
                Version::V30 => "3.0",
                Version::V31 => "3.1",
                Version::V32 => "3.2",
            }),
            namespace: self.namespace.as_deref().map(text),
            records: listed.as_ref().map(|listed| listed.records),
            indexes: listed.as_ref().map(|listed| listed.indexes),
            udfs: listed.as_ref().map(|listed| listed.udfs),
            partitions: listed.as_ref().map(|listed| listed.partitions.to_string()),
        }
    }
}

fn of_index(index: &SecondaryIndex) -> InspectedIndex {
    InspectedIndex {
        name: text(&index.name),
        namespace: text(&index.namespace),
        set: index.set.as_deref().map(text),
        bin: index.expression.is_none().then(|| text(&index.bin)),
        kind: match index.kind {
            IndexKind::Default => "default",
            IndexKind::ListElements => "list",
            IndexKind::MapKeys => "mapkeys",
            IndexKind::MapValues => "mapvalues",
        },
        indexed: Some(match index.indexed {
            IndexedType::Numeric => "numeric",
            IndexedType::String => "string",
            IndexedType::Geo2dSphere => "geo2dsphere",
            IndexedType::Blob => "blob",
        }),
        expression: index.expression.as_deref().map(text),
    }
}

fn of_set(namespace: &str, index: &SetIndex) -> InspectedIndex {
    InspectedIndex {
        name: index.name.clone(),
        namespace: namespace.to_owned(),
        set: Some(index.set.clone()),
        bin: None,
        kind: "set",
        indexed: None,
        expression: None,
    }
}

fn of_udf(udf: &UdfModule) -> InspectedUdf {
    InspectedUdf { name: text(&udf.name), bytes: udf.content.len() as u64 }
}

/// Names are bytes; those that aren't UTF-8 are shown as far as they are.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
