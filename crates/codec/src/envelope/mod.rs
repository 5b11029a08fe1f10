//! What lies around the text of a file: compression inside, encryption outside, and the key that the latter needs.
//! Source of all facts: docs/format/envelope.md and docs/format/key.md.

mod aes;
mod key;
mod layer;
mod zstd;

pub use aes::{AesCtr, AesKey, BLOCK_BYTES};
pub use key::{DerivedKey, KeyError};
pub use layer::Layer;
pub use zstd::{Compressor, Decompressed, Decompressor, Level, ZstdError};
