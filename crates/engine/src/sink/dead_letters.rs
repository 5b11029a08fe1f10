//! Records that the server refuses, kept in a file that can be restored like any other. Source: docs/format/files.md, "Dead
//! letters".

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use asbackup_codec::{
    asb::{self, FileOrder, Version},
    wire::ResultCode,
};
use asbackup_model::Digest;
use serde::Serialize;

use crate::{Error, ErrorKind, config::Start};

/// The file of refused records, and the one of reasons beside it. Neither is there before the first refusal.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    files: Mutex<Option<Files>>,
}

#[derive(Debug)]
struct Files {
    records: File,
    reasons: File,
    /// Of the file of records.
    bytes: u64,
}

/// A refused record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadLetter<'a> {
    /// The namespace in the backup.
    pub(crate) namespace: &'a [u8],
    pub(crate) digest: Digest,
    pub(crate) text: &'a [u8],
    pub(crate) code: ResultCode,
    pub(crate) node: &'a str,
}

/// A line of the file of reasons.
#[derive(Serialize)]
struct Reason<'a> {
    digest: String,
    code: u8,
    reason: &'static str,
    node: &'a str,
    /// Where the record begins in the file of records.
    byte: u64,
}

impl DeadLetters {
    /// Takes a path for the file. One that is there is appended to by a job that goes on.
    ///
    /// # Errors
    /// If it is there and the job begins anew.
    pub(crate) fn new(path: &Path, start: Start) -> Result<Self, Error> {
        if start == Start::Anew && path.exists() {
            let message = format!("the file for refused records is there already: {}", path.display());
            return Err(Error::of(ErrorKind::Config, message)
                .hint("move it away, or name another one with --dead-letter")
                .build());
        }
        Ok(Self { path: path.to_owned(), files: Mutex::default() })
    }

    /// Adds a record.
    pub(crate) fn add(&self, letter: &DeadLetter<'_>) -> Result<(), Error> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let files = match &mut *files {
            Some(files) => files,
            None => files.insert(Files::open(&self.path).map_err(|error| self.failed(error))?),
        };
        files.add(letter).map_err(|error| self.failed(error))
    }

    /// Makes durable what was added.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Files { records, reasons, .. }) = &*files else { return Ok(()) };
        records.sync_data().and_then(|()| reasons.sync_data()).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        let path = self.path.display().to_string();
        Error::of(ErrorKind::Storage, format!("cannot keep a refused record in {path}"))
            .place(|place| place.file = Some(path))
            .source(error)
            .build()
    }
}

impl Files {
    fn open(path: &Path) -> io::Result<Self> {
        let mut reasons = OsString::from(path);
        reasons.push(".reasons");
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let records = open(path)?;
        let bytes = records.metadata()?.len();
        Ok(Self { records, reasons: open(Path::new(&reasons))?, bytes })
    }

    fn add(&mut self, letter: &DeadLetter<'_>) -> io::Result<()> {
        let mut text = Vec::new();
        if self.bytes == 0 {
            asb::encode_header(&mut text, Version::V31, letter.namespace, FileOrder::First);
        }
        let byte = self.bytes + text.len() as u64;
        text.extend_from_slice(letter.text);
        // At once, so that a process that is killed leaves no half of it.
        self.records.write_all(&text)?;
        self.bytes += text.len() as u64;
        let DeadLetter { digest, code, node, .. } = letter;
        let reason = Reason { digest: digest.to_string(), code: code.0, reason: code.name(), node, byte };
        let mut line = serde_json::to_vec(&reason).expect("every key is a string, and nothing else can fail");
        line.push(b'\n');
        self.reasons.write_all(&line)
    }
}
