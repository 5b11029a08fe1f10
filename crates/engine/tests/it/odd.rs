//! Data that is odd but legal: it comes back as it was.

use asbackup::{Local, Parallelism, Spelling, Zstd};
use asbackup_model::{
    BinSlot, BytesType, Digest, IndexKind, IndexedType, KeySlot, RecordLayout, SecondaryIndex, UdfModule,
    UserKey, ValueSlot, VoidTime,
};
use asbackup_testserver::{NamespaceConfig, TestServer};
use std::time::Duration;

use crate::setup::{NAMESPACE, assert_same, backup_config, client, now, restore_config, server};

/// A record that is put together part by part.
struct Odd(RecordLayout);

impl Odd {
    fn new(set: Option<&[u8]>, number: u16) -> Self {
        let mut odd = Self(RecordLayout::new());
        odd.0.namespace = odd.0.keep(NAMESPACE.as_bytes());
        odd.0.set = set.map(|set| odd.0.keep(set));
        odd.0.digest = Digest::compute(set.unwrap_or_default(), &UserKey::Integer(i64::from(number)));
        odd.0.generation = 1;
        odd
    }

    fn key(mut self, key: UserKey<'_>) -> Self {
        self.0.key = Some(match key {
            UserKey::Integer(value) => KeySlot::Integer(value),
            UserKey::Float(value) => KeySlot::Float(value),
            UserKey::String(text) => KeySlot::String(self.0.keep(text)),
            UserKey::Bytes(bytes) => KeySlot::Bytes(self.0.keep(bytes)),
        });
        self
    }

    fn void_time(mut self, void_time: u64) -> Self {
        self.0.void_time = VoidTime(void_time);
        self
    }

    fn bin(mut self, name: &[u8], value: ValueSlot) -> Self {
        let name = self.0.keep(name);
        self.0.bins.push(BinSlot { name, value });
        self
    }

    fn bytes(mut self, name: &[u8], kind: BytesType, bytes: &[u8]) -> Self {
        let span = self.0.keep(bytes);
        self.bin(name, ValueSlot::Bytes(kind, span))
    }

    fn string(mut self, name: &[u8], bytes: &[u8]) -> Self {
        let span = self.0.keep(bytes);
        self.bin(name, ValueSlot::String(span))
    }

    fn put(self, server: &TestServer) {
        server.store().put(&self.0.view(&[]));
    }
}

/// A server that takes any record size.
fn roomy() -> TestServer {
    let mut config = NamespaceConfig::new(NAMESPACE);
    config.max_record_bytes = 64 << 20;
    TestServer::builder().namespace(config).start().unwrap()
}

