//! What a user may ask for. What excludes each other is an enum, what has a range is a type.

mod backup;
mod envelope;
pub(crate) mod filter;
mod limits;
mod prefix;
mod quantity;
mod restore;
mod sampling;
mod scope;
mod secret;
mod selection;
mod shard;
mod state;

pub use backup::{BackupConfig, Checkpoint, ExistingFiles, ScanRetry};
pub use envelope::{
    Encryption, EncryptionMode, Envelope, ExpectedCompression, KeySource, KeyText, UnknownLevel, Zstd,
};
pub use filter::{FilterExpression, Lifetime, Modified, NoFilter, NoTimeBetween};
pub use limits::Limits;
pub use prefix::{FilePrefix, PrefixError};
pub use quantity::{ByteSize, OutOfRange, Parallelism};
pub use restore::{
    BatchLimits, CompleteConfig, Effect, ExtraFiles, IndexConflict, ManifestRule, MetadataOrder,
    RecordErrors, Rename, RestoreConfig, ValidateConfig, Verification, WriteRetry, Writes,
};
pub use sampling::Sampling;
pub use scope::{NodeSelector, PartitionList, RackId, Scope, ScopeError};
pub use secret::{AgentAddress, AgentTls, SecretAgent, SecretEncoding, SecretName, SecretNameError};
pub use selection::{BinSelection, EntryClass, Names, NamesError};
pub use shard::{Shard, ShardError};
pub use state::{Start, StateConfig, StatePlace, StateRule};
