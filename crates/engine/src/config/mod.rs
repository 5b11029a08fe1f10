//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod quantity;
mod restore;

pub use backup::{BackupConfig, ExistingFiles, ScanRetry};
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{BatchLimits, Rename, RestoreConfig, ValidateConfig, WriteRetry};
