//! What travels through the pipeline: buffers of whole entries with their counts.

use std::ops::AddAssign;

use crate::{Digest, PartitionId, PartitionSet, VoidTime};

/// A buffer of whole entries in a file format, on its way from a cluster to storage, and how far its stream is with it.
#[derive(Debug, Default)]
pub struct Block {
    /// The encoded entries.
    pub bytes: Vec<u8>,
    /// How many records they are.
    pub records: u64,
    /// Records that were read with them and left out.
    pub skipped: u64,
    /// The partitions that they belong to.
    pub partitions: PartitionSet,
    /// The last record of each partition that any were read of: all of that partition up to it lie in this block or
    /// in earlier ones of its stream.
    pub cursors: Vec<Digest>,
    /// Partitions that the server has reported done; their records lie in this block or in earlier ones of its stream.
    pub done: PartitionSet,
    /// Values among them that the format can't say in full.
    pub inexact: Inexact,
}

impl Block {
    /// Forgets the entries but keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.skipped = 0;
        self.partitions = PartitionSet::EMPTY;
        self.cursors.clear();
        self.done = PartitionSet::EMPTY;
        self.inexact = Inexact::default();
    }
}

/// How many values a format could not say in full, by kind. The records that hold them are written all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inexact {
    /// NaNs whose payload bits the text form has no place for.
    pub nan_payload: u64,
    /// Values of an unknown particle type, written as blobs.
    pub unknown_particle: u64,
}

impl AddAssign for Inexact {
    fn add_assign(&mut self, other: Self) {
        self.nan_payload += other.nan_payload;
        self.unknown_particle += other.unknown_particle;
    }
}

/// A buffer of rows for batch writes, on its way from storage to a cluster. It knows no topology.
#[derive(Debug, Default)]
pub struct RowBlock {
    /// The namespace that all its rows belong to.
    pub namespace: Vec<u8>,
    /// The rows' bytes, one after another.
    pub bytes: Vec<u8>,
    /// Where each row lies and where it belongs.
    pub rows: Vec<Row>,
}

impl RowBlock {
    /// Forgets the rows but keeps the memory.
    pub fn clear(&mut self) {
        self.namespace.clear();
        self.bytes.clear();
        self.rows.clear();
    }

    /// Returns the bytes of one row of this block.
    #[must_use]
    pub fn row(&self, row: &Row) -> &[u8] {
        &self.bytes[row.start as usize..][..row.len as usize]
    }
}

/// One record of a [`RowBlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Offset in the block's bytes.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
    /// Where the record belongs.
    pub partition: PartitionId,
    /// When the record expires. The wire carries the seconds that are left, so they are filled in when it is sent.
    pub void_time: VoidTime,
}
