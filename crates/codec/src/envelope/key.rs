//! The AES key that stands for an RSA private key, and the forms in which that private key comes.
//!
//! The AES key is the SHA-256 of the private key's DER in PKCS#1 form. Source: docs/format/key.md.

mod der;
mod pem;

use std::fmt;

use aws_lc_rs::digest;
use base64_simd::STANDARD;
use zeroize::Zeroizing;

/// A key for AES, derived from an RSA private key. It is wiped from memory on drop, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    /// Derives the key from a PEM file. Its first block counts; text before and behind it doesn't.
    ///
    /// # Errors
    ///
    /// Any [`KeyError`]: the block has to be a private RSA key in PKCS#1 or PKCS#8, without a password.
    pub fn from_pem_file(content: &[u8]) -> Result<Self, KeyError> {
        if content.trim_ascii().is_empty() {
            return Err(KeyError::Empty);
        }
        Self::from_der(&pem::first_block(content)?)
    }

    /// Derives the key from the value of an environment variable or a secret. It is PEM (on one line too), base64 of
    /// PEM, base64 of DER, or base64 of base64 of DER; white space around it is ignored.
    ///
    /// # Errors
    ///
    /// As [`DerivedKey::from_pem_file`], and [`KeyError::InvalidBase64`] for what is neither PEM nor base64.
    pub fn from_text(text: &[u8]) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if pem::has_block(text) {
            return Self::from_pem_file(text);
        }
        let decoded = decode_base64(text)?;
        if pem::has_block(&decoded) {
            return Self::from_pem_file(&decoded);
        }
        match decode_base64(&decoded) {
            Ok(der) => Self::from_der(&der),
            Err(_) => Self::from_der(&decoded),
        }
    }

    /// Returns the key for AES-128.
    #[must_use]
    pub fn aes128(&self) -> [u8; 16] {
        let mut key = [0; 16];
        key.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        key
    }

    /// Returns the key for AES-256.
    #[must_use]
    pub fn aes256(&self) -> [u8; 32] {
        *self.0
    }

    /// Derives the key from a private key's DER.
    fn from_der(input: &[u8]) -> Result<Self, KeyError> {
        let hash = digest::digest(&digest::SHA256, der::pkcs1(input)?);
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self(key))
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(hidden)")
    }
}

/// Why no key can be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is nothing, or white space only.
    #[error("key is empty")]
    Empty,
    /// A file has no line that begins a PEM block.
    #[error("no PEM block, which begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----")]
    NoPem,
    /// A PEM block has no end.
    #[error("PEM block {label:?} has no line -----END {label}-----")]
    UnfinishedPem {
        /// Kind of the block.
        label: String,
    },
    /// The first PEM block isn't a private key of a kind that is known.
    #[error("first PEM block is {label:?}, it must be \"PRIVATE KEY\" or \"RSA PRIVATE KEY\"")]
    OtherPem {
        /// Kind of the block.
        label: String,
    },
    /// The private key is protected by a password.
    #[error("private key is encrypted with a password, it must be stored without one")]
    Encrypted,
    /// The body of a PEM block, or a text in place of a file, isn't base64.
    #[error("invalid base64")]
    InvalidBase64,
    /// The private key is for another algorithm, such as EC or Ed25519.
    #[error("private key isn't an RSA key")]
    NotRsa,
    /// The RSA key has more than two primes.
    #[error("RSA key has more than two primes")]
    MultiPrime,
    /// The bytes aren't the DER of a private key.
    #[error("no private key in PKCS#1 or PKCS#8: damaged at byte {at} of its DER")]
    Damaged {
        /// Offset in the DER behind the last element that could be read.
        at: usize,
    },
}

/// Decodes base64 with the standard alphabet and padding; white space in it is ignored.
fn decode_base64(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut dense = Zeroizing::new(Vec::with_capacity(text.len()));
    dense.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    STANDARD.decode_to_vec(dense.as_slice()).map(Zeroizing::new).map_err(|_| KeyError::InvalidBase64)
}
