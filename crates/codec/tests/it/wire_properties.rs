//! Any record survives the wire, and no bytes make a decoder panic.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

use asbackup_codec::Step;
use asbackup_codec::wire::*;
use asbackup_model::{
    BinSlot, BytesType, Digest, KeySlot, RecordLayout, RecordView, Value, ValueSlot, VoidTime,
};
use proptest::prelude::*;

/// A part of a record that isn't a number: its bytes, and what they are.
#[derive(Debug, Clone)]
enum Part {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(Vec<u8>),
    GeoJson(Vec<u8>),
    Bytes(BytesType, Vec<u8>),
}

#[derive(Debug, Clone)]
struct Sample {
    namespace: Vec<u8>,
    set: Option<Vec<u8>>,
    digest: [u8; 20],
    key: Option<Part>,
    generation: u16,
    void_time: u32,
    bins: Vec<(Vec<u8>, Part)>,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn value() -> impl Strategy<Value = Part> {
    use BytesType::{Blob, CSharp, Erlang, Hll, Java, List, Map, Php, Python, Ruby, Unknown};
    let kinds = [Blob, Java, CSharp, Python, Ruby, Php, Erlang, Hll, Map, List, Unknown(5), Unknown(200)];
    prop_oneof![
        Just(Part::Nil),
        any::<bool>().prop_map(Part::Bool),
        any::<i64>().prop_map(Part::Integer),
        any::<u64>().prop_map(|bits| Part::Float(f64::from_bits(bits))),
        bytes().prop_map(Part::String),
        bytes().prop_map(Part::GeoJson),
        (prop::sample::select(kinds.to_vec()), bytes()).prop_map(|(kind, bytes)| Part::Bytes(kind, bytes)),
    ]
}

fn key() -> impl Strategy<Value = Part> {
    prop_oneof![
        any::<i64>().prop_map(Part::Integer),
        any::<u64>().prop_map(|bits| Part::Float(f64::from_bits(bits))),
        bytes().prop_map(Part::String),
        bytes().prop_map(|bytes| Part::Bytes(BytesType::Blob, bytes)),
    ]
}

prop_compose! {
    fn sample()(
        namespace in bytes(),
        set in prop::option::of(prop::collection::vec(any::<u8>(), 1..20)),
        digest: [u8; 20],
        key in prop::option::of(key()),
        generation: u16,
        void_time: u32,
        bins in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..=255), value()), 0..6),
    ) -> Sample {
        Sample { namespace, set, digest, key, generation, void_time, bins }
    }
}

impl Sample {
    /// Returns the record as a layout whose bytes are all among the decoded ones.
    fn layout(&self) -> RecordLayout {
        let mut layout = RecordLayout::new();
        layout.namespace = layout.keep(&self.namespace);
        layout.set = self.set.as_ref().map(|set| layout.keep(set));
        layout.digest = Digest(self.digest);
        layout.key = self.key.as_ref().map(|key| match key {
            Part::Integer(value) => KeySlot::Integer(*value),
            Part::Float(value) => KeySlot::Float(*value),
            Part::String(bytes) => KeySlot::String(layout.keep(bytes)),
            Part::Bytes(_, bytes) => KeySlot::Bytes(layout.keep(bytes)),
            other => panic!("{other:?} as a key"),
        });
        layout.generation = self.generation;
        layout.void_time = VoidTime(u64::from(self.void_time));
        for (name, value) in &self.bins {
            let name = layout.keep(name);
            let value = match value {
                Part::Nil => ValueSlot::Nil,
                Part::Bool(value) => ValueSlot::Bool(*value),
                Part::Integer(value) => ValueSlot::Integer(*value),
                Part::Float(value) => ValueSlot::Float(*value),
                Part::String(bytes) => ValueSlot::String(layout.keep(bytes)),
                Part::GeoJson(bytes) => ValueSlot::GeoJson(layout.keep(bytes)),
                Part::Bytes(kind, bytes) => ValueSlot::Bytes(*kind, layout.keep(bytes)),
            };
            layout.bins.push(BinSlot { name, value });
        }
        layout
    }
}

/// Everything of a record as text. Floats are shown by their bits, so that NaNs compare.
fn text(record: &RecordView<'_>) -> String {
    let mut text =
        format!("{:?}", (record.namespace, record.set, record.digest, record.generation, record.void_time));
    text += &match record.key {
        Some(asbackup_model::UserKey::Float(value)) => format!("float {:x}", value.to_bits()),
        key => format!("{key:?}"),
    };
    for bin in record.bins.iter() {
        text += &match bin.value {
            Value::Float(value) => format!("{:?} float {:x}", bin.name, value.to_bits()),
            value => format!("{:?} {value:?}", bin.name),
        };
    }
    text
}

