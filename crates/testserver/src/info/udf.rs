//! Info commands about UDF modules. Source: docs/format/wire.md, "Index and UDF commands".

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use super::{Params, put};
use crate::store::Store;

pub(super) fn list(store: &Store, out: &mut Vec<u8>) {
    for (name, content) in store.lock_udfs().iter() {
        put(out, &[b"filename=", name, b",hash=", hash(name, content).as_bytes(), b",type=LUA;"]);
    }
}

/// Returns the hash that the server lists: of the JSON text in which it keeps a module. Source: docs/format/wire.md,
/// "UDF commands".
fn hash(name: &[u8], content: &[u8]) -> String {
    let content = base64_simd::STANDARD.encode_to_string(content);
    let name = String::from_utf8_lossy(name);
    let json = format!(r#"{{"content64": "{content}", "type": "LUA", "name": "{name}"}}"#);
    Sha1::digest(json).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn content(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let Some(name) = params.value("filename") else {
        return put(out, &[b"error=invalid_filename"]);
    };
    match store.lock_udfs().get(name) {
        Some(content) => {
            let text = base64_simd::STANDARD.encode_to_string(content);
            put(out, &[b"type=LUA;content=", text.as_bytes(), b";"]);
        }
        None => put(out, &[b"error=not_found"]),
    }
}

pub(super) fn put_module(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    match module(params) {
        Ok((name, content)) => {
            store.lock_udfs().insert(name, content);
            put(out, &[b"ok"]);
        }
        Err(word) => put(out, &[b"error=", word.as_bytes()]),
    }
}

/// Returns name and content of a module, or the word for what is wrong. The Lua isn't looked at.
fn module(params: Params<'_>) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let name = params.value("filename").unwrap_or_default();
    let dot = name.iter().position(|&byte| byte == b'.').ok_or("invalid_filename")?;
    if dot == 0 || dot + 1 == name.len() || name.len() > MAX_NAME_BYTES {
        return Err("invalid_filename");
    }
    let content_bytes = params.value("content-len").and_then(number).ok_or("invalid_content_len")?;
    if !params.value("udf-type").unwrap_or(b"LUA").eq_ignore_ascii_case(b"LUA") {
        return Err("invalid_udf_type");
    }
    if content_bytes % 4 != 0 {
        return Err("invalid_content_len");
    }
    let content =
        params.value("content").filter(|text| text.len() == content_bytes).ok_or("invalid_content")?;
    if content.len() / 4 * 3 > MAX_CONTENT_BYTES {
        return Err("invalid_udf_content_len,>1M");
    }
    match base64_simd::STANDARD.decode_to_vec(content) {
        Ok(content) if !content.is_empty() => Ok((name.to_vec(), content)),
        _ => Err("invalid_base64_content"),
    }
}

fn number(text: &[u8]) -> Option<usize> {
    str::from_utf8(text).ok()?.parse().ok()
}

pub(super) fn remove(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let Some(name) = params.value("filename") else {
        return put(out, &[b"error=invalid_filename"]);
    };
    store.lock_udfs().remove(name);
    put(out, &[b"ok"]);
}

const MAX_NAME_BYTES: usize = 127;
const MAX_CONTENT_BYTES: usize = 1024 * 1024;
