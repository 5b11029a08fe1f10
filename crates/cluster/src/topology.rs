//! Which nodes there are and which of them owns which partition.

use std::collections::HashMap;
use std::sync::Arc;

use asbackup_model::{PARTITIONS, PartitionId};
use tokio::time::Instant;

use crate::Node;
use crate::replies::{Build, Masters};

/// What is known of a cluster at one time.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) nodes: Vec<Node>,
    pub(crate) namespaces: HashMap<Vec<u8>, Arc<PartitionMap>>,
    /// The lowest version of all nodes.
    pub(crate) build: Build,
    /// When the nodes were asked.
    pub(crate) asked: Instant,
}

/// The owners of the partitions of one namespace, as they were known at one time.
#[derive(Debug, Clone)]
pub struct PartitionMap {
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    regime: u32,
    owner: Option<Node>,
}

impl PartitionMap {
    pub(crate) fn new() -> Self {
        Self { rows: vec![Row { regime: 0, owner: None }; usize::from(PARTITIONS)] }
    }

    /// Returns the node that owns a partition, if one is known.
    #[must_use]
    pub fn owner(&self, partition: PartitionId) -> Option<&Node> {
        self.rows[partition.index()].owner.as_ref()
    }

    /// Takes over what a node says of itself. A claim of an older regime than the one known doesn't count.
    pub(crate) fn claim(&mut self, node: &Node, masters: &Masters) {
        for (partition, row) in self.rows.iter_mut().enumerate() {
            if masters.contains(partition) && masters.regime >= row.regime {
                *row = Row { regime: masters.regime, owner: Some(node.clone()) };
            } else if !masters.contains(partition) && row.owner.as_ref() == Some(node) {
                row.owner = None;
            }
        }
    }

    /// Forgets owners that aren't among the nodes any more.
    pub(crate) fn keep(&mut self, nodes: &[Node]) {
        for row in &mut self.rows {
            if row.owner.as_ref().is_some_and(|owner| !nodes.contains(owner)) {
                row.owner = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterConfig, Seed};

    fn node(name: &str) -> Node {
        Node::new(name.into(), Seed { host: "h".into(), port: 1 }, &ClusterConfig::new([]))
    }

    /// Returns a claim to the first `count` partitions.
    fn masters(regime: u32, count: usize) -> Masters {
        let mut bitmap = vec![0; 512];
        (0..count).for_each(|partition| bitmap[partition >> 3] |= 0x80 >> (partition & 7));
        Masters { namespace: b"test".to_vec(), regime, bitmap }
    }

    fn owner(partitions: &PartitionMap, id: u16) -> Option<&str> {
        partitions.owner(PartitionId::new(id).unwrap()).map(Node::name)
    }

    #[test]
    fn an_older_regime_does_not_count() {
        let (a, b) = (node("a"), node("b"));
        let mut partitions = PartitionMap::new();
        partitions.claim(&a, &masters(2, 10));
        partitions.claim(&b, &masters(1, 20));
        assert_eq!((owner(&partitions, 9), owner(&partitions, 10)), (Some("a"), Some("b")));
        partitions.claim(&b, &masters(2, 20));
        assert_eq!(owner(&partitions, 9), Some("b"));
    }

    #[test]
    fn a_node_may_give_up_a_partition() {
        let a = node("a");
        let mut partitions = PartitionMap::new();
        partitions.claim(&a, &masters(1, 10));
        partitions.claim(&a, &masters(2, 9));
        assert_eq!((owner(&partitions, 8), owner(&partitions, 9)), (Some("a"), None));
        partitions.keep(&[]);
        assert_eq!(owner(&partitions, 8), None);
    }
}
