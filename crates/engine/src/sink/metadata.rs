//! Indexes and UDFs into a cluster. One that is refused is counted and named, and doesn't end the job.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use asbackup_cluster::{Cluster, IndexCreation};
use asbackup_model::{SecondaryIndex, UdfModule};

use crate::{Error, ErrorKind, config::Rename, job::JobContext};

/// How long an index may take until it is built, or a module until all nodes have it. A large namespace takes its time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// An entry that isn't a record.
#[derive(Debug)]
pub(crate) enum Metadata {
    Index(SecondaryIndex),
    Udf(UdfModule),
}

/// Where metadata goes.
pub(crate) struct MetadataWriter {
    pub(crate) cluster: Cluster,
    pub(crate) rename: Option<Rename>,
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    pub(crate) job: JobContext,
}

/// Takes entries from the queue until it ends.
pub(crate) async fn run(
    writer: MetadataWriter,
    entries: async_channel::Receiver<Metadata>,
) -> Result<(), Error> {
    loop {
        match writer.job.or_cancelled(entries.recv()).await? {
            Ok(Metadata::Index(index)) => writer.create_index(index).await?,
            Ok(Metadata::Udf(udf)) => writer.put_udf(&udf).await?,
            Err(_closed) => return Ok(()),
        }
    }
}

impl MetadataWriter {
    async fn create_index(&self, mut index: SecondaryIndex) -> Result<(), Error> {
        let counters = &self.job.counters;
        counters.indexes_read.add(1);
        if let Some(rename) = &self.rename {
            if index.namespace != rename.from.as_bytes() {
                return Err(other_namespace(&index.namespace, Some(rename), None));
            }
            index.namespace = rename.to.clone().into_bytes();
        }
        let name = String::from_utf8_lossy(&index.name).into_owned();
        match self.job.or_cancelled(self.create_and_wait(&index)).await? {
            Ok(IndexCreation::Created) => counters.indexes_written.add(1),
            Ok(IndexCreation::Same) => counters.indexes_same.add(1),
            Ok(IndexCreation::Conflict) => {
                counters.indexes_failed.add(1);
                self.warn(format!(
                    "index {name} is there already with another definition, and was left as it is"
                ));
            }
            Err(error) => {
                counters.indexes_failed.add(1);
                self.warn(format!("index {name} was not created: {}", chain(&error)));
            }
        }
        Ok(())
    }

    async fn create_and_wait(
        &self,
        index: &SecondaryIndex,
    ) -> Result<IndexCreation, asbackup_cluster::Error> {
        let creation = self.cluster.create_index(index).await?;
        if creation == IndexCreation::Created {
            self.cluster.wait_for_index(&index.namespace, &index.name, LONGEST_WAIT).await?;
        }
        Ok(creation)
    }

    async fn put_udf(&self, udf: &UdfModule) -> Result<(), Error> {
        let counters = &self.job.counters;
        counters.udfs_read.add(1);
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

    fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// Returns the error of an entry that belongs to neither side of a renaming.
pub(crate) fn other_namespace(namespace: &[u8], rename: Option<&Rename>, file: Option<&str>) -> Error {
    let namespace = String::from_utf8_lossy(namespace);
    let from = rename.map_or("", |rename| &rename.from);
    Error::of(
        ErrorKind::Write,
        format!("the backup holds an entry of namespace {namespace:?}, not of {from:?}"),
    )
    .place(|place| place.file = file.map(str::to_owned))
    .hint("name the backup's namespace first in --namespace, as in --namespace from,to")
    .build()
}

/// Returns an error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
