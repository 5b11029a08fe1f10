//! The documents beside the data: manifest, side file, and the states of backups and restores.

use asbackup::fuzz::{check_documents, reseal};

/// How many of its bytes are changed to see that a document is refused then.
const CHANGES: usize = 4;

/// Reads any bytes as each kind of document, as they are and with a seal that holds: what is changed at random hardly ever
/// has one, and nothing behind the seal would be reached.
pub fn documents(input: &[u8]) {
    check_documents(input);
    let Some(sealed) = reseal(input) else { return };
    check_documents(&sealed);
    let mut random = crate::choices(&sealed);
    for _ in 0..CHANGES {
        let (at, bit) = (random.usize(..sealed.len()), random.u8(..8));
        let mut changed = sealed.clone();
        changed[at] ^= 1 << bit;
        assert!(!asbackup::fuzz::is_sealed(&changed), "a changed bit {bit} of byte {at} isn't noticed");
    }
}
