//! Indexes and UDFs into a cluster. One that is refused is counted and named, and doesn't end the job.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use asbackup_cluster::{Cluster, IndexCreation};
use asbackup_model::{SecondaryIndex, UdfModule};

use crate::{
    Error, ErrorKind,
    config::{Effect, EntryClass, IndexConflict, Rename},
    job::JobContext,
    restore_state::{MetadataCounts, Ticket},
};

/// How long an index may take until it is built, or a module until all nodes have it. A large namespace takes its time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// An entry that isn't a record.
#[derive(Debug)]
pub(crate) struct TrackedMetadata {
    pub(crate) entry: Metadata,
    /// That of the block in whose place in the file it stands.
    pub(crate) ticket: Arc<Ticket>,
}

/// An index or a UDF module.
#[derive(Debug)]
pub(crate) enum Metadata {
    Index(SecondaryIndex),
    Udf(UdfModule),
}

/// Where metadata goes.
pub(crate) struct MetadataWriter {
    pub(crate) cluster: Cluster,
    pub(crate) rename: Option<Rename>,
    pub(crate) left_out: BTreeSet<EntryClass>,
    pub(crate) conflict: IndexConflict,
    pub(crate) effect: Effect,
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    pub(crate) job: JobContext,
}

/// What became of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IndexEnd {
    Created,
    /// It was there already.
    Same,
    /// Another one of this name was there and stays, as asked.
    Kept,
    /// Another one of this name was there and went, as asked.
    Replaced,
    /// Another one of this name is there, and nobody said what to do.
    Conflict,
}

/// Takes entries from the queue until it ends.
pub(crate) async fn run(
    writer: MetadataWriter,
    entries: async_channel::Receiver<TrackedMetadata>,
) -> Result<(), Error> {
    let counters = &writer.job.counters;
    while let Ok(TrackedMetadata { entry, ticket }) = writer.job.or_cancelled(entries.recv()).await? {
        // Nobody else counts metadata meanwhile.
        let before = MetadataCounts::of(counters);
        match entry {
            Metadata::Index(index) => writer.create_index(index).await?,
            Metadata::Udf(udf) => writer.put_udf(&udf).await?,
        }
        ticket.metadata_done(MetadataCounts::of(counters).since(before));
    }
    Ok(())
}

impl MetadataWriter {
    async fn create_index(&self, mut index: SecondaryIndex) -> Result<(), Error> {
        let counters = &self.job.counters;
        counters.indexes_read.add(1);
        if self.left_out.contains(&EntryClass::Indexes) {
            counters.indexes_not_restored.add(1);
            return Ok(());
        }
        if let Some(rename) = &self.rename {
            if index.namespace != rename.from.as_bytes() {
                return Err(other_namespace(&index.namespace, Some(rename), None));
            }
            index.namespace = rename.to.clone().into_bytes();
        }
        let created = self.job.or_cancelled(self.create_and_wait(&index)).await?;
        let name = String::from_utf8_lossy(&index.name);
        match created {
            Ok(IndexEnd::Created) => counters.indexes_written.add(1),
            Ok(IndexEnd::Same) => counters.indexes_same.add(1),
            Ok(IndexEnd::Kept) => {
                counters.indexes_kept.add(1);
                self.warn(format!("index {name} is there with another definition, and was kept as asked"));
            }
            Ok(IndexEnd::Replaced) => {
                counters.indexes_replaced.add(1);
                self.warn(format!(
                    "index {name} was there with another definition, and was replaced as asked"
                ));
            }
            Ok(IndexEnd::Conflict) => {
                counters.indexes_failed.add(1);
                self.warn(format!(
                    "index {name} is there already with another definition, and was left as it is; \
                     --index-conflict says what to do with it"
                ));
            }
            Err(error) => {
                counters.indexes_failed.add(1);
                self.warn(format!("index {name} was not created: {}", chain(&error)));
            }
        }
        Ok(())
    }

