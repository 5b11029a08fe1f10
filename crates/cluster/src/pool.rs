//! A bounded pool of connections to one node.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::connector::Connector;
use crate::{ClusterConfig, Error, ErrorKind};

/// The connections to one node, in use and idle.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// A connection in use. Dropping it closes the connection and frees its place, so no failure can lose one.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) connection: Connection,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>, config: &ClusterConfig) -> Arc<Self> {
        Arc::new(Self {
            connector,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            places: Arc::new(Semaphore::new(config.connections_per_node.max(1))),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Returns an idle connection that still works, or a new one.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Pooled, Error> {
        let place = timeout(self.connect_timeout, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let what = format!("no free connection within {:?}", self.connect_timeout);
            return Err(Error::new(ErrorKind::Timeout, what));
        };
        let connection = match self.idle_connection(Instant::now()) {
            Some(connection) => connection,
            None => self.connector.connection().await?,
        };
        Ok(Pooled { connection, pool: Arc::clone(self), _place: place })
    }

    /// Takes the connection that was used last; those that are too old or broken are closed.
    fn idle_connection(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |since: Instant| self.idle_timeout.is_zero() || now.duration_since(since) < self.idle_timeout;
        idle.retain(|(_, since)| is_fresh(*since));
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_usable(now) {
                return Some(connection);
            }
        }
        None
    }
}

impl Pooled {
    /// Gives the connection back for others. Only after the last byte of an answer was read.
    pub(crate) fn give_back(self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((self.connection, Instant::now()));
    }
}
