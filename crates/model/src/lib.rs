//! The vocabulary that every crate shares: keys, values, records, secondary indexes and UDF modules, as plain values.
//!
//! Nothing here reads or writes a format. Formats are in `asbackup-codec`; both of its sides meet in a
//! [`RecordView`], which borrows every byte from the buffer that it was decoded from.

#[cfg(feature = "arbitrary")]
pub mod arbitrary;
mod block;
mod key;
mod metadata;
#[cfg(feature = "owned")]
pub mod owned;
mod partition_set;
mod record;
mod value;

pub use block::{Block, Inexact, Row, RowBlock};
pub use key::{Digest, PARTITIONS, PartitionId, UserKey};
pub use metadata::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
pub use partition_set::{NotPartitions, PartitionSet};
pub use record::{Bin, BinSlot, Bins, KeySlot, RecordLayout, RecordView, Span, ValueSlot, VoidTime};
pub use value::{BytesType, Value, particle};
