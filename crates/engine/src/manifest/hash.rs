//! The hashes of what is stored. Source: docs/format/manifest.md, "Hash".

use asbackup_codec::envelope::AesKey;
use xxhash_rust::xxh3::Xxh3Default;

/// How the files of a backup and its documents are hashed.
#[derive(Clone, Default)]
pub(crate) enum Hashing {
    /// By XXH3-128, which finds accidents at next to no cost.
    #[default]
    Accidents,
    /// By BLAKE3 with a key, which also finds what someone without it has changed.
    Keyed(Box<[u8; blake3::KEY_LEN]>),
}

impl Hashing {
    /// Returns how a backup is hashed that is encrypted with this key, or not at all.
    pub(crate) fn of(key: Option<&AesKey>) -> Self {
        key.map_or(Self::Accidents, |key| Self::Keyed(Box::new(blake3::derive_key(CONTEXT, key.bytes()))))
    }

    /// Returns the name of the hash in a manifest.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Accidents => ACCIDENTS,
            Self::Keyed(_) => KEYED,
        }
    }

    /// Begins the hash of a file.
    pub(crate) fn begin(&self) -> StoredHash {
        match self {
            Self::Accidents => StoredHash::Accidents(Box::default()),
            Self::Keyed(key) => StoredHash::Keyed(Box::new(blake3::Hasher::new_keyed(key))),
        }
    }

    /// Returns the hash of these parts, one after another.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> String {
        let mut hash = self.begin();
        parts.iter().for_each(|part| hash.update(part));
        hash.hex()
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of the hash without a key.
pub(super) const ACCIDENTS: &str = "xxh3-128";
/// The name of the hash with a key.
pub(super) const KEYED: &str = "blake3-keyed";
/// What the key of the hash is derived for. Source: docs/format/manifest.md, "Hash".
const CONTEXT: &str = "asbackup manifest v1";

/// The running hash of a file's stored bytes.
#[derive(Clone)]
pub(crate) enum StoredHash {
    Accidents(Box<Xxh3Default>),
    Keyed(Box<blake3::Hasher>),
}

impl StoredHash {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Accidents(hash) => hash.update(bytes),
            Self::Keyed(hash) => {
                hash.update(bytes);
            }
        }
    }

    /// Returns the hash in lower-case hex: 32 digits of XXH3 in its canonical form, the most significant byte first, or
    /// 64 of BLAKE3.
    pub(crate) fn hex(&self) -> String {
        match self {
            Self::Accidents(hash) => format!("{:032x}", hash.digest128()),
            Self::Keyed(hash) => hash.finalize().to_hex().to_string(),
        }
    }
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_canonical_one() {
        // The value of no input, from the reference implementation's own test vectors.
        let hashing = Hashing::of(None);
        assert_eq!(hashing.hash(&[]), "99aa06d3014798d86001c324468d497f");
        assert_eq!(hashing.hash(&[b"ab", b"c"]), hashing.hash(&[b"abc"]));
    }

    #[test]
    fn keyed_hash_depends_on_every_bit_of_the_key() {
        let hash = |key| Hashing::of(Some(&key)).hash(&[b"abc"]);
        let one = hash(AesKey::Aes128([1; 16]));
        assert_eq!((one.len(), &one), (64, &hash(AesKey::Aes128([1; 16]))));
        let mut other = [1; 16];
        other[15] ^= 1;
        assert_ne!(one, hash(AesKey::Aes128(other)));
        assert_ne!(one, hash(AesKey::Aes256([1; 32])), "the mode is part of the key");
    }
}
