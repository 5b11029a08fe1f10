//! Decompression beside decoding: a thread of its own for a file, that is a few pieces of text ahead. Blocks. Why one thread
//! a file: docs/decisions/009-decompression-beside-decoding.md.

use std::{io::Read, mem, sync::mpsc, thread};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::open::OpenFile;
use crate::{Error, ErrorKind, pipeline::CHUNK_BYTES};

/// Where the text of a file comes from.
pub(super) trait Text {
    /// Reads text into `into`. 0: the file is at its end.
    ///
    /// # Errors
    /// If it can't be read, or is damaged.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error>;

    /// Returns how many stored bytes were read for what was handed over.
    fn stored_bytes(&self) -> u64;
}

/// Whether compressed files are decompressed on threads of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decompression {
    /// By those that decode.
    InStep,
    /// Beside those that decode.
    Ahead,
}

impl Decompression {
    /// Returns what is best where so many readers have so many CPUs: more threads than CPUs are of no use.
    pub(crate) fn of(readers: usize, cpus: usize) -> Self {
        if readers < cpus { Self::Ahead } else { Self::InStep }
    }
}

/// Pieces of text of a file that are there at once: one is filled, one waits, and one is used up.
pub(crate) const PIECES: usize = 3;

/// Text that was decompressed on another thread.
#[derive(Debug)]
pub(super) struct Ahead {
    pieces: mpsc::Receiver<Result<Piece, Error>>,
    /// Pieces that were used up, whose memory is used again.
    spare: mpsc::Sender<Vec<u8>>,
    piece: Piece,
    start: usize,
    is_at_end: bool,
}

/// Some text, and how much of the file was read for it and all before it.
#[derive(Debug, Default)]
struct Piece {
    text: Vec<u8>,
    stored_bytes: u64,
}

/// Has `read` read the text of a file that is decompressed on another thread meanwhile. When it ends, for whatever reason,
/// `ended` is cancelled, so that nobody waits for a stream that is silent.
///
/// # Errors
/// If `read` fails, or there is no thread.
pub(super) fn read_ahead<R: Read + Send>(
    file: &mut OpenFile<'_, R>,
    ended: &CancellationToken,
    read: impl FnOnce(&mut Ahead) -> Result<(), Error>,
) -> Result<(), Error> {
    let (sender, pieces) = mpsc::sync_channel(PIECES - 2);
    let (spare, spares) = mpsc::channel();
    let runtime = Handle::current();
    thread::scope(|scope| {
        // Both are dropped before the thread is waited for.
        let mut ahead = Ahead { pieces, spare, piece: Piece::default(), start: 0, is_at_end: false };
        let _ended = ended.clone().drop_guard();
        let decompress = move || {
            let _inside = runtime.enter();
            decompress_all(file, &sender, &spares);
        };
        let started = thread::Builder::new().name("decompress".to_owned()).spawn_scoped(scope, decompress);
        started.map_err(|error| {
            Error::of(ErrorKind::Internal, "cannot start a thread to decompress").source(error).build()
        })?;
        read(&mut ahead)
    })
}

impl Text for Ahead {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        if self.start == self.piece.text.len() && !self.is_at_end {
            self.next()?;
        }
        let len = into.len().min(self.piece.text.len() - self.start);
        into[..len].copy_from_slice(&self.piece.text[self.start..self.start + len]);
        self.start += len;
        Ok(len)
    }

    fn stored_bytes(&self) -> u64 {
        self.piece.stored_bytes
    }
}

impl Ahead {
    /// Waits for the next piece; an empty one is the end.
    fn next(&mut self) -> Result<(), Error> {
        // One that no longer decompresses needs no memory.
        let _ = self.spare.send(mem::take(&mut self.piece.text));
        // The thread tells the end before it ends: to end without that is no end of the file.
        let next = self
            .pieces
            .recv()
            .map_err(|_| Error::of(ErrorKind::Internal, "the thread that decompresses has ended").build())?;
        (self.piece, self.start) = (next?, 0);
        self.is_at_end = self.piece.text.is_empty();
        Ok(())
    }
}

