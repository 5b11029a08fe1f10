//! Private keys in PEM: base64 of DER between two marks. Source: docs/format/key.md, "PEM".

use memchr::memmem;
use zeroize::Zeroizing;

use super::{KeyError, decode_base64};

/// Returns whether a text holds a PEM block.
pub(super) fn has_block(text: &[u8]) -> bool {
    memmem::find(text, BEGIN).is_some()
}

/// Returns the DER in the first block. The marks needn't be on lines of their own.
pub(super) fn first_block(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (_before, rest) = split_at_mark(text, BEGIN).ok_or(KeyError::NoPem)?;
    let (label, rest) = split_at_mark(rest, DASHES).ok_or(KeyError::NoPem)?;
    if label.len() > MAX_LABEL_BYTES || label.contains(&b'\n') {
        return Err(KeyError::NoPem);
    }
    let label = String::from_utf8_lossy(label).into_owned();
    let end = format!("-----END {label}-----");
    let Some((body, _behind)) = split_at_mark(rest, end.as_bytes()) else {
        return Err(KeyError::UnfinishedPem { label });
    };
    match label.as_str() {
        "PRIVATE KEY" | "RSA PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => return Err(KeyError::NotRsa),
        _ => return Err(KeyError::OtherPem { label }),
    }
    if memmem::find(body, ENCRYPTED_HEADER).is_some() {
        return Err(KeyError::Encrypted);
    }
    decode_base64(body)
}

/// Returns what stands before and behind the first occurrence of `mark`.
fn split_at_mark<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// Header line of a key with a password in the older form. Source: docs/format/key.md, "PEM".
const ENCRYPTED_HEADER: &[u8] = b"ENCRYPTED";

/// The most bytes of a label: ours. The longest one in use has 21.
const MAX_LABEL_BYTES: usize = 64;
