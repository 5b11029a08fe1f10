//! The words of each error. Whoever changes them sees here all that people will read.

use std::collections::HashSet;
use std::mem::discriminant;

use asbackup_codec::envelope::KeyError;
use asbackup_codec::wire::ResultCode;
use asbackup_codec::{asb, envelope, wire};

#[test]
fn rules_of_the_text_format() {
    use asb::Rule::*;
    let cases = [
        (NotABackup, "not a backup file, or one that is still compressed or encrypted"),
        (
            UnsupportedVersion { version: *b"4\n\xff" },
            r"unsupported version '4\n\xff', known are 3.0, 3.1 and 3.2",
        ),
        (UnknownMetadata, "unknown metadata line"),
        (LateMetadata, "metadata line after the header"),
        (UnknownLine { found: b'?' }, "unknown line '?'"),
        (UnknownGlobal { found: b'\n' }, r"unknown global line '\n'"),
        (LegacyGlobal, "global line in a file of version 3.0"),
        (Expected { expected: b'\n', found: b'\'' }, r"expected '\n', found '\''"),
        (UnknownKeyType { found: 0 }, r"unknown key type '\x00'"),
        (UnknownBinType { found: b'Q' }, "unknown bin type 'Q'"),
        (LargeDataType, "bin is a large data type (LDT), which no current server can store"),
        (UnknownBoolean { found: b'1' }, "unknown boolean '1'"),
        (TokenTooLong, "token is longer than 999 bytes"),
        (EmptyNumber, "number without digits"),
        (NotADigit { found: b' ' }, "' ' is no digit"),
        (NumberOutOfRange { limit: 65_535 }, "number is out of range, the largest is 65535"),
        (NotAFloat, "not a floating-point number"),
        (FloatOutOfRange, "floating-point number is out of range"),
        (InvalidBase64, "invalid base64"),
        (DigestLength { bytes: 3 }, "digest of 3 bytes, it must have 20"),
        (ValueTooLong { bytes: u64::MAX }, "value of 18446744073709551615 bytes, the limit is 134217728"),
        (EntryTooLong, "entry is longer than 268435456 bytes"),
        (UnknownIndexKind { found: b'Q' }, "unknown index type 'Q'"),
        (UnknownIndexedType { found: b'Q' }, "unknown type of indexed values 'Q'"),
        (NoIndexPath, "index without paths"),
        (IndexTextTooLong, "context or expression of an index is longer than 1048576 bytes"),
        (UnknownUdfLanguage { found: b'P' }, "unknown UDF language 'P'"),
        (CutHeader, "file ends within its header"),
        (CutEntry, "file ends within an entry"),
    ];
    let rules: HashSet<_> = cases.iter().map(|(rule, _)| discriminant(rule)).collect();
    assert_eq!(rules.len(), 29, "one case for each rule");
    for (rule, text) in cases {
        assert_eq!(rule.to_string(), text);
    }
}

#[test]
fn rules_of_the_wire() {
    use wire::Rule::*;
    let cases = [
        (FrameVersion(3), "frame of version 3 instead of 2"),
        (FrameKind(5), "frame of unknown type 5"),
        (FrameBytes(1 << 40), "frame body of 1099511627776 bytes, over the limit of 134217728"),
        (HeaderBytes(23), "message header of 23 bytes instead of 22"),
        (MessageBytes, "message over the limit of 134217728 bytes"),
        (EmptyField, "field of length 0"),
        (FieldBytes { kind: 4, bytes: 19 }, "field of type 4 with 19 bytes of data"),
        (MissingField(0), "message without a field of type 0"),
        (OpBytes(4), "op of length 4, too short for its name"),
        (Partition(4096), "partition 4096, over the limit of 4095"),
        (BatchTruncated, "batch ends within a row"),
        (BatchRepeat, "first row of a batch repeats the row before"),
        (SecurityTruncated, "security message ends within its header or a field"),
    ];
    let rules: HashSet<_> = cases.iter().map(|(rule, _)| discriminant(rule)).collect();
    assert_eq!(rules.len(), 13, "one case for each rule");
    for (rule, text) in cases {
        assert_eq!(rule.to_string(), text);
    }
}

#[test]
fn result_codes_have_a_number_and_a_name() {
    for (code, shown, name) in [
        (ResultCode::OK, "0 ok", "ok"),
        (ResultCode::GENERATION, "3 generation", "generation"),
        (ResultCode::RECORD_TOO_BIG, "13 record too big", "record_too_big"),
        (ResultCode::XDR_KEY_BUSY, "32 xdr key busy", "xdr_key_busy"),
        (ResultCode(199), "199 unknown code", "unknown_code"),
    ] {
        assert_eq!((code.to_string().as_str(), code.name()), (shown, name));
    }
}

#[test]
fn keys() {
    use KeyError::*;
    let label = || "CERTIFICATE".to_owned();
    for (error, text) in [
        (Empty, "key is empty"),
        (
            NoPem,
            "no PEM block, which begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----",
        ),
        (
            UnfinishedPem { label: label() },
            r#"PEM block "CERTIFICATE" has no line -----END CERTIFICATE-----"#,
        ),
        (
            OtherPem { label: label() },
            r#"first PEM block is "CERTIFICATE", it must be "PRIVATE KEY" or "RSA PRIVATE KEY""#,
        ),
        (Encrypted, "private key is encrypted with a password, it must be stored without one"),
        (InvalidBase64, "invalid base64"),
        (NotRsa, "private key isn't an RSA key"),
        (MultiPrime, "RSA key has more than two primes"),
        (Damaged { at: 7 }, "no private key in PKCS#1 or PKCS#8: damaged at byte 7 of its DER"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn errors_of_compressed_data() {
    use envelope::ZstdError::*;
    let cases = [
        (Damaged { reason: "oh" }, "the compressed data is damaged: oh"),
        (Cut, "the compressed data ends within a frame"),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
}
