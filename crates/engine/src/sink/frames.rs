//! Compression beside the writers: frames of all files of a job are made by one pool of threads, and come back to each
//! file in order. Why independent frames: docs/decisions/005-independent-frames.md.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        mpsc::{self, TryRecvError},
    },
    thread::{self, JoinHandle},
};

use asbackup_cluster::LargePermit;
use asbackup_codec::envelope::{Compressor, Level, ZstdError};

use crate::{
    Error, ErrorKind,
    pipeline::{PAGE_BYTES, Returns, cpus},
};

/// Text from which on a block goes that becomes a frame. Larger frames hardly get smaller, and each stream fills one.
pub(crate) const FRAME_BYTES: usize = 512 << 10;

/// Returns how many blocks may be on their way through the pool beside those that are being filled: more than can lie in
/// files that wait for the next block.
pub(crate) fn waiting_blocks() -> usize {
    2 * cpus() + 2
}

/// Threads that compress frames for all files of a job. They end with the last owner of the pool.
#[derive(Debug)]
pub(crate) struct FramePool {
    jobs: async_channel::Sender<Job>,
    /// Where blocks go whose frames are stored.
    returns: Returns,
    /// Frames of one file that may be in flight while it waits for the next block.
    per_file: usize,
    threads: Vec<JoinHandle<()>>,
}

/// One frame to make.
struct Job {
    text: Vec<u8>,
    large: Option<LargePermit>,
    made: mpsc::SyncSender<Result<Made, ZstdError>>,
}

/// A frame, in a block.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) frame: Vec<u8>,
    /// If it is large, and its file waits for it: until it is stored.
    #[expect(dead_code, reason = "it is held, not used")]
    large: Option<LargePermit>,
}

