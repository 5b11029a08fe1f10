//! The lines of a record. Source: docs/format/asb.md, "Records".

use asbackup_model::{BinSlot, BytesType, KeySlot, RecordLayout, ValueSlot, VoidTime};

use super::cursor::{Cursor, Escapes, Parse, Stop};
use super::error::Rule;
use super::{base64, float};

/// How far a record was read when the input ended. The next attempt goes on from there, so that a record that comes in
/// many pieces isn't read from its beginning for each of them.
#[derive(Debug)]
pub(super) struct Progress {
    at: usize,
    bins_left: u64,
    bins: usize,
    decoded: usize,
}

impl Progress {
    fn of(cursor: &Cursor<'_>, layout: &RecordLayout, bins_left: u64) -> Self {
        Self { at: cursor.at(), bins_left, bins: layout.bins.len(), decoded: layout.decoded.len() }
    }

    /// Returns whether the layout holds what was read before. A new one doesn't: it has no bins.
    fn fits(&self, layout: &RecordLayout) -> bool {
        self.bins > 0 && self.bins == layout.bins.len() && self.decoded == layout.decoded.len()
    }
}

/// Reads a record into `layout`.
pub(super) fn record(
    cursor: &mut Cursor<'_>,
    escapes: Escapes,
    layout: &mut RecordLayout,
    progress: &mut Option<Progress>,
) -> Parse<()> {
    let mut bins_left = match progress.take().filter(|progress| progress.fits(layout)) {
        Some(progress) => {
            cursor.skip(progress.at);
            progress.bins_left
        }
        None => {
            layout.clear();
            head(cursor, escapes, layout)?
        }
    };
    while bins_left > 0 {
        let reached = Progress::of(cursor, layout, bins_left);
        match bin(cursor, escapes, layout) {
            Ok(slot) => layout.bins.push(slot),
            Err(stop) => {
                layout.decoded.truncate(reached.decoded);
                *progress = matches!(stop, Stop::Need(_)).then_some(reached);
                return Err(stop);
            }
        }
        bins_left -= 1;
    }
    Ok(())
}

/// Reads the lines before the bins; returns how many bins there are.
fn head(cursor: &mut Cursor<'_>, escapes: Escapes, layout: &mut RecordLayout) -> Parse<u64> {
    cursor.tag(b"+ ")?;
    if cursor.peek()? == b'k' {
        cursor.tag(b"k ")?;
        layout.key = Some(key(cursor, layout)?);
        cursor.tag(b"\n+ ")?;
    }
    cursor.tag(b"n ")?;
    layout.namespace = cursor.name([b'\n', b'\n'], escapes, &mut layout.decoded)?;
    cursor.tag(b"\n+ d ")?;
    layout.digest = base64::digest(cursor)?;
    cursor.tag(b"\n+ ")?;
    if cursor.peek()? == b's' {
        cursor.tag(b"s ")?;
        layout.set = Some(cursor.name([b'\n', b'\n'], escapes, &mut layout.decoded)?);
        cursor.tag(b"\n+ ")?;
    }
    cursor.tag(b"g ")?;
    layout.generation = sixteen_bits(cursor.unsigned(b'\n', u16::MAX.into())?);
    cursor.tag(b"\n+ t ")?;
    layout.void_time = VoidTime(cursor.unsigned(b'\n', i64::MAX.unsigned_abs())?);
    cursor.tag(b"\n+ b ")?;
    let bins = cursor.unsigned(b'\n', u16::MAX.into())?;
    cursor.skip(1);
    Ok(bins)
}

