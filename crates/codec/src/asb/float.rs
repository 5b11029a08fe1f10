//! Floating-point numbers as text.
//!
//! Bins are written as Go's `strconv.FormatFloat(value, 'g', -1, 64)` does, keys with `'f'`. Both write the shortest
//! digits that read back to the same double. Source: docs/format/asb.md, "Floats".

use std::ops::Range;

use super::cursor::{Cursor, Parse, Stop};
use super::error::Rule;

/// Reads a number up to the line feed, which stays.
pub(super) fn decode(cursor: &mut Cursor<'_>) -> Parse<f64> {
    let at = cursor.at();
    let text = cursor.token([b'\n', b'\n'])?;
    parse(text).map_err(|rule| Stop::Broken(rule, at))
}

/// Reads what both backup-go and the C tools write, and what backup-go reads: decimal, hexadecimal, `inf`, `infinity`
/// and `nan` in any case. A NaN may have a sign, which backup-go refuses although the C tools write it.
fn parse(text: &[u8]) -> Result<f64, Rule> {
    let value = match fast_float2::parse(text) {
        Ok(value) => value,
        Err(_) => super::hexfloat::parse(text).ok_or(Rule::NotAFloat)?,
    };
    let is_number = text.iter().any(u8::is_ascii_digit);
    if value.is_infinite() && is_number { Err(Rule::FloatOutOfRange) } else { Ok(value) }
}

/// Returns whether reading the text of this number gives other bits: a NaN with a payload or a sign.
pub(super) fn is_inexact(value: f64) -> bool {
    value.is_nan() && value.to_bits() != f64::NAN.to_bits()
}

/// Appends a number as bins have it: with an exponent below 1e-4 and from 1e6 on.
pub(super) fn encode_general(out: &mut Vec<u8>, value: f64) {
    // Most numbers: `zmij` writes them as they are to be, but for the fraction of whole ones.
    if SAME_IN_BOTH.contains(&value.abs()) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        return out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }
    encode_by_exponent(out, value);
}

fn encode_by_exponent(out: &mut Vec<u8>, value: f64) {
    let Some(decimal) = Decimal::of(out, value) else { return };
    if (-4..6).contains(&decimal.exponent) {
        decimal.encode_plain(out);
    } else {
        decimal.encode_scientific(out);
    }
}

/// Appends a number as keys have it: never with an exponent.
pub(super) fn encode_plain(out: &mut Vec<u8>, value: f64) {
    if let Some(decimal) = Decimal::of(out, value) {
        decimal.encode_plain(out);
    }
}

/// The shortest digits of a number, without zeros at either end: d.ddd × 10^exponent.
struct Decimal {
    digits: [u8; MAX_DIGITS],
    count: usize,
    exponent: i32,
}

/// On which side of the point a digit is.
#[derive(Clone, Copy)]
enum Place {
    Whole,
    Fraction,
}

impl Decimal {
    /// Takes a number apart. Appends its sign, and the whole text if it has no digits.
    fn of(out: &mut Vec<u8>, value: f64) -> Option<Self> {
        if !value.is_finite() {
            out.extend_from_slice(non_finite(value));
            return None;
        }
        if value.is_sign_negative() {
            out.push(b'-');
        }
        let decimal = Self::parse(zmij::Buffer::new().format_finite(value.abs()));
        if decimal.count == 0 {
            out.push(b'0');
            return None;
        }
        Some(decimal)
    }

    /// Reads `ddd.ddd` with or without `e` and an exponent.
    fn parse(text: &str) -> Self {
        let mut decimal = Self { digits: [0; MAX_DIGITS], count: 0, exponent: -1 };
        let mut place = Place::Whole;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'.' => place = Place::Fraction,
                b'e' => {
                    let exponent = text.get(at + 1..).and_then(|text| text.parse::<i32>().ok());
                    decimal.exponent += exponent.unwrap_or_default();
                    break;
                }
                digit => decimal.push(digit, place),
            }
        }
        let trailing_zeros = decimal.digits().iter().rev().take_while(|digit| **digit == b'0').count();
        decimal.count -= trailing_zeros;
        decimal
    }

    /// Adds a digit. The exponent is that of the first digit that isn't 0.
    fn push(&mut self, digit: u8, place: Place) {
        let is_leading_zero = self.count == 0 && digit == b'0';
        match (place, is_leading_zero) {
            (Place::Whole, false) => self.exponent += 1,
            (Place::Fraction, true) => self.exponent -= 1,
            _ => {}
        }
        if let (false, Some(free)) = (is_leading_zero, self.digits.get_mut(self.count)) {
            *free = digit;
            self.count += 1;
        }
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    fn encode_plain(&self, out: &mut Vec<u8>) {
        if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            let zeros = self.exponent.unsigned_abs() as usize - 1;
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(self.digits());
            return;
        }
        let before_point = self.exponent.unsigned_abs() as usize + 1;
        match self.digits().split_at_checked(before_point) {
            Some((whole, fraction)) => {
                out.extend_from_slice(whole);
                if !fraction.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(fraction);
                }
            }
            None => {
                out.extend_from_slice(self.digits());
                out.resize(out.len() + before_point - self.count, b'0');
            }
        }
    }

    fn encode_scientific(&self, out: &mut Vec<u8>) {
        let (first, others) = self.digits().split_at_checked(1).unwrap_or_default();
        out.extend_from_slice(first);
        if !others.is_empty() {
            out.push(b'.');
            out.extend_from_slice(others);
        }
        out.extend_from_slice(if self.exponent < 0 { b"e-" } else { b"e+" });
        if self.exponent.unsigned_abs() < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(self.exponent.unsigned_abs()).as_bytes());
    }
}

