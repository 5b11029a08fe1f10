//! A handle to a cluster: connecting, and keeping what is known of it up to date.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use asbackup_model::PartitionId;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, warn};

use crate::discovery::{ask_nodes, ask_peers, ask_seeds};
use crate::replies::Build;
use crate::retry::growing_pause;
use crate::topology::{PartitionMap, View};
use crate::{Addresses, ClusterConfig, Error, ErrorKind, InfoRetry, Node};

/// A cluster. Cheap to clone; all clones share connections and what is known of the cluster. A task keeps that up to
/// date until the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    /// The task that keeps the view up to date ends with the last handle.
    _watching: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<ClusterConfig>,
    name: Option<String>,
    view: RwLock<Arc<View>>,
    /// The names of its nodes, for those who want to know when they change.
    names: watch::Sender<BTreeSet<String>>,
    /// Held while the nodes are asked after a failure, so that those who fail together ask once.
    refreshing: Mutex<()>,
}

/// How much the nodes are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Everything.
    All,
    /// Whether anything has changed, and everything if so.
    Changes,
}

impl Cluster {
    /// Connects to the first seed that answers, and to all nodes that it knows.
    ///
    /// # Errors
    /// If [`ClusterConfig::check`] says so; if no seed answers, or not soon enough, or a server is older than 4.9, isn't
    /// trusted, or refuses the login.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn connect(config: ClusterConfig) -> Result<Self, Error> {
        config.check()?;
        let longest = config.first_timeout;
        timeout(longest, Self::connect_at_leisure(Arc::new(config))).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Connect, format!("the cluster isn't known within {longest:?}")))
        })
    }

    async fn connect_at_leisure(config: Arc<ClusterConfig>) -> Result<Self, Error> {
        let asked = Instant::now();
        let first = ask_seeds(&config).await?;
        let name = first.cluster_name.clone();
        let statements = ask_peers(&config, vec![Arc::new(first)], Duration::MAX).await;
        let view = View::of(statements, None, asked)?;
        for name in view.unreached() {
            warn!(node = name, "node can't be reached at any of its addresses");
        }
        let names = watch::Sender::new(view.node_names());
        let view = RwLock::new(Arc::new(view));
        let inner = Arc::new(Inner { config, name, view, names, refreshing: Mutex::new(()) });
        let mut watching = JoinSet::new();
        watching.spawn(keep_up(Arc::clone(&inner)));
        Ok(Self { inner, _watching: Arc::new(watching) })
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

    /// Returns the names of the nodes that are known.
    #[must_use]
    pub fn node_names(&self) -> BTreeSet<String> {
        self.inner.names.borrow().clone()
    }

    /// Waits until the names of the nodes are others than these, and returns them.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn nodes_changed(&self, known: &BTreeSet<String>) -> BTreeSet<String> {
        let mut names = self.inner.names.subscribe();
        let changed = names.wait_for(|names| names != known).await;
        changed.expect("this handle keeps the sender").clone()
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
        self.inner.view()
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
        if self.view().asked >= called {
            return Ok(());
        }
        self.inner.ask_again(Question::All).await
    }

    /// Returns which addresses the nodes are asked for.
    pub(crate) fn addresses(&self) -> Addresses {
        self.inner.config.addresses
    }

    /// Sends a command to the first node that answers, and again after a failure that may pass.
    pub(crate) async fn command(&self, command: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        self.command_to(None, command.as_ref()).await
    }

    /// Sends a command to a node, and again after a failure that may pass.
    pub(crate) async fn command_at(&self, node: &Node, command: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        self.command_to(Some(node), command.as_ref()).await
    }

    async fn command_to(&self, node: Option<&Node>, command: &[u8]) -> Result<Vec<u8>, Error> {
        let InfoRetry { max_retries, first_pause, multiplier } = self.inner.config.info_retry;
        let mut retry = 0;
        loop {
            let answer = match node {
                Some(node) => node.command(command).await,
                None => self.command_once(command).await,
            };
            match answer {
                Err(error) if retry < max_retries && may_pass(&error) => {
                    retry += 1;
                    let pause = growing_pause(first_pause, multiplier, retry, fastrand::f64());
                    debug!(%error, retry, pause_ms = pause.as_millis(), "info command is sent again");
                    sleep(pause).await;
                }
                answer => return answer,
            }
        }
    }

    async fn command_once(&self, command: &[u8]) -> Result<Vec<u8>, Error> {
        let mut last = Error::new(ErrorKind::Connect, "no node is known");
        for node in &self.view().nodes {
            match node.command(command).await {
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

impl Inner {
    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask_again(&self, question: Question) -> Result<(), Error> {
        let (old, asked) = (self.view(), Instant::now());
        let straggling = self.config.refresh_interval;
        let mut statements = ask_nodes(&self.config, &old, question).await;
        if statements.is_empty() {
            statements.push(Arc::new(ask_seeds(&self.config).await?));
        }
        let statements = ask_peers(&self.config, statements, straggling).await;
        if question == Question::Changes && old.is_of(&statements) {
            return Ok(());
        }
        self.replace(&old, View::of(statements, Some(&old), asked)?);
        Ok(())
    }

    /// Takes over a new view, unless another one has come meanwhile: this one doesn't know what that one says.
    fn replace(&self, old: &Arc<View>, new: View) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&view, old) {
            let names = new.node_names();
            *view = Arc::new(new);
            self.names.send_if_modified(|old| {
                let is_other = *old != names;
                *old = names;
                is_other
            });
        }
    }
}

/// Returns whether an info command may do better when it is sent again. A reply that isn't understood won't.
fn may_pass(error: &Error) -> bool {
    error.is_retryable() && error.kind() != ErrorKind::Damaged
}

/// Asks the nodes now and then whether anything has changed.
async fn keep_up(inner: Arc<Inner>) {
    let mut ticks = interval(inner.config.refresh_interval.max(SHORTEST_INTERVAL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // The first one comes at once, but everything is known by now.
    loop {
        ticks.tick().await;
        if let Err(error) = inner.ask_again(Question::Changes).await {
            // Those who need an answer ask themselves and learn why there is none.
            debug!(%error, "the cluster doesn't answer");
        }
    }
}

/// A timer can't tick without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_task_ends_with_the_last_handle() {
        let view = View {
            nodes: Vec::new(),
            statements: Vec::new(),
            namespaces: std::collections::HashMap::new(),
            build: Build::OLDEST,
            asked: Instant::now(),
        };
        let inner = Arc::new(Inner {
            config: Arc::new(ClusterConfig::new([])),
            name: None,
            view: RwLock::new(Arc::new(view)),
            names: watch::Sender::default(),
            refreshing: Mutex::new(()),
        });
        let mut watching = JoinSet::new();
        watching.spawn(keep_up(Arc::clone(&inner)));
        let kept = Arc::downgrade(&inner);
        let cluster = Cluster { inner, _watching: Arc::new(watching) };
        let clone = cluster.clone();
        drop(cluster);
        tokio::task::yield_now().await;
        assert!(kept.upgrade().is_some());
        drop(clone);
        while kept.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
