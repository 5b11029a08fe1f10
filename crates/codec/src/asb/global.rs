//! Global lines: secondary indexes and UDF modules. Source: docs/format/asb.md, "Global lines".

use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};

use super::cursor::{Cursor, Escapes, Parse, Stop};
use super::error::Rule;
use super::{Entry, MAX_INDEX_TEXT_BYTES};

/// Reads a global line. Escapes are dropped: versions that keep them have no such lines.
pub(super) fn global(cursor: &mut Cursor<'_>) -> Parse<Entry> {
    cursor.tag(b"* ")?;
    let at = cursor.at();
    let found = cursor.byte()?;
    if !matches!(found, b'i' | b'e' | b'u') {
        return Err(Stop::Broken(Rule::UnknownGlobal { found }, at));
    }
    cursor.expect(b' ')?;
    let entry = match found {
        b'u' => Entry::UdfModule(udf(cursor)?),
        b'e' => Entry::SecondaryIndex(expression_index(cursor)?),
        _ => Entry::SecondaryIndex(index(cursor)?),
    };
    cursor.expect(b'\n')?;
    Ok(entry)
}

fn index(cursor: &mut Cursor<'_>) -> Parse<SecondaryIndex> {
    let mut index = index_head(cursor)?;
    index.context = Some(index_text(cursor)?).filter(|context| !context.is_empty());
    Ok(index)
}

fn expression_index(cursor: &mut Cursor<'_>) -> Parse<SecondaryIndex> {
    let mut index = index_head(cursor)?;
    index.expression = Some(index_text(cursor)?);
    Ok(index)
}

/// Reads what both kinds of indexes have.
fn index_head(cursor: &mut Cursor<'_>) -> Parse<SecondaryIndex> {
    let namespace = field(cursor)?;
    let set = Some(field(cursor)?).filter(|set| !set.is_empty());
    let name = field(cursor)?;
    let kind = index_kind(cursor)?;
    let at = cursor.at();
    // Only one path follows, whatever the number; backup-go reads it so too.
    if cursor.unsigned(b' ', u32::MAX.into())? == 0 {
        return Err(Stop::Broken(Rule::NoIndexPath, at));
    }
    cursor.skip(1);
    let bin = field(cursor)?;
    let indexed = indexed_type(cursor)?;
    Ok(SecondaryIndex { namespace, set, name, kind, bin, indexed, context: None, expression: None })
}

/// Reads a name and the space behind it.
fn field(cursor: &mut Cursor<'_>) -> Parse<Vec<u8>> {
    let name = cursor.owned_name(b' ', Escapes::Dropped)?;
    cursor.skip(1);
    Ok(name)
}

fn index_kind(cursor: &mut Cursor<'_>) -> Parse<IndexKind> {
    let at = cursor.at();
    let kind = match cursor.byte()? {
        b'N' => IndexKind::Default,
        b'L' => IndexKind::ListElements,
        b'K' => IndexKind::MapKeys,
        b'V' => IndexKind::MapValues,
        found => return Err(Stop::Broken(Rule::UnknownIndexKind { found }, at)),
    };
    cursor.expect(b' ')?;
    Ok(kind)
}

fn indexed_type(cursor: &mut Cursor<'_>) -> Parse<IndexedType> {
    let at = cursor.at();
    Ok(match cursor.byte()? {
        b'N' => IndexedType::Numeric,
        b'S' => IndexedType::String,
        b'G' => IndexedType::Geo2dSphere,
        b'B' => IndexedType::Blob,
        found => return Err(Stop::Broken(Rule::UnknownIndexedType { found }, at)),
    })
}

/// Reads what may follow behind the type, up to the line feed, which stays.
fn index_text(cursor: &mut Cursor<'_>) -> Parse<Vec<u8>> {
    if cursor.peek()? == b'\n' {
        return Ok(Vec::new());
    }
    cursor.expect(b' ')?;
    cursor.line(MAX_INDEX_TEXT_BYTES, Rule::IndexTextTooLong).map(<[u8]>::to_vec)
}

fn udf(cursor: &mut Cursor<'_>) -> Parse<UdfModule> {
    let at = cursor.at();
    let found = cursor.byte()?;
    if found != b'L' {
        return Err(Stop::Broken(Rule::UnknownUdfLanguage { found }, at));
    }
    cursor.expect(b' ')?;
    let name = field(cursor)?;
    let (content, _) = cursor.sized()?;
    Ok(UdfModule { name, content: content.to_vec() })
}
