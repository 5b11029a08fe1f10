//! Why a job ended without success: one opaque error with a kind, a place and a chain of causes.

use std::{error::Error as StdError, fmt, io, sync::Arc};

use asbackup_cluster::{Error as ClusterError, ResultClass, class};
use asbackup_codec::wire::ResultCode;
use serde::Serialize;

/// Why a job ended without success. Cheap to clone, since several tasks may wait for one job.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    place: Place,
    hint: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration can't work; nothing was moved.
    Config,
    /// A secret, such as the key of an encryption, can't be had; nothing was moved.
    Secret,
    /// The cluster couldn't be reached, before anything was moved.
    Connect,
    /// The cluster refused the user or the certificate; nothing was moved.
    Auth,
    /// The cluster couldn't be read to the end.
    Scan,
    /// The cluster couldn't be written to.
    Write,
    /// A record, index or UDF was refused by the server, or has no certain answer after the last retry.
    Refused,
    /// Files couldn't be read or written.
    Storage,
    /// A file isn't a valid backup: it is damaged, cut short, or something else.
    Format,
    /// The backup isn't what its manifest says, or has none although one is required.
    Integrity,
    /// The state of an interrupted job can't be gone on with by this one; nothing was moved.
    State,
    /// The job was cancelled.
    Cancelled,
    /// A mistake in this library.
    Internal,
}

/// Where an error arose, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the decoded text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Byte of the decoded text, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// Name of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Digest of the record, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The server's result code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl Error {
    /// Returns what a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns where it arose.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns what may help, as a sentence for a person.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.0.hint
    }

    /// Returns whether the same job may succeed when it is tried again: cluster or storage failed in a way that may pass.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let may_pass = match self.0.kind {
            ErrorKind::Connect | ErrorKind::Scan | ErrorKind::Write | ErrorKind::Storage => true,
            ErrorKind::Config
            | ErrorKind::Secret
            | ErrorKind::Auth
            | ErrorKind::Refused
            | ErrorKind::Format
            | ErrorKind::Integrity
            | ErrorKind::State
            | ErrorKind::Cancelled
            | ErrorKind::Internal => false,
        };
        let code = self.0.place.code.map(|code| class(ResultCode(code)));
        let cause = self.0.source.as_ref().and_then(|source| source.downcast_ref::<ClusterError>());
        may_pass && code != Some(ResultClass::JobFatal) && cause.is_none_or(ClusterError::is_retryable)
    }

    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Builder {
        Builder(Inner { kind, message: message.into(), place: Place::default(), hint: None, source: None })
    }

    pub(crate) fn cancelled() -> Self {
        Self::of(ErrorKind::Cancelled, "the job was cancelled").build()
    }
}

/// Puts an [`Error`] together.
pub(crate) struct Builder(Inner);

impl Builder {
    pub(crate) fn place(mut self, change: impl FnOnce(&mut Place)) -> Self {
        change(&mut self.0.place);
        self
    }

    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    pub(crate) fn source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    pub(crate) fn build(self) -> Error {
        Error(Arc::new(self.0))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<asbackup_storage::Error> for Error {
    fn from(source: asbackup_storage::Error) -> Self {
        let file = source.path.display().to_string();
        let builder = Self::of(ErrorKind::Storage, "storage failed").place(|place| place.file = Some(file));
        let builder = match storage_hint(&source.source) {
            Some(hint) => builder.hint(hint),
            None => builder,
        };
        builder.source(source).build()
    }
}

/// Returns what helps against a failure of storage.
fn storage_hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, or write to another disk; an old backup that was to be replaced is still there"
        }
        io::ErrorKind::FileTooLarge => "raise the limit of file sizes (ulimit -f), or lower --file-limit",
        io::ErrorKind::PermissionDenied => "check who may read and write there",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only: write to another one",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a directory",
        io::ErrorKind::IsADirectory => "name a file in that directory, or use --directory",
        io::ErrorKind::ResourceBusy => "wait for the end of the other job, or name another file",
        io::ErrorKind::BrokenPipe => {
            "the program that reads the backup ended early: its own message says why"
        }
        _ => return None,
    })
}
