//! One node of a cluster.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asbackup_codec::wire::info;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::pool::{Pool, Pooled};
use crate::{ClusterConfig, Error, ErrorKind, Seed};

/// A node of a cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    connector: Arc<Connector>,
    shown_address: String,
    info_timeout: Duration,
    pool: Arc<Pool>,
    /// Asked over and over whether anything has changed, also when the pool has no free place.
    watch: Mutex<Option<Connection>>,
}

/// Whether a connection is the one over which a node was watched before. Over another one it may have started anew, and
/// its generations may have begun to count again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Continued,
    Begun,
}

impl Node {
    /// Returns a node that was asked over `watch` so far.
    pub(crate) fn new(
        name: String,
        connector: Arc<Connector>,
        watch: Option<Connection>,
        config: &ClusterConfig,
    ) -> Self {
        let inner = Inner {
            name,
            shown_address: connector.address.to_string(),
            info_timeout: config.info_timeout,
            pool: Pool::new(Arc::clone(&connector), config),
            connector,
            watch: Mutex::new(watch),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the name that the node has in its cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the address at which it is reached.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.shown_address
    }

    /// Returns the address at which it is reached, taken apart.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.inner.connector.address
    }

    pub(crate) async fn connection(&self) -> Result<Pooled, Error> {
        self.inner.pool.connection().await.map_err(|error| error.at(self.name()))
    }

    /// Sends info commands and returns the reply to each, refusals included.
    pub(crate) async fn info<C: AsRef<[u8]>>(&self, commands: &[C]) -> Result<Vec<Vec<u8>>, Error> {
        let mut pooled = self.connection().await?;
        let replies = pooled.connection.info(commands, self.inner.info_timeout).await;
        let replies = replies.map_err(|error| error.at(self.name()))?;
        pooled.give_back();
        Ok(replies)
    }

    /// Sends info commands over the connection on which the node is watched.
    pub(crate) async fn watched_info<C: AsRef<[u8]>>(
        &self,
        commands: &[C],
    ) -> Result<(Vec<Vec<u8>>, Watch), Error> {
        let kept = self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let usable = kept.and_then(|mut kept| kept.is_usable(Instant::now()).then_some(kept));
        let (mut connection, watch) = match usable {
            Some(connection) => (connection, Watch::Continued),
            None => {
                let opened = self.inner.connector.connection().await;
                (opened.map_err(|error| error.at(self.name()))?, Watch::Begun)
            }
        };
        let replies = connection.info(commands, self.inner.info_timeout).await;
        let replies = replies.map_err(|error| error.at(self.name()))?;
        *self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok((replies, watch))
    }

    /// Sends one info command and returns the reply to it.
    pub(crate) async fn command(&self, command: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        let command = command.as_ref();
        let reply = self.info(&[command]).await?.pop().unwrap_or_default();
        // Only UDF commands say `error=`; elsewhere it may be the beginning of a list.
        let checked =
            if command.starts_with(b"udf-") { info::check_udf(&reply) } else { info::check(&reply) };
        if let Err(refusal) = checked {
            return Err(refused(command, refusal).at(self.name()));
        }
        Ok(reply)
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Node {}

/// Returns the error for an info command that the server refused.
fn refused(command: &[u8], refusal: info::Refusal) -> Error {
    // The name alone: arguments may be a whole UDF module.
    let name = command.split(|byte| b":/".contains(byte)).next().unwrap_or_default();
    let kind = refusal.code.map_or(ErrorKind::Info, |code| match code.0 {
        20 => ErrorKind::Namespace,
        _ => ErrorKind::Server(code),
    });
    Error::new(kind, format!("{} refused", String::from_utf8_lossy(name))).with_source(refusal)
}
