//! The test server over real sockets, spoken to in bytes of the protocol.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

mod batch;
mod client;
mod fault;
mod info;
mod nodes;
mod program;
mod read;
mod recording;
mod scan;
mod store;
mod write;
