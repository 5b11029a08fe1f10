//! Where a cluster is and how patient to be with it.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::{Auth, Error, ErrorKind, Tls};

/// An address at which a cluster may be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seed {
    /// Name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name in the certificate of whoever listens there; none: [`ClusterConfig::tls_name`].
    pub tls_name: Option<String>,
}

impl Seed {
    /// Returns the seed of a name or an address without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, tls_name: None }
    }

    /// Returns the seed that `host`, `host:port`, `host:tls-name:port`, or one of these with `[IPv6 address]` for the
    /// host names.
    ///
    /// # Errors
    /// If the host is empty, or the port isn't a number from 1 to 65535.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, Error> {
        let wrong = |what| Error::new(ErrorKind::Input, format!("{what} in address {text:?}"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(|| wrong("no closing bracket"))?,
            None if text.parse::<Ipv6Addr>().is_ok() => (text, ""),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        let (tls_name, port) = match port.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
            Some(("", _)) => return Err(wrong("no TLS name between two colons")),
            Some((name, _)) => (Some(name.to_owned()), &port[name.len() + 1..]),
            None => (None, port),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port,
            Some(number) => {
                number.parse().ok().filter(|&port| port > 0).ok_or_else(|| wrong("no port of 1 to 65535"))?
            }
            None => return Err(wrong("no colon behind the bracket")),
        };
        Ok(Self { host: host.to_owned(), port, tls_name })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How to reach a cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Addresses of some of its nodes; they are tried in order.
    pub seeds: Vec<Seed>,
    /// Which of their addresses the nodes are asked for. Default: the standard ones.
    pub addresses: Addresses,
    /// Whether and how connections are encrypted. Default: they aren't.
    pub tls: Option<Tls>,
    /// Name in the certificates of nodes that have none of their own; none: the host by which one is reached.
    pub tls_name: Option<String>,
    /// Who the client is. Default: nobody, for clusters without security.
    pub auth: Option<Auth>,
    /// Longest wait for the answer to a login. Default: 10 s, since a server may have to ask somebody else.
    pub login_timeout: Duration,
    /// Longest time until the cluster is known at the beginning. Default: 30 s.
    pub first_timeout: Duration,
    /// Longest wait for a connection, and for a free place among those of a node. Default: 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for the reply to an info command. Default: 10 s.
    pub info_timeout: Duration,
    /// How info commands are sent again that got no answer.
    pub info_retry: InfoRetry,
    /// Most connections to one node at a time, 1 at least. Default: 256, of the 15,000 that a server takes.
    pub connections_per_node: usize,
    /// For how long an unused connection is kept; zero: until the server closes it. Default: 50 s, below the 60 s after which older servers close it.
    pub idle_timeout: Duration,
    /// How often the nodes are asked in the background whether anything has changed. Nodes that answer later than this
    /// after the first one aren't waited for when the others are asked. Default: 1 s, as other clients do.
    pub refresh_interval: Duration,
}

/// How info commands are sent again that got no answer, or one that may pass. Those that only ask who is there aren't:
/// they are sent again all the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InfoRetry {
    /// Retries of one command. Default: 3.
    pub max_retries: u32,
    /// The first pause. Default: 1 s.
    pub first_pause: Duration,
    /// Growth of the pauses, which end at 10 s. Default: 1.
    pub multiplier: f64,
}

/// Which of its addresses a node tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Those for clients within its network.
    Standard,
    /// Those for clients elsewhere, which an administrator has given it.
    Alternate,
}

impl ClusterConfig {
    /// Returns a configuration with defaults for all but the seeds.
    pub fn new(seeds: impl IntoIterator<Item = Seed>) -> Self {
        Self {
            seeds: seeds.into_iter().collect(),
            addresses: Addresses::Standard,
            tls: None,
            tls_name: None,
            auth: None,
            login_timeout: Duration::from_secs(10),
            first_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            info_timeout: Duration::from_secs(10),
            info_retry: InfoRetry { max_retries: 3, first_pause: Duration::from_secs(1), multiplier: 1.0 },
            connections_per_node: 256,
            idle_timeout: Duration::from_secs(50),
            refresh_interval: Duration::from_secs(1),
        }
    }

    /// Checks what doesn't go together. [`Cluster::connect`](crate::Cluster::connect) does so too.
    ///
    /// # Errors
    /// Of the kind `Input`: a password that would be sent in the clear, or a login by certificate without one.
    pub fn check(&self) -> Result<(), Error> {
        self.auth.as_ref().map_or(Ok(()), |auth| auth.check(self.tls.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_have_a_host_and_a_port() {
        for (text, host, port, shown) in [
            ("db", "db", 3000, "db:3000"),
            ("10.0.0.1:4000", "10.0.0.1", 4000, "10.0.0.1:4000"),
            ("[::1]:4000", "::1", 4000, "[::1]:4000"),
            ("[::1]", "::1", 3000, "[::1]:3000"),
            ("fe80::1", "fe80::1", 3000, "[fe80::1]:3000"),
        ] {
            let seed = Seed::parse(text, 3000).unwrap();
            assert_eq!((seed.host.as_str(), seed.port, seed.to_string().as_str()), (host, port, shown));
            assert_eq!(seed.tls_name, None);
        }
        for (text, host) in [("db:name:4333", "db"), ("[::1]:name:4333", "::1")] {
            let seed = Seed::parse(text, 3000).unwrap();
            assert_eq!((seed.host.as_str(), seed.tls_name.as_deref(), seed.port), (host, Some("name"), 4333));
        }
    }

    #[test]
    fn broken_seeds_are_refused() {
        for text in [
            "", ":3000", "[]:3000", "[::1", "[::1]x", "db:", "db:0", "db:65536", "db:port", "host::1",
            "db:name:", "db:a:b:1",
        ] {
            assert_eq!(Seed::parse(text, 3000).unwrap_err().kind(), ErrorKind::Input, "{text}");
        }
    }
}
