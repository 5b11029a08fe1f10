//! A door for fuzz targets to the documents beside the data, which are no business of other crates.

use std::fmt::Debug;

use crate::{
    checkpoint,
    manifest::{DocumentError, Hashing, Manifest, SideFile},
    restore_state,
};

type Decoded<D> = Result<D, DocumentError>;

/// Reads bytes as each kind of document.
///
/// # Panics
/// If a decoder does, or if what was decoded isn't the same after it was encoded and decoded once more.
pub fn check_documents(bytes: &[u8]) {
    check(manifest(bytes), |document| manifest(document.encode(&Hashing::default()).as_bytes()));
    check(SideFile::decode(bytes), |file| SideFile::decode(file.encode().as_bytes()));
    check(backup_state(bytes), |state| backup_state(state.encode(&Hashing::default()).as_bytes()));
    check(restore_state(bytes), |state| restore_state(state.encode(&Hashing::default()).as_bytes()));
}

fn check<D: PartialEq + Debug>(decoded: Decoded<D>, again: fn(&D) -> Decoded<D>) {
    match decoded {
        Ok(document) => {
            assert_eq!(again(&document).expect("what was encoded is decoded"), document, "another document");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Returns the format of a document that can be read.
#[must_use]
pub fn kind(bytes: &[u8]) -> Option<&'static str> {
    let kinds = [
        ("manifest", manifest(bytes).is_ok()),
        ("side file", SideFile::decode(bytes).is_ok()),
        ("state of a backup", backup_state(bytes).is_ok()),
        ("state of a restore", restore_state(bytes).is_ok()),
    ];
    kinds.into_iter().find_map(|(kind, is_it)| is_it.then_some(kind))
}

/// Returns whether bytes are a document with a seal that holds, whatever it says.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| crate::manifest::check_seal(text, &Hashing::default()).is_ok())
}

/// Returns a document with the seal that belongs to its bytes; none if it has no place for one.
#[must_use]
pub fn reseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(bytes).ok()?;
    let (found, computed) = match crate::manifest::check_seal(text, &Hashing::default()) {
        Ok(()) => return Some(bytes.to_vec()),
        Err(DocumentError::Seal { found, computed }) => (format!("\"{found}\""), format!("\"{computed}\"")),
        Err(_) => return None,
    };
    // Mostly it stands at the end; where the same text stands elsewhere too, the document isn't sealed.
    let at = text.rfind(&found)?;
    let sealed = [&text[..at], &computed, &text[at + found.len()..]].concat();
    is_sealed(sealed.as_bytes()).then(|| sealed.into_bytes())
}

/// Without its seal, which is made anew when it is encoded.
fn manifest(bytes: &[u8]) -> Decoded<Manifest> {
    let mut manifest = Manifest::decode(bytes, None)?;
    manifest.seal.clear();
    Ok(manifest)
}

fn backup_state(bytes: &[u8]) -> Decoded<checkpoint::State> {
    checkpoint::State::decode(bytes, None)
}

/// Without its seal, which is made anew when it is encoded.
fn restore_state(bytes: &[u8]) -> Decoded<restore_state::State> {
    let mut state = restore_state::State::decode(bytes, &Hashing::default())?;
    state.seal.clear();
    Ok(state)
}
