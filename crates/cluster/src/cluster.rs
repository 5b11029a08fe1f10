//! A handle to a cluster: connecting, and keeping what is known of it up to date.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use asbackup_model::PartitionId;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::replies::{self, Build, Peer};
use crate::topology::{PartitionMap, View};
use crate::{ClusterConfig, Error, ErrorKind, Node, Seed};

/// A cluster. Cheap to clone; all clones share connections and what is known of the cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClusterConfig,
    name: Option<String>,
    view: RwLock<Arc<View>>,
    /// Held while the nodes are asked, so that those who fail together ask once.
    refreshing: Mutex<()>,
}

/// What a node says of itself and of others.
#[derive(Debug)]
struct Statement {
    node: Node,
    build: Build,
    cluster_name: Option<String>,
    peers: Vec<Peer>,
    masters: Vec<replies::Masters>,
}

impl Cluster {
    /// Connects to the first seed that answers, and to all nodes that it knows.
    ///
    /// # Errors
    /// If no seed answers, or a server is older than 4.9.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn connect(config: ClusterConfig) -> Result<Self, Error> {
        let asked = Instant::now();
        let first = ask_seeds(&config).await?;
        let name = first.cluster_name.clone();
        let statements = ask_peers(&config, vec![first]).await;
        let view = View::of(statements, HashMap::new(), &[], asked)?;
        let view = RwLock::new(Arc::new(view));
        Ok(Self { inner: Arc::new(Inner { config, name, view, refreshing: Mutex::new(()) }) })
    }

    /// Returns the lowest version of all nodes.
    #[must_use]
    pub fn build(&self) -> Build {
        self.view().build
    }

    /// Returns the name of the cluster, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Returns the nodes that are known.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.view().nodes.clone()
    }

    /// Returns who owns which partition of a namespace, as far as known; of one that isn't known, nobody owns any.
    #[must_use]
    pub fn partition_map(&self, namespace: &[u8]) -> Arc<PartitionMap> {
        self.view().namespaces.get(namespace).map_or_else(|| Arc::new(PartitionMap::new()), Arc::clone)
    }

    /// Returns the partitions that a node owns, as far as known.
    #[must_use]
    pub fn partitions_of(&self, namespace: &[u8], node: &Node) -> Vec<PartitionId> {
        let view = self.view();
        let Some(partitions) = view.namespaces.get(namespace) else { return Vec::new() };
        PartitionId::all().filter(|&partition| partitions.owner(partition) == Some(node)).collect()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.inner.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the nodes again who is there and who owns what. Several who ask at the same time share one round.
    ///
    /// # Errors
    /// If neither a known node nor a seed answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Error> {
        let called = Instant::now();
        let _alone = self.inner.refreshing.lock().await;
        let old = self.view();
        if old.asked >= called {
            return Ok(());
        }
        let asked = Instant::now();
        let mut statements = Vec::new();
        for node in &old.nodes {
            match ask(node).await {
                Ok(statement) => statements.push(statement),
                Err(error) => debug!(node = node.name(), %error, "node doesn't answer"),
            }
        }
        if statements.is_empty() {
            statements.push(ask_seeds(&self.inner.config).await?);
        }
        let statements = ask_peers(&self.inner.config, statements).await;
        let view = View::of(statements, old.namespaces.clone(), &old.nodes, asked)?;
        *self.inner.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        Ok(())
    }

    /// Sends a command to the first node that answers.
    pub(crate) async fn command(&self, command: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        let mut last = Error::new(ErrorKind::Connect, "no node is known");
        for node in &self.view().nodes {
            match node.command(command.as_ref()).await {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Connect | ErrorKind::Network | ErrorKind::Timeout
                    ) =>
                {
                    last = error;
                }
                other => return other,
            }
        }
        Err(last)
    }
}

