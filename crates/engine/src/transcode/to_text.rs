//! Records from a cluster to the text format.

use asbackup_codec::asb::{self, Spelling};
use asbackup_model::{Block, RecordView};

/// The server's own set for the bookkeeping of transactions. It is never backed up. Source: docs/format/wire.md,
/// "Filters".
pub(crate) const MONITOR_SET: &[u8] = b"<ERO~MRT";

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in the block.
    Written,
    /// It belongs to the monitor set, although the scan's filter leaves that out.
    MonitorSet,
}

/// Appends a record to a block.
pub(crate) fn record(block: &mut Block, record: &RecordView<'_>, spelling: Spelling) -> Taken {
    if record.set == Some(MONITOR_SET) {
        return Taken::MonitorSet;
    }
    block.inexact += asb::encode_record(&mut block.bytes, record, spelling);
    block.records += 1;
    block.partitions.insert(record.digest.partition());
    Taken::Written
}
