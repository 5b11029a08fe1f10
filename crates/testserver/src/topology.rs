//! Which nodes a server has, and which of them owns which partition. Tests change it while clients are served.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use asbackup_model::{PARTITIONS, PartitionId};

/// The nodes and their partitions.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) members: Vec<Member>,
    now: RwLock<Arc<Ownership>>,
}

/// What doesn't change about a node.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The address that it listens on.
    pub(crate) address: SocketAddr,
    /// The addresses that it tells clients of.
    pub(crate) standard: SocketAddr,
    pub(crate) alternate: Option<SocketAddr>,
    pub(crate) rack: Option<u32>,
}

/// Who owns what at one time.
#[derive(Debug, Clone)]
pub(crate) struct Ownership {
    rows: Vec<Row>,
    /// How many nodes have each partition: its owner and those that come next.
    pub(crate) copies: usize,
    pub(crate) running: Vec<bool>,
    pub(crate) regime: u32,
    pub(crate) peers_generation: u64,
    pub(crate) partition_generation: u64,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    owner: usize,
    availability: Availability,
}

/// Whether the owner of a partition serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    Unavailable,
}

impl Topology {
    /// Returns running nodes that own every n-th partition each.
    pub(crate) fn new(members: Vec<Member>, copies: usize) -> Self {
        let owner = |partition| partition % members.len();
        let row = |partition| Row { owner: owner(partition), availability: Availability::Available };
        let ownership = Ownership {
            rows: (0..usize::from(PARTITIONS)).map(row).collect(),
            copies,
            running: vec![true; members.len()],
            regime: 0,
            peers_generation: 0,
            partition_generation: 0,
        };
        Self { members, now: RwLock::new(Arc::new(ownership)) }
    }

    pub(crate) fn now(&self) -> Arc<Ownership> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_running(&self, node: usize, running: bool) {
        self.change(|ownership| {
            ownership.running[node] = running;
            ownership.peers_generation += 1;
        });
    }

    pub(crate) fn move_partitions(&self, partitions: &[PartitionId], to: usize) {
        assert!(to < self.members.len(), "there is no node {to}");
        self.change(|ownership| {
            partitions.iter().for_each(|id| ownership.rows[id.index()].owner = to);
            ownership.regime += 1;
        });
    }

    pub(crate) fn set_availability(&self, partitions: &[PartitionId], availability: Availability) {
        self.change(|ownership| {
            partitions.iter().for_each(|id| ownership.rows[id.index()].availability = availability);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Ownership)) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let ownership = Arc::make_mut(&mut now);
        change(ownership);
        ownership.partition_generation += 1;
    }
}

impl Ownership {
    /// Returns whether a node says that a partition is its own.
    pub(crate) fn owns(&self, node: usize, partition: PartitionId) -> bool {
        self.rows[partition.index()].owner == node
    }

    /// Returns whether a node answers for a partition.
    pub(crate) fn serves(&self, node: usize, partition: PartitionId) -> bool {
        let row = self.rows[partition.index()];
        row.owner == node && row.availability == Availability::Available
    }

    /// Returns the place of a node among those that have a partition, if it is one of them: 0 is the owner.
    pub(crate) fn place(&self, node: usize, partition: PartitionId) -> Option<usize> {
        let nodes = self.running.len();
        let place = (node + nodes - self.rows[partition.index()].owner) % nodes;
        (place < self.copies).then_some(place)
    }

    /// Returns whether a node answers scans of a partition, which one with a copy does.
    pub(crate) fn scans(&self, node: usize, partition: PartitionId) -> bool {
        let available = self.rows[partition.index()].availability == Availability::Available;
        available && self.place(node, partition).is_some()
    }

    pub(crate) fn unavailable_partitions(&self) -> usize {
        self.rows.iter().filter(|row| row.availability == Availability::Unavailable).count()
    }

    pub(crate) fn running_nodes(&self) -> impl Iterator<Item = usize> {
        (0..self.running.len()).filter(|&node| self.running[node])
    }
}
