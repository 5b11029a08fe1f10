//! Opening connections to one address: socket, TLS, login.

use std::sync::Arc;

use asbackup_codec::wire::ResultCode;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::auth::{Auth, Session};
use crate::connection::Connection;
use crate::{ClusterConfig, Error, ErrorKind, Seed};

/// Opens connections to one address, and keeps the session there.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) address: Seed,
    config: Arc<ClusterConfig>,
    /// Held during a login, so that those who come together log in once.
    session: Mutex<Option<Session>>,
}

impl Connector {
    pub(crate) fn new(address: Seed, config: &Arc<ClusterConfig>) -> Arc<Self> {
        Arc::new(Self { address, config: Arc::clone(config), session: Mutex::new(None) })
    }

    /// Returns a new connection that may send commands.
    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        match self.attempt().await {
            // A server that was started anew, or a user that was changed, knows the session no more.
            Err(error) if error.kind() == ErrorKind::Server(ResultCode::EXPIRED_SESSION) => {
                *self.session.lock().await = None;
                self.attempt().await
            }
            other => other,
        }
    }

    async fn attempt(&self) -> Result<Connection, Error> {
        let mut connection = Connection::open(&self.address, &self.config).await?;
        if let Some(auth) = &self.config.auth
            && let Some(session) = self.session(auth, &mut connection).await?
        {
            auth.authenticate(&session, &mut connection, self.config.login_timeout).await?;
            connection.set_end(session.end);
        }
        Ok(connection)
    }

    /// Returns the session, after a login if there is none or it is over. None if the server asks for no login.
    async fn session(&self, auth: &Auth, connection: &mut Connection) -> Result<Option<Session>, Error> {
        let mut session = self.session.lock().await;
        if session.as_ref().is_none_or(|session| session.is_over(Instant::now())) {
            *session = auth.log_in(connection, self.config.login_timeout).await?;
        }
        Ok(session.clone())
    }
}
