//! Compression beside the writers: frames of all files of a job are made by one pool of threads, and come back to each
//! file in order. Why independent frames: docs/decisions/005-independent-frames.md.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, TryRecvError},
    },
    thread::{self, JoinHandle},
};

use asbackup_codec::envelope::{Compressor, Level, ZstdError};

use crate::{Error, ErrorKind, pipeline::BLOCK_BYTES};

/// Text from which on a frame is closed. Larger frames hardly get smaller, and each file has one that is open.
pub(crate) const FRAME_BYTES: usize = 1 << 20;

/// Threads that compress frames for all files of a job. They end with the last owner of the pool.
#[derive(Debug)]
pub(crate) struct FramePool {
    jobs: async_channel::Sender<Job>,
    /// Emptied texts, whose memory is used again.
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Frames of one file that may be in flight.
    per_file: usize,
    threads: Vec<JoinHandle<()>>,
}

/// One frame to make.
struct Job {
    text: Vec<u8>,
    made: mpsc::SyncSender<Result<Vec<u8>, ZstdError>>,
}

impl FramePool {
    /// Starts a pool for that many files at once.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(level: Level, files: usize) -> Result<Self, Error> {
        let count = threads();
        let (jobs, queue) = async_channel::bounded::<Job>(count);
        let spare = Arc::new(Mutex::new(Vec::new()));
        let mut pool = Self {
            jobs,
            spare: Arc::clone(&spare),
            per_file: (2 * count).div_ceil(files.max(1)),
            threads: Vec::new(),
        };
        for _ in 0..count {
            let (queue, spare) = (queue.clone(), Arc::clone(&spare));
            let worker = thread::Builder::new().name("compress".to_owned());
            let thread = worker.spawn(move || work(level, &queue, &spare)).map_err(|error| {
                Error::of(ErrorKind::Internal, "cannot start a thread for compression").source(error).build()
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    fn submit(&self, text: Vec<u8>) -> Result<InFlight, Error> {
        let (made, frame) = mpsc::sync_channel(1);
        let text_bytes = text.len() as u64;
        self.jobs.send_blocking(Job { text, made }).map_err(|_| vanished())?;
        Ok(InFlight { text_bytes, frame })
    }

    /// Returns an emptied text, or a new one that needn't grow.
    fn spare(&self) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(TEXT_BYTES))
    }
}

impl Drop for FramePool {
    fn drop(&mut self) {
        self.jobs.close();
        for thread in self.threads.drain(..) {
            // One that panicked has failed the file that waited for it.
            let _ = thread.join();
        }
    }
}

/// Returns how many threads compress: as many as there are CPUs.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn work(level: Level, queue: &async_channel::Receiver<Job>, spare: &Mutex<Vec<Vec<u8>>>) {
    let mut compressor = Compressor::new(level);
    let mut frame = Vec::new();
    while let Ok(Job { mut text, made }) = queue.recv_blocking() {
        // A copy, so that what waits for its writer is no larger than it has to be.
        let compressed = compressor.compress(&text, &mut frame).map(|()| frame.as_slice().to_vec());
        text.clear();
        if text.capacity() <= TEXT_BYTES {
            spare.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        // A writer that has failed no longer waits.
        let _ = made.send(compressed);
    }
}

/// The frames of one file: one that is open, and those that are being made.
#[derive(Debug)]
pub(crate) struct Frames {
    pool: Arc<FramePool>,
    open: Vec<u8>,
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    text_bytes: u64,
    frame: mpsc::Receiver<Result<Vec<u8>, ZstdError>>,
}

/// For which frames a file waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// For those that are too many.
    Excess,
    /// For all.
    All,
}

impl Frames {
    pub(crate) fn new(pool: Arc<FramePool>) -> Self {
        let open = pool.spare();
        Self { pool, open, in_flight: VecDeque::new() }
    }

