//! Telling by its first bytes what a file is wrapped in. Source: docs/format/envelope.md, "Detection".

/// What the first bytes of a file are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Text, or the beginning of its first word.
    Text,
    /// A ZSTD frame, skippable ones included, or the beginning of its magic number.
    Compressed,
    /// Neither: encrypted, or damaged.
    Unknown,
}

impl Layer {
    /// The most bytes that [`Layer::of`] looks at.
    pub const PREFIX_BYTES: usize = TEXT.len();

    /// Returns what a file is that begins with these bytes. No bytes at all are an empty text.
    #[must_use]
    pub fn of(prefix: &[u8]) -> Self {
        if begins(prefix, TEXT) {
            Self::Text
        } else if begins(prefix, FRAME_MAGIC) || is_skippable(prefix) {
            Self::Compressed
        } else {
            Self::Unknown
        }
    }
}

/// Returns whether one of both is the beginning of the other.
fn begins(prefix: &[u8], word: &[u8]) -> bool {
    prefix.iter().zip(word).all(|(a, b)| a == b)
}

fn is_skippable(prefix: &[u8]) -> bool {
    let [first, rest @ ..] = prefix else { return false };
    first & 0xf0 == SKIPPABLE_FIRST && begins(rest, SKIPPABLE_REST)
}

const TEXT: &[u8] = b"Version ";
const FRAME_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The lower half of the first byte of a skippable frame's magic number is free.
const SKIPPABLE_FIRST: u8 = 0x50;
const SKIPPABLE_REST: &[u8] = &[0x2a, 0x4d, 0x18];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_is_told_by_the_first_bytes() {
        for (prefix, expected) in [
            (&b"Version 3.1\n"[..], Layer::Text),
            (b"Vers", Layer::Text),
            (b"", Layer::Text),
            (b"version 3.1\n", Layer::Unknown),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0], Layer::Compressed),
            (&[0x28, 0xb5], Layer::Compressed),
            (&[0x5f, 0x2a, 0x4d, 0x18, 0], Layer::Compressed),
            (&[0x28, 0xb5, 0x2f, 0xfc, 0], Layer::Unknown),
            (&[0x60, 0x2a, 0x4d, 0x18, 0], Layer::Unknown),
        ] {
            assert_eq!(Layer::of(prefix), expected, "{prefix:?}");
        }
    }
}
