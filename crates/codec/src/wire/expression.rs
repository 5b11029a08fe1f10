//! Filter expressions of scans. Source: docs/format/wire.md, "Filters".

use super::query::monitor_set_filter;

/// A condition that the server holds against each record of a scan, as the `MessagePack` that travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(Vec<u8>);

impl Expression {
    /// Keeps all but the monitor records of transactions.
    #[must_use]
    pub fn not_monitor_set() -> Self {
        Self(monitor_set_filter().to_vec())
    }

    /// Keeps the records of these sets.
    #[must_use]
    pub fn in_sets<'a>(sets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::joined(OR, sets.into_iter().map(Self::in_set).collect())
    }

    fn in_set(set: &[u8]) -> Self {
        let mut bytes = operation(EQUAL, 2);
        bytes.extend(operation(SET_NAME, 0));
        put_string(&mut bytes, set);
        Self(bytes)
    }

    /// Keeps the records that were updated at this time or later, in nanoseconds since 1970.
    #[must_use]
    pub fn modified_since(unix_ns: i64) -> Self {
        Self::last_update(GREATER_OR_EQUAL, unix_ns)
    }

    /// Keeps the records that were last updated before this time, in nanoseconds since 1970.
    #[must_use]
    pub fn modified_before(unix_ns: i64) -> Self {
        Self::last_update(LESS, unix_ns)
    }

    fn last_update(comparison: u8, unix_ns: i64) -> Self {
        let mut bytes = operation(comparison, 2);
        bytes.extend(operation(LAST_UPDATE, 0));
        bytes.push(INT_64);
        bytes.extend(unix_ns.to_be_bytes());
        Self(bytes)
    }

    /// Keeps the records that never expire.
    #[must_use]
    pub fn never_expires() -> Self {
        let mut bytes = operation(EQUAL, 2);
        bytes.extend(operation(TTL, 0));
        bytes.push(MINUS_ONE);
        Self(bytes)
    }

    /// Takes over an expression of a user as it is; what it means only the server knows. None if it isn't one whole value
    /// of `MessagePack`: the conditions beside it would then be read as parts of it, or it as several of them.
    #[must_use]
    pub fn given(bytes: &[u8]) -> Option<Self> {
        (skip_value(bytes)? == 0).then(|| Self(bytes.to_vec()))
    }

    /// Keeps what all parts keep. A part alone stands for itself.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Self {
        Self::joined(AND, parts)
    }

    fn joined(operator: u8, mut parts: Vec<Self>) -> Self {
        if parts.len() == 1
            && let Some(alone) = parts.pop()
        {
            return alone;
        }
        let mut bytes = operation(operator, parts.len());
        parts.iter().for_each(|part| bytes.extend_from_slice(&part.0));
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes for the field of a request.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Returns how many bytes lie behind the value that these begin with, or nothing if they end within it.
fn skip_value(bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut values) = (bytes, 1_u64);
    while values > 0 {
        let (&head, behind) = rest.split_first()?;
        let (skipped, within, behind) = match head {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0, behind),
            0x80..=0x8f => (0, 2 * u64::from(head & 0x0f), behind),
            0x90..=0x9f => (0, u64::from(head & 0x0f), behind),
            0xa0..=0xbf => (u64::from(head & 0x1f), 0, behind),
            0xca..=0xd3 => (NUMBER_BYTES.get(usize::from(head - 0xca)).copied()?, 0, behind),
            0xd4..=0xd8 => (1 + (1 << (head - 0xd4)), 0, behind),
            0xc4..=0xc6 | 0xd9..=0xdb | 0xc7..=0xc9 | 0xdc..=0xdf => {
                let (width, unit) = match head {
                    0xc4..=0xc6 => (1 << (head - 0xc4), Counted::Bytes(0)),
                    0xc7..=0xc9 => (1 << (head - 0xc7), Counted::Bytes(1)),
                    0xd9..=0xdb => (1 << (head - 0xd9), Counted::Bytes(0)),
                    0xdc..=0xdd => (2 << (head - 0xdc), Counted::Values(1)),
                    _ => (2 << (head - 0xde), Counted::Values(2)),
                };
                let (count, behind) = behind.split_at_checked(width)?;
                let count = count.iter().fold(0, |count, &byte| count << 8 | u64::from(byte));
                match unit {
                    Counted::Bytes(more) => (count + more, 0, behind),
                    Counted::Values(each) => (0, count * each, behind),
                }
            }
            0xc1 => return None,
        };
        rest = behind.get(usize::try_from(skipped).ok()?..)?;
        values = values - 1 + within;
    }
    Some(rest.len())
}

