//! Where a text is broken, and which rule it breaks.

use std::ascii::escape_default;
use std::fmt;

use super::{MAX_ENTRY_BYTES, MAX_INDEX_TEXT_BYTES, MAX_TOKEN_BYTES, MAX_VALUE_BYTES};

/// Why a text isn't a valid backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at {position}")]
pub struct DecodeError {
    rule: Rule,
    position: Position,
}

impl DecodeError {
    pub(super) fn new(rule: Rule, position: Position) -> Self {
        Self { rule, position }
    }

    /// Returns which rule is broken.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns where it is broken: at the first byte that can't stand where it does; for a value that is out of range
    /// or can't be decoded, where that value begins; for a text that ends too early, at its end.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

/// A place in the decoded text of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1: how many line feeds are before it, also those within values.
    pub line: u64,
    /// Byte, from 0.
    pub byte: u64,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, byte: 0 };

    /// Returns the position behind `text`.
    pub(super) fn after(self, text: &[u8]) -> Self {
        let lines = memchr::memchr_iter(b'\n', text).count();
        Self { line: self.line + lines as u64, byte: self.byte + text.len() as u64 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)
    }
}

/// The rules of the format that a text can break. Source: docs/format/asb.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The text doesn't begin as every file does.
    #[error("not a backup file, or one that is still compressed or encrypted")]
    NotABackup,
    /// The version is none that is known.
    #[error("unsupported version '{}', known are 3.0, 3.1 and 3.2", version.escape_ascii())]
    UnsupportedVersion {
        /// Its three bytes.
        version: [u8; 3],
    },
    /// A metadata line is neither `namespace` nor `first-file`.
    #[error("unknown metadata line")]
    UnknownMetadata,
    /// A metadata line follows after a record or a global line.
    #[error("metadata line after the header")]
    LateMetadata,
    /// A line begins with a byte that no line begins with.
    #[error("unknown line '{}'", escape_default(*found))]
    UnknownLine {
        /// The byte.
        found: u8,
    },
    /// A global line is of an unknown type.
    #[error("unknown global line '{}'", escape_default(*found))]
    UnknownGlobal {
        /// The byte that names the type.
        found: u8,
    },
    /// A global line stands in a file of version 3.0, which has none.
    #[error("global line in a file of version 3.0")]
    LegacyGlobal,
    /// Only one byte could stand here, and it isn't this one.
    #[error("expected '{}', found '{}'", escape_default(*expected), escape_default(*found))]
    Expected {
        /// The byte that the format asks for.
        expected: u8,
        /// The byte that is there.
        found: u8,
    },
    /// A user key is of an unknown type.
    #[error("unknown key type '{}'", escape_default(*found))]
    UnknownKeyType {
        /// The byte that names the type.
        found: u8,
    },
    /// A bin is of an unknown type.
    #[error("unknown bin type '{}'", escape_default(*found))]
    UnknownBinType {
        /// The byte that names the type.
        found: u8,
    },
    /// A bin is a large data type, which servers no longer have.
    #[error("bin is a large data type (LDT), which no current server can store")]
    LargeDataType,
    /// A boolean is neither `T` nor `F`.
    #[error("unknown boolean '{}'", escape_default(*found))]
    UnknownBoolean {
        /// The byte.
        found: u8,
    },
    /// A name, a number or a digest is too long.
    #[error("token is longer than {MAX_TOKEN_BYTES} bytes")]
    TokenTooLong,
    /// A number has no digits.
    #[error("number without digits")]
    EmptyNumber,
    /// A number holds something else than digits.
    #[error("'{}' is no digit", escape_default(*found))]
    NotADigit {
        /// The byte.
        found: u8,
    },
    /// A number is too large for its field.
    #[error("number is out of range, the largest is {limit}")]
    NumberOutOfRange {
        /// The largest that is allowed, without the sign.
        limit: u64,
    },
    /// A float isn't one.
    #[error("not a floating-point number")]
    NotAFloat,
    /// A float is beyond what a double holds.
    #[error("floating-point number is out of range")]
    FloatOutOfRange,
    /// Base64 with a wrong character, length or padding.
    #[error("invalid base64")]
    InvalidBase64,
    /// A digest isn't 20 bytes long.
    #[error("digest of {bytes} bytes, it must have 20")]
    DigestLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A declared length is above the limit.
    #[error("value of {bytes} bytes, the limit is {MAX_VALUE_BYTES}")]
    ValueTooLong {
        /// The declared length.
        bytes: u64,
    },
    /// An entry is above the limit.
    #[error("entry is longer than {MAX_ENTRY_BYTES} bytes")]
    EntryTooLong,
    /// An index covers an unknown part of its bin.
    #[error("unknown index type '{}'", escape_default(*found))]
    UnknownIndexKind {
        /// The byte that names the part.
        found: u8,
    },
    /// An index is over an unknown type of values.
    #[error("unknown type of indexed values '{}'", escape_default(*found))]
    UnknownIndexedType {
        /// The byte that names the type.
        found: u8,
    },
    /// An index covers no path.
    #[error("index without paths")]
    NoIndexPath,
    /// The context or expression of an index is too long.
    #[error("context or expression of an index is longer than {MAX_INDEX_TEXT_BYTES} bytes")]
    IndexTextTooLong,
    /// A UDF module is in an unknown language.
    #[error("unknown UDF language '{}'", escape_default(*found))]
    UnknownUdfLanguage {
        /// The byte that names the language.
        found: u8,
    },
    /// The text ends within its header.
    #[error("file ends within its header")]
    CutHeader,
    /// The text ends within an entry.
    #[error("file ends within an entry")]
    CutEntry,
}
