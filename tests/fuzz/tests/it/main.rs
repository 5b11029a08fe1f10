//! A bounded run of each fuzz target on stable Rust. A failure prints what brings it back.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, as it should, and says with which input"
)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use asbackup_fuzz::{TARGETS, mutate};
use fastrand::Rng;

#[test]
fn text_decoder_keeps_its_promises() {
    run("asb_decode");
}

#[test]
fn document_decoders_keep_their_promises() {
    run("documents");
}

#[test]
fn each_golden_document_is_read() {
    let target = TARGETS.into_iter().find(|target| target.name == "documents").unwrap();
    let read: Vec<_> =
        (target.seeds)().unwrap().iter().filter_map(|seed| asbackup::fuzz::kind(seed)).collect();
    assert_eq!(read.len(), 4, "{read:?}");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn scan_decoder_keeps_its_promises() {
    run("wire_answer");
}

#[test]
fn message_decoders_keep_their_promises() {
    run("wire_message");
}

#[test]
fn info_parsers_keep_their_promises() {
    run("wire_info");
}

#[test]
fn each_target_has_its_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let found: BTreeSet<_> =
        programs.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let expected = TARGETS.map(|target| format!("{}.rs", target.name));
    assert_eq!(found, expected.into());
}

/// Gives a target its seeds and [`INPUTS`] changed copies of them.
fn run(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)().unwrap();
    println!("{name}: {} seeds, {INPUTS} inputs from random seed {SEED:#x} on", seeds.len());
    for seed in &seeds {
        check(name, target.check, seed);
    }
    for number in 0..INPUTS {
        // A generator for each input: one that fails can be made again without those before it.
        check(name, target.check, &mutate(&seeds, &mut Rng::with_seed(SEED + number)));
    }
}

fn check(name: &str, check: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        println!("{name} fails with the input b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// As many as take a few seconds.
const INPUTS: u64 = 100_000;

const SEED: u64 = 0xa5b_0000_0000;
