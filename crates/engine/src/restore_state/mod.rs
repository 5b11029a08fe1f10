//! Progress of a restore that survives the process: which entries have their final answer, the document that says so,
//! and where it lies. Source of all facts about the document: docs/format/restore-state.md.

mod counts;
mod document;
mod keeper;
mod options;
mod place;
mod tickets;

pub(crate) use counts::{Counts, IndexCounts, MetadataCounts, UdfCounts};
#[cfg(feature = "fuzz")]
pub(crate) use document::State;
pub(crate) use keeper::Keeper;
pub(crate) use tickets::{Answers, Ledger, ReadFile, Ticket};
