//! Whole jobs against the test server.
#![allow(
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a test that panics has failed, as it should, and runs only once"
)]

mod awkward;
mod backup;
mod blame;
mod blocking;
mod damage;
mod dead_letters;
mod dialects;
mod differences;
mod envelope;
mod error_texts;
mod estimate;
mod events;
mod examples;
mod expiring;
mod faults;
mod few_threads;
mod filters;
mod foresight;
mod limits;
mod logs;
mod lost;
mod manifest;
mod moments;
mod names;
mod nodes;
mod odd;
mod places;
mod recursive;
mod refusals;
mod restore;
mod resume;
mod resume_envelope;
mod resume_restore;
mod scope;
mod secret;
mod selected;
mod selection;
mod set_indexes;
mod setup;
mod shards;
mod validate;
mod wrapped_restore;