/// What the length of a value in `MessagePack` counts.
enum Counted {
    /// Bytes, and as many more as its type takes.
    Bytes(u64),
    /// Values, so many for each.
    Values(u64),
}

/// Begins an array of an operator and its arguments.
fn operation(operator: u8, arguments: usize) -> Vec<u8> {
    let len = u32::try_from(arguments).unwrap_or(u32::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..=15), _) => bytes.push(FIXED_ARRAY | len),
        (_, Ok(len)) => {
            bytes.push(ARRAY_16);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(ARRAY_32);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.push(operator);
    bytes
}

/// Appends a string, whose first byte says that it is one.
fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_add(1);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..=31), _) => out.push(FIXED_STRING | len),
        (Ok(len), _) => out.extend([STRING_8, len]),
        (_, Ok(len)) => {
            out.push(STRING_16);
            out.extend(len.to_be_bytes());
        }
        _ => {
            out.push(STRING_32);
            out.extend(len.to_be_bytes());
        }
    }
    out.push(STRING_TYPE);
    out.extend_from_slice(text);
}

const EQUAL: u8 = 1;
const GREATER_OR_EQUAL: u8 = 4;
const LESS: u8 = 5;
const AND: u8 = 16;
const OR: u8 = 17;
const LAST_UPDATE: u8 = 66;
const TTL: u8 = 69;
const SET_NAME: u8 = 70;

// MessagePack.
/// Sizes of the numbers from `0xca` on: two floats, four unsigned and four signed integers.
const NUMBER_BYTES: [u64; 10] = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];
const FIXED_ARRAY: u8 = 0x90;
const ARRAY_16: u8 = 0xdc;
const ARRAY_32: u8 = 0xdd;
const FIXED_STRING: u8 = 0xa0;
const STRING_8: u8 = 0xd9;
const STRING_16: u8 = 0xda;
const STRING_32: u8 = 0xdb;
const INT_64: u8 = 0xd3;
const MINUS_ONE: u8 = 0xff;

/// Stands before the text of a string that is a value.
const STRING_TYPE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        let sets = |count: usize| Expression::in_sets(vec![&b"s"[..]; count]).into_bytes();
        assert_eq!(sets(1), b"\x93\x01\x91\x46\xa2\x03s");
        assert_eq!(sets(2), [&b"\x93\x11"[..], &sets(1), &sets(1)].concat());
        assert_eq!(sets(14)[..2], [0x9f, 17]);
        assert_eq!(sets(15)[..4], [0xdc, 0, 16, 17]);
        assert_eq!(sets(65_535)[..6], [0xdd, 0, 1, 0, 0, 17]);
        let set = |bytes: usize| Expression::in_set(&vec![b's'; bytes]).into_bytes()[4..8].to_vec();
        assert_eq!(set(30), [0xbf, 3, b's', b's']);
        assert_eq!(set(31), [0xd9, 32, 3, b's']);
        assert_eq!(set(255), [0xda, 1, 0, 3]);
        assert_eq!(set(65_535), [0xdb, 0, 1, 0]);
    }

    #[test]
    fn a_given_expression_is_one_whole_value() {
        let whole: [&[u8]; 16] = [
            b"\x93\x03\x93\x51\x02\xa3age\x40",
            b"\xc0",
            b"\xc3",
            b"\xff",
            b"\x81\x01\x92\x01\x02",
            b"\xca1234",
            b"\xcf12345678",
            b"\xd11\x02",
            b"\xd4t1",
            b"\xd8t1234567890123456",
            b"\xc4\x02ab",
            b"\xc7\x01ta",
            b"\xda\x00\x01a",
            b"\xdc\x00\x02\x01\x02",
            b"\xdf\x00\x00\x00\x01\x01\x02",
            b"\xdb\x00\x00\x00\x00",
        ];
        for bytes in whole {
            let given = Expression::given(bytes).unwrap_or_else(|| panic!("{bytes:x?}"));
            assert_eq!(given.into_bytes(), bytes);
            assert_eq!(Expression::given(&[bytes, b"\x01"].concat()), None, "{bytes:x?} and more");
            (0..bytes.len()).for_each(|len| assert_eq!(Expression::given(&bytes[..len]), None));
        }
        assert_eq!(Expression::given(b"\xc1"), None);
        assert_eq!(Expression::given(b"\xdb\xff\xff\xff\xff"), None);
    }
}
