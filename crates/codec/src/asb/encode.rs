//! The encoders: they append what backup-go v0.11.0 writes, byte for byte. Source: docs/format/asb.md.

use asbackup_model::{
    Bin, BytesType, IndexKind, IndexedType, Inexact, RecordView, SecondaryIndex, UdfModule, UserKey, Value,
};

use super::{FileOrder, Spelling, Version, base64, float};

/// Appends the header of a file.
pub fn encode_header(out: &mut Vec<u8>, version: Version, namespace: &[u8], file: FileOrder) {
    out.extend_from_slice(match version {
        Version::V30 => b"Version 3.0\n# namespace ",
        Version::V31 => b"Version 3.1\n# namespace ",
        Version::V32 => b"Version 3.2\n# namespace ",
    });
    encode_name(out, namespace);
    out.extend_from_slice(match file {
        FileOrder::First => b"\n# first-file\n",
        FileOrder::Later => b"\n",
    });
}

/// Appends a record; returns what the text could not say in full.
pub fn encode_record(out: &mut Vec<u8>, record: &RecordView<'_>, spelling: Spelling) -> Inexact {
    let mut inexact = Inexact::default();
    if let Some(key) = &record.key {
        encode_key(out, key, &mut inexact);
    }
    out.extend_from_slice(b"+ n ");
    encode_name(out, record.namespace);
    out.extend_from_slice(b"\n+ d ");
    base64::encode(out, &record.digest.0);
    if let Some(set) = record.set {
        out.extend_from_slice(b"\n+ s ");
        encode_name(out, set);
    }
    out.extend_from_slice(b"\n+ g ");
    encode_integer(out, record.generation);
    out.extend_from_slice(b"\n+ t ");
    encode_integer(out, record.void_time.0);
    out.extend_from_slice(b"\n+ b ");
    encode_integer(out, record.bins.len());
    out.push(b'\n');
    for bin in record.bins.iter() {
        encode_bin(out, &bin, spelling, &mut inexact);
    }
    inexact
}

/// Appends the line of a secondary index.
pub fn encode_index(out: &mut Vec<u8>, index: &SecondaryIndex) {
    out.extend_from_slice(if index.expression.is_some() { b"* e " } else { b"* i " });
    let set = index.set.as_deref().unwrap_or_default();
    for name in [&index.namespace, set, &index.name] {
        encode_name(out, name);
        out.push(b' ');
    }
    out.extend_from_slice(match index.kind {
        IndexKind::Default => b"N 1 ",
        IndexKind::ListElements => b"L 1 ",
        IndexKind::MapKeys => b"K 1 ",
        IndexKind::MapValues => b"V 1 ",
    });
    encode_name(out, &index.bin);
    out.extend_from_slice(match index.indexed {
        IndexedType::Numeric => b" N",
        IndexedType::String => b" S",
        IndexedType::Geo2dSphere => b" G",
        IndexedType::Blob => b" B",
    });
    for text in [&index.context, &index.expression].into_iter().flatten().filter(|text| !text.is_empty()) {
        out.push(b' ');
        out.extend_from_slice(text);
    }
    out.push(b'\n');
}

/// Appends the line of a UDF module.
pub fn encode_udf(out: &mut Vec<u8>, udf: &UdfModule) {
    out.extend_from_slice(b"* u L ");
    encode_name(out, &udf.name);
    out.push(b' ');
    encode_sized(out, &udf.content);
    out.push(b'\n');
}

/// Appends the line of a user key. Bytes are base64 in both spellings, as in backup-go.
fn encode_key(out: &mut Vec<u8>, key: &UserKey<'_>, inexact: &mut Inexact) {
    match key {
        UserKey::Integer(value) => {
            out.extend_from_slice(b"+ k I ");
            encode_integer(out, *value);
        }
        UserKey::Float(value) => {
            out.extend_from_slice(b"+ k D ");
            float::encode_plain(out, *value);
            inexact.nan_payload += u64::from(float::is_inexact(*value));
        }
        UserKey::String(value) => {
            out.extend_from_slice(b"+ k S ");
            encode_sized(out, value);
        }
        UserKey::Bytes(value) => {
            out.extend_from_slice(b"+ k B ");
            encode_sized_base64(out, value);
        }
    }
    out.push(b'\n');
}

fn encode_bin(out: &mut Vec<u8>, bin: &Bin<'_>, spelling: Spelling, inexact: &mut Inexact) {
    match bin.value {
        Value::Nil => start_bin(out, b"- N ", bin.name),
        Value::Bool(value) => {
            start_bin(out, b"- Z ", bin.name);
            out.extend_from_slice(if value { b" T" } else { b" F" });
        }
        Value::Integer(value) => {
            start_bin(out, b"- I ", bin.name);
            out.push(b' ');
            encode_integer(out, value);
        }
        Value::Float(value) => {
            start_bin(out, b"- D ", bin.name);
            out.push(b' ');
            float::encode_general(out, value);
            inexact.nan_payload += u64::from(float::is_inexact(value));
        }
        Value::String(value) => encode_raw_bin(out, b"- S ", bin.name, value),
        Value::GeoJson(value) => encode_raw_bin(out, b"- G ", bin.name, value),
        Value::Bytes(kind, value) => {
            inexact.unknown_particle += u64::from(matches!(kind, BytesType::Unknown(_)));
            let letter = letter(kind);
            match spelling {
                Spelling::Compact => encode_raw_bin(out, &[b'-', b' ', letter, b'!', b' '], bin.name, value),
                Spelling::Base64 => {
                    start_bin(out, &[b'-', b' ', letter, b' '], bin.name);
                    out.push(b' ');
                    encode_sized_base64(out, value);
                }
            }
        }
    }
    out.push(b'\n');
}

fn start_bin<const N: usize>(out: &mut Vec<u8>, start: &[u8; N], name: &[u8]) {
    out.extend_from_slice(start);
    encode_name(out, name);
}

fn encode_raw_bin<const N: usize>(out: &mut Vec<u8>, start: &[u8; N], name: &[u8], value: &[u8]) {
    start_bin(out, start, name);
    out.push(b' ');
    encode_sized(out, value);
}

/// Returns the letter of a type. An unknown particle becomes a blob: the format has no letter for it.
fn letter(kind: BytesType) -> u8 {
    match kind {
        BytesType::Blob | BytesType::Unknown(_) => b'B',
        BytesType::Hll => b'Y',
        BytesType::Map => b'M',
        BytesType::List => b'L',
        BytesType::Java => b'J',
        BytesType::CSharp => b'C',
        BytesType::Python => b'P',
        BytesType::Ruby => b'R',
        BytesType::Php => b'H',
        BytesType::Erlang => b'E',
    }
}

/// Appends a name with a backslash before each backslash, space and line feed.
fn encode_name(out: &mut Vec<u8>, name: &[u8]) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b' ' | b'\n');
    if !name.iter().any(is_special) {
        return out.extend_from_slice(name);
    }
    for byte in name {
        if is_special(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

fn encode_sized(out: &mut Vec<u8>, value: &[u8]) {
    encode_integer(out, value.len());
    out.push(b' ');
    out.extend_from_slice(value);
}

fn encode_sized_base64(out: &mut Vec<u8>, value: &[u8]) {
    encode_integer(out, base64::encoded_bytes(value));
    out.push(b' ');
    base64::encode(out, value);
}

fn encode_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