/// Copies a server in both spellings, checks that all is there, and returns the inexact values of one backup.
async fn check_round_trip(from: &TestServer) -> std::collections::BTreeMap<&'static str, u64> {
    let mut inexact = std::collections::BTreeMap::new();
    for spelling in [Spelling::Base64, Spelling::Compact] {
        let directory = tempfile::tempdir().unwrap();
        let into = roomy();
        let mut config = backup_config();
        config.spelling = spelling;
        let job = client(from).await.backup(config, Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!(report.records.unaccounted, 0);
        inexact = report.inexact.clone();
        let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!((report.records.unaccounted, report.indexes.failed, report.udfs.failed), (0, 0, 0));
        assert_same(from, &into, NAMESPACE);
    }
    inexact
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_of_any_bytes_come_back() {
    let from = server();
    let names: [&[u8]; 6] = [b"\n", b" \\\t;:", b"\xff\xfe\x80", b"a b", b"n", b"\\n"];
    for (number, name) in (0..).zip(names) {
        let odd = Odd::new(Some(name), number).string(name, b"line\nline\0\r\n- S x 1 y\n+ k I 1\n");
        odd.string(b"empty", b"").bytes(b"blob", BytesType::Blob, b"\n\0\xff").put(&from);
    }
    // No server takes a NUL in the name of a bin.
    Odd::new(Some(b"a\0b"), 99).string(b"nul", b"\0").put(&from);
    Odd::new(None, 100).string(b"no set", b"\xc0\xaf").put(&from);
    let kinds = [
        BytesType::Java,
        BytesType::CSharp,
        BytesType::Python,
        BytesType::Ruby,
        BytesType::Php,
        BytesType::Erlang,
        BytesType::List,
        BytesType::Map,
        BytesType::Hll,
    ];
    for (number, kind) in (200..).zip(kinds) {
        let body: &[u8] = match kind {
            BytesType::List => b"\x93\x01\x02\x03",
            BytesType::Map => b"\x81\x01\x02",
            BytesType::Hll => &[0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            _ => b"\n\0\xff any",
        };
        Odd::new(Some(b"kinds"), number).bytes(b"b", kind, body).put(&from);
    }
    assert!(check_round_trip(&from).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_kinds_come_back() {
    let from = server();
    let keys = [
        UserKey::Integer(i64::MIN),
        UserKey::Integer(-1),
        UserKey::Integer(i64::MAX),
        UserKey::Float(-0.0),
        UserKey::Float(f64::INFINITY),
        UserKey::Float(5e-324),
        UserKey::String(b""),
        UserKey::String(b"a\nb \\ \xff"),
        UserKey::Bytes(b""),
        UserKey::Bytes(b"\0\n+ d "),
    ];
    for (number, key) in (0..).zip(keys) {
        Odd::new(Some(b"s"), number).key(key).bin(b"i", ValueSlot::Integer(1)).put(&from);
    }
    assert!(check_round_trip(&from).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_records_come_back() {
    let from = roomy();
    let mut many = Odd::new(Some(b"many"), 1);
    for number in 0..1_000 {
        many = many.bin(format!("bin-{number}").as_bytes(), ValueSlot::Integer(number));
    }
    many.put(&from);
    for number in 2..6 {
        let blob: Vec<u8> = (0..1_u32 << 20).map(|at| u8::try_from(at % 251).unwrap()).collect();
        Odd::new(Some(b"large"), number).bytes(b"blob", BytesType::Blob, &blob).put(&from);
    }
    // Larger than all that may be in flight at once.
    let text = vec![b'\n'; 20 << 20];
    Odd::new(Some(b"huge"), 7).string(b"text", &text).put(&from);
    assert!(check_round_trip(&from).await.is_empty());
}

/// More than may be in memory at once, and frames of them that lie until their file gets another block.
#[tokio::test(flavor = "multi_thread")]
async fn many_large_records_are_compressed_into_few_files() {
    let from = roomy();
    for number in 0..24 {
        Odd::new(Some(b"large"), number).string(b"text", &vec![b'a'; 400 << 10]).put(&from);
    }
    for streams in 1..=3 {
        let directory = tempfile::tempdir().unwrap();
        let mut config = backup_config();
        config.readers = Parallelism::new(streams).unwrap();
        config.writers = config.readers;
        config.envelope.compression = Some(Zstd::level(1).unwrap());
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        assert_eq!(job.wait().await.unwrap().records.written, 24);
        let into = roomy();
        client(&into)
            .await
            .restore(restore_config(), Local::directory(directory.path()))
            .wait()
            .await
            .unwrap();
        assert_same(&from, &into, NAMESPACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_nans_are_counted() {
    let from = server();
    let floats = [f64::NAN, f64::from_bits(0x7ff8_0000_dead_beef), f64::from_bits(0xfff0_0000_0000_0001)];
    for (number, value) in (0..).zip(floats) {
        Odd::new(None, number).bin(b"f", ValueSlot::Float(value)).put(&from);
    }
    Odd::new(None, 10).bin(b"f", ValueSlot::Float(f64::NEG_INFINITY)).put(&from);
    assert_eq!(check_round_trip(&from).await["nan_payload"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_whose_time_is_over_are_not_sent_and_not_restored() {
    let from = server();
    let bin = ValueSlot::Integer(1);
    Odd::new(None, 1).void_time(1).bin(b"i", bin).put(&from);
    Odd::new(None, 2).void_time(now().0 + 600).bin(b"i", bin).put(&from);
    Odd::new(None, 3).void_time(now().0 + 100_000).bin(b"i", bin).put(&from);
    Odd::new(None, 4).bin(b"i", bin).put(&from);
    let directory = tempfile::tempdir().unwrap();
    let job = client(&from).await.backup(backup_config(), Local::directory(directory.path()));
    assert_eq!(job.wait().await.unwrap().records.written, 3);
    let into = server();
    let later = || std::time::SystemTime::now() + Duration::from_secs(3600);
    let client = client(&into).await.with_clock(later);
    let report = client.restore(restore_config(), Local::directory(directory.path())).wait().await.unwrap();
    assert_eq!((report.records.read, report.records.expired, report.records.inserted), (3, 1, 2));
    assert_eq!(report.records.unaccounted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_indexes_and_large_modules_come_back() {
    let from = server();
    let index = |name: &[u8], bin: &[u8]| SecondaryIndex {
        namespace: NAMESPACE.into(),
        set: Some(b"odd set\\".to_vec()),
        name: name.to_vec(),
        kind: IndexKind::Default,
        bin: bin.to_vec(),
        indexed: IndexedType::String,
        context: None,
        expression: None,
    };
    from.store().add_index(index(b"by name, or so", b"a bin"));
    from.store().add_index(index(b"by\\\xff", b"\\\xfe"));
    from.store().add_index(index(b"x=y", b"k=v"));
    let content: Vec<u8> = b"-- \0\n".iter().copied().cycle().take(1_000_003).collect();
    from.store().add_udf(UdfModule { name: b"large module.lua".to_vec(), content });
    check_round_trip(&from).await;
}
