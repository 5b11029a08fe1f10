//! Estimates, held against backups of the same records.

use std::num::NonZeroU32;

use asbackup::{
    BackupConfig, ByteSize, EncryptionMode, EntryClass, ErrorKind, Estimate, Local, Parallelism, Sampling,
    Spelling, Zstd,
};
use asbackup_demo::sample;
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};

use crate::{
    envelope::encryption,
    setup::{NAMESPACE, backup_config, client, loaded_server, now, server},
};

const RECORDS: u64 = 20_000;

async fn estimate(server: &TestServer, config: BackupConfig, samples: u32, seed: u64) -> Estimate {
    let mut sampling = Sampling::default();
    (sampling.samples, sampling.seed) = (NonZeroU32::new(samples).unwrap(), Some(seed));
    client(server).await.estimate(config, sampling).wait().await.unwrap().estimate.clone()
}

async fn true_bytes(server: &TestServer, config: BackupConfig) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let job = client(server).await.backup(config, Local::directory(directory.path()));
    job.wait().await.unwrap().bytes.stored
}

/// Records of common types, records of one size, and a tenth of them fifteen times as large as the others.
fn data_sets() -> [(&'static str, TestServer); 3] {
    let [common, alike, skewed] = [server(), server(), server()];
    sample::load_records(common.store(), NAMESPACE, RECORDS, now());
    sample::load_metadata(common.store(), NAMESPACE);
    alike.store().load(NAMESPACE, SampleRecords { count: RECORDS, record_bytes: 300 });
    skewed.store().load(NAMESPACE, SampleRecords { count: RECORDS, record_bytes: 200 });
    skewed.store().load(NAMESPACE, SampleRecords { count: RECORDS / 10, record_bytes: 3000 });
    [("common", common), ("alike", alike), ("skewed", skewed)]
}

/// With these seeds, as often as the intervals promise, less what chance takes from so few.
#[tokio::test(flavor = "multi_thread")]
async fn true_size_lies_in_the_interval() {
    let (mut tried, mut in_95, mut in_99) = (0, 0, 0);
    for (name, server) in data_sets() {
        for spelling in [Spelling::Base64, Spelling::Compact] {
            let mut config = backup_config();
            (config.spelling, config.file_limit) = (spelling, Some(ByteSize::mib(1)));
            let right = true_bytes(&server, config.clone()).await;
            for (samples, seed) in (1000..1024).flat_map(|seed| [(200, seed), (3_000, seed)]) {
                let Estimate { records, samples: read, bytes, .. } =
                    estimate(&server, config.clone(), samples, seed).await;
                let what =
                    format!("{name}, {spelling:?}, {samples} samples, seed {seed}: {right} in {bytes:?}");
                assert_eq!(records, RECORDS, "{what}");
                assert!((u64::from(samples) / 2..u64::from(samples) * 2).contains(&read), "{read}: {what}");
                in_99 += u32::from((bytes.low_99..=bytes.high_99).contains(&right));
                assert!(bytes.low_99 <= bytes.low_95 && bytes.high_95 <= bytes.high_99, "{what}");
                // The interval says something: it is far from nothing to everything.
                assert!(bytes.high_99 - bytes.low_99 < right, "{what}");
                tried += 1;
                in_95 += u32::from((bytes.low_95..=bytes.high_95).contains(&right));
            }
        }
    }
    assert!(in_95 * 100 >= tried * 90, "{in_95} of {tried} in the interval of 95 %");
    assert!(in_99 * 100 >= tried * 96, "{in_99} of {tried} in the interval of 99 %");
}

/// A sample tells what frames of a backup take, whether it fills several of them or a small part of one.
#[tokio::test(flavor = "multi_thread")]
async fn true_size_lies_in_the_interval_when_compressed_and_encrypted() {
    let (mut tried, mut in_95, mut in_99) = (0, 0, 0);
    for (name, server) in data_sets() {
        for (level, writers) in [(1, 1), (3, 4)] {
            let mut config = backup_config();
            config.envelope.compression = Some(Zstd::level(level).unwrap());
            config.envelope.encryption = Some(encryption(EncryptionMode::Aes128));
            (config.readers, config.writers) =
                (Parallelism::new(writers).unwrap(), Parallelism::new(writers).unwrap());
            config.file_limit = Some(ByteSize::mib(1));
            let right = true_bytes(&server, config.clone()).await;
            // How far the mean is off at most, in thousandths.
            for (samples, most) in [(100, 500), (1_000, 120), (5_000, 40), (20_000, 8)] {
                for seed in 2000..2008 {
                    let Estimate { bytes, ratio, .. } =
                        estimate(&server, config.clone(), samples, seed).await;
                    let what = format!(
                        "{name}, level {level}, {samples} samples, seed {seed}: {right} in {bytes:?}"
                    );
                    assert!(bytes.mean.abs_diff(right) * 1000 <= right * most, "{what}");
                    assert!(samples < 1_000 || (bytes.high_99 - bytes.low_99) * 4 < right, "{what}");
                    assert!(ratio > 2.0, "{ratio}: {what}");
                    tried += 1;
                    in_95 += u32::from((bytes.low_95..=bytes.high_95).contains(&right));
                    in_99 += u32::from((bytes.low_99..=bytes.high_99).contains(&right));
                }
            }
        }
    }
    assert!(in_95 * 100 >= tried * 90, "{in_95} of {tried} in the interval of 95 %");
    assert!(in_99 * 100 >= tried * 96, "{in_99} of {tried} in the interval of 99 %");
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_of_everything_is_exact() {
    for records in [0, 1, 3_000] {
        let server = loaded_server(records);
        let right = true_bytes(&server, backup_config()).await;
        let Estimate { bytes, samples, records: counted, ratio, .. } =
            estimate(&server, backup_config(), 10_000, 1).await;
        assert_eq!((samples, counted, ratio), (records, records, 1.0));
        assert_eq!([bytes.low_99, bytes.low_95, bytes.mean, bytes.high_95, bytes.high_99], [right; 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_adds_its_first_block_to_each_file() {
    let server = loaded_server(3_000);
    let mut config = backup_config();
    config.envelope.encryption = Some(encryption(EncryptionMode::Aes256));
    let right = true_bytes(&server, config.clone()).await;
    let Estimate { bytes, ratio, .. } = estimate(&server, config, 10_000, 1).await;
    let plain = true_bytes(&server, backup_config()).await;
    assert_eq!((bytes.low_99, bytes.mean, bytes.high_99, right), (right, right, right, plain + 2 * 16));
    assert!(ratio < 1.0 && ratio > 0.999, "{ratio}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_metadata_is_counted() {
    for records in [0, 1_000] {
        let server = loaded_server(records);
        for class in [EntryClass::Records, EntryClass::Indexes, EntryClass::UdfModules] {
            let mut config = backup_config();
            config.envelope.compression = Some(Zstd::level(3).unwrap());
            config.left_out = [class].into();
            let right = true_bytes(&server, config.clone()).await;
            let bytes = estimate(&server, config, 10_000, 1).await.bytes;
            let what = format!("{records} records without {class:?}: {right} in {bytes:?}");
            assert!((bytes.low_95..=bytes.high_95).contains(&right), "{what}");
            if records == 0 || class == EntryClass::Records {
                assert_eq!([bytes.low_99, bytes.mean, bytes.high_99], [right; 3], "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_that_are_left_out_do_not_count() {
    let server = loaded_server(1_000);
    for class in [EntryClass::Records, EntryClass::Indexes, EntryClass::UdfModules] {
        let mut config = backup_config();
        config.left_out = [class].into();
        let right = true_bytes(&server, config.clone()).await;
        assert_eq!(estimate(&server, config, 10_000, 1).await.bytes.mean, right, "{class:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn same_seed_reads_the_same_records() {
    let [(_, server), ..] = data_sets();
    let (first, again) =
        (estimate(&server, backup_config(), 500, 1).await, estimate(&server, backup_config(), 500, 1).await);
    assert_eq!(first, again);
    assert_ne!(first.bytes, estimate(&server, backup_config(), 500, 2).await.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn estimate_that_cannot_be_made_says_why() {
    let server = loaded_server(100);
    let client = client(&server).await;
    let estimate =
        async |config| client.estimate(config, Sampling::default()).wait().await.unwrap_err().kind();
    assert_eq!(estimate(BackupConfig::new("nowhere")).await, ErrorKind::Config);
    let mut config = backup_config();
    config.retry.max_retries = 1;
    server.faults().add(Fault::new(Command::Query, FaultAction::Refuse).times(u64::MAX));
    assert_eq!(estimate(config).await, ErrorKind::Scan);
}
