//! Each rule that a text can break, and where the error says that it is broken.

use std::collections::HashSet;
use std::mem::discriminant;

use asbackup_codec::Step;
use asbackup_codec::asb::{Decoder, MAX_INDEX_TEXT_BYTES, MAX_VALUE_BYTES, Rule};
use asbackup_model::RecordLayout;

use crate::asb_text::decode;

#[test]
fn every_rule_is_found_broken_where_it_is() {
    let mut reached = HashSet::new();
    for (text, rule, line, byte) in cases() {
        let shown: String =
            text.iter().take(120).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
        let error = decode(&text).end.expect_err(&shown);
        let position = error.position();
        assert_eq!((error.rule(), position.line, position.byte), (rule, line, byte), "{shown}");
        reached.insert(discriminant(&rule));
    }
    assert_eq!(reached.len(), 28, "one case at least for each rule; EntryTooLong has its own test");
}

#[test]
fn an_entry_above_the_limit_is_refused_before_it_arrives() {
    let mut text = format!("+ k S {MAX_VALUE_BYTES} ").into_bytes();
    text.resize(text.len() + MAX_VALUE_BYTES, 0);
    text.extend_from_slice(b"\n+ n n\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 1\n");
    text.extend_from_slice(format!("- S v {MAX_VALUE_BYTES} ").as_bytes());
    let mut decoder = Decoder::new();
    let mut layout = RecordLayout::new();
    decoder.decode(b"Version 3.1\n", &mut layout);
    let Step::Damaged(error) = decoder.decode(&text, &mut layout) else { panic!("not refused") };
    assert_eq!(error.rule(), Rule::EntryTooLong);
    assert_eq!((error.position().line, error.position().byte), (2, 12));
}

#[test]
fn messages_name_the_rule_and_the_place() {
    let error = decode(b"Version 3.1\n? x\n").end.unwrap_err();
    assert_eq!(error.to_string(), "unknown line '?' at line 2, byte 12");
    let error = decode(b"Version 4.0\n").end.unwrap_err();
    assert_eq!(error.to_string(), "unsupported version '4.0', known are 3.0, 3.1 and 3.2 at line 1, byte 8");
}

