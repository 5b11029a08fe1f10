//! Records for tests of what a backup reads, and what comes back of them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use asbackup::{BackupConfig, BackupReport, Error, Local};
use asbackup_model::{
    Digest, UserKey, VoidTime,
    owned::{OwnedValue, Record},
};
use asbackup_testserver::{TestServer, TestServerBuilder};

use crate::setup::{NAMESPACE, backup_config, client, now, restore_config, server};

/// How long after the first half of the records the second one was written.
pub(crate) const LATER: Duration = Duration::from_secs(2_000);

/// A record as a test thinks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) set: Option<&'static str>,
    pub(crate) expires: bool,
    pub(crate) is_late: bool,
    pub(crate) age: i64,
    pub(crate) bins: Vec<&'static str>,
}

pub(crate) type Model = BTreeMap<Digest, Known>;

const SETS: [Option<&str>; 4] = [Some("one"), Some("two"), Some("MY_ERROR_SET"), None];

fn known(number: u32, records: u32) -> Known {
    let bins: &[_] = if number.is_multiple_of(5) { &["age"] } else { &["age", "name"] };
    Known {
        set: SETS[number as usize % 4],
        expires: number.is_multiple_of(3),
        is_late: number >= records / 2,
        age: i64::from(number % 130),
        bins: bins.to_vec(),
    }
}

/// Starts a server with that many records, one more of the monitor set, and returns what is known of them.
pub(crate) fn loaded(builder: TestServerBuilder, records: u32) -> (TestServer, Model) {
    let server = builder.namespace(NAMESPACE).start().unwrap();
    let mut model = Model::new();
    put(&server, Some("<ERO~MRT"), 0, &known(1, records));
    for number in 0..records {
        let known = known(number, records);
        if number == records / 2 {
            server.advance_clock(LATER);
        }
        let digest = put(&server, known.set, number, &known);
        model.insert(digest, known);
    }
    (server, model)
}

fn put(server: &TestServer, set: Option<&str>, number: u32, known: &Known) -> Digest {
    let digest = Digest::compute(set.unwrap_or_default().as_bytes(), &UserKey::Integer(i64::from(number)));
    let value = |name: &str| match name {
        "age" => OwnedValue::Integer(known.age),
        _ => OwnedValue::String(format!("number {number}").into_bytes()),
    };
    let record = Record {
        namespace: NAMESPACE.into(),
        set: set.map(Into::into),
        digest,
        key: None,
        generation: 1,
        void_time: VoidTime(if known.expires { now().0 + 100_000 } else { 0 }),
        bins: known.bins.iter().map(|name| (name.as_bytes().to_vec(), value(name))).collect(),
    };
    server.store().put(&record.layout().view(&[]));
    digest
}

/// Backs up into a directory with pauses that don't slow a test down.
pub(crate) async fn back_up(
    from: &TestServer,
    directory: &Path,
    change: impl FnOnce(&mut BackupConfig),
) -> Result<BackupReport, Error> {
    let mut config = backup_config();
    change(&mut config);
    let job = client(from).await.backup(config, Local::directory(directory));
    job.wait().await.map(|report| report.as_ref().clone())
}

/// Returns the digests of what a backup brings back, with the names of the bins.
pub(crate) async fn selected(
    from: &TestServer,
    change: impl FnOnce(&mut BackupConfig),
) -> BTreeMap<Digest, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let report = back_up(from, directory.path(), change).await.unwrap();
    let records = &report.records;
    assert_eq!((records.read, records.unaccounted), (records.written, 0), "{records:?}");
    let into = server();
    restore(&into, directory.path()).await;
    let stored = stored(&into);
    assert_eq!(stored.len() as u64, records.written);
    stored
}

pub(crate) async fn restore(into: &TestServer, directory: &Path) {
    let job = client(into).await.restore(restore_config(), Local::directory(directory));
    job.wait().await.unwrap();
}

pub(crate) fn stored(server: &TestServer) -> BTreeMap<Digest, Vec<String>> {
    let mut stored = BTreeMap::new();
    server.store().for_each_record(NAMESPACE, |record| {
        let name = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        stored.insert(record.digest, record.bins.iter().map(|bin| name(bin.name)).collect());
    });
    stored
}

/// Returns those of a model that a test expects.
pub(crate) fn expected(
    model: &Model,
    is_in: impl Fn(&Digest, &Known) -> bool,
) -> BTreeMap<Digest, Vec<String>> {
    let all = model.iter().filter(|(digest, known)| is_in(digest, known));
    all.map(|(digest, known)| (*digest, known.bins.iter().map(|&bin| bin.to_owned()).collect())).collect()
}

/// Checks that a backup is refused, and returns message and hint.
pub(crate) async fn refused(
    from: &TestServer,
    change: impl FnOnce(&mut BackupConfig),
) -> (String, &'static str) {
    let directory = tempfile::tempdir().unwrap();
    let error = back_up(from, &directory.path().join("never-made"), change).await.unwrap_err();
    assert_eq!(error.kind(), asbackup::ErrorKind::Config, "{error:?}");
    assert!(!directory.path().join("never-made").exists(), "nothing is made before all is checked");
    (error.to_string(), error.hint().unwrap())
}
