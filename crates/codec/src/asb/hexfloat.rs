//! Hexadecimal floating-point numbers, which backup-go reads and nobody writes. Source: docs/format/asb.md, "Floats".

/// Reads a number like `-0x1.8p-2`.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (text, is_negative) = match text.strip_prefix('-') {
        Some(text) => (text, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (mantissa, scale) = parse_mantissa(mantissa)?;
    let exponent = exponent.parse::<i32>().ok()?.clamp(-FAR, FAR);
    let value = compose(mantissa, scale.clamp(-FAR, FAR) + exponent);
    Some(if is_negative { -value } else { value })
}

/// Returns at most 63 bits and the power of two that they are to be multiplied by. Bits that were cut off and aren't
/// zero set the last bit, so that rounding goes the right way.
fn parse_mantissa(text: &str) -> Option<(u64, i32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut bits = 0u64;
    let mut scale = -4 * i32::try_from(fraction.len()).ok()?;
    for character in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(character.to_digit(16)?);
        if bits >> 59 == 0 {
            bits = bits << 4 | digit;
        } else {
            bits |= u64::from(digit != 0);
            scale += 4;
        }
    }
    Some((bits, scale))
}

/// Returns the double next to `bits` × 2^`scale`, the even one of two.
fn compose(bits: u64, scale: i32) -> f64 {
    let length = 64 - bits.leading_zeros().cast_signed();
    let magnitude = length - 1 + scale;
    let precision = 53 - (MIN_NORMAL_EXPONENT - magnitude).max(0);
    let dropped = (length - precision).max(0);
    if bits == 0 || dropped > length {
        return 0.0;
    }
    if magnitude > MAX_EXPONENT {
        return f64::INFINITY;
    }
    let dropped_bits = dropped.unsigned_abs();
    let kept = bits >> dropped_bits;
    let cut = bits - (kept << dropped_bits);
    let half = (1u64 << dropped_bits) >> 1;
    let rounds_up = dropped > 0 && (cut > half || cut == half && kept & 1 == 1);
    // At most 2^53, so the conversion is exact, and so are both products: the result is a double or infinity.
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    let kept = (kept + u64::from(rounds_up)) as f64;
    let scale = scale + dropped;
    kept * power_of_two(scale / 2) * power_of_two(scale - scale / 2)
}

/// Returns 2^`exponent`, for exponents from -1022 to 1023.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::from((exponent + MAX_EXPONENT).unsigned_abs()) << 52)
}

/// Beyond every exponent of a double, with any mantissa that a token has room for.
const FAR: i32 = 100_000;

const MAX_EXPONENT: i32 = 1023;

const MIN_NORMAL_EXPONENT: i32 = -1022;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_the_nearest_double() {
        let cases = [
            ("0x0p0", 0.0),
            ("-0x1.8p1", -3.0),
            ("+0X.8P+1", 1.0),
            ("0xffp-4", 15.9375),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1074", f64::from_bits(1)),
            // Half of the smallest double goes to the even zero, a little more doesn't.
            ("0x1p-1075", 0.0),
            ("0x1.0000000000000000000001p-1075", f64::from_bits(1)),
            ("0x1p-1076", 0.0),
            ("0x1.8p-1074", f64::from_bits(2)),
            // Half of the last place: to the even one.
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0x1.000000000000080000000000001p0", 1.0 + f64::EPSILON),
            ("0x10000000000000000000000000p-100", 1.0),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1p1024", f64::INFINITY),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
    }
}
