//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod quantity;
mod restore;
mod secret;
mod selection;

pub use backup::{BackupConfig, ExistingFiles, ScanRetry};
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{
    BatchLimits, ExtraFiles, IndexConflict, ManifestRule, MetadataOrder, RecordErrors, Rename, RestoreConfig,
    ValidateConfig, WriteRetry, Writes,
};
pub use secret::{AgentAddress, AgentTls, SecretAgent, SecretEncoding, SecretName, SecretNameError};
pub use selection::{EntryClass, Names, NamesError};
