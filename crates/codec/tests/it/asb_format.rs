//! Single facts of the text format that no golden file shows.

use asbackup_codec::Step;
use asbackup_codec::asb::{self, Decoder, Entry, MAX_TOKEN_BYTES, Spelling};
use asbackup_model::arbitrary::{OwnedKey, OwnedValue, Record};
use asbackup_model::{
    BytesType, Digest, IndexKind, IndexedType, Inexact, RecordLayout, SecondaryIndex, VoidTime,
};

use crate::asb_text::{Token, decode, decode_pieces, encode};

#[test]
fn version_3_0_keeps_backslashes() {
    let text = bins(b"Version 3.0\n# namespace a\\b\n", &[b"- N c\\"]);
    let outcome = decode(&text);
    assert_eq!(outcome.end, Ok(()));
    assert_eq!(outcome.namespace.as_deref(), Some(&b"a\\b"[..]));
    assert_eq!(outcome.tokens, [Token::Record(record(vec![(b"c\\".to_vec(), OwnedValue::Nil)]))]);
}

#[test]
fn the_last_namespace_of_a_header_wins() {
    let outcome = decode(b"Version 3.1\n# namespace a\n# first-file\n# namespace b\n# first-file\n");
    assert_eq!(outcome.end, Ok(()));
    assert_eq!(outcome.namespace.as_deref(), Some(&b"b"[..]));
}

#[test]
fn a_name_may_have_999_bytes() {
    let name = vec![b'n'; MAX_TOKEN_BYTES];
    let line = [b"- N ", &name[..]].concat();
    let outcome = decode(&bins(b"Version 3.1\n", &[&line]));
    assert_eq!(outcome.tokens, [Token::Record(record(vec![(name, OwnedValue::Nil)]))]);
}

#[test]
fn a_minus_nan_keeps_its_sign() {
    let outcome = decode(&bins(b"Version 3.1\n", &[b"- D a -nan", b"- D b nan"]));
    let expected = vec![
        (b"a".to_vec(), OwnedValue::Float((-f64::NAN).to_bits())),
        (b"b".to_vec(), OwnedValue::Float(f64::NAN.to_bits())),
    ];
    assert_eq!(outcome.tokens, [Token::Record(record(expected))]);
}

#[test]
fn of_many_bins_with_one_name_the_last_is_kept() {
    let lines: Vec<Vec<u8>> = (0..3000).map(|i| format!("- I bin{} {i}", i % 1000).into_bytes()).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outcome = decode(&bins(b"Version 3.1\n", &lines));
    let expected = (2000..3000).map(|i| (format!("bin{}", i - 2000).into_bytes(), OwnedValue::Integer(i)));
    assert_eq!(outcome.tokens, [Token::Record(record(expected.collect()))]);
}

#[test]
fn names_that_differ_are_all_kept() {
    // Short ones, ones with the same ends, and as many as a record may have.
    let lines: Vec<Vec<u8>> =
        (0..65_535).map(|i| format!("- N {i:x}\\ middle{}same-end", i % 7).into_bytes()).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outcome = decode(&bins(b"Version 3.1\n", &lines));
    let [Token::Record(record)] = &outcome.tokens[..] else { panic!("not one record") };
    assert_eq!(record.bins.len(), 65_535);
}

/// If each piece were read from the beginning of the record, this would take some minutes.
#[test]
fn a_record_that_comes_byte_by_byte_is_read_only_once() {
    let lines: Vec<Vec<u8>> = (0..20_000).map(|i| format!("- I bin{i} {i}").into_bytes()).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let text = bins(b"Version 3.1\n", &lines);
    let pieces: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(decode_pieces(&pieces), decode(&text));
}

#[test]
fn a_long_value_asks_for_all_that_is_missing() {
    let mut text = bins(b"", &[b"- S v 1048576 0123456789"]);
    text.pop();
    let mut decoder = Decoder::new();
    let mut layout = RecordLayout::new();
    decoder.decode(b"Version 3.1\n", &mut layout);
    assert_eq!(decoder.decode(&text, &mut layout), Step::Need(1_048_576 - 10 + 1));
}

