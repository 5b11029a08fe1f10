//! Values of every type, empty and extreme ones among them.

use asbackup_model::{BytesType, Value};

use super::Loader;

pub(super) fn load(loader: &mut Loader<'_>) {
    for value in [false, true] {
        loader.value("boolean", Value::Bool(value));
    }
    for value in [0, 1, -1, i64::MIN, i64::MAX] {
        loader.value("integer", Value::Integer(value));
    }
    for value in FLOATS {
        loader.value("float", Value::Float(value));
    }
    for bits in NAN_BITS {
        loader.value("NaN, but for its payload", Value::Float(f64::from_bits(bits)));
    }
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = every_byte.repeat(400);
    let texts = [&b""[..], b"\0", b"\n", b" ", b"=", b"\\", b"\xff", &every_byte, &long];
    for text in texts {
        loader.value("string", Value::String(text));
        loader.value("blob", Value::Bytes(BytesType::Blob, text));
        language_blobs(loader, text);
    }
    for sketch in [sketch(4, 0), sketch(8, 12), sketch(16, 0)] {
        loader.value("HLL", Value::Bytes(BytesType::Hll, &sketch));
    }
    for json in GEO {
        loader.value("GeoJSON", Value::GeoJson(json.as_bytes()));
    }
    lists(loader);
    maps(loader);
}

fn language_blobs(loader: &mut Loader<'_>, bytes: &[u8]) {
    for (kind, language) in [
        ("Java blob", BytesType::Java),
        ("C# blob", BytesType::CSharp),
        ("Python blob", BytesType::Python),
        ("Ruby blob", BytesType::Ruby),
        ("PHP blob", BytesType::Php),
        ("Erlang blob", BytesType::Erlang),
    ] {
        // With a second bin there is still a record when a tool loses the first.
        loader.record(kind, |draft| {
            draft.bin(b"value", Value::Bytes(language, bytes));
            draft.bin(b"beside", Value::Integer(1));
        });
    }
}

/// Lists and maps are `MessagePack`; an element or pair with an extension of no bytes in front says the order. Source:
/// docs/format/asb.md, "Lists and maps".
fn lists(loader: &mut Loader<'_>) {
    let mut list = |kind, bytes: &[u8]| loader.value(kind, Value::Bytes(BytesType::List, bytes));
    list("list", &[0x90]);
    list("list", &[0x93, 1, 2, 3]);
    list("list", &[0x94, 0xc0, 0xc3, 0xa3, 3, b'\n', 0xff, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1]);
    for flags in [ORDERED, ORDERED | PERSISTED, PERSISTED] {
        list("list with flags", &[0x93, 0xc7, 0, flags, 1, 2]);
    }
    let deep = [vec![0x91; DEPTH], vec![0x90]].concat();
    list("list of 200 levels", &deep);
}

fn maps(loader: &mut Loader<'_>) {
    let mut map = |kind, bytes: &[u8]| loader.value(kind, Value::Bytes(BytesType::Map, bytes));
    map("map", &[0x80]);
    map("map", &[0x82, 2, 0xc0, 1, 0xa2, 3, b'a']);
    map("map", &[0x81, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 1]); // The key is 1.5.
    for flags in [ORDERED, ORDERED | BY_VALUE, ORDERED | PERSISTED, ORDERED | BY_VALUE | PERSISTED] {
        map("map with flags", &[0x82, 0xc7, 0, flags, 0xc0, 0xa2, 3, b'a', 1]);
    }
    let deep = [[0x81, 1].repeat(DEPTH), vec![0x80]].concat();
    map("map of 200 levels", &deep);
}

/// Returns a sketch without members: 11 bytes of head, and registers of 6 bits and the minhash's.
fn sketch(index_bits: u8, minhash_bits: u8) -> Vec<u8> {
    let register_bits = (6 + usize::from(minhash_bits)) << index_bits;
    let mut bytes = vec![0; 11 + register_bits.div_ceil(8)];
    (bytes[1], bytes[2]) = (index_bits, minhash_bits);
    bytes
}

const ORDERED: u8 = 1;
const BY_VALUE: u8 = 2;
const PERSISTED: u8 = 0x10;
const DEPTH: usize = 200;

/// Floats on both sides of where their text changes its form, and the ends of their range.
const FLOATS: [f64; 19] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e-4,
    1e-5,
    999_999.0,
    1e6,
    1_234_567.5,
    1e21,
    1e100,
    9_007_199_254_740_993.0,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    f64::MIN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// The usual NaN, the one that 0/0 gives on x86, and one with a payload.
const NAN_BITS: [u64; 3] = [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000, 0x7ff8_0000_dead_beef];

const GEO: [&str; 3] = [
    r#"{"type":"Point","coordinates":[-122.0986857,37.4214209]}"#,
    "{ \"type\" : \"AeroCircle\",\n\"coordinates\": [[-180, 90], 1.5e3] }",
    r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]],"n\\ote":"größer"}"#,
];
