//! A record that names a bin twice keeps the last value, as in backup-go. Source: docs/format/asb.md, "Bins".

use asbackup_model::{RecordLayout, Span};

/// Drops every bin whose name comes again later. `order` is memory to work with.
pub(super) fn keep_last(layout: &mut RecordLayout, input: &[u8], order: &mut Vec<u32>) {
    if may_repeat(layout, input) {
        drop_repeated(layout, input, order);
    }
}

/// Returns false only if all names differ. Says so for nearly all records in one pass.
fn may_repeat(layout: &RecordLayout, input: &[u8]) -> bool {
    let mut seen = [0u64; 16];
    layout.bins.iter().any(|bin| {
        let print = fingerprint(bytes(bin.name, input, &layout.decoded));
        let bit = 1 << (print & 63);
        let Some(word) = seen.get_mut((print >> 6 & 15) as usize) else { return true };
        let repeated = *word & bit != 0;
        *word |= bit;
        repeated
    })
}

fn drop_repeated(layout: &mut RecordLayout, input: &[u8], order: &mut Vec<u32>) {
    let RecordLayout { bins, decoded, .. } = layout;
    let name =
        |index: u32| bins.get(index as usize).map(|bin| bytes(bin.name, input, decoded)).unwrap_or_default();
    order.clear();
    order.extend((0..).take(bins.len()));
    order.sort_unstable_by(|a, b| name(*a).cmp(name(*b)).then(b.cmp(a)));
    // Of each name, the one with the highest index is now the first.
    order.dedup_by(|next, kept| name(*next) == name(*kept));
    order.sort_unstable();
    let mut kept = order.iter().peekable();
    let mut index = 0;
    bins.retain(|_| {
        index += 1;
        kept.next_if(|kept| **kept == index - 1).is_some()
    });
}

/// Returns ten bits that differ for most pairs of names.
fn fingerprint(name: &[u8]) -> u64 {
    let (head, tail) = match (name.first_chunk(), name.last_chunk()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => short_ends(name),
    };
    let mixed = (head ^ tail.rotate_left(29)).wrapping_add(name.len() as u64);
    mixed.wrapping_mul(ODD_MULTIPLIER) >> 54
}

/// Returns both ends of a name of less than 8 bytes.
fn short_ends(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(head), Some(tail)) => (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into()),
        _ => (name.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
    }
}

fn bytes<'a>(span: Span, input: &'a [u8], decoded: &'a [u8]) -> &'a [u8] {
    span.of(input, decoded).unwrap_or_default()
}

/// 2^64 divided by the golden ratio, which spreads neighbouring values over the upper bits.
const ODD_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