#[test]
fn a_new_layout_in_the_middle_of_a_record_is_filled_from_its_beginning() {
    let text = bins(b"", &[b"- I a 1", b"- I b 2", b"- S c 3 abc"]);
    let mut decoder = Decoder::new();
    decoder.decode(b"Version 3.1\n", &mut RecordLayout::new());
    assert_eq!(decoder.decode(&text[..text.len() - 2], &mut RecordLayout::new()), Step::Need(2));
    let mut layout = RecordLayout::new();
    let done = decoder.decode(&text, &mut layout);
    assert_eq!(done, Step::Done { value: Entry::Record, used: text.len() });
    assert_eq!(Record::from(layout.view(&text)).bins.len(), 3);
}

#[test]
fn what_the_text_cannot_say_is_counted() {
    let payload = f64::NAN.to_bits() | 1;
    let mut record = record(vec![
        (b"a".to_vec(), OwnedValue::Float(payload)),
        (b"b".to_vec(), OwnedValue::Float(f64::NAN.to_bits())),
        (b"c".to_vec(), OwnedValue::Bytes(BytesType::Unknown(42), vec![1, 2])),
    ]);
    record.key = Some(OwnedKey::Float((-f64::NAN).to_bits()));
    let mut text = Vec::new();
    let inexact = asb::encode_record(&mut text, &record.layout().view(&[]), Spelling::Base64);
    assert_eq!(inexact, Inexact { nan_payload: 2, unknown_particle: 1 });
    assert!(text.starts_with(b"+ k D NaN\n"));
    assert!(text.ends_with(b"- D a NaN\n- D b NaN\n- B c 4 AQI=\n"));
}

#[test]
fn language_blobs_keep_their_letter() {
    let kinds = [
        (BytesType::Java, 'J'),
        (BytesType::CSharp, 'C'),
        (BytesType::Python, 'P'),
        (BytesType::Ruby, 'R'),
        (BytesType::Php, 'H'),
        (BytesType::Erlang, 'E'),
    ];
    for (kind, letter) in kinds {
        let tokens = [Token::Record(record(vec![(b"v".to_vec(), OwnedValue::Bytes(kind, vec![1]))]))];
        for (spelling, line) in [
            (Spelling::Base64, format!("- {letter} v 4 AQ==\n")),
            (Spelling::Compact, format!("- {letter}! v 1 \x01\n")),
        ] {
            let text = encode(&tokens, spelling);
            assert!(text.ends_with(line.as_bytes()), "{}", text.escape_ascii());
            assert_eq!(decode(&[b"Version 3.1\n", &text[..]].concat()).tokens, tokens);
        }
    }
}

#[test]
fn an_index_with_context_and_expression_is_written_as_the_peer_does() {
    let index = SecondaryIndex {
        namespace: b"n".to_vec(),
        set: None,
        name: b"i".to_vec(),
        kind: IndexKind::Default,
        bin: b"null".to_vec(),
        indexed: IndexedType::String,
        context: Some(b"AQ==".to_vec()),
        expression: Some(b"Ag==".to_vec()),
    };
    let text = encode(&[Token::Index(index)], Spelling::Base64);
    assert_eq!(text, b"* e n  i N 1 null S AQ== Ag==\n");
}

/// Returns a file with one record that has these bin lines.
fn bins(header: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let mut text = header.to_vec();
    text.extend_from_slice(b"+ n n\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n");
    text.extend_from_slice(format!("+ b {}\n", lines.len()).as_bytes());
    for line in lines {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

/// Returns that record.
fn record(bins: Vec<(Vec<u8>, OwnedValue)>) -> Record {
    Record {
        namespace: b"n".to_vec(),
        set: None,
        digest: Digest(std::array::from_fn(|i| i as u8)),
        key: None,
        generation: 1,
        void_time: VoidTime::NEVER,
        bins,
    }
}