/// Narrows a number that was read with a limit of 65,535.
fn sixteen_bits(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn key(cursor: &mut Cursor<'_>, layout: &mut RecordLayout) -> Parse<KeySlot> {
    let at = cursor.at();
    let found = cursor.byte()?;
    if !matches!(found, b'I' | b'D' | b'S' | b'X' | b'B') {
        return Err(Stop::Broken(Rule::UnknownKeyType { found }, at));
    }
    let form = form(cursor)?;
    Ok(match (found, form) {
        (b'I', _) => KeySlot::Integer(cursor.signed(b'\n')?),
        (b'D', _) => KeySlot::Float(float::decode(cursor)?),
        (b'S', _) => KeySlot::String(cursor.sized_span()?),
        (b'X', _) => KeySlot::String(base64::sized(cursor, &mut layout.decoded)?),
        (_, Form::Raw) => KeySlot::Bytes(cursor.sized_span()?),
        (_, Form::Base64) => KeySlot::Bytes(base64::sized(cursor, &mut layout.decoded)?),
    })
}

/// How a type that knows both is written.
enum Form {
    Base64,
    Raw,
}

/// Reads the rest of a type: a space, or an exclamation mark and a space.
fn form(cursor: &mut Cursor<'_>) -> Parse<Form> {
    if cursor.peek()? != b'!' {
        cursor.expect(b' ')?;
        return Ok(Form::Base64);
    }
    cursor.tag(b"! ")?;
    Ok(Form::Raw)
}

/// Reads one bin line.
fn bin(cursor: &mut Cursor<'_>, escapes: Escapes, layout: &mut RecordLayout) -> Parse<BinSlot> {
    cursor.tag(b"- ")?;
    let at = cursor.at();
    let kind = kind(cursor.byte()?).map_err(|rule| Stop::Broken(rule, at))?;
    let form = form(cursor)?;
    let name = cursor.name([b' ', b'\n'], escapes, &mut layout.decoded)?;
    if !matches!(kind, Kind::Nil) {
        cursor.expect(b' ')?;
    }
    let value = value(cursor, kind, form, layout)?;
    cursor.expect(b'\n')?;
    Ok(BinSlot { name, value })
}

/// The type of a bin.
enum Kind {
    Nil,
    Bool,
    Integer,
    Float,
    String,
    Base64String,
    GeoJson,
    Bytes(BytesType),
}

fn kind(found: u8) -> Result<Kind, Rule> {
    Ok(match found {
        b'N' => Kind::Nil,
        b'Z' => Kind::Bool,
        b'I' => Kind::Integer,
        b'D' => Kind::Float,
        b'S' => Kind::String,
        b'X' => Kind::Base64String,
        b'G' => Kind::GeoJson,
        b'B' => Kind::Bytes(BytesType::Blob),
        b'Y' => Kind::Bytes(BytesType::Hll),
        b'M' => Kind::Bytes(BytesType::Map),
        b'L' => Kind::Bytes(BytesType::List),
        b'J' => Kind::Bytes(BytesType::Java),
        b'C' => Kind::Bytes(BytesType::CSharp),
        b'P' => Kind::Bytes(BytesType::Python),
        b'R' => Kind::Bytes(BytesType::Ruby),
        b'H' => Kind::Bytes(BytesType::Php),
        b'E' => Kind::Bytes(BytesType::Erlang),
        b'U' => return Err(Rule::LargeDataType),
        found => return Err(Rule::UnknownBinType { found }),
    })
}

fn value(cursor: &mut Cursor<'_>, kind: Kind, form: Form, layout: &mut RecordLayout) -> Parse<ValueSlot> {
    Ok(match (kind, form) {
        (Kind::Nil, _) => ValueSlot::Nil,
        (Kind::Bool, _) => ValueSlot::Bool(boolean(cursor)?),
        (Kind::Integer, _) => ValueSlot::Integer(cursor.signed(b'\n')?),
        (Kind::Float, _) => ValueSlot::Float(float::decode(cursor)?),
        (Kind::String, _) => ValueSlot::String(cursor.sized_span()?),
        (Kind::Base64String, _) => ValueSlot::String(base64::sized(cursor, &mut layout.decoded)?),
        (Kind::GeoJson, _) => ValueSlot::GeoJson(cursor.sized_span()?),
        (Kind::Bytes(kind), Form::Raw) => ValueSlot::Bytes(kind, cursor.sized_span()?),
        (Kind::Bytes(kind), Form::Base64) => {
            ValueSlot::Bytes(kind, base64::sized(cursor, &mut layout.decoded)?)
        }
    })
}

fn boolean(cursor: &mut Cursor<'_>) -> Parse<bool> {
    let at = cursor.at();
    match cursor.byte()? {
        b'T' => Ok(true),
        b'F' => Ok(false),
        found => Err(Stop::Broken(Rule::UnknownBoolean { found }, at)),
    }
}
