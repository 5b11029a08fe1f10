//! Rows that are counted and not written, for a restore that changes nothing.

use asbackup_cluster::Cluster;

use super::cluster::TrackedRows;
use crate::{Error, job::JobContext, pipeline::Returns, plan::check_namespace};

/// Takes blocks from the queue until it ends, and checks that their namespaces are there.
pub(crate) async fn run(
    cluster: Cluster,
    job: JobContext,
    blocks: async_channel::Receiver<TrackedRows>,
    returns: Returns,
) -> Result<(), Error> {
    let mut namespace = Vec::new();
    while let Ok(block) = job.or_cancelled(blocks.recv()).await? {
        let rows = block.rows;
        if rows.namespace != namespace {
            job.or_cancelled(check_namespace(&cluster, &rows.namespace)).await??;
            namespace.clone_from(&rows.namespace);
        }
        job.counters.inserted.add(rows.rows.len() as u64);
        returns.give(rows.bytes);
    }
    Ok(())
}
