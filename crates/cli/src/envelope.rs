//! The flags of compression and encryption to the engine's configuration.

use std::{env, fs};

use asbackup::{ExpectedCompression, KeySource, KeyText, Zstd};

use crate::{
    args::{Cipher, Codec, Compression, Encryption},
    failure::Failure,
    value_source::ValueSource,
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
pub(crate) async fn encryption(
    args: &Encryption,
    values: &ValueSource,
) -> Result<Option<asbackup::Encryption>, Failure> {
    let cipher = match args.encrypt {
        Cipher::None => None,
        Cipher::Aes128 => Some(asbackup::Encryption::aes128 as fn(KeySource) -> asbackup::Encryption),
        Cipher::Aes256 => Some(asbackup::Encryption::aes256 as fn(KeySource) -> asbackup::Encryption),
    };
    match (cipher, key(args, values).await?) {
        (None, None) => Ok(None),
        (Some(cipher), Some(key)) => Ok(Some(cipher(key))),
        (None, Some(_)) => Err(Failure::usage(
            "an encryption key is given, but no cipher",
            "name the cipher with --encrypt, or leave the key out",
        )),
        (Some(_), None) => Err(Failure::usage(
            "a cipher is given, but no encryption key",
            "name one with --encryption-key-file, --encryption-key-env or --encryption-key-secret",
        )),
    }
}

/// Checks that the file of a key can be read, for jobs that don't look at it.
pub(crate) fn check_key(encryption: Option<&asbackup::Encryption>) -> Result<(), Failure> {
    let Some(KeySource::File(path)) = encryption.map(|encryption| &encryption.key) else { return Ok(()) };
    fs::read(path).map(drop).map_err(|error| {
        let message = format!("cannot read the encryption key {}", path.display());
        Failure::usage(message, "check --encryption-key-file").because(&error)
    })
}

async fn key(args: &Encryption, values: &ValueSource) -> Result<Option<KeySource>, Failure> {
    if let Some(path) = &args.encryption_key_file {
        // A path that isn't UTF-8 names no secret.
        let secret = values.named("--encryption-key-file", path.to_str().unwrap_or_default()).await?;
        let text = secret.map(|secret| KeySource::Text(KeyText::new(secret)));
        return Ok(Some(text.unwrap_or_else(|| KeySource::File(path.clone()))));
    }
    if let Some(given) = &args.encryption_key_secret {
        let secret = values.must_name("--encryption-key-secret", given).await?;
        return Ok(Some(KeySource::Text(KeyText::new(secret))));
    }
    let Some(given) = &args.encryption_key_env else { return Ok(None) };
    let name = &values.text("--encryption-key-env", given).await?;
    // The value itself is in no message.
    let text = env::var(name).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
        let message = format!("the environment variable {name:?} is empty, unset or not UTF-8");
        Failure::usage(message, "--encryption-key-env names the variable that holds the key")
    })?;
    Ok(Some(KeySource::Text(KeyText::new(text))))
}

#[cfg(test)]
mod tests {
    use asbackup::ErrorKind;
    use clap::Parser;
    use tokio::runtime::Builder;

    use super::*;
    use crate::args::Asbackup;

    fn converted(flags: &str) -> Result<Option<asbackup::Encryption>, Failure> {
        let line = format!("asbackup -n test -d out {flags}");
        let args = Asbackup::try_parse_from(line.split(' ')).unwrap();
        let values = ValueSource::new(&args.secret_agent).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(encryption(&args.backup.encryption, &values))
    }

    #[test]
    fn cipher_and_key_go_together() {
        let file = KeySource::File("key.pem".into());
        let expected = asbackup::Encryption::aes128(file);
        assert_eq!(converted("-y aes128 --encryption-key-file key.pem").unwrap(), Some(expected));
        let text = KeySource::Text(KeyText::new(env::var("PATH").unwrap()));
        let expected = asbackup::Encryption::aes256(text);
        assert_eq!(converted("--encrypt AES256 --encryption-key-env PATH").unwrap(), Some(expected));
        assert_eq!(converted("-y NONE").unwrap(), None);
    }

    #[test]
    fn contradictions_and_keys_that_cannot_be_had_are_bad_usage() {
        for (flags, words) in [
            ("-y aes128", "a cipher is given, but no encryption key"),
            ("--encryption-key-file a", "an encryption key is given, but no cipher"),
            ("-y NONE --encryption-key-env PATH", "an encryption key is given, but no cipher"),
            ("-y aes128 --encryption-key-env ASBACKUP_NO_SUCH", "\"ASBACKUP_NO_SUCH\" is empty, unset"),
            (
                "-y aes128 --encryption-key-secret key.pem",
                "--encryption-key-secret can't be used: it names no",
            ),
            ("-y aes128 --encryption-key-secret secrets:r", "write it as secrets:RESOURCE:KEY"),
            ("-y aes128 --encryption-key-secret secrets:r:k", "no secret agent is known"),
            ("-y aes128 --encryption-key-file secrets:r:k", "no secret agent is known"),
            ("-y aes128 --encryption-key-env secrets:r:k", "no secret agent is known"),
        ] {
            let failure = converted(flags).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config, "{flags}");
            assert!(failure.lines().join("\n").contains(words), "{flags}: {:?}", failure.lines());
        }
    }
}
