//! Indexes of every kind, and UDF modules with odd names and sizes.

use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};

pub(super) fn indexes(namespace: &str) -> Vec<(&'static str, SecondaryIndex)> {
    let index = |name: &str, kind, indexed| SecondaryIndex {
        namespace: namespace.into(),
        set: Some(b"awkward".to_vec()),
        name: name.into(),
        kind,
        bin: b"value".to_vec(),
        indexed,
        context: None,
        expression: None,
    };
    let mut all = Vec::new();
    for (kind, label, name) in [
        (IndexKind::Default, "index of values", "value"),
        (IndexKind::ListElements, "index of list elements", "list"),
        (IndexKind::MapKeys, "index of map keys", "keys"),
        (IndexKind::MapValues, "index of map values", "values"),
    ] {
        for (indexed, indexed_name) in [
            (IndexedType::Numeric, "numeric"),
            (IndexedType::String, "string"),
            (IndexedType::Blob, "blob"),
            (IndexedType::Geo2dSphere, "geo"),
        ] {
            // Servers have no geographic index of map keys.
            if (kind, indexed) != (IndexKind::MapKeys, IndexedType::Geo2dSphere) {
                all.push((label, index(&format!("by_{name}_{indexed_name}"), kind, indexed)));
            }
        }
    }
    let mut whole = index("of_all_sets", IndexKind::Default, IndexedType::Numeric);
    whole.set = None;
    let mut nested = index("in_context", IndexKind::ListElements, IndexedType::String);
    nested.context = Some(CONTEXT.to_vec());
    let mut computed = index("of_expression", IndexKind::Default, IndexedType::Numeric);
    (computed.bin, computed.expression) = (b"null".to_vec(), Some(EXPRESSION.to_vec()));
    all.extend([
        ("index without set", whole),
        ("index in a context", nested),
        ("index of an expression", computed),
    ]);
    all.extend(["odd name", "back\\slash", "equal=sign"].into_iter().map(|name| {
        let mut odd = index(name, IndexKind::Default, IndexedType::Numeric);
        (odd.set, odd.bin) = (Some(format!("set {name}").into()), name.into());
        ("index with odd names", odd)
    }));
    all
}

pub(super) fn udfs() -> Vec<(&'static str, UdfModule)> {
    let udf = |name: &str, content: Vec<u8>| UdfModule { name: name.into(), content };
    let mut all = vec![
        ("UDF module of 1 byte", udf("tiny.lua", b"\n".to_vec())),
        (
            "UDF module of 1 MB",
            udf(
                "huge.lua",
                b"-- a line of sixty-four bytes, many thousands of times over ...\n".repeat(15_625),
            ),
        ),
    ];
    let names = ["with space.lua", "with=equal.lua", "with\\backslash.lua"];
    all.extend(
        names.map(|name| {
            ("UDF module with an odd name", udf(name, b"function f(r)\n return 1\nend\n".to_vec()))
        }),
    );
    all
}

/// Base64 of a path into a list and a map, as a server reports it.
const CONTEXT: &[u8] = b"lBAAIqIDaw==";

/// Base64 of the expression that reads the integer bin `age`, as a server reports it.
const EXPRESSION: &[u8] = b"k1ECo2FnZQ==";
