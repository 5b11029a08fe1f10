//! The bytes that have names. Source: docs/format/wire.md, "Message".
#![expect(missing_docs, reason = "the names are the server's own; docs/format/wire.md has a table of them")]

/// Flags of the first info byte.
pub mod info1 {
    pub const READ: u8 = 1;
    pub const ALL_BINS: u8 = 2;
    pub const SHORT_QUERY: u8 = 4;
    pub const BATCH: u8 = 8;
    pub const XDR: u8 = 16;
    pub const NO_BIN_DATA: u8 = 32;
    pub const COMPRESS_REPLY: u8 = 128;
}

/// Flags of the second info byte.
pub mod info2 {
    pub const WRITE: u8 = 1;
    pub const DELETE: u8 = 2;
    pub const GENERATION_EQUAL: u8 = 4;
    pub const GENERATION_GREATER: u8 = 8;
    pub const DURABLE_DELETE: u8 = 16;
    pub const CREATE_ONLY: u8 = 32;
    pub const RESPOND_ALL_OPS: u8 = 128;
}

/// Flags of the third info byte.
pub mod info3 {
    pub const LAST: u8 = 1;
    pub const COMMIT_MASTER_ONLY: u8 = 2;
    /// In a reply: this message is about a partition. In a request: send such messages.
    pub const PARTITION_DONE: u8 = 4;
    pub const UPDATE_ONLY: u8 = 8;
    pub const CREATE_OR_REPLACE: u8 = 16;
    pub const REPLACE_ONLY: u8 = 32;
}

/// Flags of the fourth info byte.
pub mod info4 {
    pub const VERIFY_READ: u8 = 1;
    pub const ROLL_FORWARD: u8 = 2;
    pub const ROLL_BACK: u8 = 4;
    pub const LOCKING_ONLY: u8 = 16;
}

/// Types of fields.
pub mod field {
    pub const NAMESPACE: u8 = 0;
    pub const SET: u8 = 1;
    pub const USER_KEY: u8 = 2;
    pub const DIGEST: u8 = 4;
    pub const TASK_ID: u8 = 7;
    pub const SOCKET_TIMEOUT: u8 = 9;
    pub const RECORDS_PER_SECOND: u8 = 10;
    pub const PARTITIONS: u8 = 11;
    pub const DIGESTS: u8 = 12;
    pub const MAX_RECORDS: u8 = 13;
    pub const BATCH: u8 = 41;
    pub const FILTER: u8 = 43;
}

/// Codes of ops.
pub mod op {
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
}

/// Values of the TTL of a write that aren't a number of seconds.
pub mod ttl {
    pub const NAMESPACE_DEFAULT: u32 = 0;
    pub const NEVER: u32 = u32::MAX;
    pub const KEEP: u32 = u32::MAX - 1;
}
