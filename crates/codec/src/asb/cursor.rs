//! Checked reads over the front of the input; the one place that knows offsets.

use asbackup_model::Span;

use super::error::Rule;
use super::{MAX_TOKEN_BYTES, MAX_VALUE_BYTES};

/// Why an entry could not be read to its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// At least so many bytes are missing.
    Need(usize),
    /// The text breaks a rule at an offset in the input.
    Broken(Rule, usize),
}

pub(super) type Parse<T> = Result<T, Stop>;

/// What becomes of a backslash in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// It is part of the name.
    Kept,
    /// It is dropped, and the byte behind it belongs to the name, whatever it is.
    Dropped,
}

/// What is still to be read of the input.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    input_bytes: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, input_bytes: input.len() }
    }

    /// Returns how many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.input_bytes - self.rest.len()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    pub(super) fn peek(&self) -> Parse<u8> {
        self.rest.first().copied().ok_or(Stop::Need(1))
    }

    pub(super) fn byte(&mut self) -> Parse<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or(Stop::Need(1))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn expect(&mut self, expected: u8) -> Parse<()> {
        self.tag(&[expected])
    }

    /// Reads bytes that must be these.
    pub(super) fn tag<const N: usize>(&mut self, tag: &[u8; N]) -> Parse<()> {
        match self.rest.strip_prefix(tag) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.mismatch(tag)),
        }
    }

    #[cold]
    fn mismatch(&self, tag: &[u8]) -> Stop {
        let differs = self.rest.iter().zip(tag).enumerate().find(|(_, (found, expected))| found != expected);
        match differs {
            Some((i, (&found, &expected))) => Stop::Broken(Rule::Expected { expected, found }, self.at() + i),
            None => Stop::Need(tag.len() - self.rest.len()),
        }
    }

    /// Reads digits up to `end`, which stays.
    pub(super) fn unsigned(&mut self, end: u8, limit: u64) -> Parse<u64> {
        let start = self.at();
        self.digits(end, start, limit)
    }

    /// Reads a signed number up to `end`, which stays.
    pub(super) fn signed(&mut self, end: u8) -> Parse<i64> {
        let start = self.at();
        if self.peek()? != b'-' {
            return self.digits(end, start, i64::MAX.unsigned_abs()).map(u64::cast_signed);
        }
        self.skip(1);
        let magnitude = self.digits(end, start, i64::MIN.unsigned_abs())?;
        Ok(magnitude.wrapping_neg().cast_signed())
    }

    fn digits(&mut self, end: u8, start: usize, limit: u64) -> Parse<u64> {
        let mut value = 0;
        for (i, &byte) in self.rest.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return self.end_number(i, byte, end, start).map(|()| value);
            }
            if i == MAX_TOKEN_BYTES {
                return Err(Stop::Broken(Rule::TokenTooLong, start));
            }
            value = append_digit(value, digit, i);
            if value > limit {
                return Err(Stop::Broken(Rule::NumberOutOfRange { limit }, start));
            }
        }
        Err(Stop::Need(1))
    }

    /// Leaves a number behind whose first byte that is no digit is `found`.
    fn end_number(&mut self, digits: usize, found: u8, end: u8, start: usize) -> Parse<()> {
        if found != end {
            return Err(Stop::Broken(Rule::NotADigit { found }, self.at() + digits));
        }
        if digits == 0 {
            return Err(Stop::Broken(Rule::EmptyNumber, start));
        }
        self.skip(digits);
        Ok(())
    }

    /// Reads a token without escapes up to one of `ends`, which stays.
    pub(super) fn token(&mut self, ends: [u8; 2]) -> Parse<&'a [u8]> {
        match self.rest.iter().take(MAX_TOKEN_BYTES + 1).position(|byte| ends.contains(byte)) {
            Some(bytes) => {
                let (token, rest) = self.rest.split_at_checked(bytes).unwrap_or_default();
                self.rest = rest;
                Ok(token)
            }
            None => Err(self.endless_token()),
        }
    }

    /// Reads a name up to an unescaped byte of `ends`, which stays.
    pub(super) fn name(&mut self, ends: [u8; 2], escapes: Escapes, decoded: &mut Vec<u8>) -> Parse<Span> {
        let special = |byte: &u8| ends.contains(byte) || *byte == b'\\';
        match self.rest.iter().take(MAX_TOKEN_BYTES + 1).position(special) {
            Some(bytes) if self.rest.get(bytes) != Some(&b'\\') => {
                let span = Span::Input { start: offset(self.at()), len: offset(bytes) };
                self.skip(bytes);
                Ok(span)
            }
            Some(_) => self.unescape(ends, escapes, decoded),
            None => Err(self.endless_token()),
        }
    }

    /// Reads a name up to an unescaped `end`, which stays, and copies it.
    pub(super) fn owned_name(&mut self, end: u8, escapes: Escapes) -> Parse<Vec<u8>> {
        let raw = self.rest;
        let mut decoded = Vec::new();
        match self.name([end, end], escapes, &mut decoded)? {
            Span::Input { len, .. } => Ok(raw.get(..len as usize).unwrap_or_default().to_vec()),
            Span::Decoded { .. } => Ok(decoded),
        }
    }

    #[cold]
    fn unescape(&mut self, ends: [u8; 2], escapes: Escapes, decoded: &mut Vec<u8>) -> Parse<Span> {
        let start = decoded.len();
        let mut escaped = false;
        for (i, &byte) in self.rest.iter().enumerate().take(MAX_TOKEN_BYTES + 1) {
            if !escaped && ends.contains(&byte) {
                self.skip(i);
                return Ok(Span::Decoded { start: offset(start), len: offset(decoded.len() - start) });
            }
            escaped = !escaped && byte == b'\\' && escapes == Escapes::Dropped;
            if !escaped {
                decoded.push(byte);
            }
        }
        decoded.truncate(start);
        Err(self.endless_token())
    }

    #[cold]
    fn endless_token(&self) -> Stop {
        if self.rest.len() > MAX_TOKEN_BYTES {
            return Stop::Broken(Rule::TokenTooLong, self.at());
        }
        Stop::Need(1)
    }

    /// Reads everything up to the line feed, which stays.
    pub(super) fn line(&mut self, limit: usize, too_long: Rule) -> Parse<&'a [u8]> {
        let within = self.rest.get(..=limit).unwrap_or(self.rest);
        match memchr::memchr(b'\n', within) {
            Some(bytes) => {
                let (line, rest) = self.rest.split_at_checked(bytes).unwrap_or_default();
                self.rest = rest;
                Ok(line)
            }
            None if within.len() > limit => Err(Stop::Broken(too_long, self.at())),
            None => Err(Stop::Need(1)),
        }
    }

    /// Reads a length, a space and so many bytes; returns them and where they begin.
    pub(super) fn sized(&mut self) -> Parse<(&'a [u8], usize)> {
        let start = self.at();
        let declared = self.unsigned(b' ', u64::MAX)?;
        self.skip(1);
        let bytes = usize::try_from(declared)
            .ok()
            .filter(|bytes| *bytes <= MAX_VALUE_BYTES)
            .ok_or(Stop::Broken(Rule::ValueTooLong { bytes: declared }, start))?;
        let start = self.at();
        match self.rest.split_at_checked(bytes) {
            Some((value, rest)) => {
                self.rest = rest;
                Ok((value, start))
            }
            // At least a line feed comes behind the value.
            None => Err(Stop::Need(bytes - self.rest.len() + 1)),
        }
    }

    /// Reads a length, a space and so many bytes; returns where they lie.
    pub(super) fn sized_span(&mut self) -> Parse<Span> {
        let (value, start) = self.sized()?;
        Ok(Span::Input { start: offset(start), len: offset(value.len()) })
    }
}

/// Appends a digit to a number that was read from `count` digits; the largest number stands for all that don't fit.
fn append_digit(value: u64, digit: u8, count: usize) -> u64 {
    // 19 digits always fit; only beyond them is there anything to check.
    if count < 19 {
        value * 10 + u64::from(digit)
    } else {
        value.saturating_mul(10).saturating_add(u64::from(digit))
    }
}

/// Returns an offset within an entry as spans hold it. It always fits: an entry has at most 256 MiB, and the bytes that
/// are decoded for it are fewer than its text.
pub(super) fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
