//! Records of all common bin types, indexes and UDF modules; the same ones each time.

use asbackup_model::{
    BinSlot, BytesType, Digest, IndexKind, IndexedType, KeySlot, RecordLayout, SecondaryIndex, UdfModule,
    UserKey, ValueSlot, VoidTime,
};
use asbackup_testserver::Store;

/// Sets of the records; the last one is the null set.
const SETS: [Option<&[u8]>; 4] = [Some(b"users"), Some(b"orders"), Some(b"odd set\\name"), None];

/// A `MessagePack` list of three integers, as the server stores it.
const LIST: &[u8] = &[0x93, 1, 2, 3];

/// A key-ordered `MessagePack` map `{"a": 1}`; strings carry their particle type. Source: docs/format/asb.md, "Lists and maps".
const ORDERED_MAP: &[u8] = &[0x82, 0xc7, 0, 1, 0xc0, 0xa2, 3, b'a', 1];

/// An HLL sketch with 4 bits of index and none of minhash: 11 bytes of head and 16 registers of 6 bits, all empty.
const HLL: &[u8] = &[0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const POINT: &[u8] = br#"{"type":"Point","coordinates":[-122.0986857,37.4214209]}"#;

/// Puts `records` records into a namespace. `now` is the present time as a void time: some records expire an hour to a
/// year later.
pub fn load_records(store: &Store, namespace: &str, records: u64, now: VoidTime) {
    let mut layout = RecordLayout::new();
    for number in 0..records {
        fill(&mut layout, namespace, number, now);
        store.put(&layout.view(&[]));
    }
}

/// Adds the sample's indexes and UDF modules.
pub fn load_metadata(store: &Store, namespace: &str) {
    indexes(namespace).into_iter().for_each(|index| store.add_index(index));
    udfs().into_iter().for_each(|udf| store.add_udf(udf));
}

fn indexes(namespace: &str) -> Vec<SecondaryIndex> {
    let index = |name: &str, set: Option<&str>, kind, bin: &str, indexed| SecondaryIndex {
        namespace: namespace.into(),
        set: set.map(Into::into),
        name: name.into(),
        kind,
        bin: bin.into(),
        indexed,
        context: None,
        expression: None,
    };
    let mut in_context = index("by_nested", None, IndexKind::ListElements, "list", IndexedType::String);
    in_context.context = Some(b"lBAAIqIDaw==".to_vec());
    let mut of_expression =
        index("by_expression", Some("users"), IndexKind::Default, "null", IndexedType::Numeric);
    of_expression.expression = Some(b"k1ECo2FnZQ==".to_vec());
    vec![
        index("by_age", Some("users"), IndexKind::Default, "integer", IndexedType::Numeric),
        index("by_name", None, IndexKind::Default, "string", IndexedType::String),
        index("by_key", Some("orders"), IndexKind::MapKeys, "map", IndexedType::String),
        index("by_place", Some("users"), IndexKind::Default, "place", IndexedType::Geo2dSphere),
        in_context,
        of_expression,
    ]
}

fn udfs() -> Vec<UdfModule> {
    let udf = |name: &str, content: &str| UdfModule { name: name.into(), content: content.into() };
    vec![
        udf(
            "count.lua",
            "function count(stream)\n  return stream : aggregate(0, function(n) return n + 1 end)\nend\n",
        ),
        udf("one line.lua", "function f(r) return 1 end"),
    ]
}

fn fill(layout: &mut RecordLayout, namespace: &str, number: u64, now: VoidTime) {
    layout.clear();
    layout.namespace = layout.keep(namespace.as_bytes());
    let set = SETS[small(number, 4)];
    layout.set = set.map(|set| layout.keep(set));
    let name = format!("user-{number}");
    let (key, slot) = match number % 3 {
        0 => (UserKey::Integer(signed(number)), KeySlot::Integer(signed(number))),
        1 => (UserKey::String(name.as_bytes()), KeySlot::String(layout.keep(name.as_bytes()))),
        _ => (UserKey::Bytes(name.as_bytes()), KeySlot::Bytes(layout.keep(name.as_bytes()))),
    };
    layout.digest = Digest::compute(set.unwrap_or_default(), &key);
    // Every fifth record was written without its key.
    layout.key = (!number.is_multiple_of(5)).then_some(slot);
    layout.generation = u16::try_from(number % 60_000).unwrap_or_default() + 1;
    layout.void_time =
        if number.is_multiple_of(4) { VoidTime(now.0 + 3600 + number % 31_536_000) } else { VoidTime::NEVER };
    fill_bins(layout, number);
}

fn fill_bins(layout: &mut RecordLayout, number: u64) {
    bin(layout, b"integer", ValueSlot::Integer(signed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let float = number as f64 * 1.1e-7;
    bin(layout, b"float", ValueSlot::Float(float));
    let text = format!("record {number} of the sample,\nwith two lines and the odd byte \u{1f980}");
    let span = layout.keep(text.as_bytes());
    bin(layout, b"string", ValueSlot::String(span));
    bin(layout, b"bool", ValueSlot::Bool(number.is_multiple_of(2)));
    let span = layout.keep(&noise(number));
    bin(layout, b"blob", ValueSlot::Bytes(BytesType::Blob, span));
    let span = layout.keep(LIST);
    bin(layout, b"list", ValueSlot::Bytes(BytesType::List, span));
    let span = layout.keep(ORDERED_MAP);
    bin(layout, b"map", ValueSlot::Bytes(BytesType::Map, span));
    if number.is_multiple_of(8) {
        let span = layout.keep(POINT);
        bin(layout, b"place", ValueSlot::GeoJson(span));
        let span = layout.keep(HLL);
        bin(layout, b"sketch", ValueSlot::Bytes(BytesType::Hll, span));
    }
}

fn bin(layout: &mut RecordLayout, name: &[u8], value: ValueSlot) {
    let name = layout.keep(name);
    layout.bins.push(BinSlot { name, value });
}

/// Returns bytes that hold every byte value over the sample, 0 to 60 of them.
fn noise(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
    let byte = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_le_bytes()[3]
    };
    (0..number % 61).map(|_| byte(&mut state)).collect()
}

fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn small(number: u64, below: u64) -> usize {
    usize::try_from(number % below).unwrap_or_default()
}
