//! Base64 with the standard alphabet and padding.

use asbackup_model::{Digest, Span};
use base64_simd::{AsOut as _, STANDARD};

use super::MAX_TOKEN_BYTES;
use super::cursor::{Cursor, Parse, Stop};
use super::error::Rule;

/// Returns how many characters the base64 of some bytes has.
pub(super) fn encoded_bytes(bytes: &[u8]) -> usize {
    STANDARD.encoded_length(bytes.len())
}

/// Appends the base64 of some bytes.
pub(super) fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    // `encode_append` reserves exactly what it needs, so that `out` would be copied for every value.
    out.reserve(encoded_bytes(bytes));
    STANDARD.encode_append(bytes, out);
}

/// Reads a length and so many characters of base64; returns where the bytes lie that they stand for.
pub(super) fn sized(cursor: &mut Cursor<'_>, decoded: &mut Vec<u8>) -> Parse<Span> {
    let (text, at) = cursor.sized()?;
    let start = decoded.len();
    decode(text, decoded).ok_or(Stop::Broken(Rule::InvalidBase64, at))?;
    Ok(Span::decoded(start, decoded.len() - start))
}

/// Reads a digest up to the line feed, which stays.
pub(super) fn digest(cursor: &mut Cursor<'_>) -> Parse<Digest> {
    let at = cursor.at();
    let text = cursor.line(MAX_TOKEN_BYTES, Rule::TokenTooLong)?;
    if let Some(digest) = strict_digest(text) {
        return Ok(digest);
    }
    let mut decoded = Vec::new();
    decode(text, &mut decoded).ok_or(Stop::Broken(Rule::InvalidBase64, at))?;
    let bytes = decoded.len();
    let digest = decoded.try_into().map_err(|_| Stop::Broken(Rule::DigestLength { bytes }, at))?;
    Ok(Digest(digest))
}

/// Decodes the 28 characters that every digest has.
fn strict_digest(text: &[u8]) -> Option<Digest> {
    let text: &[u8; 28] = text.try_into().ok()?;
    let mut bytes = [0; 21];
    let decoded = STANDARD.decode(text, bytes.as_mut_slice().as_out()).ok()?;
    (&*decoded).try_into().ok().map(Digest)
}

/// Appends the bytes of a base64 text, or nothing if it is wrong.
fn decode(text: &[u8], decoded: &mut Vec<u8>) -> Option<()> {
    decoded.reserve(STANDARD.estimated_decoded_length(text.len()));
    match STANDARD.decode_append(text, decoded) {
        Ok(()) => Some(()),
        Err(_) => decode_leniently(text, decoded),
    }
}

/// Decodes what the strict decoder refuses but backup-go takes: line ends between the characters, and bits that are set
/// in the last character although they mean nothing. Source: docs/format/asb.md, "Base64".
#[cold]
fn decode_leniently(text: &[u8], decoded: &mut Vec<u8>) -> Option<()> {
    let start = decoded.len();
    let result = lenient_groups(text, decoded);
    if result.is_none() {
        decoded.truncate(start);
    }
    result
}

fn lenient_groups(text: &[u8], decoded: &mut Vec<u8>) -> Option<()> {
    let mut characters = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    while let Some(first) = characters.next() {
        let group = [first, characters.next()?, characters.next()?, characters.next()?];
        let significant = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 3,
            _ => 4,
        };
        let bits =
            group.iter().take(significant).try_fold(0, |bits, byte| Some(bits << 6 | sextet(*byte)?))?;
        let [_, bytes @ ..] = (bits << (6 * (4 - significant))).to_be_bytes();
        decoded.extend(bytes.iter().take(significant - 1));
        if significant < 4 && characters.next().is_some() {
            return None;
        }
    }
    Some(())
}

fn sextet(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_texts_are_decoded() {
        let cases: [(&str, &[u8]); 8] = [
            ("", b""),
            ("AQID", b"\x01\x02\x03"),
            ("A\nQ\r\nID\n", b"\x01\x02\x03"),
            ("AQ\n==", b"\x01"),
            ("AQ==\r\n", b"\x01"),
            ("AB==", b"\x00"),
            ("AAF=", b"\x00\x01"),
            ("+/+/", b"\xfb\xff\xbf"),
        ];
        for (text, bytes) in cases {
            assert_eq!(decoded(text), Some(bytes.to_vec()), "{text:?}");
        }
    }

    #[test]
    fn wrong_texts_leave_nothing_behind() {
        for text in ["A", "AQ", "AQI", "AQ=", "A===", "====", "AQ==AQ==", "AQI=A", "AB-_", "AQ I", "AQIDA"] {
            assert_eq!(decoded(text), None, "{text:?}");
        }
    }

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = decode(text.as_bytes(), &mut out);
        let bytes = out.strip_prefix(b"before").unwrap().to_vec();
        assert!(result.is_some() || bytes.is_empty());
        result.map(|()| bytes)
    }
}
