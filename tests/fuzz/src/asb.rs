//! The decoder of the text format.

use asbackup_codec::Step;
use asbackup_codec::asb::{self, DecodeError, Decoder, FileOrder, Position, Spelling, Version};
use asbackup_model::owned::Record;
use asbackup_model::{RecordLayout, SecondaryIndex, UdfModule};

use crate::{choices, record};

/// Reads any bytes as a file: at once and in pieces with the same result, and what was read is written and read again to
/// the same entries.
pub fn asb_decode(input: &[u8]) {
    let whole = read(&[input]);
    assert_eq!(read(&pieces(input)), whole, "another result in pieces");
    if whole.entries.iter().all(Entry::fits) {
        for spelling in [Spelling::Base64, Spelling::Compact] {
            check_round_trip(&whole.entries, spelling);
        }
    }
    for entry in &whole.entries {
        if let Entry::Record(found) = entry {
            record::check_row(found);
        }
    }
}

/// What a text holds behind its header.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Record(Record),
    Index(SecondaryIndex),
    Udf(UdfModule),
}

/// What a decoder makes of a whole text.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) entries: Vec<Entry>,
    pub(crate) end: Result<(), DecodeError>,
    namespace: Option<Vec<u8>>,
    position: Position,
}

/// Decodes a text that arrives in pieces, asks again after each of them, and checks each answer.
pub(crate) fn read(pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut layout) = (Decoder::new(), RecordLayout::new());
    let (mut text, mut entries) = (Vec::new(), Vec::new());
    let (mut at, mut promised) = (0, 0);
    let mut damage = None;
    'text: for piece in pieces {
        text.extend_from_slice(piece);
        loop {
            let rest = &text[at..];
            match decoder.decode(rest, &mut layout) {
                Step::Done { value, used } => {
                    assert!((1..=rest.len()).contains(&used), "an entry of {used} bytes");
                    assert!(text.len() >= promised, "done with fewer bytes than were asked for");
                    entries.extend(Entry::new(value, &layout, rest));
                    at += used;
                    promised = 0;
                }
                Step::Need(bytes) => {
                    assert!(bytes > 0, "nothing was asked for");
                    promised = promised.max(text.len() + bytes);
                    break;
                }
                Step::Damaged(error) => {
                    let again = decoder.decode(rest, &mut layout);
                    assert_eq!(again, Step::Damaged(error), "another answer to the same question");
                    damage = Some(error);
                    break 'text;
                }
            }
        }
    }
    check_position(decoder.position(), &text[..at]);
    let end = damage.map_or_else(|| decoder.finish(&text[at..]), Err);
    if let Err(error) = end {
        check_position(error.position(), &text[..offset(error.position(), text.len())]);
        assert!(offset(error.position(), text.len()) >= at, "{error} lies before the entry that it is about");
    }
    let namespace = decoder.namespace().map(<[u8]>::to_vec);
    Outcome { entries, end, namespace, position: decoder.position() }
}

/// Checks that a position is the one behind `before`.
fn check_position(position: Position, before: &[u8]) {
    assert_eq!(position.byte, before.len() as u64);
    let line_feeds = before.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(position.line, 1 + line_feeds as u64);
}

/// Returns the byte of a position, which must lie within the text or at its end.
fn offset(position: Position, text_bytes: usize) -> usize {
    let byte = usize::try_from(position.byte).unwrap_or(usize::MAX);
    assert!(byte <= text_bytes, "{position} is behind the end");
    byte
}

/// Cuts a text into a few pieces, now and then into single bytes.
fn pieces(text: &[u8]) -> Vec<&[u8]> {
    let mut choices = choices(text);
    if text.len() < 1_000 && choices.u8(..) < 16 {
        return text.chunks(1).collect();
    }
    let mut cuts: Vec<_> = (0..choices.usize(1..6)).map(|_| choices.usize(0..=text.len())).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

fn check_round_trip(entries: &[Entry], spelling: Spelling) {
    let text = write(entries, spelling);
    let again = read(&[&text]);
    assert_eq!(again.end, Ok(()), "in {:?}", text.escape_ascii().to_string());
    let expected: Vec<_> = entries.iter().cloned().map(Entry::left_in_text).collect();
    assert_eq!(again.entries, expected);
    assert_eq!(write(&again.entries, spelling), text, "another text for the same entries");
}

/// Writes a file of these entries.
pub(crate) fn write(entries: &[Entry], spelling: Spelling) -> Vec<u8> {
    let mut out = Vec::new();
    asb::encode_header(&mut out, Version::V31, b"namespace", FileOrder::First);
    for entry in entries {
        match entry {
            Entry::Record(record) => {
                asb::encode_record(&mut out, &record.layout().view(&[]), spelling);
            }
            Entry::Index(index) => asb::encode_index(&mut out, index),
            Entry::Udf(udf) => asb::encode_udf(&mut out, udf),
        }
    }
    out
}

impl Entry {
    fn new(entry: asb::Entry, layout: &RecordLayout, input: &[u8]) -> Option<Self> {
        match entry {
            asb::Entry::HeaderLine => None,
            asb::Entry::Record => Some(Self::Record(layout.view(input).into())),
            asb::Entry::SecondaryIndex(index) => Some(Self::Index(index)),
            asb::Entry::UdfModule(udf) => Some(Self::Udf(udf)),
        }
    }

    pub(crate) fn into_record(self) -> Option<Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Index(_) | Self::Udf(_) => None,
        }
    }

    /// Returns whether all names can be written: each of their bytes may need a backslash, which counts for the limit.
    pub(crate) fn fits(&self) -> bool {
        let fits = |name: &[u8]| 2 * name.len() <= asb::MAX_TOKEN_BYTES;
        match self {
            Self::Record(record) => {
                fits(&record.namespace)
                    && record.set.as_deref().is_none_or(fits)
                    && record.bins.iter().all(|(name, _)| fits(name))
            }
            Self::Index(index) => {
                [&index.namespace, &index.name, &index.bin].into_iter().all(|name| fits(name))
                    && index.set.as_deref().is_none_or(fits)
            }
            Self::Udf(udf) => fits(&udf.name),
        }
    }

    fn left_in_text(self) -> Self {
        match self {
            Self::Record(record) => Self::Record(record::left_in_text(record)),
            other => other,
        }
    }
}
