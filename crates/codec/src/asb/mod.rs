//! The text format of backup files.
//!
//! A file is a version line, metadata lines, then records and global lines (secondary indexes, UDF modules) in any
//! order. The format is described, with its sources, in docs/format/asb.md. Compression and encryption wrap the whole
//! file and are none of this module's business.
//!
//! [`Decoder`] takes the text in pieces of any size and gives one [`Entry`] at a time. The functions `encode_…` append
//! to a buffer what backup-go v0.11.0 would write for the same entry, byte for byte.

mod base64;
mod cursor;
mod decode;
mod duplicates;
mod encode;
mod error;
mod float;
mod global;
mod header;
mod hexfloat;
mod record;

use asbackup_model::{SecondaryIndex, UdfModule};

pub use decode::Decoder;
pub use encode::{encode_header, encode_index, encode_record, encode_udf};
pub use error::{DecodeError, Position, Rule};

/// The version of a file. Source: docs/format/asb.md, "Version".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 3.0: no escapes in names and no global lines.
    V30,
    /// 3.1: what everyone writes.
    V31,
    /// 3.2: for files that hold expression indexes.
    V32,
}

/// How blobs, HLLs, maps and lists are written. Strings and `GeoJSON` are raw in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// As base64.
    Base64,
    /// As raw bytes.
    Compact,
}

/// Which file of a backup a header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileOrder {
    /// The first one, which says so in its header.
    First,
    /// Any other.
    Later,
}

/// What [`Decoder::decode`] finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// One line of the header: the version, or a metadata line.
    HeaderLine,
    /// A record; it is in the layout that the decoder was given.
    Record,
    /// A secondary index.
    SecondaryIndex(SecondaryIndex),
    /// A UDF module.
    UdfModule(UdfModule),
}

/// The most bytes of a name, a number or a digest, escapes counted. Source: docs/format/asb.md, "Limits".
pub const MAX_TOKEN_BYTES: usize = 999;

/// The most bytes of text of one value with a declared length: ours, against damaged lengths. It is far above what a
/// server stores, 8 MiB a record.
pub const MAX_VALUE_BYTES: usize = 128 << 20;

/// The most bytes of one entry: ours, since an entry has to be in memory as a whole.
pub const MAX_ENTRY_BYTES: usize = 256 << 20;

/// The most bytes of an index's context or expression, which has no declared length: ours.
pub const MAX_INDEX_TEXT_BYTES: usize = 1 << 20;
