//! The bodies of the fuzz targets: plain functions that take any bytes and panic when a decoder breaks a promise.
//!
//! `fuzz/` hands them to libFuzzer, which needs a nightly compiler. The tests of this crate run the same functions on
//! stable Rust, over seeds from `testdata` and a bounded number of changed copies.

mod answer;
mod asb;
mod documents;
mod info;
mod message;
mod mutate;
mod record;
mod seeds;

use anyhow::Result;

pub use answer::wire_answer;
pub use asb::asb_decode;
pub use documents::documents;
pub use info::wire_info;
pub use message::wire_message;
pub use mutate::mutate;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name, the same as that of its program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics if a promise is broken.
    pub check: fn(&[u8]),
    /// Reads the inputs to start from out of `testdata`.
    pub seeds: fn() -> Result<Vec<Vec<u8>>>,
}

/// All fuzz targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "asb_decode", check: asb_decode, seeds: seeds::texts },
    Target { name: "documents", check: documents, seeds: seeds::documents },
    Target { name: "wire_answer", check: wire_answer, seeds: seeds::answers },
    Target { name: "wire_message", check: wire_message, seeds: seeds::requests },
    Target { name: "wire_info", check: wire_info, seeds: seeds::info },
];

/// Returns a source of random numbers that depends on the input alone, so that an input which fails does so every time.
fn choices(input: &[u8]) -> fastrand::Rng {
    let hash = input.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME));
    fastrand::Rng::with_seed(hash)
}

/// The constants of the FNV-1a hash with 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
