//! How fast a job may be at most.

use std::num::NonZeroU32;

use super::ByteSize;

/// How fast a job may be at most, over all its streams, files and nodes. Default: no limits. Both hold within a few
/// per cent over ten seconds; time that a job loses beyond a quarter of a second isn't made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Records per second: of a backup those that the cluster sends, which its nodes are told too; of a restore those
    /// that are sent to the cluster, each attempt counted. Default: no limit.
    pub records_per_second: Option<NonZeroU32>,
    /// Stored bytes per second, after compression and encryption: of a backup those that are written, of a restore
    /// those that are read. None and 0 are no limit. Default: none.
    pub bandwidth: Option<ByteSize>,
}
