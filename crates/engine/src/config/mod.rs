//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod envelope;
mod quantity;
mod restore;
mod selection;

pub use backup::{BackupConfig, ExistingFiles, ScanRetry};
pub use envelope::{
    Encryption, EncryptionMode, Envelope, ExpectedCompression, KeySource, KeyText, UnknownLevel, Zstd,
};
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{
    BatchLimits, ExtraFiles, IndexConflict, ManifestRule, MetadataOrder, RecordErrors, Rename, RestoreConfig,
    ValidateConfig, WriteRetry, Writes,
};
pub use selection::{EntryClass, Names, NamesError};
