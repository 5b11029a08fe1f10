//! The client against a test server.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

mod batches;
mod error_texts;
mod metadata;
mod nodes;
mod queries;
mod scripted;
mod security;
mod singles;
mod support;
