//! What a node says of itself and of others. Source: docs/format/wire.md, "Cluster view".

use std::sync::Arc;

use asbackup_codec::wire::{ResultCode, info};

use crate::cluster::Question;
use crate::connector::Connector;
use crate::node::Watch;
use crate::replies::{self, Build, Masters, Peer};
use crate::{Addresses, ClusterConfig, Error, ErrorKind, Node, Seed};

/// What a node says of itself and of others.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) node: Node,
    pub(crate) build: Build,
    pub(crate) cluster_name: Option<String>,
    /// Change whenever peers or partitions do.
    generations: [Vec<u8>; 2],
    pub(crate) peers: Vec<Peer>,
    pub(crate) masters: Vec<Masters>,
}

/// Asks who is at an address; with a `name` it must be that node.
pub(crate) async fn ask_address(
    config: &Arc<ClusterConfig>,
    address: &Seed,
    name: Option<&str>,
) -> Result<Statement, Error> {
    let connector = Connector::new(address.clone(), config);
    let mut connection = connector.connection().await?;
    let replies = connection.info(&commands(config), config.info_timeout).await?;
    if let Some(code @ ResultCode::NOT_AUTHENTICATED) =
        replies.first().and_then(|reply| info::check(reply).err()).and_then(|refusal| refusal.code)
    {
        return Err(Error::new(ErrorKind::Server(code), "the server asks for a login"));
    }
    let found = replies.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    if found.is_empty() || name.is_some_and(|name| name != found) {
        return Err(Error::new(ErrorKind::Connect, format!("node {found:?} is at {address}")));
    }
    parse(Node::new(found, connector, Some(connection), config), &replies)
}

/// Asks a node that is known. With [`Question::Changes`] it isn't asked for what hasn't changed since `before`.
pub(crate) async fn ask_node(
    config: &ClusterConfig,
    node: &Node,
    before: Option<&Arc<Statement>>,
    question: Question,
) -> Result<Arc<Statement>, Error> {
    if let (Question::Changes, Some(before)) = (question, before) {
        let (replies, watch) = node.watched_info(&WATCHED).await?;
        let [name, generations @ ..] = &replies[..] else { return Err(missing(node)) };
        if watch == Watch::Continued && is_name(node, name) && *generations == before.generations {
            return Ok(Arc::clone(before));
        }
    }
    let (replies, _) = node.watched_info(&commands(config)).await?;
    match replies.first() {
        Some(name) if is_name(node, name) => Ok(Arc::new(parse(node.clone(), &replies)?)),
        _ => Err(Error::new(ErrorKind::Connect, "another node is at this address").at(node.name())),
    }
}

fn is_name(node: &Node, name: &[u8]) -> bool {
    name == node.name().as_bytes()
}

/// What is asked over and over: cheap for the server.
const WATCHED: [&str; 3] = ["node", "peers-generation", "partition-generation"];

/// Begins with what is watched. The generations come first, so that a change while the node answers is seen next time.
fn commands(config: &ClusterConfig) -> [&'static str; 7] {
    let peers = match (config.addresses, &config.tls) {
        (Addresses::Standard, None) => "peers-clear-std",
        (Addresses::Alternate, None) => "peers-clear-alt",
        (Addresses::Standard, Some(_)) => "peers-tls-std",
        (Addresses::Alternate, Some(_)) => "peers-tls-alt",
    };
    let [node, peers_generation, partition_generation] = WATCHED;
    [node, peers_generation, partition_generation, "build", "cluster-name", peers, "replicas:max=1"]
}

fn parse(node: Node, replies: &[Vec<u8>]) -> Result<Statement, Error> {
    let [_node, peers_generation, partition_generation, build, name, peers, masters] = replies else {
        return Err(missing(&node));
    };
    let at = |error: Error| error.at(node.name());
    // A server without a name says `null`, or that it doesn't know the command.
    let cluster_name = info::check(name).ok().filter(|name| !name.is_empty() && *name != b"null");
    Ok(Statement {
        build: Build::parse(build).map_err(at)?,
        cluster_name: cluster_name.map(|name| String::from_utf8_lossy(name).into_owned()),
        generations: [peers_generation.clone(), partition_generation.clone()],
        peers: replies::peers(peers).map_err(at)?,
        masters: replies::masters(masters).map_err(at)?,
        node,
    })
}

fn missing(node: &Node) -> Error {
    Error::new(ErrorKind::Damaged, "info replies are missing").at(node.name())
}
