//! What a finished backup consists of: the manifest, written last and checked first, and the side file with what the
//! text format has no line for. Source of all facts: docs/format/manifest.md.

mod close;
mod document;
mod error;
mod facts;
mod hash;
mod options;
mod publish;
mod seal;
mod shares;
mod side_file;
mod survey;
mod unclosed;

pub(crate) use close::close;
pub(crate) use document::{ClusterFacts, ListedFile, Manifest, partition_list};
pub(crate) use error::DocumentError;
pub use facts::ManifestFacts;
pub(crate) use hash::{Hashing, StoredHash};
pub(crate) use options::{fingerprint, options};
pub(crate) use publish::{Publication, publish};
pub(crate) use seal::{check_head, check_named_seal, check_seal, seal};
pub(crate) use shares::ShardName;
pub(crate) use side_file::{SetIndex, SideFile};
pub use survey::Completeness;
pub(crate) use survey::{
    BackupSet, Member, OTHER_HASH, SetFile, SetRules, damage, read, read_header, refuse, survey,
    survey_against, survey_share, survey_unsealed,
};
pub(crate) use unclosed::Unclosed;