/// Hands over the text of a file, piece by piece, until it ends, or nobody takes it.
fn decompress_all<R: Read>(
    file: &mut OpenFile<'_, R>,
    pieces: &mpsc::SyncSender<Result<Piece, Error>>,
    spares: &mpsc::Receiver<Vec<u8>>,
) {
    let mut goes_on = true;
    while goes_on {
        let mut text = spares.try_recv().unwrap_or_default();
        text.resize(CHUNK_BYTES, 0);
        let read = file.read(&mut text);
        goes_on = read.as_ref().is_ok_and(|read| *read > 0);
        let piece = read.map(|read| {
            text.truncate(read);
            Piece { text, stored_bytes: file.stored_bytes() }
        });
        goes_on &= pieces.send(piece).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, path::Path, sync::Arc};

    use asbackup_cluster::LargeRecords;
    use asbackup_codec::envelope::{Compressor, Level};
    use asbackup_storage::{Local, StoredFile};

    use super::*;
    use crate::{
        event::EventLog,
        job::JobContext,
        manifest::SetFile,
        progress::Counters,
        source::{files::FileReader, open::Opening},
    };

    const RECORD: &str = "+ n test\n+ d NBIAAAAAAAAAAAAAAAAAAAAAAAA=\n+ g 1\n+ t 0\n+ b 1\n";

    /// Returns frames of records whose values are such texts.
    fn frames(values: impl IntoIterator<Item = String>) -> Vec<u8> {
        let (mut compressor, mut frame, mut frames) =
            (Compressor::new(Level::DEFAULT), Vec::new(), Vec::new());
        let mut text = "Version 3.1\n# namespace test\n".to_owned();
        for value in values {
            text.push_str(&format!("{RECORD}- S a {} {value}\n", value.len()));
            compressor.compress(text.as_bytes(), &mut frame).unwrap();
            frames.extend_from_slice(&frame);
            text.clear();
        }
        frames
    }

    /// Values that take many pieces, and of which one is larger than a piece.
    fn values() -> impl Iterator<Item = String> {
        let mut random = fastrand::Rng::with_seed(7);
        [100_000, 300_000, 7, 900_000, 50_000, 1].into_iter().map(move |bytes| {
            std::iter::repeat_with(|| random.alphanumeric()).take(bytes).collect::<String>()
        })
    }

    /// What is read of a file: the ends of its entries, what it is in the end, and how many stored bytes were read.
    #[derive(Debug, PartialEq)]
    struct Found {
        ends: Vec<u64>,
        error: Option<String>,
        stored_bytes: u64,
    }

    fn read(path: &Path, decompression: Decompression) -> Found {
        let job = JobContext {
            counters: Counters::new().into(),
            token: CancellationToken::new(),
            limits: Arc::default(),
            events: EventLog::new().0,
        };
        let source = Local::file(path);
        let stored = StoredFile { name: "a.asb".to_owned(), bytes: 0 };
        let file = SetFile { stored, listed: None, namespace: None, opening: Opening::default() };
        let mut ends = Vec::new();
        let mut reader = FileReader::new(&source, &job, decompression, LargeRecords::new(1));
        let result = reader.read(&file, |_, end| {
            ends.push(end);
            Ok(())
        });
        let error = result.err().map(|error| error.to_string());
        Found { ends, error, stored_bytes: job.counters.bytes_stored.count() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_is_read_ahead_as_it_is_in_step() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.asb");
        let whole = frames(values());
        let (mut flipped, middle) = (whole.clone(), whole.len() / 2);
        flipped[middle] ^= 1;
        let cut = &whole[..whole.len() - 9];
        for (bytes, entries, error) in [
            (&whole[..], 6, None),
            (cut, 5, Some("ends within a frame")),
            (&flipped, 3, Some("is damaged before stored byte")),
            (&[], 0, Some("damaged")),
        ] {
            fs::write(&path, bytes).unwrap();
            let found = tokio::task::spawn_blocking({
                let path = path.clone();
                move || [Decompression::InStep, Decompression::Ahead].map(|how| read(&path, how))
            });
            let [in_step, ahead] = found.await.unwrap();
            assert_eq!(in_step, ahead);
            assert_eq!(ahead.ends.len(), entries, "{:?}", ahead.error);
            assert!(ahead.error.unwrap_or_default().contains(error.unwrap_or_default()));
            if error.is_none() {
                assert_eq!(ahead.stored_bytes, whole.len() as u64);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_silent_stream_does_not_hold_a_reader_that_has_failed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut frame = Vec::new();
        // It comes as one piece since it gets smaller: the thread waits for the next one then.
        let text = format!("Version 3.1\n{}\n", "no line ".repeat(100));
        Compressor::new(Level::DEFAULT).compress(text.as_bytes(), &mut frame).unwrap();
        let reader = tokio::task::spawn_blocking({
            let path = path.clone();
            move || read(&path, Decompression::Ahead)
        });
        let mut pipe = fs::File::options().write(true).open(&path).unwrap();
        pipe.write_all(&frame).unwrap();
        let found = reader.await.unwrap();
        assert!(found.error.unwrap().contains("a.asb is damaged"));
        drop(pipe);
    }

    #[test]
    fn text_is_decompressed_ahead_only_if_a_cpu_has_nothing_else_to_do() {
        assert_eq!(Decompression::of(1, 2), Decompression::Ahead);
        assert_eq!(Decompression::of(2, 2), Decompression::InStep);
    }
}
