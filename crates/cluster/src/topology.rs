//! Which nodes there are and which of them owns which partition.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use asbackup_model::{PARTITIONS, PartitionId};
use tokio::time::Instant;

use crate::replies::{Build, Masters};
use crate::statement::Statement;
use crate::{Error, ErrorKind, Node};

/// What is known of a cluster at one time.
#[derive(Debug)]
pub(crate) struct View {
    /// In the order of their names.
    pub(crate) nodes: Vec<Node>,
    /// What the nodes said that answered last time.
    pub(crate) statements: Vec<Arc<Statement>>,
    pub(crate) namespaces: HashMap<Vec<u8>, Arc<PartitionMap>>,
    /// The lowest version of all nodes.
    pub(crate) build: Build,
    /// When the nodes were asked.
    pub(crate) asked: Instant,
}

impl View {
    /// Joins what the nodes say with what was known before.
    pub(crate) fn of(
        statements: Vec<Arc<Statement>>,
        old: Option<&Self>,
        asked: Instant,
    ) -> Result<Self, Error> {
        let Some(build) = statements.iter().map(|statement| statement.build).min() else {
            return Err(Error::new(ErrorKind::Connect, "no node answers"));
        };
        if build < Build::OLDEST {
            let what =
                format!("server {build} is older than {}, which reads partitions first", Build::OLDEST);
            return Err(Error::new(ErrorKind::Version, what));
        }
        let mut namespaces = old.map(|old| old.namespaces.clone()).unwrap_or_default();
        for statement in &statements {
            for masters in &statement.masters {
                let partitions = namespaces
                    .entry(masters.namespace.clone())
                    .or_insert_with(|| Arc::new(PartitionMap::new()));
                Arc::make_mut(partitions).claim(&statement.node, masters);
            }
        }
        let mut nodes: Vec<Node> = statements.iter().map(|statement| statement.node.clone()).collect();
        // A node that doesn't answer now stays as long as another one knows it.
        for silent in old.iter().flat_map(|old| &old.nodes) {
            let spoke = nodes.iter().any(|node| node.name() == silent.name());
            let mut peers = statements.iter().flat_map(|statement| &statement.peers);
            if !spoke && peers.any(|peer| peer.name == silent.name()) {
                nodes.push(silent.clone());
            }
        }
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        namespaces.values_mut().for_each(|partitions| Arc::make_mut(partitions).keep(&nodes));
        Ok(Self { nodes, statements, namespaces, build, asked })
    }

    pub(crate) fn node_names(&self) -> BTreeSet<String> {
        self.nodes.iter().map(|node| node.name().to_owned()).collect()
    }

    /// Returns the names of nodes that others know and that never answered.
    pub(crate) fn unreached(&self) -> BTreeSet<&str> {
        let peers = self.statements.iter().flat_map(|statement| &statement.peers);
        let names = peers.map(|peer| peer.name.as_str());
        names.filter(|name| self.nodes.iter().all(|node| node.name() != *name)).collect()
    }

    /// Returns what a node said last time, if it answered.
    pub(crate) fn statement_of(&self, node: &Node) -> Option<&Arc<Statement>> {
        self.statements.iter().find(|statement| statement.node == *node)
    }

    /// Returns whether the nodes said the very same before.
    pub(crate) fn is_of(&self, statements: &[Arc<Statement>]) -> bool {
        let same = |statement: &Arc<Statement>| self.statements.iter().any(|old| Arc::ptr_eq(old, statement));
        self.statements.len() == statements.len() && statements.iter().all(same)
    }
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
    use crate::connector::Connector;
    use crate::{ClusterConfig, Seed};

    fn node(name: &str) -> Node {
        {
            let config = Arc::new(ClusterConfig::new([]));
            Node::new(name.into(), Connector::new(Seed::new("h", 1), &config), None, &config)
        }
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
