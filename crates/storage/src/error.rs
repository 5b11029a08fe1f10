//! Why storage could not do what it was asked.

use std::{io, path::PathBuf};

/// A failed operation on one file or directory.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
#[non_exhaustive]
pub struct Error {
    /// What was tried.
    pub action: Action,
    /// On which path.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl Error {
    pub(crate) fn new(action: Action, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.into(), source }
    }
}

/// What was tried on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Listing a directory.
    List,
    /// Creating a file or a directory.
    Create,
    /// Opening a file or reading from it.
    Read,
    /// Writing into a file.
    Write,
    /// Making a file durable and giving it its final name.
    Complete,
    /// Removing a file.
    Remove,
    /// Going on with a file that an earlier run left.
    Reopen,
    /// Locking a directory.
    Lock,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Complete => "complete",
            Self::Remove => "remove",
            Self::Reopen => "go on with",
            Self::Lock => "lock",
        })
    }
}
