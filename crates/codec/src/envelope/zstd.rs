//! ZSTD frames. Source: docs/format/envelope.md, "Compression".

use std::fmt;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective, compress_bound,
    get_error_name,
};

/// A level of the reference implementation, 1 to 22. Each is slower and denser than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The default of the reference implementation, absctl and the C tools: 3.
    pub const DEFAULT: Self = Self(3);
    /// The densest: 22.
    pub const MAX: Self = Self(22);

    /// Returns a level, if it is one from 1 to 22.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (1..=Self::MAX.0).contains(&level).then_some(Self(level))
    }

    /// Returns about how much memory a compressor of this level takes for frames of 1 to 2 MiB, as measured with libzstd
    /// 1.5.7.
    #[must_use]
    pub fn memory_bytes(self) -> usize {
        let mib = match self.0 {
            1..=3 => 1,
            4..=6 => 3,
            7..=12 => 6,
            _ => 10,
        };
        mib << 20
    }

    /// Returns its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Compresses texts into one frame each. Its memory, up to some 10 MiB, is used again and again.
pub struct Compressor(CCtx<'static>);

impl Compressor {
    /// Returns a compressor. Its frames carry the size of their content and a checksum of it.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn new(level: Level) -> Self {
        let mut context = CCtx::create();
        let parameters = [
            CParameter::CompressionLevel(level.0.into()),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChecksumFlag(true),
        ];
        let own: &[CParameter] = match level.0 {
            1 | 2 => &WINDOW_OF_LEVELS_1_AND_2,
            3 => &TABLES_OF_LEVEL_3,
            _ => &[],
        };
        for parameter in parameters.iter().chain(own) {
            context.set_parameter(*parameter).expect("the level is in range, and nothing was begun");
        }
        Self(context)
    }

    /// Replaces what is in `frame` by the frame of a text.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn compress(&mut self, text: &[u8], frame: &mut Vec<u8>) -> Result<(), ZstdError> {
        frame.clear();
        frame.reserve(compress_bound(text.len()));
        self.0.compress2(frame, text).map(drop).map_err(ZstdError::library)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// Decompresses a row of frames piece by piece, skippable ones included.
pub struct Decompressor {
    context: DCtx<'static>,
    /// Whether the last byte that was taken ended a frame, or none was taken.
    between_frames: bool,
}

/// What one step of a [`Decompressor`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decompressed {
    /// Bytes that were taken from the input.
    pub used: usize,
    /// Bytes that were written into the output.
    pub written: usize,
}

impl Decompressor {
    /// Returns a decompressor for windows up to 128 MiB, which is what the reference implementation takes too.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn new() -> Self {
        let mut context = DCtx::create();
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).expect("it is in range");
        Self { context, between_frames: true }
    }

    /// Decompresses as much as there is input and space for. The caller goes on until neither moves, also when there is
    /// no more input, since output may be held back.
    ///
    /// # Errors
    /// If the input isn't a row of frames, or a checksum doesn't fit.
    pub fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decompressed, ZstdError> {
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(output));
        let left = self.context.decompress_stream(&mut to, &mut from).map_err(ZstdError::library)?;
        let step = Decompressed { used: from.pos(), written: to.pos() };
        if left == 0 {
            self.between_frames = true;
        } else if step.used > 0 {
            self.between_frames = false;
        }
        Ok(step)
    }

    /// Checks that the input may end here.
    ///
    /// # Errors
    /// If a frame isn't complete.
    pub fn finish(&self) -> Result<(), ZstdError> {
        if self.between_frames { Ok(()) } else { Err(ZstdError::Cut) }
    }

    /// Begins again with another file.
    pub fn reset(&mut self) {
        self.context.reset(ResetDirective::SessionOnly).expect("a session may always be ended");
        self.between_frames = true;
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("between_frames", &self.between_frames).finish_non_exhaustive()
    }
}

/// Why frames can't be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZstdError {
    /// The library refuses the input.
    #[error("the compressed data is damaged: {reason}")]
    Damaged {
        /// The library's words.
        reason: &'static str,
    },
    /// The input ends within a frame.
    #[error("the compressed data ends within a frame")]
    Cut,
}

impl ZstdError {
    fn library(code: ErrorCode) -> Self {
        Self::Damaged { reason: get_error_name(code) }
    }
}

/// The logarithm of the window that is written: what a reader has to keep of a frame, however large that is.
const WINDOW_LOG: u32 = 19;

/// The window of levels 1 and 2 is half as long. Their tables seldom remember more than that, and for windows below 512 KiB
/// libzstd compares without a jump, which would be mispredicted for as long as the table of a new frame fills. Figures:
/// docs/decisions/005-independent-frames.md.
const WINDOW_OF_LEVELS_1_AND_2: [CParameter; 1] = [CParameter::WindowLog(WINDOW_LOG - 1)];

