//! Where secrets are asked for, and their names. Source: docs/format/secret-agent.md.

use std::{fmt, path::PathBuf, time::Duration};

use asbackup_cluster::Tls;

/// A Secret Agent: a service that hands out secrets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecretAgent {
    /// Where it listens.
    pub address: AgentAddress,
    /// Longest wait for a connection, for sending, and for the reply, each anew. Default: 10 s, as the older tools.
    pub timeout: Duration,
    /// How it hands out secrets. Default: as they are.
    pub encoding: SecretEncoding,
}

/// Where a Secret Agent listens.
#[derive(Debug, Clone)]
pub enum AgentAddress {
    /// A TCP port.
    Tcp {
        /// Name or IP address.
        host: String,
        /// Port.
        port: u16,
        /// Whether and how the connection is encrypted.
        tls: Option<AgentTls>,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// An encrypted connection to a Secret Agent.
#[derive(Debug, Clone)]
pub struct AgentTls {
    /// Whom to trust.
    pub tls: Tls,
    /// Name in the agent's certificate; none: the host.
    pub name: Option<String>,
}

/// How secrets are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEncoding {
    /// As they are.
    Plain,
    /// As base64, standard alphabet and padded; the decoded bytes are the secret.
    Base64,
}

impl SecretAgent {
    /// Returns an agent with defaults for all but the address.
    #[must_use]
    pub fn new(address: AgentAddress) -> Self {
        Self { address, timeout: Duration::from_secs(10), encoding: SecretEncoding::Plain }
    }
}

impl fmt::Display for AgentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The name of a secret, written `secrets:<resource>:<key>`. Either part may be empty; neither holds a colon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretName {
    resource: String,
    key: String,
}

impl SecretName {
    /// Returns the name that a text is; none if it doesn't begin with `secrets:`.
    ///
    /// # Errors
    /// If it does, but hasn't three parts.
    pub fn parse(text: &str) -> Result<Option<Self>, SecretNameError> {
        let Some(rest) = text.strip_prefix("secrets:") else { return Ok(None) };
        match rest.split(':').collect::<Vec<_>>()[..] {
            [resource, key] => Ok(Some(Self { resource: resource.to_owned(), key: key.to_owned() })),
            _ => Err(SecretNameError { text: text.to_owned() }),
        }
    }

    /// Returns the resource, which groups secrets.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns the key within the resource.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secrets:{}:{}", self.resource, self.key)
    }
}

/// A text that begins like the name of a secret and isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} isn't the name of a secret, which is secrets:<resource>:<key>")]
pub struct SecretNameError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_parts() {
        for (text, parts) in [("secrets:a:b", ("a", "b")), ("secrets::b", ("", "b")), ("secrets::", ("", ""))]
        {
            let name = SecretName::parse(text).unwrap().unwrap();
            assert_eq!(((name.resource(), name.key()), name.to_string().as_str()), (parts, text));
        }
        for text in ["secrets:a", "secrets:", "secrets:a:b:c"] {
            let message = format!("{text:?} isn't the name of a secret, which is secrets:<resource>:<key>");
            assert_eq!(SecretName::parse(text).unwrap_err().to_string(), message);
        }
        for text in ["", "secret:a:b", "secrets", "Secrets:a:b", " secrets:a:b"] {
            assert_eq!(SecretName::parse(text), Ok(None), "{text}");
        }
    }
}
