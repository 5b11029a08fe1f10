//! Backups of other tools and versions, restored whole.

use std::{fs, path::Path};

use asbackup::{Local, RestoreReport};
use asbackup_model::Value;
use asbackup_testserver::TestServer;

use crate::setup::{NAMESPACE, assert_same, client, restore_config, server};

async fn restore(into: &TestServer, directory: &Path) -> RestoreReport {
    let job = client(into).await.restore(restore_config(), Local::directory(directory));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.unaccounted, report.warnings.len()), (0, 0), "{:?}", report.warnings);
    report.as_ref().clone()
}

async fn restore_golden(folder: &str) -> (TestServer, RestoreReport) {
    let into = server();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder);
    let report = restore(&into, &directory).await;
    (into, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_backup_go_are_restored_whole() {
    // Rotated by size, several writers, a prefix, and the suffix of a resumed run.
    for (folder, files) in [("a_plain", 3), ("a_limit", 7), ("a_prefix", 6), ("a_resumed_suffix", 2)] {
        let (into, report) = restore_golden(&format!("dirs/{folder}")).await;
        assert_eq!((report.source.place.files, report.records.inserted), (files, 100), "{folder}");
        assert_eq!((report.indexes.created, report.udfs.created), (1, 1), "{folder}");
        let mut sum = 0;
        into.store().for_each_record(NAMESPACE, |record| {
            let Some(Value::Integer(value)) = record.bins.iter().next().map(|bin| bin.value) else {
                panic!("{folder}: {record:?}");
            };
            sum += value;
        });
        // The bin of record n is n squared.
        assert_eq!(sum, (0..100).map(|n| n * n).sum::<i64>(), "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_real_server_is_restored_whole() {
    let (into, report) = restore_golden("real").await;
    let expected = 10; // One of them expires in December 2026.
    assert_eq!((report.records.read, report.records.failed.len()), (expected, 0));
    assert_eq!(report.records.inserted + report.records.expired, expected);
    assert_eq!((report.indexes.created, report.udfs.created), (3, 1));
    assert_eq!(into.store().record_count(NAMESPACE), report.records.inserted);
}

/// What the C tools write: five digits in the name, indexes and modules in front of the first file's records, 17 digits
/// of a float, `-nan`, raw bytes as key, blobs of languages. And what they read: an exclamation mark behind any type.
const C_FIRST: &str = "Version 3.1\n# namespace test\n# first-file\n\
    * i test demo by_age N 1 age N\n* i test  in\\ list L 1 list S lBAAIqIDaw==\n\
    * u L f.lua 11 return 1\n\n\n\n\
    + k B! 3 k\ny\n+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ s demo\n+ g 1\n+ t 0\n+ b 9\n\
    - D tenth 0.10000000000000001\n- D none -nan\n- D most -inf\n- J java 4 AQID\n- P! python 3 a\nb\n\
    - N! nothing\n- Z! true T\n- I! age 7\n- S! text 2 \\ \n";

const C_NEXT: &str = "Version 3.1\n# namespace test\n\
    + n test\n+ d AQECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 3\n\
    - B loose 4 AR==\n- B broken 9 AQID\nAQI=\n- L! list 2 ??\n";

/// Version 3.0 has no escapes: a backslash is a byte of the name.
const LEGACY: &str = "Version 3.0\n# namespace test\n\
    + k I 5\n+ n test\n+ d AgECAwQFBgcICQoLDA0ODxAREhM=\n+ s back\\slash\n+ g 1\n+ t 0\n+ b 1\n- I a\\b 1\n";

/// The same as backup-go spells it, as far as it can say it.
const PLAIN: &str = "Version 3.1\n# namespace test\n# first-file\n\
    * u L f.lua 11 return 1\n\n\n\n\
    * i test demo by_age N 1 age N\n* i test  in\\ list L 1 list S lBAAIqIDaw==\n\
    + k B 4 awp5\n+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ s demo\n+ g 1\n+ t 0\n+ b 8\n\
    - D tenth 0.1\n- D none NaN\n- D most -Inf\n- J java 4 AQID\n- P python 4 YQpi\n\
    - Z true T\n- I age 7\n- S text 2 \\ \n\
    + n test\n+ d AQECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 3\n\
    - B loose 4 AQ==\n- B broken 8 AQIDAQI=\n- L list 4 kQE=\n\
    + k I 5\n+ n test\n+ d AgECAwQFBgcICQoLDA0ODxAREhM=\n+ s back\\\\slash\n+ g 1\n+ t 0\n+ b 1\n- I a\\\\b 1\n";

#[tokio::test(flavor = "multi_thread")]
async fn dialect_of_the_c_tools_gives_the_same_as_the_plain_spelling() {
    let (c, plain) = (server(), server());
    let directory = tempfile::tempdir().unwrap();
    // The list of one integer, raw: its first byte is no character.
    let mut next = C_NEXT.as_bytes().to_vec();
    let at = next.len() - 3;
    next[at..at + 2].copy_from_slice(&[0x91, 1]);
    fs::write(directory.path().join("test_00000.asb"), C_FIRST).unwrap();
    fs::write(directory.path().join("test_00001.asb"), next).unwrap();
    fs::write(directory.path().join("[test]_00002.asb"), LEGACY).unwrap();
    let report = restore(&c, directory.path()).await;
    assert_eq!((report.records.inserted, report.indexes.created, report.udfs.created), (3, 2, 1));

    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("0_test_1.asb"), PLAIN).unwrap();
    let report = restore(&plain, directory.path()).await;
    assert_eq!((report.records.inserted, report.indexes.created, report.udfs.created), (3, 2, 1));
    assert_same(&c, &plain, NAMESPACE);
}
