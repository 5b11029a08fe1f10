//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod quantity;
mod restore;
mod selection;
mod state;

pub use backup::{BackupConfig, ExistingFiles, ScanRetry};
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{
    BatchLimits, Effect, ExtraFiles, IndexConflict, ManifestRule, MetadataOrder, RecordErrors, Rename,
    RestoreConfig, ValidateConfig, Verification, WriteRetry, Writes,
};
pub use selection::{EntryClass, Names, NamesError};
pub use state::{Start, StateConfig, StatePlace, StateRule};
