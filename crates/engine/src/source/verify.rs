//! The stored bytes of a backup held against its manifest: before any of them is used, or when their use has failed.

use std::{
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use asbackup_storage::Local;

use super::{files::FileQueue, open::unreadable};
use crate::{
    Error, ErrorKind,
    config::Parallelism,
    job::JobContext,
    manifest::{Hashing, OTHER_HASH, SetFile, damage},
    pipeline::{CHUNK_BYTES, Tasks},
    report::{Finding, FindingKind},
};

/// Reads all files, `readers` at once, and returns those that aren't what the manifest says. Files that aren't listed are
/// passed over.
///
/// # Errors
/// If one can't be read.
pub(crate) async fn verify(
    source: &Local,
    files: &[SetFile],
    readers: Parallelism,
    job: &JobContext,
) -> Result<Vec<Finding>, Error> {
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
    Ok(findings)
}

/// Returns why a restore failed with `error` whose `files` were being read: a refusal may be the work of a byte that was
/// changed, which their hashes would have told at their ends. If one of them doesn't hold, that is the error, and the
/// refusal its cause.
pub(crate) async fn blame(
    error: Error,
    source: &Local,
    files: &[SetFile],
    readers: Parallelism,
    job: &JobContext,
) -> Error {
    if error.kind() != ErrorKind::Refused || files.is_empty() {
        return error;
    }
    tracing::info!(files = files.len(), "checking whether the files hold that were being restored");
    match verify(source, files, readers, job).await {
        Ok(findings) => match damage(&findings) {
            Some(damage) => damage.source(error).build(),
            None => error,
        },
        Err(unchecked) => {
            tracing::info!(error = &unchecked as &dyn std::error::Error, "the files can't be checked");
            error
        }
    }
}

fn verify_files(
    source: &Local,
    files: &FileQueue,
    findings: &Mutex<Vec<Finding>>,
    job: &JobContext,
) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Some(SetFile { stored, listed, opening, .. }) = files.take() {
        let mut input = job.paced(source.read(&stored.name)?);
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use asbackup_storage::StoredFile;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{event::EventLog, manifest::ListedFile, progress::Counters, source::open::Opening};

    const TEXT: &str = "what was written";

    /// Blames a file with this text for an error, and returns what the error is then.
    async fn blamed(text: &str, kind: ErrorKind, token: CancellationToken) -> Error {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.asb"), text).unwrap();
        let (name, bytes) = ("a.asb".to_owned(), text.len() as u64);
        let hash = Hashing::default().hash(&[TEXT.as_bytes()]);
        let partitions = "".parse().unwrap();
        let listed =
            ListedFile { name: name.clone(), bytes, hash, records: 0, indexes: 0, udfs: 0, partitions };
        let stored = StoredFile { name, bytes };
        let file = SetFile { stored, listed: Some(listed), namespace: None, opening: Opening::default() };
        let events = EventLog::new().0;
        let job = JobContext { counters: Counters::new().into(), token, limits: Arc::default(), events };
        let error = Error::of(kind, "no").build();
        blame(error, &Local::directory(directory.path()), &[file], Parallelism::ONE, &job).await
    }

    #[tokio::test]
    async fn refusal_is_blamed_on_a_file_whose_hash_does_not_hold() {
        let error = blamed("What was written", ErrorKind::Refused, CancellationToken::new()).await;
        assert_eq!((error.kind(), error.place().file.as_deref()), (ErrorKind::Integrity, Some("a.asb")));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("no"));
    }

    #[tokio::test]
    async fn other_errors_and_refusals_of_whole_files_stay_as_they_are() {
        for (text, kind) in [
            (TEXT, ErrorKind::Refused),
            ("What was written", ErrorKind::Write),
            ("What was written", ErrorKind::Cancelled),
        ] {
            assert_eq!(blamed(text, kind, CancellationToken::new()).await.kind(), kind);
        }
    }

    #[tokio::test]
    async fn job_that_is_cancelled_meanwhile_checks_no_file() {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        assert_eq!(
            blamed("What was written", ErrorKind::Refused, cancelled).await.kind(),
            ErrorKind::Refused
        );
    }
}
