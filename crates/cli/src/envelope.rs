//! The flags of compression and encryption to the engine's configuration.

use std::env;

use asbackup::{ExpectedCompression, KeySource, KeyText, Zstd};

use crate::{
    args::{Cipher, Codec, Compression, Encryption},
    failure::Failure,
};

/// Returns how a backup is compressed.
pub(crate) fn compression(args: &Compression) -> Result<Option<Zstd>, Failure> {
    match (args.compress, args.compression_level) {
        (Codec::None, None) => Ok(None),
        (Codec::None, Some(_)) => {
            let message = "--compression-level is given, but nothing is compressed";
            Err(Failure::usage(message, "add --compress ZSTD, or leave the level out"))
        }
        (Codec::Zstd, level) => Zstd::level(level.unwrap_or(0))
            .map(Some)
            .map_err(|error| Failure::usage(error.to_string(), "change --compression-level")),
    }
}

/// Returns what the files that are read must be.
pub(crate) fn expected_compression(codec: Option<Codec>) -> Option<ExpectedCompression> {
    codec.map(|codec| match codec {
        Codec::None => ExpectedCompression::None,
        Codec::Zstd => ExpectedCompression::Zstd,
    })
}

/// Returns how a backup is encrypted.
pub(crate) fn encryption(args: &Encryption) -> Result<Option<asbackup::Encryption>, Failure> {
    let cipher = match args.encrypt {
        Cipher::None => None,
        Cipher::Aes128 => Some(asbackup::Encryption::aes128 as fn(KeySource) -> asbackup::Encryption),
        Cipher::Aes256 => Some(asbackup::Encryption::aes256 as fn(KeySource) -> asbackup::Encryption),
    };
    match (cipher, key(args)?) {
        (None, None) => Ok(None),
        (Some(cipher), Some(key)) => Ok(Some(cipher(key))),
        (None, Some(_)) => Err(Failure::usage(
            "an encryption key is given, but no cipher",
            "name the cipher with --encrypt, or leave the key out",
        )),
        (Some(_), None) => Err(Failure::usage(
            "a cipher is given, but no encryption key",
            "name one with --encryption-key-file or --encryption-key-env",
        )),
    }
}

fn key(args: &Encryption) -> Result<Option<KeySource>, Failure> {
    if let Some(path) = &args.encryption_key_file {
        return Ok(Some(KeySource::File(path.clone())));
    }
    let Some(name) = &args.encryption_key_env else { return Ok(None) };
    // The value itself is in no message.
    let text = env::var(name).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
        let message = format!("the environment variable {name:?} is empty, unset or not UTF-8");
        Failure::usage(message, "--encryption-key-env names the variable that holds the key")
    })?;
    Ok(Some(KeySource::Text(KeyText::new(text))))
}
