//! Which partitions a backup reads, from which nodes, and how they are dealt out to streams.

use std::sync::Arc;

use asbackup_cluster::{Cluster, Error as ClusterError, ErrorKind as ClusterErrorKind, Node, Racks, Readers};
use asbackup_model::{PartitionId, PartitionSet};

use crate::{
    Error, ErrorKind,
    config::{BackupConfig, EntryClass, NodeSelector, RackId, Scope},
    source::selection,
    transcode::to_text::MONITOR_SET,
};

/// What of a cluster is read.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) wanted: PartitionSet,
    /// Who reads partitions in place of their owners.
    pub(super) readers: Option<Arc<Readers>>,
}

/// Checks what of a selection excludes each other.
pub(super) fn check_selection(config: &BackupConfig) -> Result<(), Error> {
    let refused = |message: &str, hint| Err(Error::of(ErrorKind::Config, message).hint(hint).build());
    if config.max_records.is_some() && config.readers.count() > 1 {
        let message = format!("a number of records can't be shared by {} scans", config.readers.count());
        return refused(&message, "use --max-records with --parallel 1");
    }
    if config.sets.as_ref().is_some_and(|sets| sets.contains(MONITOR_SET)) {
        let message = "the set \"<ERO~MRT\" is the server's own and isn't backed up";
        return refused(message, "change --set-list");
    }
    if !config.preferred_racks.is_empty() && matches!(config.scope, Scope::Nodes(_) | Scope::Racks(_)) {
        let message = "partitions of listed nodes or racks are read from these, not from preferred racks";
        return refused(message, "leave out --prefer-racks, or --node-list and --rack-list");
    }
    Ok(())
}

/// Finds the partitions that are asked for and who reads them.
pub(super) async fn select(cluster: &Cluster, config: &BackupConfig) -> Result<Selected, Error> {
    if config.left_out.contains(&EntryClass::Records) {
        return Ok(Selected::default());
    }
    if selection::needs_expressions(config) && !cluster.knows_expressions() {
        let message = format!("server {} knows no filters, which come with 5.2", cluster.build());
        return Err(Error::of(ErrorKind::Config, message)
            .hint("leave out times, --no-ttl-only, --filter-exp and all but one of --set-list")
            .build());
    }
    let namespace = config.namespace.as_bytes();
    let wanted = match &config.scope {
        Scope::Nodes(selectors) => owned_by(cluster, namespace, &find_nodes(cluster, selectors).await?),
        Scope::Racks(racks) => owned_by(cluster, namespace, &nodes_in(cluster, namespace, racks).await?),
        scope => scope.partitions().unwrap_or_default(),
    };
    if wanted == PartitionSet::EMPTY {
        let message = "the nodes that are asked for own no partitions";
        return Err(Error::of(ErrorKind::Config, message).hint("change --node-list or --rack-list").build());
    }
    let readers = match config.preferred_racks.as_slice() {
        [] => None,
        racks => Some(Arc::new(readers_in(cluster, namespace, racks).await?)),
    };
    let [modified_after, modified_before] = config.modified.rfc3339();
    tracing::info!(
        partitions = wanted.iter().count(),
        modified_after,
        modified_before,
        "selection resolved; times are UTC"
    );
    Ok(Selected { wanted, readers })
}

/// Returns the partitions of each stream, in the order in which they are read.
pub(super) fn streams(
    cluster: &Cluster,
    config: &BackupConfig,
    wanted: &PartitionSet,
    readers: Option<&Readers>,
) -> Result<Vec<Vec<PartitionId>>, Error> {
    Ok(deal(by_reader(cluster, config, wanted, readers)?, config.readers.count()))
}

fn owned_by(cluster: &Cluster, namespace: &[u8], nodes: &[Node]) -> PartitionSet {
    nodes.iter().flat_map(|node| cluster.partitions_of(namespace, node)).collect()
}

/// Returns the nodes that are meant. Each must be there, and none may be meant twice.
async fn find_nodes(cluster: &Cluster, selectors: &[NodeSelector]) -> Result<Vec<Node>, Error> {
    let nodes = cluster.nodes();
    let mut found: Vec<(Node, &NodeSelector)> = Vec::new();
    for selector in selectors {
        let node = find_node(cluster, &nodes, selector).await?;
        if let Some((_, first)) = found.iter().find(|(known, _)| *known == node) {
            let message = format!("{first} and {selector} are the same node");
            return Err(Error::of(ErrorKind::Config, message).hint("change --node-list").build());
        }
        found.push((node, selector));
    }
    Ok(found.into_iter().map(|(node, _)| node).collect())
}

async fn find_node(cluster: &Cluster, nodes: &[Node], selector: &NodeSelector) -> Result<Node, Error> {
    if let Some(node) = nodes.iter().find(|node| is_known_as(node, selector)) {
        return Ok(node.clone());
    }
    // A node may be reached at another address than the one that it tells others.
    for node in nodes {
        let told = cluster.addresses_of(node).await.map_err(crate::connect_error)?;
        if told.iter().any(|address| selector.is_at(address)) {
            return Ok(node.clone());
        }
    }
    let known: Vec<_> = nodes.iter().map(|node| format!("{} at {}", node.name(), node.address())).collect();
    let message = format!("no node of the cluster is {selector}: there are {}", known.join(", "));
    Err(Error::of(ErrorKind::Config, message).hint("change --node-list").build())
}