proptest! {
    #[test]
    fn a_record_survives_a_scan(sample in sample(), behind in bytes()) {
        let layout = sample.layout();
        let mut wire = Vec::new();
        encode_record_answer(&mut wire, &layout.view(&[]));
        let used = wire.len();
        wire.extend(behind);
        let mut decoded = RecordLayout::new();
        prop_assert_eq!(decode_answer(&wire, &mut decoded), Step::Done { value: Answer::Record, used });
        prop_assert_eq!(text(&decoded.view(&wire)), text(&layout.view(&[])));
        for split in 0..used {
            let step = decode_answer(&wire[..split], &mut decoded);
            prop_assert!(matches!(step, Step::Need(missing) if (1..=used - split).contains(&missing)), "{step:?}");
        }
    }

    #[test]
    fn a_row_is_the_record_without_its_empty_bins(sample in sample(), index: u32, ttl: u32) {
        let rules = WriteRules { exists: ExistsRule::Update, generation: GenerationRule::Newer };
        let mut expected = sample.clone();
        expected.bins.retain(|(_, value)| !matches!(value, Part::Nil));
        let mut wire = Vec::new();
        let start = begin_batch(&mut wire, 0);
        let row = wire.len();
        encode_row(&mut wire, &sample.layout().view(&[]), b"target", rules);
        patch_row(&mut wire[row..], index, ttl);
        end_batch(&mut wire, start, 1);

        let Step::Done { value: message, .. } = Message::decode(&wire[FRAME_BYTES..]) else { panic!("not whole") };
        let mut rows = BatchRows::new(message.field(field::BATCH).unwrap()).unwrap();
        let row = rows.next().unwrap().unwrap();
        prop_assert!(rows.next().is_none());
        prop_assert_eq!((row.index, row.digest, row.message.header.ttl), (index, Digest(sample.digest), ttl));
        prop_assert_eq!(row.message.header.generation, u32::from(sample.generation));
        prop_assert_eq!(row.message.field(field::NAMESPACE), Some(&b"target"[..]));
        prop_assert_eq!(row.message.field(field::SET), sample.set.as_deref());
        let expected = expected.layout();
        let key = row.message.field(field::USER_KEY).and_then(decode_key);
        prop_assert_eq!(format!("{key:?}"), format!("{:?}", expected.view(&[]).key));
        let shown = |value: Value<'_>| match value {
            Value::Float(value) => format!("{:x}", value.to_bits()),
            other => format!("{other:?}"),
        };
        let ops: Vec<_> =
            row.message.ops().map(|op| (op.name.to_vec(), shown(decode_value(op.particle, op.value)))).collect();
        let bins: Vec<_> =
            expected.view(&[]).bins.iter().map(|bin| (bin.name.to_vec(), shown(bin.value))).collect();
        prop_assert_eq!(ops, bins);
    }

    #[test]
    fn a_row_alone_is_the_single_write(sample in sample(), ttl: u32, timeout_ms: u32) {
        let rules = WriteRules { exists: ExistsRule::Replace, generation: GenerationRule::Newer };
        let layout = sample.layout();
        let record = layout.view(&[]);
        let (mut row, mut alone, mut write) = (Vec::new(), Vec::new(), Vec::new());
        encode_row(&mut row, &record, b"target", rules);
        encode_row_alone(&mut alone, &row, ttl, timeout_ms);
        encode_write(&mut write, &record, b"target", rules, ttl, timeout_ms);
        prop_assert_eq!(alone, write);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut input in prop::collection::vec(any::<u8>(), 0..200), plausible: bool) {
        if plausible && input.len() > 26 {
            // Past the header, where most of the code is.
            input[0] = 22;
            input[3] &= info3::PARTITION_DONE;
            input[5] = 0;
            input[18..22].copy_from_slice(&[0, 1, 0, 1]);
            input[22..26].fill(0);
        }
        let mut layout = RecordLayout::new();
        if let Step::Done { value: Answer::Record, used } = decode_answer(&input, &mut layout) {
            text(&layout.view(&input[..used]));
        }
        if let Step::Done { value, .. } = Message::decode(&input) {
            let _ = QueryRequest::decode(&value);
            for op in value.ops() {
                let _ = decode_value(op.particle, op.value);
            }
            for field in value.fields() {
                let _ = decode_key(field.data);
            }
        }
        decode_batch_answer(&input);
        let _ = SecurityMessage::decode(&input);
        if let Ok(rows) = BatchRows::new(&input) {
            prop_assert!(rows.take(1000).count() <= 1000);
        }
        if let Some(head) = input.first_chunk() {
            let _ = FrameHeader::decode(*head);
        }
        for (_, reply) in info::replies(&input) {
            let _ = info::check_udf(reply);
        }
    }
}
