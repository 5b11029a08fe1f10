//! Particle values and user keys. Source: docs/format/wire.md, "Particles".

use asbackup_model::{Bin, BytesType, KeySlot, RecordView, Span, UserKey, Value, ValueSlot, particle};

use super::message::put_op;

/// Returns where a value lies. A value that doesn't fit its type stays bytes: one odd record must not end a scan.
#[inline]
pub(super) fn value_slot(particle: u8, value: &[u8], end: usize) -> ValueSlot {
    let bytes = |kind| ValueSlot::Bytes(kind, span(end, value.len()));
    match particle {
        particle::NIL if value.is_empty() => ValueSlot::Nil,
        particle::INTEGER => {
            integer(value).map_or_else(|| bytes(BytesType::Unknown(particle)), ValueSlot::Integer)
        }
        particle::FLOAT => float(value).map_or_else(|| bytes(BytesType::Unknown(particle)), ValueSlot::Float),
        particle::STRING => ValueSlot::String(span(end, value.len())),
        particle::BOOL => match value {
            [0] => ValueSlot::Bool(false),
            [1] => ValueSlot::Bool(true),
            _ => bytes(BytesType::Unknown(particle)),
        },
        particle::GEOJSON => match geo_json(value) {
            Some(json) => ValueSlot::GeoJson(span(end, json.len())),
            None => bytes(BytesType::Unknown(particle)),
        },
        other => bytes(bytes_type(other)),
    }
}

/// Returns the value that an op carries, by the rules of a scan's records.
#[must_use]
pub fn decode_value(particle: u8, value: &[u8]) -> Value<'_> {
    match value_slot(particle, value, value.len()) {
        ValueSlot::Nil => Value::Nil,
        ValueSlot::Bool(value) => Value::Bool(value),
        ValueSlot::Integer(value) => Value::Integer(value),
        ValueSlot::Float(value) => Value::Float(value),
        ValueSlot::String(_) => Value::String(value),
        ValueSlot::GeoJson(_) => Value::GeoJson(geo_json(value).unwrap_or_default()),
        ValueSlot::Bytes(kind, _) => Value::Bytes(kind, value),
    }
}

/// Returns where the user key of a field lies. A key of an unknown type or an odd length counts as bytes.
#[inline]
pub(super) fn key_slot(data: &[u8], end: usize) -> Option<KeySlot> {
    let (&kind, value) = data.split_first()?;
    let key = match kind {
        particle::INTEGER => integer(value).map(KeySlot::Integer),
        particle::FLOAT => float(value).map(KeySlot::Float),
        particle::STRING => Some(KeySlot::String(span(end, value.len()))),
        _ => None,
    };
    Some(key.unwrap_or_else(|| KeySlot::Bytes(span(end, value.len()))))
}

/// Returns the user key that a field carries; an empty field carries none.
#[must_use]
pub fn decode_key(data: &[u8]) -> Option<UserKey<'_>> {
    let value = data.get(1..).unwrap_or_default();
    Some(match key_slot(data, data.len())? {
        KeySlot::Integer(value) => UserKey::Integer(value),
        KeySlot::Float(value) => UserKey::Float(value),
        KeySlot::String(_) => UserKey::String(value),
        KeySlot::Bytes(_) => UserKey::Bytes(value),
    })
}

/// Returns the set to send with a write: an empty name, which the text format can hold, is the null set.
#[inline]
pub(super) fn set_to_write<'a>(record: &RecordView<'a>) -> Option<&'a [u8]> {
    record.set.filter(|set| !set.is_empty())
}

/// Appends the field of a user key.
#[inline]
pub(super) fn put_key(out: &mut Vec<u8>, kind: u8, key: &UserKey<'_>) {
    let number;
    let value = match *key {
        UserKey::Integer(value) => {
            number = value.to_be_bytes();
            &number
        }
        UserKey::Float(value) => {
            number = value.to_be_bytes();
            &number
        }
        UserKey::String(bytes) | UserKey::Bytes(bytes) => bytes,
    };
    let [a, b, c, d] = u32::try_from(2 + value.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&[a, b, c, d, kind, key.particle()]);
    out.extend_from_slice(value);
}

