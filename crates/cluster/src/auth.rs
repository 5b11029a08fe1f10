//! Who the client is, and its session with a node. Source: docs/format/wire.md, "Security".

use std::fmt;
use std::time::Duration;

use asbackup_codec::wire::{AUTHENTICATE, LOGIN, ResultCode, SecurityMessage, credential};
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::tls::Tls;
use crate::{Error, ErrorKind};

/// Who the client is. `Debug` shows nothing of a password.
#[derive(Clone)]
pub struct Auth {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Internal { user: String, credential: SecretSlice<u8> },
    External { user: String, credential: SecretSlice<u8>, password: SecretSlice<u8> },
    Pki,
}

impl Auth {
    /// Returns a user whom the cluster knows. Hashes the password, which takes about 50 ms.
    ///
    /// # Errors
    /// If the password holds a zero byte.
    pub fn internal(user: impl Into<String>, password: &SecretSlice<u8>) -> Result<Self, Error> {
        Ok(Self { way: Way::Internal { user: user.into(), credential: hash(password)? } })
    }

    /// Returns a user whom the cluster asks somebody else about, such as LDAP. The password itself is sent, so that this
    /// needs TLS. Hashes the password, which takes about 50 ms.
    ///
    /// # Errors
    /// If the password holds a zero byte.
    pub fn external(user: impl Into<String>, password: SecretSlice<u8>) -> Result<Self, Error> {
        let credential = hash(&password)?;
        Ok(Self { way: Way::External { user: user.into(), credential, password } })
    }

    /// Returns the user whom the client's certificate names, which needs TLS with a certificate.
    #[must_use]
    pub fn pki() -> Self {
        Self { way: Way::Pki }
    }

    /// Checks that nothing is sent in the clear that mustn't be.
    pub(crate) fn check(&self, tls: Option<&Tls>) -> Result<(), Error> {
        let what = match (&self.way, tls) {
            (Way::External { .. }, None) => "a password for external authentication is sent over TLS only",
            (Way::Pki, None) => "authentication by certificate needs TLS",
            (Way::Pki, Some(tls)) if !tls.shows_certificate() => {
                "authentication by certificate needs a client certificate"
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Input, what))
    }

    /// Logs in. Nothing comes back from a server on which nobody needs to.
    pub(crate) async fn log_in(
        &self,
        connection: &mut Connection,
        longest: Duration,
    ) -> Result<Option<Session>, Error> {
        let mut message = SecurityMessage { command: LOGIN, user: self.user(), ..SecurityMessage::default() };
        match &self.way {
            Way::Internal { credential, .. } => message.credential = Some(credential.expose_secret()),
            Way::External { credential, password, .. } => {
                message.credential = Some(credential.expose_secret());
                message.clear_password = Some(password.expose_secret());
            }
            Way::Pki => {}
        }
        let body = connection.security(&message, longest).await?;
        let reply = decode(&body)?;
        match reply.code() {
            ResultCode::OK => {}
            ResultCode::SECURITY_NOT_ENABLED => return Ok(None),
            code => return Err(refused("login", code)),
        }
        let token = reply.token.ok_or_else(|| Error::new(ErrorKind::Damaged, "login without a session"))?;
        Ok(Some(Session {
            token: token.to_vec().into(),
            end: reply.ttl_s.and_then(|ttl_s| Instant::now().checked_add(good_for(ttl_s))),
        }))
    }

    /// Authenticates a connection with the session of a login.
    pub(crate) async fn authenticate(
        &self,
        session: &Session,
        connection: &mut Connection,
        longest: Duration,
    ) -> Result<(), Error> {
        let message = SecurityMessage {
            command: AUTHENTICATE,
            user: self.user(),
            token: Some(session.token.expose_secret()),
            ..SecurityMessage::default()
        };
        let body = connection.security(&message, longest).await?;
        match decode(&body)?.code() {
            ResultCode::OK | ResultCode::SECURITY_NOT_ENABLED => Ok(()),
            code => Err(refused("session", code)),
        }
    }

    fn user(&self) -> Option<&[u8]> {
        match &self.way {
            Way::Internal { user, .. } | Way::External { user, .. } => Some(user.as_bytes()),
            Way::Pki => None,
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Internal { user, .. } => write!(f, "Auth(internal {user:?})"),
            Way::External { user, .. } => write!(f, "Auth(external {user:?})"),
            Way::Pki => f.write_str("Auth(pki)"),
        }
    }
}

/// What a login gives: further connections show it in place of a password.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    token: SecretSlice<u8>,
    /// When it has to be renewed; never if the server doesn't say how long it is good for.
    pub(crate) end: Option<Instant>,
}

impl Session {
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| now >= end)
    }
}

/// Returns for how long a session is used that ends after so many seconds.
fn good_for(ttl_s: u32) -> Duration {
    let ttl = Duration::from_secs(u64::from(ttl_s));
    ttl.saturating_sub(RENEWAL).max(ttl / 2)
}

fn hash(password: &SecretSlice<u8>) -> Result<SecretSlice<u8>, Error> {
    let credential = credential(password.expose_secret())
        .ok_or_else(|| Error::new(ErrorKind::Input, "password with a zero byte"))?;
    Ok(credential.into_bytes().into())
}

fn decode(body: &[u8]) -> Result<SecurityMessage<'_>, Error> {
    SecurityMessage::decode(body)
        .map_err(|error| Error::new(ErrorKind::Damaged, "damaged answer to a login").with_source(error))
}

fn refused(what: &str, code: ResultCode) -> Error {
    Error::new(ErrorKind::Server(code), format!("the server refuses the {what}: {code}"))
}

/// How long before its end a session is renewed. Source: docs/format/wire.md, "Security".
const RENEWAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_renewed_before_their_end() {
        for (ttl_s, good_s) in [(86_400, 86_340), (121, 61), (120, 60), (60, 30), (0, 0)] {
            assert_eq!(good_for(ttl_s), Duration::from_secs(good_s), "{ttl_s}");
        }
        let now = Instant::now();
        let session = |end| Session { token: Vec::new().into(), end };
        assert!(session(Some(now)).is_over(now));
        assert!(!session(Some(now + Duration::from_secs(1))).is_over(now));
        assert!(!session(None).is_over(now));
    }

    #[test]
    fn passwords_are_not_shown() {
        let auth = Auth::external("me", b"hidden".to_vec().into()).unwrap();
        assert_eq!(format!("{auth:?}"), r#"Auth(external "me")"#);
        let auth = Auth::internal("me", &b"hidden".to_vec().into()).unwrap();
        assert_eq!(format!("{auth:?}"), r#"Auth(internal "me")"#);
        assert_eq!(Auth::internal("me", &b"a\0".to_vec().into()).unwrap_err().kind(), ErrorKind::Input);
    }
}
