//! Bytes to values and back, sans I/O: no sockets, no files, no clock, and an error instead of a panic for any input.
//!
//! [`asb`] is the text format of backup files, [`envelope`] what lies around that text, [`wire`] the protocol between a
//! client and a server. [`asb`] and [`wire`] both decode into a
//! [`RecordLayout`](asbackup_model::RecordLayout) and encode from a [`RecordView`](asbackup_model::RecordView), so a
//! record goes from one form to the other without an allocation.
#![deny(clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, clippy::panic, reason = "a test that panics has failed, as it should")
)]

pub mod asb;
mod cursor;
pub mod envelope;
mod step;
pub mod wire;

pub use step::Step;
