//! Info commands about secondary indexes. Source: docs/format/wire.md, "Index and UDF commands".

use asbackup_codec::wire::ResultCode;
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex};

use super::{Params, error, put};
use crate::store::{Index, Store};

pub(super) fn list(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let namespace = params.namespace();
    if namespace.is_some_and(|name| store.namespace(name).is_none()) {
        // The server does say it twice.
        return put(out, &[NO_NAMESPACE, b";", NO_NAMESPACE]);
    }
    let indexes = store.lock_indexes();
    let listed = indexes.iter().filter(|index| namespace.is_none_or(|name| index.namespace() == name));
    for (number, index) in listed.enumerate() {
        let separator: &[u8] = if number == 0 { b"" } else { b";" };
        put(out, &[separator]);
        put_item(out, index);
    }
}

fn put_item(out: &mut Vec<u8>, index: &Index) {
    let index = match index {
        Index::Values(index) => index,
        Index::Set { namespace, name, set } => {
            return put(
                out,
                &[b"ns=", namespace, b":indexname=", name, b":set=", set, b":indextype=set:state=RW"],
            );
        }
    };
    let or_null = |value: &Option<Vec<u8>>| value.clone().unwrap_or_else(|| b"null".to_vec());
    let (set, context, expression) =
        (or_null(&index.set), or_null(&index.context), or_null(&index.expression));
    put(out, &[b"ns=", &index.namespace, b":indexname=", &index.name, b":set=", &set, b":bin=", &index.bin]);
    put(
        out,
        &[b":type=", type_name(index.indexed).as_bytes(), b":indextype=", kind_name(index.kind).as_bytes()],
    );
    put(out, &[b":context=", &context, b":exp=", &expression, b":state=RW"]);
}

pub(super) fn create(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let index = match definition(store, params) {
        Ok(index) => index,
        Err(text) => return error(out, ResultCode::PARAMETER, text),
    };
    let mut indexes = store.lock_indexes();
    match indexes.iter().find(|old| old.is_named(index.namespace(), index.name())) {
        Some(old) if *old == index => put(out, &[b"ok"]),
        Some(_) => {
            error(out, ResultCode::INDEX_EXISTS, "'indexname' already exists with different definition")
        }
        None if indexes.len() >= MAX_INDEXES => {
            error(out, ResultCode::INDEX_COUNT, "already at sindex definition limit");
        }
        None => {
            indexes.push(index);
            put(out, &[b"ok"]);
        }
    }
}

