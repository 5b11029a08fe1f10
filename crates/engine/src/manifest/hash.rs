//! The hash of what is stored: XXH3-128, which finds accidents at next to no cost.

use xxhash_rust::xxh3::Xxh3Default;

/// The name of the hash in a manifest.
pub(crate) const HASH: &str = "xxh3-128";

/// The running hash of a file's stored bytes.
#[derive(Clone, Default)]
pub(crate) struct StoredHash(Box<Xxh3Default>);

impl StoredHash {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Forgets all bytes.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    /// Returns the hash in its canonical form: 32 hex digits, the most significant byte first.
    pub(crate) fn hex(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Returns the hash of these parts, one after another.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut hash = StoredHash::default();
    parts.iter().for_each(|part| hash.update(part));
    hash.hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_canonical_one() {
        // The value of no input, from the reference implementation's own test vectors.
        assert_eq!(hash(&[]), "99aa06d3014798d86001c324468d497f");
        assert_eq!(hash(&[b"ab", b"c"]), hash(&[b"abc"]));
    }
}