fn is_known_as(node: &Node, selector: &NodeSelector) -> bool {
    match selector {
        NodeSelector::Name(name) => node.name().eq_ignore_ascii_case(name),
        NodeSelector::Address(_) => selector.is_at(node.seed()),
    }
}

/// Returns the nodes of these racks, each of which must have some.
async fn nodes_in(cluster: &Cluster, namespace: &[u8], wanted: &[RackId]) -> Result<Vec<Node>, Error> {
    let racks = cluster.racks(namespace).await.map_err(no_racks)?;
    let nodes = cluster.nodes();
    let mut found = Vec::new();
    for rack in wanted {
        let before = found.len();
        found.extend(nodes.iter().filter(|node| racks.contains(rack.number(), node)).cloned());
        if found.len() == before {
            return Err(empty_rack(*rack, &racks, "change --rack-list"));
        }
    }
    Ok(found)
}

async fn readers_in(cluster: &Cluster, namespace: &[u8], order: &[RackId]) -> Result<Readers, Error> {
    let racks = cluster.racks(namespace).await.map_err(no_racks)?;
    if let [first, ..] = order
        && !racks.ids().any(|id| order.iter().any(|rack| rack.number() == id))
    {
        return Err(empty_rack(*first, &racks, "change --prefer-racks"));
    }
    let order: Vec<u32> = order.iter().map(|rack| rack.number()).collect();
    cluster.readers_in(namespace, &racks, &order).await.map_err(crate::connect_error)
}

fn no_racks(source: ClusterError) -> Error {
    if source.kind() != ClusterErrorKind::Input {
        return crate::connect_error(source);
    }
    Error::of(ErrorKind::Config, source.to_string()).hint("leave out --rack-list and --prefer-racks").build()
}

fn empty_rack(rack: RackId, racks: &Racks, hint: &'static str) -> Error {
    let known: Vec<_> = racks.ids().map(|id| id.to_string()).collect();
    let message = format!("no node is in rack {rack}: there are the racks {}", known.join(", "));
    Error::of(ErrorKind::Config, message).hint(hint).build()
}

/// Returns the wanted partitions of each node that reads some.
fn by_reader(
    cluster: &Cluster,
    config: &BackupConfig,
    wanted: &PartitionSet,
    readers: Option<&Readers>,
) -> Result<Vec<Vec<PartitionId>>, Error> {
    let owners = cluster.partition_map(config.namespace.as_bytes());
    let mut nodes: Vec<(Node, Vec<PartitionId>)> = Vec::new();
    let mut found = 0;
    for partition in wanted.iter() {
        let reader =
            readers.and_then(|readers| readers.reader(partition)).or_else(|| owners.owner(partition));
        let Some(reader) = reader else { continue };
        found += 1;
        match nodes.iter_mut().find(|(node, _)| node == reader) {
            Some((_, partitions)) => partitions.push(partition),
            None => nodes.push((reader.clone(), vec![partition])),
        }
    }
    let all = wanted.iter().count();
    if found != all {
        let message = format!("only {found} of {all} partitions of {:?} have an owner", config.namespace);
        return Err(Error::of(ErrorKind::Connect, message)
            .hint("wait until the cluster is complete")
            .build());
    }
    Ok(nodes.into_iter().map(|(_, partitions)| partitions).collect())
}

/// Deals the partitions of each node out to `streams` streams. A stream reads from one node, unless there are fewer
/// streams than nodes: then each reads from several, one after another.
fn deal(nodes: Vec<Vec<PartitionId>>, streams: usize) -> Vec<Vec<PartitionId>> {
    let nodes: Vec<_> = nodes.into_iter().filter(|partitions| !partitions.is_empty()).collect();
    if streams < nodes.len() {
        let mut dealt = vec![Vec::new(); streams];
        for (index, partitions) in nodes.into_iter().enumerate() {
            dealt[index % streams].extend(partitions);
        }
        return dealt;
    }
    let (each, more) = (streams / nodes.len().max(1), streams % nodes.len().max(1));
    let shares = |index: usize| each + usize::from(index < more);
    nodes.iter().enumerate().flat_map(|(index, partitions)| split(partitions, shares(index))).collect()
}

/// Splits a list into at most `parts` runs of about the same length, none of them empty.
fn split(partitions: &[PartitionId], parts: usize) -> Vec<Vec<PartitionId>> {
    let (len, parts) = (partitions.len(), parts.min(partitions.len()));
    (0..parts).map(|part| partitions[part * len / parts..(part + 1) * len / parts].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(sizes: &[u16]) -> Vec<Vec<PartitionId>> {
        let mut all = PartitionId::all();
        sizes.iter().map(|size| all.by_ref().take(usize::from(*size)).collect()).collect()
    }

    #[track_caller]
    fn check(sizes: &[u16], streams: usize, expected: &[usize]) {
        let dealt = deal(nodes(sizes), streams);
        assert_eq!(dealt.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        let mut all: Vec<_> = dealt.concat();
        all.sort();
        assert_eq!(all, nodes(sizes).concat(), "each partition is read once");
    }

    #[test]
    fn streams_are_dealt_out_by_node() {
        check(&[4096], 1, &[4096]);
        check(&[4096], 3, &[1365, 1365, 1366]);
        check(&[2000, 2096], 2, &[2000, 2096]);
        check(&[2000, 2096], 5, &[666, 667, 667, 1048, 1048]);
        check(&[1000, 2000, 1096], 2, &[2096, 2000]);
        check(&[4096, 0], 2, &[2048, 2048]);
        check(&[2], 8, &[1, 1]);
    }
}