/// Returns the index that a command describes, or what is wrong with it.
fn definition(store: &Store, params: Params<'_>) -> Result<Index, &'static str> {
    let namespace = params.namespace().ok_or("missing 'namespace'")?.to_vec();
    let name =
        params.value("indexname").filter(|name| !name.is_empty()).ok_or("missing 'indexname'")?.to_vec();
    store.namespace(&namespace).ok_or("namespace not found")?;
    let set = params.value("set").filter(|set| !set.is_empty()).map(<[u8]>::to_vec);
    if params.value("indextype").is_some_and(|kind| kind.eq_ignore_ascii_case(b"set")) {
        return Ok(Index::Set { namespace, name, set: set.ok_or("missing 'set'")? });
    }
    let kind = kind(params.value("indextype"))?;
    let (bin, indexed) = bin_and_type(params)?;
    let context = params.value("context").map(<[u8]>::to_vec);
    let expression = params.value("exp").map(<[u8]>::to_vec);
    let bin = match (bin, &expression) {
        (Some(_), Some(_)) => return Err("both 'bin' and 'exp' are specified"),
        (None, None) => return Err("both 'bin' and 'exp' are missing"),
        (None, Some(_)) if context.is_some() => return Err("both 'context' and 'exp' are specified"),
        (None, Some(_)) => b"null".to_vec(),
        (Some(bin), None) => bin.to_vec(),
    };
    if kind == IndexKind::MapKeys && indexed == IndexedType::Geo2dSphere {
        return Err(BAD_MAP_KEYS);
    }
    Ok(Index::Values(SecondaryIndex { namespace, set, name, kind, bin, indexed, context, expression }))
}

/// Returns bin and type from `bin` and `type`, or from the older `indexdata=<bin>,<type>`.
fn bin_and_type<'a>(params: Params<'a>) -> Result<(Option<&'a [u8]>, IndexedType), &'static str> {
    match (params.value("indexdata"), params.value("type")) {
        (None, None) => Err("both 'indexdata' and 'type' are missing"),
        (Some(_), Some(_)) => Err("both 'indexdata' and 'type' are specified"),
        (None, Some(name)) => Ok((params.value("bin"), indexed_type(name).ok_or(BAD_TYPE)?)),
        (Some(data), None) => {
            let comma = data.iter().position(|&byte| byte == b',').ok_or("'indexdata' missing bin type")?;
            Ok((Some(&data[..comma]), indexed_type(&data[comma + 1..]).ok_or(BAD_DATA_TYPE)?))
        }
    }
}

pub(super) fn delete(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let (Some(namespace), Some(name)) = (params.namespace(), params.required("indexname", out)) else {
        return;
    };
    store.lock_indexes().retain(|index| !index.is_named(namespace, name));
    put(out, &[b"ok"]);
}

/// Answers as for an index that has been built: here every index is, at once.
pub(super) fn stat(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    if is_there(store, params) {
        let text =
            b"entries=0;used_bytes=16777216;entries_per_bval=0;entries_per_rec=0;load_pct=100;load_time=0;\
            stat_gc_recs=0";
        put(out, &[text]);
    } else {
        error(out, ResultCode::INDEX_NOT_FOUND, "no index");
    }
}

pub(super) fn exists(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    put(out, &[if is_there(store, params) { b"true".as_slice() } else { b"false" }]);
}

fn is_there(store: &Store, params: Params<'_>) -> bool {
    let (namespace, name) =
        (params.namespace().unwrap_or_default(), params.value("indexname").unwrap_or_default());
    store.lock_indexes().iter().any(|index| index.is_named(namespace, name))
}

fn kind(name: Option<&[u8]>) -> Result<IndexKind, &'static str> {
    let Some(name) = name else { return Ok(IndexKind::Default) };
    match name.to_ascii_lowercase().as_slice() {
        b"default" => Ok(IndexKind::Default),
        b"list" => Ok(IndexKind::ListElements),
        b"mapkeys" => Ok(IndexKind::MapKeys),
        b"mapvalues" => Ok(IndexKind::MapValues),
        _ => Err("bad 'indextype' - must be one of 'default', 'list', 'mapkeys', 'mapvalues'"),
    }
}

fn kind_name(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::Default => "default",
        IndexKind::ListElements => "list",
        IndexKind::MapKeys => "mapkeys",
        IndexKind::MapValues => "mapvalues",
    }
}

fn indexed_type(name: &[u8]) -> Option<IndexedType> {
    match name.to_ascii_lowercase().as_slice() {
        b"numeric" => Some(IndexedType::Numeric),
        b"string" => Some(IndexedType::String),
        b"geo2dsphere" => Some(IndexedType::Geo2dSphere),
        b"blob" => Some(IndexedType::Blob),
        _ => None,
    }
}

fn type_name(indexed: IndexedType) -> &'static str {
    match indexed {
        IndexedType::Numeric => "numeric",
        IndexedType::String => "string",
        IndexedType::Geo2dSphere => "geo2dsphere",
        IndexedType::Blob => "blob",
    }
}

const NO_NAMESPACE: &[u8] = b"ERROR:20:namespace not found on node";
const BAD_TYPE: &str = "bad 'type' - must be one of 'numeric', 'string', 'blob', 'geo2dsphere'";
const BAD_DATA_TYPE: &str =
    "bad 'indexdata' bin type - must be one of 'numeric', 'string', 'blob', 'geo2dsphere'";
const BAD_MAP_KEYS: &str =
    "bad 'indexdata' bin type for 'indextype' 'mapkeys' - must be one of 'numeric', 'string', 'blob'";
const MAX_INDEXES: usize = 256;