/// What becomes of bins without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nil {
    Kept,
    LeftOut,
}

/// Appends an op for each bin and returns how many there are. A message has room for 65,535, twice of what servers
/// accept: of more bins these are sent, and the server refuses the record.
#[inline]
pub(super) fn put_bins<'a>(
    out: &mut Vec<u8>,
    code: u8,
    bins: impl Iterator<Item = Bin<'a>>,
    nil: Nil,
) -> u16 {
    let mut count = 0_u16;
    for bin in bins {
        if count == u16::MAX {
            break;
        }
        if nil == Nil::Kept || bin.value != Value::Nil {
            put_value(out, code, bin.name, &bin.value);
            count += 1;
        }
    }
    count
}

/// Appends an op with the value of a bin.
#[inline]
fn put_value(out: &mut Vec<u8>, code: u8, name: &[u8], value: &Value<'_>) {
    match *value {
        Value::Nil => put_op(out, code, particle::NIL, name, &[]),
        Value::Bool(value) => put_op(out, code, particle::BOOL, name, &[u8::from(value)]),
        Value::Integer(value) => put_op(out, code, particle::INTEGER, name, &value.to_be_bytes()),
        Value::Float(value) => put_op(out, code, particle::FLOAT, name, &value.to_be_bytes()),
        Value::String(bytes) => put_op(out, code, particle::STRING, name, bytes),
        Value::GeoJson(json) => put_geo_json(out, code, name, json),
        Value::Bytes(kind, bytes) => put_op(out, code, kind.particle(), name, bytes),
    }
}

/// Appends an op with a GeoJSON value. It has no cells: the server works them out.
fn put_geo_json(out: &mut Vec<u8>, code: u8, name: &[u8], json: &[u8]) {
    let start = out.len();
    put_op(out, code, particle::GEOJSON, name, &[0, 0, 0]);
    out.extend_from_slice(json);
    let length = out.len() - start - LENGTH_BYTES;
    super::frame::put_u32(out, start, u32::try_from(length).unwrap_or(u32::MAX));
}

/// Servers send 8 bytes. Old ones sent fewer: two and four with a sign, other lengths without.
#[inline]
fn integer(value: &[u8]) -> Option<i64> {
    if let Ok(bytes) = value.try_into() {
        return Some(i64::from_be_bytes(bytes));
    }
    match *value {
        [] => None,
        [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        _ if value.len() < 8 => Some(value.iter().fold(0, |sum, &byte| sum << 8 | i64::from(byte))),
        _ => None,
    }
}

#[inline]
fn float(value: &[u8]) -> Option<f64> {
    value.try_into().ok().map(f64::from_be_bytes)
}

/// Returns the JSON text behind the flags and the cells that the server keeps with it.
#[inline]
fn geo_json(value: &[u8]) -> Option<&[u8]> {
    let (&[_flags, high, low], rest) = value.split_first_chunk()?;
    rest.get(CELL_BYTES * usize::from(u16::from_be_bytes([high, low]))..)
}

#[inline]
fn bytes_type(particle: u8) -> BytesType {
    match particle {
        particle::BLOB => BytesType::Blob,
        particle::JAVA_BLOB => BytesType::Java,
        particle::CSHARP_BLOB => BytesType::CSharp,
        particle::PYTHON_BLOB => BytesType::Python,
        particle::RUBY_BLOB => BytesType::Ruby,
        particle::PHP_BLOB => BytesType::Php,
        particle::ERLANG_BLOB => BytesType::Erlang,
        particle::HLL => BytesType::Hll,
        particle::MAP => BytesType::Map,
        particle::LIST => BytesType::List,
        other => BytesType::Unknown(other),
    }
}

/// Returns the span of the `len` bytes before `end`. Both are below the limit of a message, so they fit.
#[inline]
pub(super) fn span(end: usize, len: usize) -> Span {
    Span::input(end - len, len)
}

const LENGTH_BYTES: usize = 4;
const CELL_BYTES: usize = 8;
