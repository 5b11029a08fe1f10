//! AES in counter mode. Source: docs/format/envelope.md, "Encryption".
//!
//! A file is the keystream over 16 zero bytes and the data behind them, so that the first block of the file tells where
//! its counter begins.

use std::fmt;

use aws_lc_rs::{
    cipher::{
        AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
        UnboundCipherKey,
    },
    iv::FixedLength,
};

/// Size of a block, and of what an encrypted file has before its data.
pub const BLOCK_BYTES: usize = 16;

/// A key. Its `Debug` form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum AesKey {
    /// For AES-128.
    Aes128([u8; 16]),
    /// For AES-256.
    Aes256([u8; 32]),
}

impl AesKey {
    /// Returns the bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Aes128(key) => key,
            Self::Aes256(key) => key,
        }
    }

    fn unbound(&self) -> UnboundCipherKey {
        let algorithm = match self {
            Self::Aes128(_) => &AES_128,
            Self::Aes256(_) => &AES_256,
        };
        UnboundCipherKey::new(algorithm, self.bytes()).expect("the key has the length that its cipher takes")
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128(_) => "Aes128(..)",
            Self::Aes256(_) => "Aes256(..)",
        })
    }
}

/// The cipher of one file, which encrypts and decrypts alike.
#[derive(Debug)]
pub struct AesCtr {
    key: EncryptingKey,
    /// Counter of the file's first block.
    counter: u128,
    /// Where in the file the next byte lies.
    offset: u64,
}

impl AesCtr {
    /// Returns the cipher of a new file, and the block that the file begins with. The data's counter must never have
    /// been used with this key: take it at random.
    #[must_use]
    pub fn create(key: &AesKey, data_counter: [u8; BLOCK_BYTES]) -> (Self, [u8; BLOCK_BYTES]) {
        let mut cipher = Self::new(key, u128::from_be_bytes(data_counter).wrapping_sub(1));
        let mut first = [0; BLOCK_BYTES];
        cipher.apply(&mut first);
        (cipher, first)
    }

    /// Returns the cipher of a file that begins with this block, for the bytes behind it.
    #[must_use]
    pub fn open(key: &AesKey, mut first: [u8; BLOCK_BYTES]) -> Self {
        let block = DecryptingKey::ecb(key.unbound()).expect("AES has this mode");
        block.decrypt(&mut first, DecryptionContext::None).expect("it is one block");
        let mut cipher = Self::new(key, u128::from_be_bytes(first));
        cipher.offset = BLOCK_BYTES as u64;
        cipher
    }

    fn new(key: &AesKey, counter: u128) -> Self {
        let key = EncryptingKey::ctr(key.unbound()).expect("AES has this mode");
        Self { key, counter, offset: 0 }
    }

    /// Encrypts or decrypts the bytes that come next. Large pieces are much cheaper than small ones.
    pub fn apply(&mut self, mut bytes: &mut [u8]) {
        let used = usize::try_from(self.offset % BLOCK_BYTES as u64).unwrap_or(0);
        if used > 0 {
            let (head, rest) = bytes.split_at_mut(bytes.len().min(BLOCK_BYTES - used));
            self.apply_within_block(used, head);
            bytes = rest;
        }
        self.run(bytes);
        self.offset += bytes.len() as u64;
    }

    /// Handles bytes of a block of which `used` bytes went before.
    fn apply_within_block(&mut self, used: usize, bytes: &mut [u8]) {
        let mut keystream = [0; BLOCK_BYTES];
        self.run(&mut keystream);
        bytes.iter_mut().zip(keystream.iter().skip(used)).for_each(|(byte, key)| *byte ^= key);
        self.offset += bytes.len() as u64;
    }

    /// Applies the keystream from the beginning of the current block on.
    fn run(&self, bytes: &mut [u8]) {
        let counter = self.counter.wrapping_add(u128::from(self.offset / BLOCK_BYTES as u64));
        let context = EncryptionContext::Iv128(FixedLength::from(counter.to_be_bytes()));
        self.key.less_safe_encrypt(bytes, context).expect("counter mode takes any bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_form_shows_nothing_of_a_key() {
        assert_eq!(format!("{:?}", AesKey::Aes128([7; 16])), "Aes128(..)");
        let (cipher, _) = AesCtr::create(&AesKey::Aes256([77; 32]), [0; 16]);
        assert!(!format!("{cipher:?}").contains("77"));
    }

    #[test]
    fn any_cut_into_pieces_gives_the_same_bytes() {
        let key = AesKey::Aes256([3; 32]);
        let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
        // The counter wraps around behind the second block.
        let start = (u128::MAX - 1).to_be_bytes();
        let (mut cipher, first) = AesCtr::create(&key, start);
        let mut whole = data.clone();
        cipher.apply(&mut whole);
        for piece in [1, 7, 15, 16, 17, 100] {
            let (mut cipher, same) = AesCtr::create(&key, start);
            let mut pieces = data.clone();
            pieces.chunks_mut(piece).for_each(|piece| cipher.apply(piece));
            assert_eq!((same, &pieces), (first, &whole), "{piece}");
        }
        let mut cipher = AesCtr::open(&key, first);
        let mut back = whole.clone();
        cipher.apply(&mut back);
        assert_eq!(back, data);
    }
}
