//! The stored bytes of a file, and of streams that may be silent for long. Blocks.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    sync::mpsc,
    thread,
};

use asbackup_storage::{self as storage, Local};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind, pipeline::CHUNK_BYTES};

/// What is read of storage.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file, whose bytes are there.
    File(File),
    /// A stream: standard input, a pipe or a device.
    Stream(Stream),
}

impl Input {
    /// Opens a file or a stream. A pipe with a name may have to be waited for.
    ///
    /// # Errors
    /// If it can't be opened, or the job is cancelled.
    pub(crate) fn open(source: &Local, name: &str, token: &CancellationToken) -> Result<Self, Error> {
        if source.is_stream() {
            Stream::open(source, name, token).map(Self::Stream)
        } else {
            Ok(Self::File(source.read(name)?))
        }
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Stream(stream) => stream.read(into),
        }
    }
}

/// A stream that is read on a thread of its own, which nobody waits for: a silent stream holds it for ever, and a job that
/// is cancelled must end all the same. What that thread has read by then is lost.
#[derive(Debug)]
pub(crate) struct Stream {
    pieces: async_channel::Receiver<io::Result<Vec<u8>>>,
    /// Pieces that were used up, whose memory is used again.
    spare: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
    start: usize,
    is_at_end: bool,
    token: CancellationToken,
    runtime: Handle,
}

impl Stream {
    fn open(source: &Local, name: &str, token: &CancellationToken) -> Result<Self, Error> {
        let (opened, is_open) = async_channel::bounded(1);
        let (sender, pieces) = async_channel::bounded(1);
        let (spare, spares) = mpsc::channel();
        let (storage, file) = (source.clone(), name.to_owned());
        let bytes = Some(source.buffer_bytes()).filter(|bytes| *bytes > 0).unwrap_or(CHUNK_BYTES);
        let reader = thread::Builder::new().name("read".to_owned());
        let started = reader.spawn(move || {
            let mut spare = || {
                let mut piece: Vec<u8> = spares.try_recv().unwrap_or_default();
                piece.resize(bytes, 0);
                piece
            };
            read_all(storage.read(&file), &opened, &sender, &mut spare);
        });
        started.map_err(|error| {
            Error::of(ErrorKind::Internal, "cannot start a thread to read a stream").source(error).build()
        })?;
        let (token, runtime) = (token.clone(), Handle::current());
        match runtime.block_on(token.run_until_cancelled(is_open.recv())) {
            Some(Ok(opened)) => opened?,
            Some(Err(_)) => return Err(Error::of(ErrorKind::Internal, "a thread to read has ended").build()),
            None => return Err(Error::cancelled()),
        }
        Ok(Self { pieces, spare, piece: Vec::new(), start: 0, is_at_end: false, token, runtime })
    }

    /// Waits for the next piece; an empty one is the end.
    fn next(&mut self) -> io::Result<()> {
        // One that no longer reads needs no memory.
        let _ = self.spare.send(std::mem::take(&mut self.piece));
        let next = self.token.run_until_cancelled(self.pieces.recv());
        let next = self.runtime.block_on(next).ok_or_else(|| io::Error::other(Cancelled))?;
        // The thread tells the end before it ends: to end without that is no end of the stream.
        (self.piece, self.start) =
            (next.map_err(|_| io::Error::other("the thread that reads has ended"))??, 0);
        self.is_at_end = self.piece.is_empty();
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.piece.len() && !self.is_at_end {
            self.next()?;
        }
        let len = into.len().min(self.piece.len() - self.start);
        into[..len].copy_from_slice(&self.piece[self.start..self.start + len]);
        self.start += len;
        Ok(len)
    }
}

/// Hands over all pieces of a stream, each read into a spare one, until it ends, or nobody takes them.
fn read_all(
    opened: Result<File, storage::Error>,
    is_open: &async_channel::Sender<Result<(), storage::Error>>,
    pieces: &async_channel::Sender<io::Result<Vec<u8>>>,
    spare: &mut impl FnMut() -> Vec<u8>,
) {
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return drop(is_open.send_blocking(Err(error))),
    };
    let mut goes_on = is_open.send_blocking(Ok(())).is_ok();
    while goes_on {
        let mut piece = spare();
        let read = match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        goes_on = read.as_ref().is_ok_and(|read| *read > 0);
        let piece = read.map(|read| {
            piece.truncate(read);
            piece
        });
        goes_on &= pieces.send_blocking(piece).is_ok();
    }
}

/// Why a read ended that nothing came of.
#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// Returns whether it wasn't the stream that failed.
pub(super) fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}
