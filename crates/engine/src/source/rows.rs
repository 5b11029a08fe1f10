//! Files of a backup to blocks of rows. Blocks, so it belongs on threads of its own.

use std::sync::Arc;

use asbackup_cluster::LargeRecords;
use asbackup_model::{RecordView, VoidTime};
use asbackup_storage::Local;

use super::{
    ahead::Decompression,
    files::{FileEntry, FileQueue, FileReader},
};
use crate::{
    Clock, Error, ErrorKind,
    job::JobContext,
    manifest::{SetFile, refuse},
    pipeline::Buffers,
    restore_state::{Counts, Ledger, ReadFile},
    sink::{
        cluster::TrackedRows,
        metadata::{self, Metadata, TrackedMetadata},
    },
    transcode::to_rows::{Skip, Taken, ToRows},
};

/// Text after which a block ends that has few rows: what follows it counts as restored only once it has ended.
const TEXT_BYTES: u64 = 4 << 20;

/// Reads files and makes rows of their records.
pub(crate) struct RowReader {
    pub(crate) to_rows: ToRows,
    pub(crate) clock: Clock,
    pub(crate) rows: async_channel::Sender<TrackedRows>,
    pub(crate) metadata: async_channel::Sender<TrackedMetadata>,
    pub(crate) buffers: Buffers,
    pub(crate) decompression: Decompression,
    pub(crate) large_entries: LargeRecords,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) texts: Texts,
    pub(crate) job: JobContext,
    pub(crate) in_hand: InProgress,
}

/// Whether blocks keep the text of their records until all have their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    Kept,
    Dropped,
}

/// What a reader has in hand. Counts go to the job block by block: shared counters would cost more than the records.
#[derive(Default)]
pub(crate) struct InProgress {
    block: TrackedRows,
    now: VoidTime,
    /// Offset of the text at which the block begins.
    start: u64,
    /// Offset of the text behind the last entry.
    end: u64,
    read: u64,
    expired: u64,
    /// By [`Skip`], in its order.
    skipped: [u64; Skip::ALL.len()],
}

impl RowReader {
    /// Reads files from the queue until there are no more.
    pub(crate) fn run(mut self, source: &Local, files: &FileQueue) -> Result<(), Error> {
        let result = self.read_all(source, files);
        self.count();
        result
    }

    fn read_all(&mut self, source: &Local, files: &FileQueue) -> Result<(), Error> {
        let job = self.job.clone();
        let mut reader = FileReader::new(source, &job, self.decompression, self.large_entries.clone());
        self.in_hand.block.rows.bytes = self.buffers.take_blocking()?;
        while let Some(file) = files.take() {
            let progress = self.ledger.file(&file.stored.name).ok_or_else(|| {
                Error::of(ErrorKind::Internal, format!("{} isn't in the ledger", file.stored.name)).build()
            })?;
            self.read_file(&mut reader, &file, &progress)?;
        }
        Ok(())
    }

    fn read_file(
        &mut self,
        reader: &mut FileReader<'_>,
        file: &SetFile,
        progress: &ReadFile,
    ) -> Result<(), Error> {
        self.count();
        self.in_hand.end = 0;
        self.begin_block(progress);
        let (name, done) = (&file.stored.name, progress.start());
        let finding = reader.read(file, |entry, end| {
            if end <= done {
                // Its final answer came in an earlier run; it was read for the file's hash.
                (self.in_hand.start, self.in_hand.end) = (end, end);
                return Ok(());
            }
            check_reached(name, self.in_hand.end, done)?;
            self.take(entry, end, name, progress)
        })?;
        refuse(finding.as_slice())?;
        check_reached(name, self.in_hand.end, done)?;
        self.send()?;
        progress.end();
        Ok(())
    }

