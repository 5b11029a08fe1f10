//! Finding the nodes of a cluster, and asking all of them at once, so that a dead one doesn't hold the others up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::cluster::Question;
use crate::statement::{Statement, ask_address, ask_node};
use crate::topology::View;
use crate::{ClusterConfig, Error, ErrorKind, Seed};

/// Asks one seed after another until one answers.
pub(crate) async fn ask_seeds(config: &Arc<ClusterConfig>) -> Result<Statement, Error> {
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

/// Asks the known nodes. Those that don't answer are left out, and those that are slow too once another has answered.
pub(crate) async fn ask_nodes(
    config: &Arc<ClusterConfig>,
    view: &View,
    question: Question,
) -> Vec<Arc<Statement>> {
    let mut asking = JoinSet::new();
    for node in &view.nodes {
        let (config, node, before) = (Arc::clone(config), node.clone(), view.statement_of(node).cloned());
        asking.spawn(async move {
            let answer = ask_node(&config, &node, before.as_ref(), question).await;
            answer.inspect_err(|error| debug!(node = node.name(), %error, "node doesn't answer")).ok()
        });
    }
    let mut statements = Vec::new();
    let mut deadline = None;
    while let Some(answer) = next_until(&mut asking, deadline).await {
        if answer.is_some() && deadline.is_none() {
            deadline = Instant::now().checked_add(config.refresh_interval);
        }
        statements.extend(answer);
    }
    statements
}

/// Asks all nodes that the others know and that haven't spoken yet, and those that these know, for at most `longest`.
/// Those that can't be reached are left out.
pub(crate) async fn ask_peers(
    config: &Arc<ClusterConfig>,
    mut statements: Vec<Arc<Statement>>,
    longest: Duration,
) -> Vec<Arc<Statement>> {
    let deadline = Instant::now().checked_add(longest);
    let mut known: HashSet<String> =
        statements.iter().map(|statement| statement.node.name().to_owned()).collect();
    let mut asking = JoinSet::new();
    let mut heard = 0;
    loop {
        for statement in &statements[heard..] {
            for peer in &statement.peers {
                if known.insert(peer.name.clone()) {
                    asking.spawn(ask_peer(Arc::clone(config), peer.name.clone(), peer.addresses.clone()));
                }
            }
        }
        heard = statements.len();
        match next_until(&mut asking, deadline).await {
            None => return statements,
            Some(answer) => statements.extend(answer.map(Arc::new)),
        }
    }
}

/// Asks a node by its own addresses, and by the seeds if these lead nowhere from here, or not soon.
async fn ask_peer(config: Arc<ClusterConfig>, name: String, addresses: Vec<Seed>) -> Option<Statement> {
    let mut asking = JoinSet::new();
    ask_at(&mut asking, &config, &name, &addresses);
    let mut deadline = Instant::now().checked_add(config.refresh_interval / 2);
    loop {
        match next_until(&mut asking, deadline).await {
            Some(None) => {}
            Some(answer) => return answer,
            None if deadline.take().is_some() => ask_at(&mut asking, &config, &name, &config.seeds),
            None => return None,
        }
    }
}

/// Begins to ask for a node at all of these addresses.
fn ask_at(
    asking: &mut JoinSet<Option<Statement>>,
    config: &Arc<ClusterConfig>,
    name: &str,
    addresses: &[Seed],
) {
    for address in addresses {
        let (config, name, address) = (Arc::clone(config), name.to_owned(), address.clone());
        asking.spawn(async move {
            let answer = ask_address(&config, &address, Some(&name)).await;
            answer
                .inspect_err(|error| debug!(name, %address, %error, "address doesn't lead to the node"))
                .ok()
        });
    }
}

/// Returns what the next task says; nothing if there is none, or none that ends before the deadline.
async fn next_until<T: 'static>(
    asking: &mut JoinSet<Option<T>>,
    deadline: Option<Instant>,
) -> Option<Option<T>> {
    let next = match deadline {
        None => asking.join_next().await,
        Some(deadline) => timeout_at(deadline, asking.join_next()).await.unwrap_or(None),
    };
    // A task that panicked has said nothing.
    next.map(|ended| ended.unwrap_or(None))
}
