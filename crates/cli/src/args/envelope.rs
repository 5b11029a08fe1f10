//! What the text of a backup is wrapped in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How a backup is compressed.
#[derive(Debug, Args)]
pub(crate) struct Compression {
    /// How the files are compressed
    #[arg(short = 'z', long, value_enum, value_name = "CODEC", ignore_case = true, default_value_t = Codec::None)]
    pub(crate) compress: Codec,

    /// Level of the compression, 1 (fast) to 22 (dense); 0 or -1: 3. Needs --compress ZSTD [default: 3]
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub(crate) compression_level: Option<i32>,
}

/// How a backup is encrypted.
#[derive(Debug, Args)]
pub(crate) struct Encryption {
    /// Cipher of the files; it needs one of the keys
    #[arg(short = 'y', long, value_enum, value_name = "CIPHER", ignore_case = true, default_value_t = Cipher::None)]
    pub(crate) encrypt: Cipher,

    /// PEM file with the RSA key that the cipher's key is derived from
    #[arg(long, value_name = "PATH")]
    pub(crate) encryption_key_file: Option<PathBuf>,

    /// Environment variable that holds such a key: PEM, base64 of PEM, or base64 of DER
    #[arg(long, value_name = "NAME", conflicts_with = "encryption_key_file")]
    pub(crate) encryption_key_env: Option<String>,

    /// Secret that is such a key: secrets:RESOURCE:KEY
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["encryption_key_file", "encryption_key_env"])]
    pub(crate) encryption_key_secret: Option<String>,
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// Not at all.
    #[value(name = "NONE")]
    None,
    /// By ZSTD.
    #[value(name = "ZSTD")]
    Zstd,
}

/// How files are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cipher {
    /// Not at all.
    #[value(name = "NONE")]
    None,
    /// With a key of 128 bits.
    #[value(name = "AES128")]
    Aes128,
    /// With a key of 256 bits.
    #[value(name = "AES256")]
    Aes256,
}
