//! Indexes over sets, from the side file into a cluster. One that can't be created is counted and named, and doesn't end
//! the job.

use asbackup_cluster::{Error as ClusterError, IndexCreation};

use super::metadata::{LONGEST_WAIT, MetadataWriter, chain, other_namespace};
use crate::{
    Error,
    config::{Effect, EntryClass, IndexConflict},
    manifest::SetIndex,
};

impl MetadataWriter {
    /// Creates an index over a set of a namespace of the backup.
    pub(crate) async fn create_set_index(&self, namespace: &str, index: &SetIndex) -> Result<(), Error> {
        let counters = &self.job.counters;
        counters.indexes_read.add(1);
        if self.left_out.contains(&EntryClass::Indexes) {
            counters.indexes_not_restored.add(1);
            return Ok(());
        }
        let namespace = match &self.rename {
            Some(rename) if rename.from != namespace => {
                return Err(other_namespace(namespace.as_bytes(), Some(rename), None));
            }
            Some(rename) => &rename.to,
            None => namespace,
        };
        let SetIndex { name, set } = index;
        if !self.cluster.knows_set_indexes() {
            counters.indexes_not_restored.add(1);
            let build = self.cluster.build();
            self.warn(format!("index {name} over set {set} was not created: server {build} knows none such"));
            return Ok(());
        }
        match self.job.or_cancelled(self.create_set_index_and_wait(namespace, index)).await? {
            Ok((IndexCreation::Created, Attempt::First)) => counters.indexes_written.add(1),
            Ok((IndexCreation::Created, Attempt::AfterDropping)) => counters.indexes_replaced.add(1),
            Ok((IndexCreation::Same, _)) => counters.indexes_same.add(1),
            Ok((IndexCreation::Conflict, _)) if self.conflict == IndexConflict::Keep => {
                counters.indexes_kept.add(1);
                self.warn(format!("another index {name} is there already, and was kept as asked"));
            }
            Ok((IndexCreation::Conflict, _)) => {
                counters.indexes_failed.add(1);
                self.warn(format!("another index {name} is there already, and was left as it is"));
            }
            Err(error) => {
                counters.indexes_failed.add(1);
                self.warn(format!("index {name} over set {set} was not created: {}", chain(&error)));
            }
        }
        Ok(())
    }

    async fn create_set_index_and_wait(
        &self,
        namespace: &str,
        SetIndex { name, set }: &SetIndex,
    ) -> Result<(IndexCreation, Attempt), ClusterError> {
        let (namespace, name) = (namespace.as_bytes(), name.as_bytes());
        let mut attempt = Attempt::First;
        if self.effect == Effect::Count {
            let found = self.cluster.find_set_index(namespace, name, set.as_bytes()).await?;
            return Ok(match (found, self.conflict) {
                (None, _) => (IndexCreation::Created, attempt),
                (Some(IndexCreation::Conflict), IndexConflict::Replace) => {
                    (IndexCreation::Created, Attempt::AfterDropping)
                }
                (Some(found), _) => (found, attempt),
            });
        }
        let mut creation = self.cluster.create_set_index(namespace, name, set.as_bytes()).await?;
        if creation == IndexCreation::Conflict && self.conflict == IndexConflict::Replace {
            self.cluster.drop_index(namespace, name, LONGEST_WAIT).await?;
            attempt = Attempt::AfterDropping;
            creation = self.cluster.create_set_index(namespace, name, set.as_bytes()).await?;
        }
        if creation == IndexCreation::Created {
            self.cluster.wait_for_index(namespace, name, LONGEST_WAIT).await?;
        }
        Ok((creation, attempt))
    }
}

/// Which attempt to create an index it was.
enum Attempt {
    First,
    AfterDropping,
}
