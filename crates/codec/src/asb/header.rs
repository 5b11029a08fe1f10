//! The version line and the metadata lines. Source: docs/format/asb.md, "Version" and "Metadata".

use super::Version;
use super::cursor::{Cursor, Escapes, Parse, Stop};
use super::error::Rule;

/// Reads the version line.
pub(super) fn version(cursor: &mut Cursor<'_>) -> Parse<Version> {
    cursor.tag(b"Version ").map_err(|stop| match stop {
        Stop::Broken(_, _) => Stop::Broken(Rule::NotABackup, 0),
        need @ Stop::Need(_) => need,
    })?;
    let at = cursor.at();
    let version = [cursor.byte()?, cursor.byte()?, cursor.byte()?];
    let version = match &version {
        b"3.0" => Version::V30,
        b"3.1" => Version::V31,
        b"3.2" => Version::V32,
        _ => return Err(Stop::Broken(Rule::UnsupportedVersion { version }, at)),
    };
    cursor.expect(b'\n')?;
    Ok(version)
}

/// Reads a metadata line; returns the namespace if that is what it says.
pub(super) fn metadata(cursor: &mut Cursor<'_>, escapes: Escapes) -> Parse<Option<Vec<u8>>> {
    cursor.tag(b"# ")?;
    let at = cursor.at();
    let namespace = match cursor.token([b' ', b'\n'])? {
        b"first-file" => None,
        b"namespace" => {
            cursor.expect(b' ')?;
            Some(cursor.owned_name(b'\n', escapes)?)
        }
        _ => return Err(Stop::Broken(Rule::UnknownMetadata, at)),
    };
    cursor.expect(b'\n')?;
    Ok(namespace)
}
