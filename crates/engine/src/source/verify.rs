//! The stored bytes of a backup held against its manifest, before any of them is used.

use std::{
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use asbackup_storage::Local;

use super::{files::FileQueue, open::unreadable};
use crate::{
    Error,
    config::Parallelism,
    job::JobContext,
    manifest::{Hashing, OTHER_HASH, SetFile, refuse},
    pipeline::{CHUNK_BYTES, Tasks},
    report::{Finding, FindingKind},
};

/// Reads all files, `readers` at once.
///
/// # Errors
/// If one isn't what the manifest says, or can't be read. Files that aren't listed are passed over.
pub(crate) async fn verify(
    source: &Local,
    files: &[SetFile],
    readers: Parallelism,
    job: &JobContext,
) -> Result<(), Error> {
    let readers = readers.count().min(files.len());
    let files = Arc::new(FileQueue::new(files.iter().filter(|file| file.listed.is_some()).cloned()));
    let findings = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Tasks::new(job.token.clone());
    for _ in 0..readers {
        let (source, files, findings, job) =
            (source.clone(), Arc::clone(&files), Arc::clone(&findings), job.clone());
        tasks.spawn_blocking(move || verify_files(&source, &files, &findings, &job));
    }
    tasks.join().await?;
    let mut findings = std::mem::take(&mut *findings.lock().unwrap_or_else(PoisonError::into_inner));
    findings.sort_by(|a: &Finding, b| a.file.cmp(&b.file));
    refuse(&findings)
}

fn verify_files(
    source: &Local,
    files: &FileQueue,
    findings: &Mutex<Vec<Finding>>,
    job: &JobContext,
) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Some(SetFile { stored, listed, opening, .. }) = files.take() {
        let mut input = source.read(&stored.name)?;
        let mut hash = Hashing::of(opening.key.as_ref()).begin();
        loop {
            if job.token.is_cancelled() {
                return Err(Error::cancelled());
            }
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(bytes) => hash.update(&buffer[..bytes]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&stored.name, error)),
            }
        }
        if listed.is_some_and(|listed| listed.hash != hash.hex()) {
            let message = format!("{} {OTHER_HASH}", stored.name);
            let finding = Finding::new(&stored.name, FindingKind::Hash, message);
            findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
        }
    }
    Ok(())
}