impl FramePool {
    /// Starts a pool for that many files at once.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(level: Level, files: usize, returns: Returns) -> Result<Self, Error> {
        let count = cpus();
        let (jobs, queue) = async_channel::unbounded::<Job>();
        let mut pool = Self { jobs, returns, per_file: per_file(files, count), threads: Vec::new() };
        for _ in 0..count {
            let (queue, wait) = (queue.clone(), pool.per_file == 0);
            let worker = thread::Builder::new().name("compress".to_owned());
            let thread = worker.spawn(move || work(level, &queue, wait)).map_err(|error| {
                Error::of(ErrorKind::Internal, "cannot start a thread for compression").source(error).build()
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    fn submit(&self, text: Vec<u8>, large: Option<LargePermit>) -> Result<InFlight, Error> {
        let (made, frame) = mpsc::sync_channel(1);
        let text_bytes = text.len() as u64;
        self.jobs.send_blocking(Job { text, large, made }).map_err(|_| vanished())?;
        Ok(InFlight { text_bytes, frame })
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

/// Returns how many frames of a file may wait to be taken: few files keep the threads busy that way, and many by their number.
fn per_file(files: usize, threads: usize) -> usize {
    if files > threads { 0 } else { (threads + 1).div_ceil(files.max(1)) }
}

/// Makes frames. `wait`: files wait for each of theirs.
fn work(level: Level, queue: &async_channel::Receiver<Job>, wait: bool) {
    let mut compressor = Compressor::new(level);
    let mut frame = Vec::new();
    while let Ok(Job { text, large, made }) = queue.recv_blocking() {
        // It may go where blocks come from, which takes none that is smaller.
        frame.reserve(PAGE_BYTES);
        let compressed = compressor.compress(&text, &mut frame).map(|()| {
            let frame = exchange(&mut frame, text);
            // A frame that lies until its file gets another block must not keep a permit: that block may be waiting for it.
            Made { frame, large: large.filter(|_| wait) }
        });
        // Not freed, for the reason that `Returns::shrink` has.
        frame.clear();
        frame.shrink_to(2 * FRAME_BYTES);
        // A writer that has failed no longer waits.
        let _ = made.send(compressed);
    }
}

/// Returns a frame, and keeps the block of its text for the next one: so frames take no memory beside the blocks. A text
/// that isn't in a block of the job leaves its frame with a copy.
fn exchange(frame: &mut Vec<u8>, text: Vec<u8>) -> Vec<u8> {
    if text.capacity() < PAGE_BYTES { frame.clone() } else { mem::replace(frame, text) }
}

/// The frames of one file that are being made.
#[derive(Debug)]
pub(crate) struct Frames {
    pool: Arc<FramePool>,
    /// What the next frame begins with.
    front: Vec<u8>,
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    text_bytes: u64,
    frame: mpsc::Receiver<Result<Made, ZstdError>>,
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
        Self { pool, front: Vec::new(), in_flight: VecDeque::new() }
    }

    /// Puts a few entries in front of the next text.
    pub(crate) fn begin_with(&mut self, front: Vec<u8>) {
        self.front = front;
    }

    /// Makes a frame of whole entries. Their block goes back to where it came from once the frame is done with.
    pub(crate) fn push(&mut self, mut text: Vec<u8>, large: Option<LargePermit>) -> Result<(), Error> {
        text.splice(..0, mem::take(&mut self.front));
        self.in_flight.push_back(self.pool.submit(text, large)?);
        Ok(())
    }

    /// Makes a frame of what was to be in front of the next one.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if self.front.is_empty() { Ok(()) } else { self.push(Vec::new(), None) }
    }

    /// Takes the next frame that is made, in the order of their texts. None: there is none, and nothing to wait for.
    pub(crate) fn take(&mut self, wait: WaitFor) -> Result<Option<Made>, Error> {
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

    /// Gives back the block of a frame that is stored.
    pub(crate) fn done_with(&self, made: Made) {
        self.pool.returns.give(made.frame);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use asbackup_cluster::LargeRecords;
    use asbackup_codec::envelope::{Decompressed, Decompressor};
    use tokio::time::timeout;

    use super::*;
    use crate::pipeline::Buffers;

    fn pool(files: usize) -> (Arc<FramePool>, Buffers) {
        let (buffers, returns) = Buffers::new(100, FRAME_BYTES);
        (Arc::new(FramePool::start(Level::DEFAULT, files, returns).unwrap()), buffers)
    }

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
        let (pool, _buffers) = pool(1);
        let mut frames = Frames::new(Arc::clone(&pool));
        let (mut made, mut count) = (Vec::new(), 0_u8);
        for number in 0..50 {
            // Large and small ones take turns, so that later ones are done sooner.
            let bytes = if number % 2 == 0 { 200_000 } else { 1 };
            frames.push(vec![number; bytes], None).unwrap();
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
        let first: Vec<u8> = made.iter().map(|made| decompress(&made.frame)[0]).collect();
        assert_eq!(first, (0..count).collect::<Vec<u8>>());
    }

    #[test]
    fn front_is_part_of_the_next_frame_or_one_of_its_own() {
        let (pool, _buffers) = pool(1);
        for (text, count) in [(Some(&b"text"[..]), 1), (None, 1)] {
            let mut frames = Frames::new(Arc::clone(&pool));
            frames.begin_with(b"front ".to_vec());
            if let Some(text) = text {
                frames.push(text.to_vec(), None).unwrap();
            }
            frames.close().unwrap();
            assert_eq!(frames.in_flight.len(), count);
            let made = frames.take(WaitFor::All).unwrap().unwrap();
            assert_eq!(decompress(&made.frame), [b"front ", text.unwrap_or_default()].concat());
        }
    }

    #[test]
    fn a_text_goes_back_when_its_frame_is_done_with() {
        let (pool, buffers) = pool(1);
        let all: Vec<_> = (0..100).map(|_| buffers.take_blocking().unwrap()).collect();
        let mut frames = Frames::new(pool);
        for mut text in all {
            text.push(7);
            frames.push(text, None).unwrap();
            let made = frames.take(WaitFor::All).unwrap().unwrap();
            frames.done_with(made);
        }
        assert!((0..100).all(|_| buffers.take_blocking().unwrap().is_empty()));
    }

    #[tokio::test]
    async fn large_records_whose_frames_nobody_takes_hold_no_permit() {
        let (pool, buffers) = pool(1);
        let permits = LargeRecords::new(1);
        let mut frames = Frames::new(pool);
        let all: Vec<_> = (0..100).map(|_| buffers.take_blocking().unwrap()).collect();
        for mut text in all.into_iter().take(2) {
            text.resize(4 * FRAME_BYTES, 7);
            frames.push(text, Some(permits.permit().await)).unwrap();
        }
        for _ in 0..2 {
            let made = frames.take(WaitFor::All).unwrap().unwrap();
            frames.done_with(made);
            assert!(buffers.take_blocking().unwrap().capacity() < 2 * FRAME_BYTES);
        }
    }

    #[tokio::test]
    async fn a_frame_that_its_file_waits_for_keeps_its_permit_until_it_is_stored() {
        let (pool, buffers) = pool(1000);
        let permits = LargeRecords::new(1);
        let mut frames = Frames::new(pool);
        let mut text = buffers.take().await.unwrap();
        text.resize(4 * FRAME_BYTES, 7);
        frames.push(text, Some(permits.permit().await)).unwrap();
        let made = frames.take(WaitFor::Excess).unwrap().unwrap();
        assert!(timeout(Duration::ZERO, permits.permit()).await.is_err());
        frames.done_with(made);
        assert!(timeout(Duration::ZERO, permits.permit()).await.is_ok());
    }

    #[test]
    fn fewer_frames_wait_than_there_are_blocks_for() {
        for threads in 1..100 {
            for files in 1..300 {
                assert!(
                    files * per_file(files, threads) < 2 * threads + 2,
                    "{files} files, {threads} threads"
                );
                assert!(
                    files * (per_file(files, threads) + 1) > threads,
                    "{files} files keep {threads} threads busy"
                );
            }
        }
    }
}
