//! The hot path allocates nothing per record once its buffers have grown.
//!
//! There is one test, since the counter sees what every thread allocates; each path is a case of it.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::alloc::System;
use std::collections::BTreeSet;

use asbackup_codec::Step;
use asbackup_codec::asb::{Decoder, Entry, Spelling, encode_record};
use asbackup_codec::wire::{
    Answer, WriteRules, decode_answer, encode_record_answer, encode_row, encode_row_of_bins,
};
use asbackup_model::{RecordLayout, RecordView};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn the_hot_path_allocates_nothing_per_record() {
    assert_ne!(allocations(|| drop(vec![1u8])), Stats::default(), "the counter counts");
    for (path, stats) in [
        ("base64 ASB to base64 ASB", asb_to_asb(&base64_text(), Spelling::Base64)),
        ("base64 ASB to compact ASB", asb_to_asb(&base64_text(), Spelling::Compact)),
        ("compact ASB to base64 ASB", asb_to_asb(&compact_text(), Spelling::Base64)),
        ("compact ASB to compact ASB", asb_to_asb(&compact_text(), Spelling::Compact)),
        ("wire to base64 ASB", wire_to_asb(&base64_text(), Spelling::Base64)),
        ("wire to compact ASB", wire_to_asb(&base64_text(), Spelling::Compact)),
        ("base64 ASB to rows", asb_to_rows(&base64_text())),
        ("compact ASB to rows", asb_to_rows(&compact_text())),
        ("base64 ASB to rows of some bins", asb_to_rows_of_some_bins(&base64_text())),
    ] {
        assert_eq!(stats, Stats::default(), "{path}");
    }
}

/// What a restore would do if its sink were a file.
fn asb_to_asb(text: &[u8], spelling: Spelling) -> Stats {
    second_pass(text, |out, record| {
        encode_record(out, record, spelling);
    })
}

/// What a restore does.
fn asb_to_rows(text: &[u8]) -> Stats {
    second_pass(text, |out, record| encode_row(out, record, b"target", WriteRules::default()))
}

/// What a restore does that leaves bins out.
fn asb_to_rows_of_some_bins(text: &[u8]) -> Stats {
    let wanted: BTreeSet<Vec<u8>> = [b"c".to_vec(), b"x".to_vec()].into();
    second_pass(text, |out, record| {
        let bins = record.bins.iter().filter(|bin| wanted.contains(bin.name));
        encode_row_of_bins(out, record, bins, b"target", WriteRules::default());
    })
}

/// What a backup does.
fn wire_to_asb(text: &[u8], spelling: Spelling) -> Stats {
    let mut answers = Vec::new();
    second_pass(text, |_, record| encode_record_answer(&mut answers, record));
    let mut layout = RecordLayout::new();
    let mut out = Vec::new();
    let mut pass = || {
        out.clear();
        let mut rest = answers.as_slice();
        while let Step::Done { value, used } = decode_answer(rest, &mut layout) {
            assert_eq!(value, Answer::Record);
            encode_record(&mut out, &layout.view(rest), spelling);
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    };
    pass();
    allocations(pass)
}

/// Returns what a second pass over the same text allocates and frees.
fn second_pass(text: &[u8], mut encode: impl FnMut(&mut Vec<u8>, &RecordView<'_>)) -> Stats {
    let mut decoder = Decoder::new();
    let mut layout = RecordLayout::new();
    let mut out = Vec::new();
    decoder.decode(b"Version 3.1\n", &mut layout);
    let mut pass = || {
        out.clear();
        let mut rest = text;
        while let Step::Done { value, used } = decoder.decode(rest, &mut layout) {
            assert_eq!(value, Entry::Record);
            encode(&mut out, &layout.view(rest));
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    };
    pass();
    allocations(pass)
}

/// Returns what a function allocates and frees.
fn allocations(run: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    run();
    region.change()
}

/// Returns a hundred records with every kind of key, bin and name.
fn base64_text() -> Vec<u8> {
    let bins = "- N a\n- Z b T\n- I c -42\n- D d 1.25\n- D d2 1e+100\n- S e\\ f 5 hello\n- G g 2 {}\n\
        - X x 4 AQID\n- B h 8 AQIDBA==\n- Y i 4 AQID\n- M j 8 gaIDYQE=\n- L k 8 kwECAw==\n- J l 4 AQ==\n\
        - C m 0 \n- P n 4 AQID\n- R o 4 AB==\n- H p 5 AQ\nID\n- E q 4 AQID\n- I c 7\n";
    records(bins, 19)
}

/// Returns the same with raw values.
fn compact_text() -> Vec<u8> {
    let bins = "- B! h 4 abcd\n- Y! i 3 abc\n- M! j 2 \n\n\n- L! k 0 \n- J! l 1 a\n- C! m 1 b\n- P! n 1 c\n\
        - R! o 1 d\n- H! p 1 e\n- E! q 1 f\n";
    records(bins, 10)
}

fn records(bins: &str, count: usize) -> Vec<u8> {
    let keys = ["", "+ k I 5\n", "+ k D 0.5\n", "+ k S 3 a b\n", "+ k B 4 AQID\n"];
    let sets = ["", "+ s demo\n", "+ s with\\ space\n"];
    let record = |i: usize| {
        let (key, set) = (keys[i % keys.len()], sets[i % sets.len()]);
        format!(
            "{key}+ n te\\ st\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n{set}+ g {i}\n+ t {i}00000\n+ b {count}\n{bins}"
        )
    };
    (0..100).flat_map(|i| record(i).into_bytes()).collect()
}
