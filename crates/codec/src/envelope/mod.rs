//! What lies around the text of a backup file: byte-to-byte steps, and the key that one of them needs.

mod key;

pub use key::{DerivedKey, KeyError};
