//! The run of a validation: every file is decoded to its end, and every file that can't be is a finding.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use asbackup_cluster::LargeRecords;
use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking,
    config::ValidateConfig,
    event::Phase,
    job::{JobContext, Outcome},
    key,
    manifest::{Completeness, Member, SetRules, survey},
    pipeline::{LARGE_ENTRIES, Tasks, cpus},
    report::{self, Bytes, Decoded, Finding, FindingKind, Rates, ValidateReport},
    restore::source_report,
    source::{
        ahead::Decompression,
        files::{FileEntry, FileQueue, FileReader},
    },
};

/// Runs a validation to its end and says what it found.
pub(crate) async fn run(
    config: ValidateConfig,
    source: Local,
    started: SystemTime,
    job: JobContext,
) -> Outcome<ValidateReport> {
    let (findings, members) = (Arc::new(Mutex::default()), OnceLock::new());
    let result = check(&config, &source, (&findings, &members), &job).await;
    let counters = &job.counters;
    let duration = counters.elapsed();
    let mut findings = std::mem::take(&mut *findings.lock().unwrap_or_else(PoisonError::into_inner));
    findings.sort_by(|a: &Finding, b| a.file.cmp(&b.file));
    let holds = findings.is_empty();
    let mut members = members.into_inner().unwrap_or_default();
    if result.is_err() {
        members.iter_mut().for_each(|member| member.completeness = Completeness::Unchecked);
    }
    doubt(&mut members, &findings);
    let report = ValidateReport {
        span: report::Span::new(started, duration),
        source: source_report(
            &source,
            counters.files.count(),
            *result.as_ref().ok().filter(|_| holds).unwrap_or(&Completeness::Unchecked),
            members,
        ),
        records: Decoded { read: counters.read.count() },
        indexes: Decoded { read: counters.indexes_read.count() },
        udfs: Decoded { read: counters.udfs_read.count() },
        bytes: Bytes::of(counters),
        rates: Rates::of(counters, duration),
        findings,
    };
    Outcome { report: Some(Arc::new(report)), result: result.map(|_| ()) }
}

async fn check(
    config: &ValidateConfig,
    source: &Local,
    (findings, members): (&Arc<Mutex<Vec<Finding>>>, &OnceLock<Vec<Member>>),
    job: &JobContext,
) -> Result<Completeness, Error> {
    job.begin(Phase::Verifying);
    let set = {
        let rules = SetRules {
            manifest: config.manifest,
            extra: config.extra_files,
            key: job.or_cancelled(key::fetch(config.encryption.as_ref())).await??,
            compression: config.expected_compression,
        };
        let source = source.clone();
        blocking(move || survey(&source, &rules)).await??
    };
    members.get_or_init(|| set.members);
    lock(findings).extend(set.findings);
    job.counters.indexes_read.add(set.side_files.iter().map(|file| file.set_indexes.len() as u64).sum());
    let files = set.files;
    job.counters.bytes_total.add(files.iter().map(|file| file.stored.bytes).sum());
    job.counters.files.add(files.len() as u64);
    let readers = config.readers.count().min(files.len());
    let files = Arc::new(FileQueue::new(files));
    let mut tasks = Tasks::new(job.token.clone());
    let large_entries = LargeRecords::new(LARGE_ENTRIES);
    let decompression = Decompression::of(readers, cpus());
    for _ in 0..readers {
        let (source, files, findings, job) =
            (source.clone(), Arc::clone(&files), Arc::clone(findings), job.clone());
        let large_entries = large_entries.clone();
        tasks.spawn_blocking(move || {
            check_files(&source, &files, &findings, (decompression, large_entries), &job)
        });
    }
    tasks.join().await?;
    Ok(set.completeness)
}

/// A directory with a finding in it doesn't hold.
fn doubt(members: &mut [Member], findings: &[Finding]) {
    let doubted: BTreeSet<&Path> =
        findings.iter().filter_map(|found| Path::new(&found.file).parent()).collect();
    let members = members.iter_mut().filter(|member| doubted.contains(member.part.prefix.as_path()));
    members.for_each(|member| member.completeness = Completeness::Unchecked);
}

fn check_files(
    source: &Local,
    files: &FileQueue,
    findings: &Mutex<Vec<Finding>>,
    (decompression, large_entries): (Decompression, LargeRecords),
    job: &JobContext,
) -> Result<(), Error> {
    let mut reader = FileReader::new(source, job, decompression, large_entries);
    while let Some(file) = files.take() {
        let checked = reader.read(&file, |entry, _end| {
            match entry {
                FileEntry::Record { .. } => job.counters.read.add(1),
                FileEntry::SecondaryIndex(_) => job.counters.indexes_read.add(1),
                FileEntry::UdfModule(_) => job.counters.udfs_read.add(1),
            }
            Ok(())
        });
        match checked {
            Err(error) if error.kind() == ErrorKind::Format => {
                lock(findings).push(finding(&file.stored.name, &error));
            }
            checked => lock(findings).extend(checked?),
        }
    }
    Ok(())
}

fn lock(findings: &Mutex<Vec<Finding>>) -> MutexGuard<'_, Vec<Finding>> {
    findings.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn finding(file: &str, error: &Error) -> Finding {
    Finding {
        file: file.to_owned(),
        kind: FindingKind::Decode,
        line: error.place().line,
        byte: error.place().byte,
        message: error.to_string(),
    }
}
