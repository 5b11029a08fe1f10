//! The records that are measured.

use std::fmt;

use asbackup_model::{
    BinSlot, BytesType, Digest, RecordLayout, RecordView, Span, UserKey, ValueSlot, VoidTime,
};
use asbackup_testserver::TestServer;
use clap::ValueEnum;
use fastrand::Rng;

/// How large the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// 60 B of values.
    #[value(name = "60")]
    Small,
    /// 405 B as a scan sends the whole record.
    #[value(name = "400")]
    Medium,
    /// 50,000 B of values.
    #[value(name = "50k")]
    Large,
    /// 1,000,000 B of values, which is more than a block.
    #[value(name = "1m")]
    Huge,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Small => "60B",
            Self::Medium => "400B",
            Self::Large => "50KB",
            Self::Huge => "1MB",
        })
    }
}

impl Size {
    /// Returns how many records there are if there are `base` small ones.
    pub(crate) fn records(self, base: u64) -> u64 {
        match self {
            Self::Small | Self::Medium => base,
            Self::Large => base / 50,
            Self::Huge => base / 1000,
        }
    }

    /// Returns about how many bytes the values of a record have.
    pub(crate) fn value_bytes(self) -> u64 {
        match self {
            Self::Small => 60,
            Self::Medium => 284,
            Self::Large => 50_000,
            Self::Huge => 1_000_000,
        }
    }

    fn values(self) -> &'static [Kind] {
        use Kind::{Blob, Float, Integer, List, String};
        match self {
            Self::Small => &[Integer, Float, String(44)],
            Self::Medium => &[Integer, Float, String(100), Blob(100), List(68)],
            Self::Large => &[Integer, String(20_000), Blob(29_992)],
            Self::Huge => &[Integer, String(400_000), Blob(599_992)],
        }
    }
}

/// The type of a bin, and the bytes of its value where the type doesn't say them.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Float,
    String(u32),
    Blob(u32),
    List(u32),
}

/// Fills the namespace; the same numbers give the same records.
pub(crate) fn load(server: &TestServer, namespace: &str, size: Size, records: u64) {
    let mut builder = Builder::new(namespace);
    for number in 0..records {
        let view = builder.record(size, i64::try_from(number).expect("fewer than 2^63 records"));
        server.store().put(&view);
    }
}

/// Builds one record after the other in the same buffers.
struct Builder {
    random: Rng,
    input: Vec<u8>,
    layout: RecordLayout,
    namespace: Vec<u8>,
}

impl Builder {
    fn new(namespace: &str) -> Self {
        let namespace = namespace.as_bytes().to_vec();
        Self { random: Rng::with_seed(1), input: Vec::new(), layout: RecordLayout::new(), namespace }
    }

    fn record(&mut self, size: Size, number: i64) -> RecordView<'_> {
        self.input.clear();
        self.layout.clear();
        self.layout.namespace = push(&mut self.input, &self.namespace);
        self.layout.set = Some(push(&mut self.input, SET));
        self.layout.digest = Digest::compute(SET, &UserKey::Integer(number));
        self.layout.generation = 1;
        self.layout.void_time = VoidTime::NEVER;
        for (kind, name) in size.values().iter().zip(NAMES) {
            let name = push(&mut self.input, name);
            let value = self.value(*kind);
            self.layout.bins.push(BinSlot { name, value });
        }
        self.layout.view(&self.input)
    }

    fn value(&mut self, kind: Kind) -> ValueSlot {
        match kind {
            Kind::Integer => ValueSlot::Integer(self.random.i64(..)),
            Kind::Float => ValueSlot::Float(self.random.f64() * 1e6),
            Kind::String(len) => {
                let mut text = self.noise(len);
                text.iter_mut().for_each(|byte| *byte = LETTERS[usize::from(*byte) % LETTERS.len()]);
                ValueSlot::String(push(&mut self.input, &text))
            }
            Kind::Blob(len) => {
                let noise = self.noise(len);
                ValueSlot::Bytes(BytesType::Blob, push(&mut self.input, &noise))
            }
            Kind::List(len) => {
                let items = u16::try_from(len - 3).expect("the lists above are short");
                let [high, low] = items.to_be_bytes();
                let mut list = vec![MSGPACK_ARRAY_16, high, low];
                list.extend(std::iter::repeat_with(|| self.random.u8(..0x80)).take(items.into()));
                ValueSlot::Bytes(BytesType::List, push(&mut self.input, &list))
            }
        }
    }

    /// Returns bytes that no other value has: what repeats within a few hundred KiB, as real values don't, would flatter
    /// whoever compresses with the larger window.
    fn noise(&mut self, len: u32) -> Vec<u8> {
        let mut noise = vec![0; len as usize];
        self.random.fill(&mut noise);
        noise
    }
}

fn push(input: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let span = Span::input(input.len(), bytes.len());
    input.extend_from_slice(bytes);
    span
}

const SET: &[u8] = b"bench";
const NAMES: [&[u8]; 5] = [b"b-0", b"b-1", b"b-2", b"b-3", b"b-4"];
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// Begins an array whose number of items follows in 16 bits; items below 0x80 are one byte each.
const MSGPACK_ARRAY_16: u8 = 0xdc;
