//! Tests of the codecs against their golden files, and properties that hold for every input.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, as it should, and may say what it did"
)]

mod asb_format;
mod asb_properties;
mod asb_rules;
mod asb_text;
mod asb_vectors;
mod envelope_vectors;
mod error_texts;
mod key;
mod wire_auth;
mod wire_damage;
mod wire_info;
mod wire_properties;
mod wire_replies;
mod wire_requests;