/// The tables of level 3 for long and for short matches are a half and a quarter of libzstd's, which leave the cache between
/// two looks.
const TABLES_OF_LEVEL_3: [CParameter; 2] = [CParameter::HashLog(16), CParameter::ChainLog(14)];

/// The logarithm of the largest window that is read. Source: docs/format/envelope.md, "Compression".
const WINDOW_LOG_MAX: u32 = 27;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &[u8]) -> Vec<u8> {
        frame_of(Level::DEFAULT, text)
    }

    fn frame_of(level: Level, text: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        Compressor::new(level).compress(text, &mut frame).unwrap();
        frame
    }

    /// Decompresses with steps of that many bytes on both sides.
    fn decompress(frames: &[u8], step: usize) -> Result<Vec<u8>, ZstdError> {
        let (mut decompressor, mut text, mut at) = (Decompressor::new(), Vec::new(), 0);
        let mut output = vec![0; step];
        loop {
            let input = &frames[at..frames.len().min(at + step)];
            let Decompressed { used, written } = decompressor.decompress(input, &mut output)?;
            at += used;
            text.extend_from_slice(&output[..written]);
            if used == 0 && written == 0 {
                return decompressor.finish().map(|()| text);
            }
        }
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_string().into_bytes())
            .collect()
    }

    #[test]
    fn frames_are_read_one_after_another_in_any_steps() {
        let text = text();
        let (left, right) = text.split_at(70_000);
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let frames = [&frame(left)[..], &skippable, &frame(b""), &frame(right), &skippable].concat();
        for step in [1, 13, 4096, 1 << 20] {
            assert!(decompress(&frames, step).unwrap() == text, "{step}");
        }
        assert_eq!(decompress(b"", 10).unwrap(), b"");
    }

    #[test]
    fn every_cut_is_found_and_no_flipped_bit_gives_another_text() {
        let text = &text()[..2000];
        let whole = frame(text);
        for cut in 1..whole.len() {
            assert_eq!(decompress(&whole[..cut], 4096), Err(ZstdError::Cut), "{cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Some bits mean nothing.
            assert!(decompress(&flipped, 4096).map_or(true, |same| same == text), "{bit}");
        }
        assert!(matches!(decompress(b"no frame at all", 10), Err(ZstdError::Damaged { .. })));
    }

    #[test]
    fn every_level_is_one_of_its_own_and_tells_size_and_checksum() {
        let text = text();
        let sizes: Vec<usize> = [1, 3, 9, 19]
            .into_iter()
            .map(|level| {
                let frame = frame_of(Level::new(level).unwrap(), &text);
                let told = zstd::zstd_safe::get_frame_content_size(&frame).ok().flatten();
                assert_eq!(told, Some(text.len() as u64));
                assert_eq!(frame[4] & 0x04, 0x04, "the flag of the checksum");
                frame.len()
            })
            .collect();
        assert!(sizes.windows(2).all(|pair| pair[0] != pair[1]), "{sizes:?}");
        assert_eq!((Level::new(0), Level::new(23)), (None, None));
    }

    #[test]
    fn memory_of_a_level_is_about_what_it_says() {
        let text: Vec<u8> = text().into_iter().cycle().take((3 << 20) / 2).collect();
        for number in 1..=22 {
            let level = Level::new(number).unwrap();
            let mut compressor = Compressor::new(level);
            compressor.compress(&text, &mut Vec::new()).unwrap();
            let (taken, said) = (compressor.0.sizeof(), level.memory_bytes());
            assert!(taken <= said && said <= 2 * taken, "level {number}: {taken} of {said}");
        }
    }

    #[test]
    fn readers_of_large_frames_keep_no_more_than_the_window() {
        let text: Vec<u8> = text().into_iter().cycle().take(3 << 20).collect();
        for (level, window_log) in [(1, 18), (2, 18), (3, 19), (22, 19)] {
            let frame = frame_of(Level::new(level).unwrap(), &text);
            assert_eq!(frame[4] & 0x20, 0, "the content isn't a single segment");
            assert_eq!(u32::from(frame[5]), (window_log - 10) << 3, "level {level}");
        }
    }

    #[test]
    fn a_decompressor_that_failed_is_as_new_after_a_reset() {
        let mut decompressor = Decompressor::new();
        decompressor.decompress(b"no frame at all", &mut [0; 8]).unwrap_err();
        decompressor.reset();
        let (frame, mut output) = (frame(b"text"), [0; 8]);
        let step = decompressor.decompress(&frame, &mut output).unwrap();
        assert_eq!((step, &output[..4]), (Decompressed { used: frame.len(), written: 4 }, &b"text"[..]));
        decompressor.finish().unwrap();
    }
}
