//! The run of a validation: every file is decoded to its end, and every file that can't be is a finding.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking,
    config::ValidateConfig,
    job::{JobContext, Outcome},
    pipeline::Tasks,
    report::{self, Bytes, Decoded, Finding, FindingKind, Rates, ValidateReport},
    restore::{backup_files, source_report},
    source::files::{FileEntry, FileQueue, FileReader},
};

/// Runs a validation to its end and says what it found.
pub(crate) async fn run(
    config: ValidateConfig,
    source: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<ValidateReport> {
    let findings = Arc::new(Mutex::default());
    let result = check(&config, &source, &findings, &job).await;
    let counters = &job.counters;
    let duration = counters.elapsed();
    let mut findings = std::mem::take(&mut *findings.lock().unwrap_or_else(PoisonError::into_inner));
    findings.sort_by(|a: &Finding, b| a.file.cmp(&b.file));
    let report = ValidateReport {
        span: report::Span::new(started, duration),
        source: source_report(&source, counters.files.count()),
        records: Decoded { read: counters.read.count() },
        indexes: Decoded { read: counters.indexes_read.count() },
        udfs: Decoded { read: counters.udfs_read.count() },
        bytes: Bytes::of(counters),
        rates: Rates::of(counters, duration),
        findings,
    };
    Outcome { report: Some(Arc::new(report)), result }
}

async fn check(
    config: &ValidateConfig,
    source: &Local,
    findings: &Arc<Mutex<Vec<Finding>>>,
    job: &JobContext,
) -> Result<(), Error> {
    let files = {
        let source = source.clone();
        blocking(move || backup_files(&source)).await??
    };
    job.counters.bytes_total.add(files.iter().map(|file| file.bytes).sum());
    job.counters.files.add(files.len() as u64);
    let readers = config.readers.count().min(files.len());
    let files = Arc::new(FileQueue::new(files));
    let mut tasks = Tasks::new(job.token.clone());
    for _ in 0..readers {
        let (source, files, findings, job) =
            (source.clone(), Arc::clone(&files), Arc::clone(findings), job.clone());
        tasks.spawn_blocking(move || check_files(&source, &files, &findings, &job));
    }
    tasks.join().await
}

fn check_files(
    source: &Local,
    files: &FileQueue,
    findings: &Mutex<Vec<Finding>>,
    job: &JobContext,
) -> Result<(), Error> {
    let mut reader = FileReader::new(source, job);
    while let Some(file) = files.take() {
        let checked = reader.read(&file, |entry| {
            match entry {
                FileEntry::Record(_) => job.counters.read.add(1),
                FileEntry::SecondaryIndex(_) => job.counters.indexes_read.add(1),
                FileEntry::UdfModule(_) => job.counters.udfs_read.add(1),
            }
            Ok(())
        });
        match checked {
            Err(error) if error.kind() == ErrorKind::Format => {
                findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding(&file.name, &error));
            }
            checked => checked?,
        }
    }
    Ok(())
}

fn finding(file: &str, error: &Error) -> Finding {
    Finding {
        file: file.to_owned(),
        kind: FindingKind::Decode,
        line: error.place().line.unwrap_or_default(),
        byte: error.place().byte.unwrap_or_default(),
        message: error.to_string(),
    }
}
