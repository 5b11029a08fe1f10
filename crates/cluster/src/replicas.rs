//! What decides how partitions are read: which racks there are, who may read in place of an owner, and whether filters are
//! known. Source: docs/format/wire.md, "Racks" and "Filters".

use std::collections::{BTreeMap, BTreeSet};

use asbackup_codec::wire::ResultCode;
use asbackup_model::PartitionId;

use crate::config::Seed;
use crate::replies::{self, Build, Replicas};
use crate::{Addresses, Cluster, Error, ErrorKind, Node};

/// The racks of a namespace and the names of the nodes in each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Racks(pub(crate) BTreeMap<u32, BTreeSet<String>>);

impl Racks {
    /// Returns the numbers of the racks.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Returns whether a node is in a rack.
    #[must_use]
    pub fn contains(&self, rack: u32, node: &Node) -> bool {
        self.0.get(&rack).is_some_and(|nodes| nodes.contains(node.name()))
    }
}

/// The nodes that read partitions in place of their owners.
#[derive(Debug, Clone)]
pub struct Readers(Vec<Option<Node>>);

impl Readers {
    /// Returns the node that reads a partition; none if that is its owner, whoever it is.
    #[must_use]
    pub fn reader(&self, partition: PartitionId) -> Option<&Node> {
        self.0[partition.index()].as_ref()
    }
}

impl Cluster {
    /// Returns whether all nodes know filter expressions.
    #[must_use]
    pub fn knows_expressions(&self) -> bool {
        self.build() >= Build::EXPRESSIONS
    }

    /// Returns the racks of a namespace. A cluster without racks has all nodes in rack 0.
    ///
    /// # Errors
    /// If no node answers, or the cluster knows no racks, which a Community server doesn't.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn racks(&self, namespace: &[u8]) -> Result<Racks, Error> {
        let reply = self.command("racks:").await.map_err(|error| match error.kind() {
            ErrorKind::Server(ResultCode::ENTERPRISE_ONLY) => {
                Error::new(ErrorKind::Input, "the cluster has no racks: only Enterprise servers do")
            }
            _ => error,
        })?;
        replies::racks(&reply, namespace)
    }

    /// Returns the addresses that a node says it has.
    ///
    /// # Errors
    /// If it doesn't answer.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn addresses_of(&self, node: &Node) -> Result<Vec<Seed>, Error> {
        let command = match self.addresses() {
            Addresses::Standard => "service-clear-std",
            Addresses::Alternate => "service-clear-alt",
        };
        let reply = self.command_at(node, command).await?;
        let text = String::from_utf8_lossy(&reply);
        let addresses = text.split(',').filter(|address| !address.is_empty());
        addresses.map(|address| Seed::parse(address, DEFAULT_PORT)).collect()
    }

    /// Returns for each partition which node reads it, if one with a copy is in any of these racks: one of the first
    /// rack if it can be, and there the owner or else the first of the others.
    ///
    /// # Errors
    /// If a node doesn't answer.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn readers_in(&self, namespace: &[u8], racks: &Racks, order: &[u32]) -> Result<Readers, Error> {
        let mut holders: Vec<(Node, Replicas)> = Vec::new();
        for node in self.nodes() {
            let reply = self.command_at(&node, "replicas").await?;
            if let Some(replicas) = replies::replicas(&reply, namespace)? {
                holders.push((node, replicas));
            }
        }
        let reader = |partition: PartitionId| {
            order.iter().find_map(|&rack| {
                let inside = holders.iter().filter(|(node, _)| racks.contains(rack, node));
                let copies = inside.filter_map(|(node, held)| Some((held.column(partition)?, node)));
                copies.min_by_key(|(column, _)| *column).map(|(_, node)| node.clone())
            })
        };
        Ok(Readers(PartitionId::all().map(reader).collect()))
    }
}

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 3000;
