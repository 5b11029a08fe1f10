//! Which rule of the protocol a byte stream breaks, and where.

/// Bytes that no server and no client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at byte {at}")]
pub struct DecodeError {
    rule: Rule,
    at: usize,
}

impl DecodeError {
    pub(crate) fn new(rule: Rule, at: usize) -> Self {
        Self { rule, at }
    }

    /// Returns the rule that is broken.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns the offset in the input behind what breaks it.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }
}

/// A rule of the protocol. Source: docs/format/wire.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A frame has version 2.
    #[error("frame of version {0} instead of 2")]
    FrameVersion(u8),
    /// A frame is one of four kinds.
    #[error("frame of unknown type {0}")]
    FrameKind(u8),
    /// A frame's body has an upper bound.
    #[error("frame body of {0} bytes, over the limit of 134217728")]
    FrameBytes(u64),
    /// A message's header has 22 bytes.
    #[error("message header of {0} bytes instead of 22")]
    HeaderBytes(u8),
    /// A message fits into a frame.
    #[error("message over the limit of 134217728 bytes")]
    MessageBytes,
    /// The length of a field counts its type.
    #[error("field of length 0")]
    EmptyField,
    /// A field of fixed or stepped length has such a length.
    #[error("field of type {kind} with {bytes} bytes of data")]
    FieldBytes {
        /// Type of the field.
        kind: u8,
        /// Length of its data.
        bytes: usize,
    },
    /// A record has a namespace and a digest; a query names its namespace.
    #[error("message without a field of type {0}")]
    MissingField(u8),
    /// The length of an op covers its own head and its name.
    #[error("op of length {0}, too short for its name")]
    OpBytes(u32),
    /// Partitions are numbered 0 to 4095.
    #[error("partition {0}, over the limit of 4095")]
    Partition(u32),
    /// A batch holds as many rows as it says.
    #[error("batch ends within a row")]
    BatchTruncated,
    /// The first row of a batch can't repeat the one before.
    #[error("first row of a batch repeats the row before")]
    BatchRepeat,
    /// A login, an authentication or the answer to one is in one frame.
    #[error("security message ends within its header or a field")]
    SecurityTruncated,
}