    fn take(&mut self, entry: FileEntry<'_>, end: u64, file: &str, progress: &ReadFile) -> Result<(), Error> {
        match entry {
            FileEntry::Record { record, text, large } => {
                self.take_record(&record, text, file, progress)?;
                self.in_hand.block.large = large;
            }
            FileEntry::SecondaryIndex(index) => self.send_metadata(Metadata::Index(index))?,
            FileEntry::UdfModule(udf) => self.send_metadata(Metadata::Udf(udf))?,
        }
        let hand = &mut self.in_hand;
        hand.end = end;
        let is_full = hand.block.rows.bytes.len() >= self.buffers.block_bytes()
            || hand.block.large.is_some()
            || end - hand.start >= TEXT_BYTES;
        if is_full { self.next_block(progress) } else { Ok(()) }
    }

    fn take_record(
        &mut self,
        record: &RecordView<'_>,
        text: Option<&[u8]>,
        file: &str,
        progress: &ReadFile,
    ) -> Result<(), Error> {
        let hand = &mut self.in_hand;
        hand.read += 1;
        match self.to_rows.record(&mut hand.block.rows, record, hand.now) {
            Taken::Row if self.texts == Texts::Kept => hand.block.ticket.keep_text(record, text),
            Taken::Row => {}
            Taken::Expired => hand.expired += 1,
            Taken::Skipped(skip) => hand.skipped[skip as usize] += 1,
            Taken::OtherNamespace => return Err(self.other_namespace(record.namespace, file)),
            Taken::BlockOfOtherNamespace => {
                hand.read -= 1;
                self.next_block(progress)?;
                return self.take_record(record, text, file, progress);
            }
        }
        Ok(())
    }

    fn next_block(&mut self, progress: &ReadFile) -> Result<(), Error> {
        self.send()?;
        self.begin_block(progress);
        Ok(())
    }

    /// Ends the block and hands it over.
    fn send(&mut self) -> Result<(), Error> {
        let counts = self.count();
        let hand = &mut self.in_hand;
        let rows = hand.block.rows.rows.len() as u64;
        hand.block.ticket.close(hand.end, rows, &counts);
        if rows == 0 {
            hand.block.large = None;
            return Ok(());
        }
        let full = std::mem::take(&mut hand.block);
        hand.block.rows.rows.reserve_exact(full.rows.rows.len());
        self.rows.send_blocking(full).map_err(|_| Error::cancelled())?;
        hand.block.rows.bytes = self.buffers.take_blocking()?;
        Ok(())
    }

    fn begin_block(&mut self, progress: &ReadFile) {
        self.in_hand.block.ticket = progress.begin_block();
        self.in_hand.start = self.in_hand.end;
    }

    fn send_metadata(&self, entry: Metadata) -> Result<(), Error> {
        let ticket = Arc::clone(&self.in_hand.block.ticket);
        ticket.expect_one();
        self.metadata.send_blocking(TrackedMetadata { entry, ticket }).map_err(|_| Error::cancelled())
    }

    /// Counts what is in hand, and returns it.
    fn count(&mut self) -> Counts {
        let (counters, hand) = (&self.job.counters, &mut self.in_hand);
        let mut counts = Counts::default();
        counts.records.read = std::mem::take(&mut hand.read);
        counts.records.expired = std::mem::take(&mut hand.expired);
        counters.read.add(counts.records.read);
        counters.expired.add(counts.records.expired);
        for (skip, count) in Skip::ALL.into_iter().zip(std::mem::take(&mut hand.skipped)) {
            if count > 0 {
                counters.skipped.add(skip.name(), count);
                counts.records.skipped.insert(skip.name().to_owned(), count);
            }
        }
        hand.now = VoidTime(self.clock.unix_s().saturating_sub(VoidTime::EPOCH_UNIX_SECONDS));
        counts
    }

    fn other_namespace(&self, namespace: &[u8], file: &str) -> Error {
        metadata::other_namespace(namespace, self.to_rows.rename(), Some(file))
    }
}

/// Checks that an entry ends where an earlier run has left off: if none does, it isn't the same text.
fn check_reached(file: &str, end: u64, done: u64) -> Result<(), Error> {
    if end >= done {
        return Ok(());
    }
    let message =
        format!("{file} isn't the file that was being restored: no entry ends at byte {done} of its text");
    Err(Error::of(ErrorKind::Integrity, message)
        .place(|place| place.file = Some(file.to_owned()))
        .hint("check it with --validate, and restore it from its beginning without --continue")
        .build())
}