    async fn create_and_wait(&self, index: &SecondaryIndex) -> Result<IndexEnd, asbackup_cluster::Error> {
        if self.effect == Effect::Count {
            return Ok(self.foreseen(self.cluster.find_index(index).await?));
        }
        let end = match (self.cluster.create_index(index).await?, self.conflict) {
            (IndexCreation::Created, _) => IndexEnd::Created,
            (IndexCreation::Same, _) => return Ok(IndexEnd::Same),
            (IndexCreation::Conflict, IndexConflict::Keep) => return Ok(IndexEnd::Kept),
            (IndexCreation::Conflict, IndexConflict::Fail) => return Ok(IndexEnd::Conflict),
            (IndexCreation::Conflict, IndexConflict::Replace) => self.replace(index).await?,
        };
        if matches!(end, IndexEnd::Created | IndexEnd::Replaced) {
            self.cluster.wait_for_index(&index.namespace, &index.name, LONGEST_WAIT).await?;
        }
        Ok(end)
    }

    /// Returns what would become of an index of which that is there already.
    fn foreseen(&self, found: Option<IndexCreation>) -> IndexEnd {
        match (found, self.conflict) {
            (None | Some(IndexCreation::Created), _) => IndexEnd::Created,
            (Some(IndexCreation::Same), _) => IndexEnd::Same,
            (Some(IndexCreation::Conflict), IndexConflict::Keep) => IndexEnd::Kept,
            (Some(IndexCreation::Conflict), IndexConflict::Fail) => IndexEnd::Conflict,
            (Some(IndexCreation::Conflict), IndexConflict::Replace) => IndexEnd::Replaced,
        }
    }

    async fn replace(&self, index: &SecondaryIndex) -> Result<IndexEnd, asbackup_cluster::Error> {
        self.cluster.drop_index(&index.namespace, &index.name, LONGEST_WAIT).await?;
        Ok(match self.cluster.create_index(index).await? {
            IndexCreation::Created => IndexEnd::Replaced,
            // Somebody else was faster.
            IndexCreation::Same => IndexEnd::Same,
            IndexCreation::Conflict => IndexEnd::Conflict,
        })
    }

    async fn put_udf(&self, udf: &UdfModule) -> Result<(), Error> {
        let counters = &self.job.counters;
        counters.udfs_read.add(1);
        if self.left_out.contains(&EntryClass::UdfModules) {
            counters.udfs_not_restored.add(1);
            return Ok(());
        }
        if self.effect == Effect::Count {
            counters.udfs_written.add(1);
            return Ok(());
        }
        match self.job.or_cancelled(self.cluster.put_udf(udf, LONGEST_WAIT)).await? {
            Ok(()) => counters.udfs_written.add(1),
            Err(error) => {
                counters.udfs_failed.add(1);
                let name = String::from_utf8_lossy(&udf.name);
                self.warn(format!("UDF module {name} was not registered: {}", chain(&error)));
            }
        }
        Ok(())
    }

    pub(super) fn warn(&self, warning: String) {
        let warning = match self.effect {
            Effect::Write => warning,
            Effect::Count => format!("this would be said: {warning}"),
        };
        tracing::warn!("{warning}");
        self.job.warn(&warning);
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// What to do if a backup is of another namespace.
pub(crate) const NAME_FIRST: &str =
    "name the backup's namespace first in --namespace, as in --namespace from,to";

/// Returns the error of an entry that belongs to neither side of a renaming.
pub(crate) fn other_namespace(namespace: &[u8], rename: Option<&Rename>, file: Option<&str>) -> Error {
    let namespace = String::from_utf8_lossy(namespace);
    let from = rename.map_or("", |rename| &rename.from);
    Error::of(
        ErrorKind::Write,
        format!("the backup holds an entry of namespace {namespace:?}, not of {from:?}"),
    )
    .place(|place| place.file = file.map(str::to_owned))
    .hint(NAME_FIRST)
    .build()
}

/// Returns an error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
