//! Frames: what a connection carries. Source: docs/format/wire.md, "Frame".

use super::{DecodeError, Rule};

/// Bytes of a frame's header.
pub const FRAME_BYTES: usize = 8;

/// The largest body that a server takes or sends. Source: docs/format/wire.md, "Frame".
pub const MAX_BODY_BYTES: u32 = 128 * 1024 * 1024;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Lines of text.
    Info,
    /// A login or an authentication.
    Security,
    /// Messages.
    Message,
    /// A compressed frame. It comes only when asked for.
    Compressed,
}

impl FrameKind {
    fn number(self) -> u8 {
        match self {
            Self::Info => 1,
            Self::Security => 2,
            Self::Message => 3,
            Self::Compressed => 4,
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame holds.
    pub kind: FrameKind,
    /// Length of the body, at most [`MAX_BODY_BYTES`].
    pub body_bytes: u32,
}

impl FrameHeader {
    /// Returns the header that these bytes are.
    ///
    /// # Errors
    /// If version or type is unknown, or the body is over [`MAX_BODY_BYTES`].
    pub fn decode(bytes: [u8; FRAME_BYTES]) -> Result<Self, DecodeError> {
        let [version, kind, high, higher, length @ ..] = bytes;
        if version != VERSION {
            return Err(DecodeError::new(Rule::FrameVersion(version), 0));
        }
        let kind = match kind {
            1 => FrameKind::Info,
            2 => FrameKind::Security,
            3 => FrameKind::Message,
            4 => FrameKind::Compressed,
            other => return Err(DecodeError::new(Rule::FrameKind(other), 1)),
        };
        let body_bytes = u32::from_be_bytes(length);
        if high != 0 || higher != 0 || body_bytes > MAX_BODY_BYTES {
            let total = u64::from(u16::from_be_bytes([high, higher])) << 32 | u64::from(body_bytes);
            return Err(DecodeError::new(Rule::FrameBytes(total), 2));
        }
        Ok(Self { kind, body_bytes })
    }

    /// Returns the bytes of this header.
    #[must_use]
    pub fn encode(self) -> [u8; FRAME_BYTES] {
        let [a, b, c, d] = self.body_bytes.to_be_bytes();
        [VERSION, self.kind.number(), 0, 0, a, b, c, d]
    }
}

/// Starts a frame in `out` and returns where; [`end_frame`] takes that to fill in the length.
pub fn begin_frame(out: &mut Vec<u8>, kind: FrameKind) -> usize {
    let start = out.len();
    out.extend_from_slice(&FrameHeader { kind, body_bytes: 0 }.encode());
    start
}

/// Ends the frame that [`begin_frame`] started at `start`: everything behind it is its body.
pub fn end_frame(out: &mut [u8], start: usize) {
    // A body over 4 GiB can't be said; the largest number makes the receiver refuse the frame instead of misreading it.
    let body_bytes = u32::try_from(out.len().saturating_sub(start + FRAME_BYTES)).unwrap_or(u32::MAX);
    put_u32(out, start + 4, body_bytes);
}

/// Writes a number over bytes that are already there.
pub(super) fn put_u32(out: &mut [u8], at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value.to_be_bytes();
    }
}

/// Writes a number over bytes that are already there.
pub(super) fn put_u16(out: &mut [u8], at: usize, value: u16) {
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value.to_be_bytes();
    }
}

const VERSION: u8 = 2;
