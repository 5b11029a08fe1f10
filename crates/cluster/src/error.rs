//! What a caller can do about a failure.

use std::fmt;

use asbackup_codec::wire::ResultCode;

/// Why the cluster didn't do what was asked.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    node: Option<String>,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection could be made.
    Connect,
    /// A wait was too long.
    Timeout,
    /// A connection broke.
    Network,
    /// There is no such namespace.
    Namespace,
    /// The server refused the request with this code.
    Server(ResultCode),
    /// The server sent what isn't its protocol.
    Damaged,
    /// The server refused an info command.
    Info,
    /// No node owns a partition.
    NoOwner,
    /// A host, a name or another input of ours can't be used.
    Input,
    /// The server is too old.
    Version,
    /// Client and server don't trust each other, or speak no common version of TLS.
    Tls,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, node: None, what: what.into(), source: None }
    }

    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the node unless one is named already.
    #[must_use]
    pub(crate) fn at(mut self, node: &str) -> Self {
        self.node.get_or_insert_with(|| node.to_owned());
        self
    }

    /// Adds to what was going on.
    #[must_use]
    pub(crate) fn context(mut self, context: &str) -> Self {
        self.what = format!("{}, {context}", self.what);
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the kind in a word, as reports count it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::Connect => "connect",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Network => "network",
            ErrorKind::Namespace => "namespace",
            ErrorKind::Server(code) => code.name(),
            ErrorKind::Damaged => "damaged",
            ErrorKind::Info => "info",
            ErrorKind::NoOwner => "no_owner",
            ErrorKind::Input => "input",
            ErrorKind::Version => "version",
            ErrorKind::Tls => "tls",
        }
    }

    /// Returns the name or address of the node, if the failure is about one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Returns whether the server refused the user or the certificate.
    #[must_use]
    pub fn is_of_login(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Server(
                ResultCode::SECURITY_NOT_SUPPORTED
                    | ResultCode::SECURITY_NOT_ENABLED
                    | ResultCode::UNKNOWN_USER
                    | ResultCode::BAD_PASSWORD
                    | ResultCode::EXPIRED_PASSWORD
                    | ResultCode::FORBIDDEN_PASSWORD
                    | ResultCode::BAD_CREDENTIAL
                    | ResultCode::NOT_AUTHENTICATED
                    | ResultCode::NOT_WHITELISTED
            )
        )
    }

    /// Returns whether another attempt may do better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Network
            | ErrorKind::Damaged
            | ErrorKind::NoOwner => true,
            ErrorKind::Server(code) => crate::class(code) == crate::ResultClass::Transient,
            ErrorKind::Namespace
            | ErrorKind::Info
            | ErrorKind::Input
            | ErrorKind::Version
            | ErrorKind::Tls => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.node {
            Some(node) => write!(f, " (node {node})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
