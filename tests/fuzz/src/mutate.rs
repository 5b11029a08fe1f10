//! Changed copies of inputs, for the bounded runs on stable Rust.

use fastrand::Rng;

/// Returns a copy of one of `seeds`, changed in one to four places. It depends on the seeds and `random` alone.
///
/// # Panics
/// If there are no seeds.
#[must_use]
pub fn mutate(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = choose(seeds, random).to_vec();
    for _ in 0..random.usize(1..=4) {
        change(&mut input, choose(seeds, random), random);
    }
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Rng) {
    let range = range(input.len(), random);
    match random.u8(0..8) {
        0 => flip_bit(input, random),
        1 => overwrite(input, &[random.u8(..)], random),
        2 => overwrite(input, choose(&TOKENS, random), random),
        3 => drop(input.splice(range, choose(&TOKENS, random).iter().copied())),
        4 => drop(input.drain(range)),
        5 => input.truncate(range.start),
        6 => {
            let copy = input[range.clone()].to_vec();
            input.splice(range.end..range.end, copy);
        }
        _ => {
            let piece = other[self::range(other.len(), random)].to_vec();
            input.splice(range, piece);
        }
    }
}

fn flip_bit(input: &mut [u8], random: &mut Rng) {
    if !input.is_empty() {
        let at = random.usize(0..input.len());
        input[at] ^= 1 << random.u8(0..8);
    }
}

/// Writes over bytes at any place, as far as there are any.
fn overwrite(input: &mut [u8], token: &[u8], random: &mut Rng) {
    let at = random.usize(0..=input.len());
    for (place, byte) in input[at..].iter_mut().zip(token) {
        *place = *byte;
    }
}

/// Returns a range within `length`; most are short.
fn range(length: usize, random: &mut Rng) -> std::ops::Range<usize> {
    let start = random.usize(0..=length);
    let longest = if random.u8(..) < 32 { length } else { 8 };
    start..length.min(start + random.usize(0..=longest))
}

fn choose<'a, T: AsRef<[u8]>>(all: &'a [T], random: &mut Rng) -> &'a [u8] {
    all[random.usize(0..all.len())].as_ref()
}

/// What the formats give a meaning to, and numbers at their limits.
const TOKENS: [&[u8]; 36] = [
    b"\n",
    b" ",
    b"\\",
    b"!",
    b"=",
    b"0",
    b"-1",
    b"65535",
    b"65536",
    b"134217729",
    b"18446744073709551616",
    b"nan",
    b"1e309",
    b"0x1p-1075",
    b"+ k ",
    b"+ n ",
    b"+ b 2\n",
    b"- X ",
    b"* e ",
    b"* u L ",
    b"# namespace ",
    b"Version 3.0\n",
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\0\0\0\x01",
    b"\0\x01\0\x01",
    b"\x7f\xff\xff\xff",
    b"\x08\0\0\x01",
    b"\xff\xff\xff\xff",
    b"\t",
    b";",
    b":",
    b",[",
    b"]]",
    b"ERROR:",
];
