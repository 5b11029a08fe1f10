//! Users, logins and sessions. Source: docs/format/wire.md, "Security".

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use asbackup_codec::wire::{AUTHENTICATE, LOGIN, ResultCode, SecurityMessage, credential};

/// Who may use a server, and who does. Without users everybody may.
pub(crate) struct Security {
    users: Vec<User>,
    session_ttl_s: u32,
    /// Tokens of logins that still count.
    sessions: Mutex<HashSet<Vec<u8>>>,
    logins: AtomicU64,
}

/// A user, and how it has to log in.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) kept: Kept,
}

/// Where the password of a user is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// By the server.
    Here,
    /// By somebody else, so that the server needs the password itself.
    Elsewhere,
}

/// What a connection has shown of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// Nothing.
    Unknown,
    /// A certificate.
    Certified,
    /// All that it needs.
    Authenticated,
}

impl Security {
    pub(crate) fn new(users: Vec<User>, session_ttl_s: u32) -> Self {
        Self { users, session_ttl_s, sessions: Mutex::default(), logins: AtomicU64::new(0) }
    }

    /// Returns whether that client may send commands.
    pub(crate) fn allows(&self, client: Client) -> bool {
        self.users.is_empty() || client == Client::Authenticated
    }

    pub(crate) fn logins(&self) -> u64 {
        self.logins.load(Ordering::Relaxed)
    }

    /// Forgets all sessions. Connections that were authenticated stay so.
    pub(crate) fn end_sessions(&self) {
        self.sessions().clear();
    }

    /// Appends the answer to a login or an authentication, and notes what the client has shown by it.
    pub(crate) fn answer(&self, body: &[u8], client: &mut Client, out: &mut Vec<u8>) {
        let message = SecurityMessage::decode(body);
        let answered = match message {
            _ if self.users.is_empty() => Err(ResultCode::SECURITY_NOT_SUPPORTED),
            Err(_) => Err(ResultCode::SECURITY_FIELD),
            Ok(message) if message.command == LOGIN => self.log_in(&message, *client).map(Some),
            Ok(message) if message.command == AUTHENTICATE => self.authenticate(&message).map(|()| None),
            Ok(_) => Err(ResultCode::SECURITY_COMMAND),
        };
        let mut reply = SecurityMessage::default();
        match &answered {
            Err(code) => reply.result = code.0,
            Ok(token) => {
                *client = Client::Authenticated;
                reply.token = token.as_deref();
                reply.ttl_s = token.as_ref().map(|_| self.session_ttl_s);
            }
        }
        reply.encode(out);
    }

    fn log_in(&self, message: &SecurityMessage<'_>, client: Client) -> Result<Vec<u8>, ResultCode> {
        match message.user {
            // The certificate names the user.
            None if client == Client::Unknown => return Err(ResultCode::BAD_CREDENTIAL),
            None => {}
            Some(name) => {
                let user = self.users.iter().find(|user| user.name.as_bytes() == name);
                user.ok_or(ResultCode::UNKNOWN_USER)?.check(message)?;
            }
        }
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        let token = format!("session {number}").into_bytes();
        self.sessions().insert(token.clone());
        Ok(token)
    }

    fn authenticate(&self, message: &SecurityMessage<'_>) -> Result<(), ResultCode> {
        let token = message.token.ok_or(ResultCode::SECURITY_FIELD)?;
        if self.sessions().contains(token) { Ok(()) } else { Err(ResultCode::EXPIRED_SESSION) }
    }

    fn sessions(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl User {
    fn check(&self, message: &SecurityMessage<'_>) -> Result<(), ResultCode> {
        let password = self.password.as_bytes();
        let is_right = match self.kept {
            Kept::Here => message.credential == credential(password).as_deref().map(str::as_bytes),
            Kept::Elsewhere => message.clear_password == Some(password),
        };
        if is_right { Ok(()) } else { Err(ResultCode::BAD_CREDENTIAL) }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("kept", &self.kept).finish_non_exhaustive()
    }
}
