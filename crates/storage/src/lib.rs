//! Named byte streams for backups: list, read, upload, remove. Nothing here knows what a backup is.
//!
//! Calls block, since they belong on the long-lived threads that also hash, encrypt and decode; see
//! `docs/decisions/002-blocking-storage.md`.

mod error;
mod faults;
mod local;

pub use error::{Action, Error};
#[cfg(feature = "faults")]
pub use faults::Fault;
pub use local::{FileLock, Local, Lock, Part, StoredFile, Upload};
