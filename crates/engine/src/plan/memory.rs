//! How much memory a job takes when all its buffers and queues are full. Source: ARCHITECTURE.md, "Memory".

use crate::{
    config::{BackupConfig, Zstd},
    pipeline::{BLOCK_BYTES, CHUNK_BYTES, cpus, waiting_blocks},
    sink::{
        cluster::{BATCH_BYTES, BYTES_IN_FLIGHT},
        frames,
    },
    source::{
        ahead::{self, Decompression},
        open,
    },
};

/// The blocks of a backup, and what it takes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackupMemory {
    /// How many blocks there are.
    pub(crate) blocks: usize,
    /// Size from which on a block goes into the queue.
    pub(crate) block_bytes: usize,
    /// All that the job takes.
    pub(crate) bytes: usize,
}

impl BackupMemory {
    /// Returns what a backup takes that has that many streams, and a buffer of its own for each file.
    pub(crate) fn new(config: &BackupConfig, streams: usize, file_buffer_bytes: usize) -> Self {
        let writers = config.writers.count().min(streams);
        let (waiting, block_bytes, compression) = match config.envelope.compression {
            None => (waiting_blocks(streams), BLOCK_BYTES, 0),
            Some(zstd) => (frames::waiting_blocks(), frames::FRAME_BYTES, compression_bytes(zstd)),
        };
        let blocks = streams + waiting;
        let bytes = PROCESS_BYTES
            + LARGE_RECORD_BYTES
            + streams * CHUNK_BYTES
            + blocks * block_bytes
            + writers * (THREAD_BYTES + file_buffer_bytes)
            + compression;
        Self { blocks, block_bytes, bytes }
    }
}

/// Returns what compression takes beside the blocks: the memory of the level and a frame for each thread.
fn compression_bytes(zstd: Zstd) -> usize {
    cpus() * (zstd.codec_level().memory_bytes() + frames::FRAME_BYTES * 3 / 4)
}

/// How the files of a restore are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Compressed,
}

/// Returns what a restore takes that reads that many files at once, with so many CPUs.
pub(crate) fn restore_bytes(readers: usize, packing: Packing, cpus: usize) -> usize {
    let ahead = match Decompression::of(readers, cpus) {
        Decompression::InStep => 0,
        Decompression::Ahead => ahead::PIECES * CHUNK_BYTES + THREAD_BYTES,
    };
    let decompression = match packing {
        Packing::Plain => 0,
        Packing::Compressed => open::CHUNK_BYTES + frames::FRAME_BYTES + DECOMPRESSOR_BYTES + ahead,
    };
    PROCESS_BYTES
        + readers * (CHUNK_BYTES + BLOCK_BYTES + decompression + THREAD_BYTES)
        + waiting_blocks(readers) * BLOCK_BYTES
        + BYTES_IN_FLIGHT
        + BATCH_BYTES
}

/// What a process takes before it has a buffer: code, runtime, what a connection keeps.
const PROCESS_BYTES: usize = 10 << 20;

/// Room for one record of 1 MiB in a backup: as it comes, as text, and as a frame. In a restore it is in what is in flight.
const LARGE_RECORD_BYTES: usize = 7 << 19;

/// What a thread takes that waits for a disk: its stack as far as it is used.
const THREAD_BYTES: usize = 32 << 10;

/// What a decompressor takes beside its window.
const DECOMPRESSOR_BYTES: usize = 288 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Parallelism;

    fn mib(bytes: usize) -> usize {
        bytes >> 20
    }

    fn backup(parallel: usize, compression: Option<Zstd>) -> usize {
        let mut config = BackupConfig::new("test");
        (config.readers, config.writers) =
            (Parallelism::new(parallel).unwrap(), Parallelism::new(parallel).unwrap());
        config.envelope.compression = compression;
        mib(BackupMemory::new(&config, parallel, 0).bytes)
    }

    #[test]
    fn memory_with_64_streams_is_within_its_bounds() {
        assert!(backup(64, None) <= 96);
        assert!(mib(restore_bytes(64, Packing::Plain, 2)) <= 128);
        assert!(mib(restore_bytes(64, Packing::Compressed, 2)) <= 128);
    }

    #[test]
    fn text_that_is_decompressed_ahead_is_counted() {
        let bytes = |readers, cpus| restore_bytes(readers, Packing::Compressed, cpus);
        assert_eq!(bytes(2, 4) - bytes(2, 2), 2 * (ahead::PIECES * CHUNK_BYTES + THREAD_BYTES));
        let plain = |cpus| restore_bytes(2, Packing::Plain, cpus);
        assert_eq!(plain(4), plain(2));
    }

    #[test]
    fn streams_that_there_are_count_and_not_those_that_were_asked_for() {
        let mut config = BackupConfig::new("test");
        (config.readers, config.writers) = (Parallelism::MAX, Parallelism::MAX);
        let few = BackupMemory::new(&config, 2, 0);
        assert_eq!(few.blocks, 2 + waiting_blocks(2));
        assert_eq!(mib(few.bytes), backup(2, None));
    }
}
