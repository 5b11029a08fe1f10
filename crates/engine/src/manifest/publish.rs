//! The end of a backup: the set becomes valid in one step.

use std::time::SystemTime;

use asbackup_codec::envelope::AesKey;
use asbackup_model::PartitionSet;
use asbackup_storage::Local;

use super::{
    SetIndex, SideFile,
    document::{
        ClusterFacts, Envelope, FORMAT, ListedFile, ListedSideFile, Manifest, Modified, Selection, Totals,
        VERSION,
    },
    hash::Hashing,
    options::fingerprint,
    shares::Shards,
};
use crate::{
    Error, ErrorKind, config::BackupConfig, job::JobContext, naming, report, sink::file_set::FileSet,
};

/// All that a manifest says beside its files.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) target: Local,
    pub(crate) config: BackupConfig,
    pub(crate) key: Option<AesKey>,
    pub(crate) cluster: ClusterFacts,
    /// When the first run of this backup began, RFC 3339.
    pub(crate) started: String,
    /// When this run began.
    pub(crate) run_started: SystemTime,
    /// Partitions that the server reported done.
    pub(crate) partitions: PartitionSet,
    pub(crate) set_indexes: Vec<SetIndex>,
    /// Files of the set that this one takes the place of.
    pub(crate) replaced: Vec<String>,
    /// The run that wrote it all.
    pub(crate) run: String,
}

/// Writes side file and manifest: when this returns, the new set, or share of a set, is the valid one. A single file has
/// neither, and is valid by its name.
///
/// # Errors
/// If it fails, what was written isn't a valid set, and the one that was there still is.
pub(crate) fn publish(publication: &Publication, files: &FileSet, job: &JobContext) -> Result<(), Error> {
    files.finish(job)?;
    if files.is_single() {
        return Ok(());
    }
    let side_file = publication.write_side_file(files, job)?;
    let manifest = publication.manifest(files.listed(), side_file, job);
    manifest.check().map_err(|error| {
        Error::of(ErrorKind::Internal, "the manifest of this backup is wrong").source(error).build()
    })?;
    let name = naming::manifest(publication.config.shard);
    manifest.write(&publication.target, &name, &publication.hashing())
}

impl Manifest {
    /// Puts it into its place, in one step.
    pub(crate) fn write(&self, target: &Local, name: &str, hashing: &Hashing) -> Result<(), Error> {
        // All names must be durable before the manifest's own: it vouches for them.
        target.sync()?;
        let mut upload = target.upload(name)?;
        upload.write(self.encode(hashing).as_bytes())?;
        upload.complete()?;
        let directory = target.path().display();
        tracing::info!(%directory, files = self.files.len(), bytes = self.totals.bytes, "manifest written");
        Ok(())
    }
}

impl Publication {
    fn hashing(&self) -> Hashing {
        Hashing::of(self.key.as_ref())
    }

    /// Writes the side file, if there is something in it.
    fn write_side_file(&self, files: &FileSet, job: &JobContext) -> Result<Option<ListedSideFile>, Error> {
        if self.set_indexes.is_empty() {
            return Ok(None);
        }
        // The old set may have a side file, and needs it until the new manifest is in place.
        let name = match self.replaced.is_empty() {
            true => naming::SIDE_FILE.to_owned(),
            false => naming::numbered_side_file(files.take_number()),
        };
        let side_file = SideFile::new(&self.config.namespace, self.set_indexes.clone());
        let text = side_file.encode();
        files.write_document(&name, &text)?;
        job.counters.indexes_written.add(self.set_indexes.len() as u64);
        let hash = self.hashing().hash(&[text.as_bytes()]);
        Ok(Some(ListedSideFile { name, bytes: text.len() as u64, hash }))
    }

    fn manifest(&self, files: Vec<ListedFile>, extra: Option<ListedSideFile>, job: &JobContext) -> Manifest {
        let sum = |count: fn(&ListedFile) -> u64| files.iter().map(count).sum::<u64>();
        let inexact = job.counters.inexact().into_iter().map(|(kind, count)| (kind.to_owned(), count));
        let totals = Totals {
            records: sum(|file| file.records),
            indexes: sum(|file| file.indexes) + self.set_indexes.len() as u64,
            udfs: sum(|file| file.udfs),
            bytes: sum(|file| file.bytes),
            inexact: inexact.collect(),
        };
        Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: concat!("asbackup ", env!("CARGO_PKG_VERSION")).to_owned(),
            kind: "scan".to_owned(),
            outcome: "complete".to_owned(),
            run: Some(self.run.clone()),
            fingerprint: fingerprint(&self.config, self.key.as_ref()),
            cluster: self.cluster.clone(),
            namespace: self.config.namespace.clone(),
            started: self.started.clone(),
            finished: report::rfc3339(self.run_started + job.counters.elapsed()),
            modified: Modified::of(&self.config),
            selection: Selection::of(&self.config),
            partitions: self.partitions,
            envelope: Envelope::of(&self.config.envelope),
            hash: self.hashing().name().to_owned(),
            files,
            extra,
            replaces: self.replaced.clone(),
            totals,
            shards: self.config.shard.map(|shard| Shards::One(shard.into())),
            seal: String::new(),
        }
    }
}