fn non_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"NaN"
    } else if value.is_sign_negative() {
        b"-Inf"
    } else {
        b"+Inf"
    }
}

/// Numbers without an exponent, here as in `zmij`.
const SAME_IN_BOTH: Range<f64> = 1e-4..1e6;

/// No double needs more digits.
const MAX_DIGITS: usize = 17;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decimal_texts_are_read_as_the_standard_library_reads_them(
            text in prop_oneof![
                "[-+]?[0-9]{0,25}[.]?[0-9]{0,25}([eE][-+]?[0-9]{0,4})?",
                "[-+]?(?i:inf|infinity|nan|in|infinit|na)[0-9]?",
                "[-+.eE0-9infaty]{0,12}",
            ],
            value: f64,
        ) {
            for text in [text, value.to_string(), format!("{value:e}")] {
                let expected = text.parse().ok().or_else(|| super::super::hexfloat::parse(text.as_bytes()));
                let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
                let expected = expected.filter(|value: &f64| value.is_finite() || !has_digits);
                prop_assert_eq!(parse(text.as_bytes()).ok().map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
            }
        }
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        // Source: docs/format/asb.md, "Floats".
        let cases = [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-1.5, "-1.5", "-1.5"),
            (0.1, "0.1", "0.1"),
            (10.25, "10.25", "10.25"),
            (100_000.0, "100000", "100000"),
            (999_999.5, "999999.5", "999999.5"),
            (1_000_000.0, "1e+06", "1000000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5"),
            (120_000_000.0, "1.2e+08", "120000000"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_123, "0.000123", "0.000123"),
            (0.000_01, "1e-05", "0.00001"),
            (0.000_012_5, "1.25e-05", "0.0000125"),
            (1e22, "1e+22", "10000000000000000000000"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17", "123456789012345680"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ];
        for (value, general, plain) in cases {
            assert_eq!(encoded(encode_general, value), general);
            assert_eq!(encoded(encode_plain, value), plain);
        }
        assert_eq!(encoded(encode_general, 1e100), "1e+100");
        assert_eq!(encoded(encode_general, f64::MIN_POSITIVE), "2.2250738585072014e-308");
        assert_eq!(encoded(encode_plain, 1e100), format!("1{}", "0".repeat(100)));
        assert_eq!(encoded(encode_plain, 5e-324), format!("0.{}5", "0".repeat(323)));
    }

    #[test]
    fn numbers_around_the_bounds_of_the_short_way_are_written_as_others() {
        let neighbours = |value: f64| [value.next_down(), value, value.next_up()];
        let bounds = [1e-4, 1e6, 1.0, 999_999.0, 123_456.0].into_iter().flat_map(neighbours);
        let spread =
            (0..100_000_u64).map(|number| f64::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let common = (0..100_000_u32).map(|number| f64::from(number) * 10.007);
        for value in bounds.chain(spread).chain(common).filter(|value| value.is_finite()) {
            for value in [value, -value] {
                assert_eq!(encoded(encode_general, value), encoded(encode_by_exponent, value));
            }
        }
    }

    #[test]
    fn every_power_of_ten_reads_back_to_the_same_number() {
        for exponent in -323..=308 {
            for digits in ["1", "9.999999999999999", "1.7976931348623157"] {
                let value: f64 = format!("{digits}e{exponent}").parse().unwrap();
                for encode in [encode_general, encode_plain] {
                    let text = encoded(encode, value);
                    assert_eq!(parse(text.as_bytes()), Ok(value), "{text}");
                }
            }
        }
    }

    #[test]
    fn spellings_of_other_writers_are_read() {
        let cases = [
            ("inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("1E5", 1e5),
            (".5", 0.5),
            ("5.", 5.0),
            ("+5", 5.0),
            ("1e-400", 0.0),
            ("0x1p-2", 0.25),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()), Ok(value), "{text}");
        }
        for text in ["nan", "NaN", "-nan", "+NAN"] {
            assert!(parse(text.as_bytes()).unwrap().is_nan(), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "e5", "1e", " 1", "1 ", "1_0", "0x", "0x1", "0x.p1", "in", "\u{b2}"] {
            assert_eq!(parse(text.as_bytes()), Err(Rule::NotAFloat), "{text:?}");
        }
        for text in ["1e309", "-1e309", "0x1p1024", "0x1p99999"] {
            assert_eq!(parse(text.as_bytes()), Err(Rule::FloatOutOfRange), "{text}");
        }
    }

    fn encoded(encode: fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        encode(&mut out, value);
        String::from_utf8(out).unwrap()
    }
}