#[rustfmt::skip]
fn cases() -> Vec<(Vec<u8>, Rule, u64, u64)> {
    let mut cases = vec![
        (b"Versiom 3.1\n".to_vec(), Rule::NotABackup, 1, 0),
        (b"Version 2.0\n".to_vec(), Rule::UnsupportedVersion { version: *b"2.0" }, 1, 8),
        (b"Versio".to_vec(), Rule::CutHeader, 1, 6),
        (b"Version 3.1\n# first".to_vec(), Rule::CutHeader, 2, 19),
        (b"Version 3.0\n* i n s i N 1 b N\n".to_vec(), Rule::LegacyGlobal, 2, 12),
    ];
    let body = |text: &str, rule, line: u64, byte: u64| {
        (format!("Version 3.1\n{text}").into_bytes(), rule, line + 1, byte + 12)
    };
    let long = "7".repeat(1000);
    cases.extend([
        body("# other\n", Rule::UnknownMetadata, 1, 2),
        body(&format!("# namespace {long}\n"), Rule::TokenTooLong, 1, 12),
        body("+ n ", Rule::CutEntry, 1, 4),
        body("? x\n", Rule::UnknownLine { found: b'?' }, 1, 0),
        body("* x\n", Rule::UnknownGlobal { found: b'x' }, 1, 2),
        body("* i n s i Q 1 b N\n", Rule::UnknownIndexKind { found: b'Q' }, 1, 10),
        body("* i n s i N 0 b N\n", Rule::NoIndexPath, 1, 12),
        body("* i n s i N 4294967296 b N\n", Rule::NumberOutOfRange { limit: u32::MAX.into() }, 1, 12),
        body("* i n s i N 1 b Q\n", Rule::UnknownIndexedType { found: b'Q' }, 1, 16),
        body(&format!("* i n s i N 1 b N {}\n", "A".repeat(MAX_INDEX_TEXT_BYTES + 1)), Rule::IndexTextTooLong, 1, 18),
        body("* u P x 0 \n", Rule::UnknownUdfLanguage { found: b'P' }, 1, 4),
        body("+ k Q 1\n", Rule::UnknownKeyType { found: b'Q' }, 1, 4),
        body("+ k I -\n", Rule::EmptyNumber, 1, 6),
        body("+ k I \n", Rule::EmptyNumber, 1, 6),
        body("+ k I 9223372036854775808\n", Rule::NumberOutOfRange { limit: i64::MAX.unsigned_abs() }, 1, 6),
        body("+ k I -9223372036854775809\n", Rule::NumberOutOfRange { limit: 1 << 63 }, 1, 6),
        body("+ k I 1-\n", Rule::NotADigit { found: b'-' }, 1, 7),
        body(&format!("+ k I {}\n", "0".repeat(1000)), Rule::TokenTooLong, 1, 6),
        body(&format!("+ k D {long}\n"), Rule::TokenTooLong, 1, 6),
        body("+ k D 1e309\n", Rule::FloatOutOfRange, 1, 6),
        body("+ k D 0x1p1024\n", Rule::FloatOutOfRange, 1, 6),
        body("+ k D one\n", Rule::NotAFloat, 1, 6),
        body("+ k S 4294967296 \n", Rule::ValueTooLong { bytes: 1 << 32 }, 1, 6),
        body("+ k S 134217729 \n", Rule::ValueTooLong { bytes: 134_217_729 }, 1, 6),
        body("+ k S 99999999999999999999999 \n", Rule::ValueTooLong { bytes: u64::MAX }, 1, 6),
        body("+ k S 1 ab\n", Rule::Expected { expected: b'\n', found: b'b' }, 1, 9),
        body("+ k S 2 a\n\n+ n n\n+ x \n", Rule::Expected { expected: b'd', found: b'x' }, 4, 19),
        body("+ k B 4 AB=A\n", Rule::InvalidBase64, 1, 8),
        body("+ n n\n+ d AAEC\n", Rule::DigestLength { bytes: 3 }, 2, 10),
        body("+ n n\n+ d AAECAwQFBgcICQoLDA0ODxAREhM\n", Rule::InvalidBase64, 2, 10),
        body(&format!("+ n n\n+ d {long}"), Rule::TokenTooLong, 2, 10),
    ]);
    let head = "+ n n\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n";
    let record = |text: &str, rule, line: u64, byte: u64| body(&format!("{head}{text}"), rule, line + 2, byte + 39);
    cases.extend([
        record("+ g 65536\n", Rule::NumberOutOfRange { limit: 65535 }, 1, 4),
        record("+ g 1\n+ t 9223372036854775808\n", Rule::NumberOutOfRange { limit: i64::MAX.unsigned_abs() }, 2, 10),
        record("+ g 1\n+ t 0\n+ b 65536\n", Rule::NumberOutOfRange { limit: 65535 }, 3, 16),
        record("+ g 1\n+ t 0\n+ b 0\n# first-file\n", Rule::LateMetadata, 4, 18),
        record("+ g 1\n+ t 0\n+ b 1\n- U v 0 \n", Rule::LargeDataType, 4, 20),
        record("+ g 1\n+ t 0\n+ b 1\n- Q v 0\n", Rule::UnknownBinType { found: b'Q' }, 4, 20),
        record("+ g 1\n+ t 0\n+ b 1\n- Z v 1\n", Rule::UnknownBoolean { found: b'1' }, 4, 24),
        record(&format!("+ g 1\n+ t 0\n+ b 1\n- N {long}\n"), Rule::TokenTooLong, 4, 22),
        record(&format!("+ g 1\n+ t 0\n+ b 1\n- N \\{long}\n"), Rule::TokenTooLong, 4, 22),
    ]);
    cases
}
