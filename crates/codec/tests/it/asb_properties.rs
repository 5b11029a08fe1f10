//! What holds for every record and for every input.

use asbackup_codec::Step;
use asbackup_codec::asb::{Decoder, Entry, Spelling};
use asbackup_model::arbitrary::{self, OwnedKey, OwnedValue, Record};
use asbackup_model::{BytesType, RecordLayout};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::asb_text::{Token, decode, decode_pieces, encode};

proptest! {
    #[test]
    fn records_come_back_as_they_were(records in prop::collection::vec(arbitrary::record(), 1..4)) {
        let tokens: Vec<_> = records.iter().cloned().map(Token::Record).collect();
        let expected: Vec<_> = records.into_iter().map(as_text_can_say).map(Token::Record).collect();
        for spelling in [Spelling::Base64, Spelling::Compact] {
            let decoded = decode(&file(&tokens, spelling));
            prop_assert_eq!(decoded.end, Ok(()));
            prop_assert_eq!(&decoded.tokens, &expected);
            // What was decoded is encoded to the same bytes.
            prop_assert_eq!(encode(&decoded.tokens, spelling), encode(&tokens, spelling));
        }
    }

    #[test]
    fn global_lines_come_back_as_they_were(
        index in arbitrary::secondary_index(),
        udf in arbitrary::udf_module(),
    ) {
        let tokens = vec![Token::Udf(udf), Token::Index(index)];
        let decoded = decode(&file(&tokens, Spelling::Base64));
        prop_assert_eq!(decoded.end, Ok(()));
        prop_assert_eq!(decoded.tokens, tokens);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_result(
        records in prop::collection::vec(arbitrary::record(), 1..4),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let tokens: Vec<_> = records.into_iter().map(Token::Record).collect();
        for spelling in [Spelling::Base64, Spelling::Compact] {
            let text = file(&tokens, spelling);
            prop_assert_eq!(decode_pieces(&pieces(&text, &cuts)), decode(&text));
        }
    }

    #[test]
    fn a_cut_record_asks_for_no_more_than_is_missing(record in arbitrary::record(), cut in any::<Index>()) {
        let text = encode(&[Token::Record(record)], Spelling::Compact);
        let cut = cut.index(text.len());
        let mut decoder = Decoder::new();
        let mut layout = RecordLayout::new();
        decoder.decode(b"Version 3.1\n", &mut layout);
        match decoder.decode(&text[..cut], &mut layout) {
            Step::Need(bytes) => prop_assert!((1..=text.len() - cut).contains(&bytes)),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(decoder.finish(&text[..cut]).is_err() || cut == 0);
        let done = Step::Done { value: Entry::Record, used: text.len() };
        prop_assert_eq!(decoder.decode(&text, &mut layout), done);
    }

    #[test]
    fn damaged_text_ends_in_the_same_error_at_every_split(
        records in prop::collection::vec(arbitrary::record(), 1..3),
        damage in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(b'\n'), Just(b'9')]), 1..4),
        cuts in prop::collection::vec(any::<Index>(), 0..10),
    ) {
        let tokens: Vec<_> = records.into_iter().map(Token::Record).collect();
        let mut text = file(&tokens, Spelling::Base64);
        for (place, byte) in damage {
            let place = place.index(text.len());
            text[place] = byte;
        }
        prop_assert_eq!(decode_pieces(&pieces(&text, &cuts)), decode(&text));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        line in prop::sample::select(vec!["", "+ k ", "+ n a\n+ d ", RECORD, "* i ", "* u L ", "# "]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b" \n0123-+!\\ISDBX=".to_vec())], 0..200),
    ) {
        let mut text = b"Version 3.1\n".to_vec();
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(&bytes);
        decode(&text);
        decode(&bytes);
    }
}

const RECORD: &str = "+ n a\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 2\n- ";

fn file(tokens: &[Token], spelling: Spelling) -> Vec<u8> {
    let mut text = b"Version 3.1\n".to_vec();
    text.extend(encode(tokens, spelling));
    text
}

fn pieces<'a>(text: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len())).collect();
    cuts.sort_unstable();
    cuts.insert(0, 0);
    cuts.push(text.len());
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

/// Returns what is left of a record in the text form: one NaN for all, and no unknown particle types.
fn as_text_can_say(mut record: Record) -> Record {
    if let Some(OwnedKey::Float(bits)) = &mut record.key {
        *bits = one_nan(*bits);
    }
    for (_, value) in &mut record.bins {
        match value {
            OwnedValue::Float(bits) => *bits = one_nan(*bits),
            OwnedValue::Bytes(kind @ BytesType::Unknown(_), _) => *kind = BytesType::Blob,
            _ => {}
        }
    }
    record
}

fn one_nan(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits }
}