    /// Adds whole entries, and closes the frame if it is large enough.
    pub(crate) fn push(&mut self, text: &[u8]) -> Result<(), Error> {
        self.open.extend_from_slice(text);
        if self.open.len() < FRAME_BYTES { Ok(()) } else { self.close() }
    }

    /// Closes the frame, unless it is empty.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if !self.open.is_empty() {
            let text = mem::replace(&mut self.open, self.pool.spare());
            self.in_flight.push_back(self.pool.submit(text)?);
        }
        Ok(())
    }

    /// Takes the next frame that is made, in the order in which they were closed. None: there is none, and nothing to
    /// wait for.
    pub(crate) fn take(&mut self, wait: WaitFor) -> Result<Option<Vec<u8>>, Error> {
        let Some(InFlight { frame, .. }) = self.in_flight.front() else { return Ok(None) };
        let made = if wait == WaitFor::All || self.in_flight.len() > self.pool.per_file {
            frame.recv().map_err(|_| vanished())?
        } else {
            match frame.try_recv() {
                Ok(made) => made,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(vanished()),
            }
        };
        self.in_flight.pop_front();
        made.map(Some).map_err(not_compressed)
    }

    /// Returns how many bytes of text are in frames that are being made.
    pub(crate) fn bytes_in_flight(&self) -> u64 {
        self.in_flight.iter().map(|frame| frame.text_bytes).sum()
    }
}

/// Returns the error of a frame that isn't made.
pub(crate) fn not_compressed(error: ZstdError) -> Error {
    Error::of(ErrorKind::Internal, "a frame can't be compressed").source(error).build()
}

fn vanished() -> Error {
    Error::of(ErrorKind::Internal, "a thread for compression has ended").build()
}

/// The most that the text of a frame takes, unless an entry is larger than a block.
pub(crate) const TEXT_BYTES: usize = FRAME_BYTES + 2 * BLOCK_BYTES;

#[cfg(test)]
mod tests {
    use asbackup_codec::envelope::{Decompressed, Decompressor};

    use super::*;

    fn decompress(frame: &[u8]) -> Vec<u8> {
        let mut text = vec![0; 1 << 20];
        let step = Decompressor::new().decompress(frame, &mut text).unwrap();
        assert_eq!(step.used, frame.len());
        let Decompressed { written, .. } = step;
        text.truncate(written);
        text
    }

    #[test]
    fn frames_come_back_in_order() {
        let pool = Arc::new(FramePool::start(Level::DEFAULT, 1).unwrap());
        let mut frames = Frames::new(Arc::clone(&pool));
        let (mut made, mut count) = (Vec::new(), 0_u8);
        for number in 0..50 {
            // Large and small ones take turns, so that later ones are done sooner.
            let bytes = if number % 2 == 0 { 200_000 } else { 1 };
            frames.push(&vec![number; bytes]).unwrap();
            frames.close().unwrap();
            count += 1;
            while let Some(frame) = frames.take(WaitFor::Excess).unwrap() {
                made.push(frame);
            }
            assert!(frames.in_flight.len() <= pool.per_file);
        }
        while let Some(frame) = frames.take(WaitFor::All).unwrap() {
            made.push(frame);
        }
        assert_eq!(frames.bytes_in_flight(), 0);
        let first: Vec<u8> = made.iter().map(|frame| decompress(frame)[0]).collect();
        assert_eq!(first, (0..count).collect::<Vec<u8>>());
    }

    #[test]
    fn a_frame_is_closed_once_it_is_large_enough() {
        let pool = Arc::new(FramePool::start(Level::DEFAULT, 1).unwrap());
        let mut frames = Frames::new(pool);
        frames.push(&vec![7; FRAME_BYTES - 1]).unwrap();
        assert_eq!(frames.bytes_in_flight(), 0);
        frames.push(b"x").unwrap();
        assert_eq!(frames.bytes_in_flight(), FRAME_BYTES as u64);
        frames.close().unwrap();
        assert_eq!(frames.in_flight.len(), 1, "an empty frame isn't closed");
    }
}
