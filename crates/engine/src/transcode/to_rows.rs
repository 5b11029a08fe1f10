//! Records from a backup to rows of batch writes.

use asbackup_codec::wire::{self, WriteRules};
use asbackup_model::{RecordView, Row, RowBlock, Value, VoidTime};

use crate::config::Rename;

/// How records become rows.
#[derive(Debug, Clone)]
pub(crate) struct ToRows {
    pub(crate) rename: Option<Rename>,
    pub(crate) rules: WriteRules,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is a row of the block.
    Row,
    /// Its time is over.
    Expired,
    /// It has no bin with a value, and such a record can't be written.
    NoBins,
    /// It belongs to another namespace than the one that is renamed.
    OtherNamespace,
    /// The block is for another namespace: send it, and come again with an empty one.
    BlockOfOtherNamespace,
}

impl ToRows {
    /// Returns the namespace that entries of `namespace` are written into, or nothing if it isn't the renamed one.
    pub(crate) fn target<'a>(&'a self, namespace: &'a [u8]) -> Option<&'a [u8]> {
        match &self.rename {
            None => Some(namespace),
            Some(rename) => (rename.from.as_bytes() == namespace).then_some(rename.to.as_bytes()),
        }
    }

    /// Appends a record to a block. `now` is the present time as a void time.
    pub(crate) fn record(&self, block: &mut RowBlock, record: &RecordView<'_>, now: VoidTime) -> Taken {
        let Some(namespace) = self.target(record.namespace) else { return Taken::OtherNamespace };
        if record.void_time != VoidTime::NEVER && record.void_time <= now {
            return Taken::Expired;
        }
        if record.bins.iter().all(|bin| bin.value == Value::Nil) {
            return Taken::NoBins;
        }
        if block.namespace != namespace {
            if !block.rows.is_empty() {
                return Taken::BlockOfOtherNamespace;
            }
            block.namespace.clear();
            block.namespace.extend_from_slice(namespace);
        }
        self.append(block, record, namespace);
        Taken::Row
    }

    fn append(&self, block: &mut RowBlock, record: &RecordView<'_>, namespace: &[u8]) {
        let start = block.bytes.len();
        wire::encode_row(&mut block.bytes, record, namespace, self.rules);
        let offset =
            |at: usize| u32::try_from(at).expect("one entry is at most 256 MiB, and a block little more");
        block.rows.push(Row {
            start: offset(start),
            len: offset(block.bytes.len() - start),
            partition: record.digest.partition(),
            void_time: record.void_time,
        });
    }
}
