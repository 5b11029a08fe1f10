//! Whole jobs against the test server.
#![allow(
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a test that panics has failed, as it should, and runs only once"
)]

mod awkward;
mod backup;
mod blocking;
mod dialects;
mod differences;
mod envelope;
mod error_texts;
mod faults;
mod lost;
mod manifest;
mod nodes;
mod odd;
mod refusals;
mod restore;
mod selection;
mod setup;
mod validate;