impl View {
    /// Joins what the nodes say with the owners that were known before.
    fn of(
        statements: Vec<Statement>,
        mut namespaces: HashMap<Vec<u8>, Arc<PartitionMap>>,
        old_nodes: &[Node],
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
        for silent in old_nodes
            .iter()
            .filter(|old| nodes.iter().all(|node| node.name() != old.name()))
            .collect::<Vec<_>>()
        {
            if statements.iter().flat_map(|statement| &statement.peers).any(|peer| peer.name == silent.name())
            {
                nodes.push(silent.clone());
            }
        }
        namespaces.values_mut().for_each(|partitions| Arc::make_mut(partitions).keep(&nodes));
        Ok(Self { nodes, namespaces, build, asked })
    }
}

/// Asks one seed after another until one answers.
async fn ask_seeds(config: &ClusterConfig) -> Result<Statement, Error> {
    let mut last = Error::new(ErrorKind::Input, "no address to connect to");
    for seed in &config.seeds {
        match ask_address(config, seed, None).await {
            Ok(statement) => return Ok(statement),
            Err(error) => {
                debug!(%seed, %error, "seed doesn't answer");
                last = error.at(&seed.to_string());
            }
        }
    }
    Err(last)
}

/// Asks all nodes that the others know and that haven't spoken yet. Those that can't be reached are left out.
async fn ask_peers(config: &ClusterConfig, mut statements: Vec<Statement>) -> Vec<Statement> {
    let mut next = 0;
    let mut tried: Vec<String> = Vec::new();
    while let Some(statement) = statements.get(next) {
        let peers: Vec<(String, Vec<Seed>)> =
            statement.peers.iter().map(|peer| (peer.name.clone(), peer.addresses.clone())).collect();
        for (name, addresses) in peers {
            let spoke = statements.iter().any(|statement| statement.node.name() == name);
            if spoke || tried.contains(&name) {
                continue;
            }
            match ask_peer(config, &name, &addresses).await {
                Some(statement) => statements.push(statement),
                None => warn!(node = name, "node can't be reached at any of its addresses"),
            }
            tried.push(name);
        }
        next += 1;
    }
    statements
}

/// Asks a node by its own addresses, or by a seed if these lead nowhere from here.
async fn ask_peer(config: &ClusterConfig, name: &str, addresses: &[Seed]) -> Option<Statement> {
    for address in addresses.iter().chain(&config.seeds) {
        match ask_address(config, address, Some(name)).await {
            Ok(statement) => return Some(statement),
            Err(error) => debug!(node = name, %address, %error, "address doesn't lead to the node"),
        }
    }
    None
}

/// Asks who is at an address; with a `name` it must be that node.
async fn ask_address(config: &ClusterConfig, address: &Seed, name: Option<&str>) -> Result<Statement, Error> {
    let mut connection = Connection::open(address, config.connect_timeout).await?;
    let replies = connection.info(&["node"], config.info_timeout).await?;
    let found = replies.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    if found.is_empty() || name.is_some_and(|name| name != found) {
        return Err(Error::new(ErrorKind::Connect, format!("node {found:?} is at {address}")));
    }
    ask(&Node::new(found, address.clone(), config)).await
}

async fn ask(node: &Node) -> Result<Statement, Error> {
    let replies = node.info(&["build", "cluster-name", "peers-clear-std", "replicas:max=1"]).await?;
    let [build, name, peers, masters] = &replies[..] else {
        return Err(Error::new(ErrorKind::Damaged, "info replies are missing").at(node.name()));
    };
    let at = |error: Error| error.at(node.name());
    // A server without a name says `null`, or that it doesn't know the command.
    let cluster_name =
        asbackup_codec::wire::info::check(name).ok().filter(|name| !name.is_empty() && *name != b"null");
    Ok(Statement {
        node: node.clone(),
        build: Build::parse(build).map_err(at)?,
        cluster_name: cluster_name.map(|name| String::from_utf8_lossy(name).into_owned()),
        peers: replies::peers(peers).map_err(at)?,
        masters: replies::masters(masters).map_err(at)?,
    })
}
