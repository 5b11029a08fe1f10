//! Sealing the text of a document, and checking the seal. Source: docs/format/manifest.md, "Seal".

use asbackup_codec::envelope::AesKey;
use serde::{Deserialize, Serialize};

use super::{
    error::DocumentError,
    hash::{ACCIDENTS, Hashing, KEYED},
};

/// What every document begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// What says how a document is sealed.
#[derive(Deserialize)]
struct Hashed {
    hash: String,
}

/// The seal as it lies in the text: a slice of it, so that its place is known.
#[derive(Deserialize)]
struct Sealed<'a> {
    #[serde(borrow)]
    seal: &'a str,
}

/// Returns the text of a document, sealed. `document` must serialize an empty `seal` as its last key.
pub(crate) fn seal(document: &impl Serialize, hashing: &Hashing) -> String {
    let mut text = text(document);
    let seal = hashing.hash(&[text.as_bytes()]);
    let place = text.rfind("\"\"").map_or(text.len(), |quotes| quotes + 1);
    text.insert_str(place, &seal);
    text
}

/// Returns the text of a document.
pub(super) fn text(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("every key is a string, and nothing else can fail") + "\n"
}

/// Checks what a document says that it is.
pub(crate) fn check_head(text: &str, expected: &'static str, known: u64) -> Result<(), DocumentError> {
    let Head { format, version } = serde_json::from_str(text)?;
    if format != expected {
        return Err(DocumentError::Format { found: format, expected });
    }
    if version != known {
        return Err(DocumentError::Version { found: version, known });
    }
    Ok(())
}

/// Checks the seal of a document that names its hash. One that was sealed with a key needs it.
pub(crate) fn check_named_seal(text: &str, key: Option<&AesKey>) -> Result<(), DocumentError> {
    let Hashed { hash } = serde_json::from_str(text)?;
    match (hash.as_str(), key) {
        (ACCIDENTS, _) => check_seal(text, &Hashing::Accidents),
        (KEYED, None) => Err(DocumentError::KeyMissing),
        (KEYED, Some(_)) => check_seal(text, &Hashing::of(key)),
        _ => Err(DocumentError::Hash { found: hash }),
    }
}

/// Checks the seal of a document.
pub(crate) fn check_seal(text: &str, hashing: &Hashing) -> Result<(), DocumentError> {
    let Sealed { seal } = serde_json::from_str(text)?;
    // A string without escapes is borrowed from the text, and one with escapes can't be borrowed and is refused.
    let start = seal.as_ptr().addr() - text.as_ptr().addr();
    let (before, after) = (&text.as_bytes()[..start], &text.as_bytes()[start + seal.len()..]);
    let computed = hashing.hash(&[before, after]);
    if seal != computed {
        return Err(match hashing {
            Hashing::Accidents => DocumentError::Seal { found: seal.to_owned(), computed },
            Hashing::Keyed(_) => DocumentError::KeyedSeal,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Document {
        format: &'static str,
        empty: &'static str,
        version: u64,
        seal: &'static str,
    }

    fn sealed() -> String {
        seal(&Document { format: "f", empty: "", version: 1, seal: "" }, &PLAIN)
    }

    const PLAIN: Hashing = Hashing::Accidents;

    #[test]
    fn sealed_document_holds_wherever_its_seal_stands() {
        check_seal(&sealed(), &PLAIN).unwrap();
        let text = r#"{"seal":"","format":"f"}"#;
        let first = text.replace("\"\"", &format!("\"{}\"", PLAIN.hash(&[text.as_bytes()])));
        check_seal(&first, &PLAIN).unwrap();
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_found() {
        let text = sealed();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            assert!(check_seal(&flipped, &PLAIN).is_err(), "bit {bit}: {flipped}");
        }
        for len in 0..text.len() {
            assert!(check_seal(&text[..len], &PLAIN).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn head_says_format_and_version() {
        let text = sealed();
        check_head(&text, "f", 1).unwrap();
        assert_eq!(check_head(&text, "g", 1).unwrap_err().to_string(), r#"has the format "f", not "g""#);
        let error = check_head(&text, "f", 2).unwrap_err();
        assert!(matches!(error, DocumentError::Version { found: 1, known: 2 }), "{error}");
    }
}
