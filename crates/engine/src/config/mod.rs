//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod limits;
mod quantity;
mod restore;
mod sampling;
mod selection;

pub use backup::{BackupConfig, ExistingFiles, ScanRetry};
pub use limits::Limits;
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{
    BatchLimits, ExtraFiles, IndexConflict, ManifestRule, MetadataOrder, RecordErrors, Rename, RestoreConfig,
    ValidateConfig, WriteRetry, Writes,
};
pub use sampling::Sampling;
pub use selection::{EntryClass, Names, NamesError};
