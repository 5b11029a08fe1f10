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
        self.digits((0, 0), end, start, limit)
    }

    /// Reads a signed number up to `end`, which stays.
    pub(super) fn signed(&mut self, end: u8) -> Parse<i64> {
        let start = self.at();
        if self.peek()? != b'-' {
            return self.digits(self.eights(), end, start, i64::MAX.unsigned_abs()).map(u64::cast_signed);
        }
        self.skip(1);
        let magnitude = self.digits(self.eights(), end, start, i64::MIN.unsigned_abs())?;
        Ok(magnitude.wrapping_neg().cast_signed())
    }

    /// Looks at the first digits of what may be a long number, eight at once. Returns their value and how many they are.
    fn eights(&self) -> (u64, usize) {
        let (eights, _) = self.rest.as_chunks();
        let numbers = eights.iter().take(2).map_while(|eight| eight_digits(*eight));
        numbers.fold((0, 0), |(value, count), number| (value * 100_000_000 + number, count + 8))
    }

    /// Reads the digits behind those that were looked at already.
    fn digits(&mut self, looked_at: (u64, usize), end: u8, start: usize, limit: u64) -> Parse<u64> {
        let (mut value, count) = looked_at;
        for (i, &byte) in self.rest.iter().enumerate().skip(count) {
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
        let within = self.rest.get(..=MAX_TOKEN_BYTES).unwrap_or(self.rest);
        match memchr::memchr2(ends[0], ends[1], within) {
            Some(bytes) => {
                let (token, rest) = self.rest.split_at_checked(bytes).unwrap_or_default();
                self.rest = rest;
                Ok(token)
            }
            None => Err(self.endless_token()),
        }
    }

    /// Reads a name up to an unescaped byte of `ends`, which stays.
    #[inline(always)] // Most names are read in fewer steps than a call takes.
    pub(super) fn name(&mut self, ends: [u8; 2], escapes: Escapes, decoded: &mut Vec<u8>) -> Parse<Span> {
        match self.end_of_name([ends[0], ends[1], b'\\']) {
            Some(bytes) if self.rest.get(bytes) != Some(&b'\\') => {
                let span = Span::input(self.at(), bytes);
                self.skip(bytes);
                Ok(span)
            }
            Some(_) => self.unescape(ends, escapes, decoded),
            None => Err(self.endless_token()),
        }
    }

    /// Returns where the first of three bytes lies. Bin names have at most 15 bytes, and most names are as short: for them
    /// a search that is made for long texts costs more than the comparison.
    #[inline]
    fn end_of_name(&self, ends: [u8; 3]) -> Option<usize> {
        let (eights, _) = self.rest.as_chunks();
        for (i, eight) in eights.iter().take(2).enumerate() {
            if let Some(at) = first_in_eight(*eight, ends) {
                return Some(8 * i + at);
            }
        }
        let within = self.rest.get(..=MAX_TOKEN_BYTES).unwrap_or(self.rest);
        let [a, b, c] = ends;
        memchr::memchr3(a, b, c, within)
    }

    /// Reads a name up to an unescaped `end`, which stays, and copies it.
    pub(super) fn owned_name(&mut self, end: u8, escapes: Escapes) -> Parse<Vec<u8>> {
        let raw = self.rest;
        let mut decoded = Vec::new();
        self.name([end, end], escapes, &mut decoded)?;
        // A name with an escape is never empty.
        if decoded.is_empty() {
            decoded.extend_from_slice(raw.get(..raw.len() - self.rest.len()).unwrap_or_default());
        }
        Ok(decoded)
    }

    #[cold]
    fn unescape(&mut self, ends: [u8; 2], escapes: Escapes, decoded: &mut Vec<u8>) -> Parse<Span> {
        let start = decoded.len();
        let mut escaped = false;
        for (i, &byte) in self.rest.iter().enumerate().take(MAX_TOKEN_BYTES + 1) {
            if !escaped && ends.contains(&byte) {
                self.skip(i);
                return Ok(Span::decoded(start, decoded.len() - start));
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
        Ok(Span::input(start, value.len()))
    }
}

/// Returns where the first of three bytes lies within eight.
#[inline]
fn first_in_eight(text: [u8; 8], sought: [u8; 3]) -> Option<usize> {
    let word = u64::from_le_bytes(text);
    let hits = sought.into_iter().fold(0, |hits, byte| {
        let zero_where_found = word ^ (ONES * u64::from(byte));
        // Sets the upper bit of each byte that is zero, and maybe of some behind such a byte.
        hits | (zero_where_found.wrapping_sub(ONES) & !zero_where_found & (ONES << 7))
    });
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

/// Returns the number that eight digits stand for, or none if one of them is no digit.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // A byte above 9 has a bit of the upper half, or gets one by adding 6.
    if (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    // The first digit is the lowest byte: pairs, then fours, then all.
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
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

/// The lowest bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn first_of_three_bytes_is_found(text: [u8; 8], sought: [u8; 3], at in 0_usize..8, which in 0_usize..3) {
            let mut with_hit = text;
            with_hit[at] = sought[which];
            for text in [text, with_hit] {
                let expected = text.iter().position(|byte| sought.contains(byte));
                prop_assert_eq!(first_in_eight(text, sought), expected);
            }
        }

        #[test]
        fn eight_digits_are_a_number(number in 0_u64..100_000_000, at in 0_usize..8, byte: u8) {
            let mut text: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(text), Some(number));
            text[at] = byte;
            let expected = text.iter().all(u8::is_ascii_digit).then(|| number_of(&text));
            prop_assert_eq!(eight_digits(text), expected);
        }

        #[test]
        fn long_numbers_are_read_as_short_ones(number: i64) {
            let text = format!("{number}\n");
            prop_assert_eq!(Cursor::new(text.as_bytes()).signed(b'\n').ok(), Some(number));
        }
    }

    fn number_of(digits: &[u8]) -> u64 {
        digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'))
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        for text in ["9223372036854775808\n", "-9223372036854775809\n", "99999999999999999999999999\n"] {
            let read = Cursor::new(text.as_bytes()).signed(b'\n');
            assert!(matches!(read, Err(Stop::Broken(Rule::NumberOutOfRange { .. }, 0))), "{text}: {read:?}");
        }
    }
}
