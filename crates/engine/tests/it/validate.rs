//! Validation without a cluster.

use std::fs;

use asbackup::{FindingKind, Local, Parallelism, ValidateConfig, ValidateReport};

use crate::setup::{back_up, loaded_server};

async fn findings(source: Local) -> std::sync::Arc<ValidateReport> {
    let mut config = ValidateConfig::new();
    config.readers = Parallelism::new(2).unwrap();
    asbackup::validate(config, source).wait().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_backup_has_no_findings() {
    let from = loaded_server(500);
    let directory = tempfile::tempdir().unwrap();
    back_up(&from, directory.path()).await;
    let report = findings(Local::directory(directory.path())).await;
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.records.read, report.indexes.read, report.udfs.read), (500, 6, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let record = "+ n test\n+ d AAECAwQFBgcICQoLDA0ODxAREhM=\n+ g 1\n+ t 0\n+ b 1\n- I a 1\n";
    for (name, text) in [
        ("0_test_1.asb", format!("Version 3.1\n# namespace test\n{record}{record}")),
        ("0_test_2.asb", format!("Version 3.1\n# namespace test\n{record}- I b 2\n")),
        ("0_test_3.asb", format!("Version 3.1\n# namespace test\n{}", &record[..20])),
        ("0_test_4.asb", String::new()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let report = findings(Local::directory(directory.path())).await;
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.file.as_str(), finding.kind, finding.line, finding.byte))
        .collect();
    assert_eq!(
        found,
        [
            ("0_test_2.asb", FindingKind::Decode, Some(9), Some(97)),
            ("0_test_3.asb", FindingKind::Decode, Some(4), Some(49)),
            ("0_test_4.asb", FindingKind::Decode, Some(1), Some(0)),
        ]
    );
    assert_eq!(report.records.read, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_file_may_have_any_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup.txt");
    fs::write(&path, "Version 3.1\n# namespace test\n").unwrap();
    assert!(findings(Local::file(path)).await.findings.is_empty());
}
