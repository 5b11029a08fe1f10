//! Decoding whole texts in pieces, and encoding what came out.

use asbackup_codec::Step;
use asbackup_codec::asb::{self, DecodeError, Decoder, Entry, Spelling};
use asbackup_model::arbitrary::Record;
use asbackup_model::{RecordLayout, SecondaryIndex, UdfModule};

/// What a text holds behind its header.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Record(Record),
    Index(SecondaryIndex),
    Udf(UdfModule),
}

/// What a decoder makes of a whole text.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) tokens: Vec<Token>,
    pub(crate) namespace: Option<Vec<u8>>,
    pub(crate) end: Result<(), DecodeError>,
}

/// Decodes a text that arrives at once.
pub(crate) fn decode(text: &[u8]) -> Outcome {
    decode_pieces(&[text])
}

/// Decodes a text that arrives in pieces; asks again after each of them, however few bytes it brought.
pub(crate) fn decode_pieces(pieces: &[&[u8]]) -> Outcome {
    let mut decoder = Decoder::new();
    let mut layout = RecordLayout::new();
    let mut tokens = Vec::new();
    let mut input = Vec::new();
    let mut promised = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&input, &mut layout) {
                Step::Done { value, used } => {
                    assert!(input.len() >= promised, "done with fewer bytes than were asked for");
                    tokens.extend(token(value, &layout, &input));
                    input.drain(..used);
                    promised = 0;
                }
                Step::Need(bytes) => {
                    assert!(bytes > 0, "nothing was asked for");
                    promised = promised.max(input.len() + bytes);
                    break;
                }
                Step::Damaged(error) => {
                    let again = decoder.decode(&input, &mut layout);
                    assert_eq!(again, Step::Damaged(error), "another answer to the same question");
                    return outcome(&decoder, tokens, Err(error));
                }
            }
        }
    }
    let end = decoder.finish(&input);
    outcome(&decoder, tokens, end)
}

/// Encodes tokens, without a header.
pub(crate) fn encode(tokens: &[Token], spelling: Spelling) -> Vec<u8> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::Record(record) => {
                asb::encode_record(&mut out, &record.layout().view(&[]), spelling);
            }
            Token::Index(index) => asb::encode_index(&mut out, index),
            Token::Udf(udf) => asb::encode_udf(&mut out, udf),
        }
    }
    out
}

fn token(entry: Entry, layout: &RecordLayout, input: &[u8]) -> Option<Token> {
    match entry {
        Entry::HeaderLine => None,
        Entry::Record => Some(Token::Record(layout.view(input).into())),
        Entry::SecondaryIndex(index) => Some(Token::Index(index)),
        Entry::UdfModule(udf) => Some(Token::Udf(udf)),
    }
}

fn outcome(decoder: &Decoder, tokens: Vec<Token>, end: Result<(), DecodeError>) -> Outcome {
    Outcome { tokens, namespace: decoder.namespace().map(<[u8]>::to_vec), end }
}
