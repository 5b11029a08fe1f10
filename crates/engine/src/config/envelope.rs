//! What the text of a backup is wrapped in.

use std::{fmt, path::PathBuf};

use asbackup_codec::envelope::{AesKey, DerivedKey, Level};

/// What the text of a backup is wrapped in: compression inside, encryption outside. Default: neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Envelope {
    /// How the text is compressed. Default: not at all.
    pub compression: Option<Zstd>,
    /// How what is stored is encrypted. Default: not at all.
    pub encryption: Option<Encryption>,
}

/// Compression by ZSTD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zstd(Level);

impl Zstd {
    /// Returns compression at a level of the reference implementation: 1, the fastest, to 22, the densest. 0 and -1 are
    /// the default, 3.
    ///
    /// # Errors
    /// If it is another number.
    pub fn level(level: i32) -> Result<Self, UnknownLevel> {
        match level {
            -1 | 0 => Ok(Self(Level::DEFAULT)),
            _ => u8::try_from(level).ok().and_then(Level::new).map(Self).ok_or(UnknownLevel { given: level }),
        }
    }

    pub(crate) fn codec_level(self) -> Level {
        self.0
    }
}

/// A number that is no level of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("compression level is {given}, but must be from 1 to 22, or 0 or -1 for the default, 3")]
#[non_exhaustive]
pub struct UnknownLevel {
    /// The number.
    pub given: i32,
}

/// What the files of a backup that is read must be. They are read either way: this is a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedCompression {
    /// No file is compressed.
    None,
    /// Every file is.
    Zstd,
}

/// Encryption by AES in counter mode. It hides what is stored; that it wasn't changed is shown by the manifest, whose
/// hashes are keyed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The cipher.
    pub mode: EncryptionMode,
    /// Where its key comes from.
    pub key: KeySource,
}

impl Encryption {
    /// Returns AES-128 with a key from there.
    #[must_use]
    pub fn aes128(key: KeySource) -> Self {
        Self { mode: EncryptionMode::Aes128, key }
    }

    /// Returns AES-256 with a key from there.
    #[must_use]
    pub fn aes256(key: KeySource) -> Self {
        Self { mode: EncryptionMode::Aes256, key }
    }
}

/// A cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionMode {
    /// A key of 128 bits.
    Aes128,
    /// A key of 256 bits.
    Aes256,
}

impl EncryptionMode {
    pub(crate) fn key(self, derived: &DerivedKey) -> AesKey {
        match self {
            Self::Aes128 => AesKey::Aes128(derived.aes128()),
            Self::Aes256 => AesKey::Aes256(derived.aes256()),
        }
    }
}

/// Where the RSA key comes from that the cipher's key is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// A PEM file.
    File(PathBuf),
    /// A text, such as the value of an environment variable: PEM, base64 of PEM, or base64 of DER.
    Text(KeyText),
}

/// A text that holds a key. Its `Debug` form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// Returns that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_1_to_22_and_two_words_for_the_default() {
        for (given, level) in [(-1, 3), (0, 3), (1, 1), (22, 22)] {
            assert_eq!(Zstd::level(given).unwrap().codec_level().number(), level);
        }
        for given in [-2, 23, 256, i32::MIN] {
            let message = Zstd::level(given).unwrap_err().to_string();
            assert!(message.starts_with(&format!("compression level is {given}, but")), "{message}");
        }
    }

    #[test]
    fn debug_form_shows_no_key() {
        let config = Encryption::aes128(KeySource::Text(KeyText::new("secret")));
        assert!(!format!("{config:?}").contains("secret"));
    }
}
