//! Which entries of a file have their final answer. Tracked block by block: one ticket is shared by the entries of a
//! block, and counts the answers that are still missing.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use asbackup_codec::asb::{self, Spelling};
use asbackup_model::{Digest, RecordView};

use super::{
    counts::{Counts, MetadataCounts},
    document::FileState,
};
use crate::manifest::SetFile;

/// What is known of the entries of one block.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Answers that are still missing; one more as long as the block is being filled.
    missing: AtomicU64,
    inserted: AtomicU64,
    existed: AtomicU64,
    fresher: AtomicU64,
    rest: Mutex<Rest>,
}

/// What is counted once per block, or seldom.
#[derive(Debug, Default)]
struct Rest {
    /// Offset of the text behind the last entry.
    end: u64,
    counts: Counts,
    texts: Texts,
}

/// The text of records, for those that the server refuses. Empty unless somebody wants them.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    records: Vec<(Digest, Range<usize>)>,
}

/// Answers to rows of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Answers {
    pub(crate) inserted: u64,
    pub(crate) existed: u64,
    pub(crate) fresher: u64,
}

impl Default for Ticket {
    fn default() -> Self {
        let [inserted, existed, fresher] = [const { AtomicU64::new(0) }; 3];
        Self { missing: AtomicU64::new(1), inserted, existed, fresher, rest: Mutex::default() }
    }
}

impl Ticket {
    /// One more answer is missing. Only while the block is being filled.
    pub(crate) fn expect_one(&self) {
        self.missing.fetch_add(1, Relaxed);
    }

    /// Keeps the text of a record until all have their answers; without one, its record is encoded anew.
    pub(crate) fn keep_text(&self, record: &RecordView<'_>, text: Option<&[u8]>) {
        let Texts { bytes, records } = &mut self.rest().texts;
        let start = bytes.len();
        match text {
            Some(text) => bytes.extend_from_slice(text),
            None => {
                asb::encode_record(bytes, record, Spelling::Base64);
            }
        }
        records.push((record.digest, start..bytes.len()));
    }

    /// Returns the text of a record that was kept. Of several with that digest, each is returned once.
    pub(crate) fn take_text(&self, digest: Digest) -> Option<Vec<u8>> {
        let Texts { bytes, records } = &mut self.rest().texts;
        let index = records.iter().position(|(known, _)| *known == digest)?;
        let (_, range) = records.remove(index);
        bytes.get(range).map(<[u8]>::to_vec)
    }

    /// The block is filled: its text ends at `end`, it has that many rows, and the reader counted that.
    pub(crate) fn close(&self, end: u64, rows: u64, counts: &Counts) {
        let mut rest = self.rest();
        rest.end = end;
        rest.counts += counts;
        drop(rest);
        self.missing.fetch_add(rows, Relaxed);
        self.arrived(1);
    }

    /// Takes note of final answers.
    pub(crate) fn answered(&self, answers: Answers) {
        let Answers { inserted, existed, fresher } = answers;
        self.inserted.fetch_add(inserted, Relaxed);
        self.existed.fetch_add(existed, Relaxed);
        self.fresher.fetch_add(fresher, Relaxed);
        self.arrived(inserted + existed + fresher);
    }

    /// Takes note of a row that is left out as asked, for this reason.
    pub(crate) fn ignored(&self, reason: &'static str) {
        *self.rest().counts.records.ignored.entry(reason.to_owned()).or_default() += 1;
        self.arrived(1);
    }

    /// Takes note of an index or UDF module that is done with.
    pub(crate) fn metadata_done(&self, counts: MetadataCounts) {
        self.rest().counts.metadata += counts;
        self.arrived(1);
    }

    /// That many answers aren't missing any more. Texts go with the last one: the ticket itself may stay for as long as one
    /// in front of it isn't done.
    fn arrived(&self, answers: u64) {
        if self.missing.fetch_sub(answers, Release) == answers {
            self.rest().texts = Texts::default();
        }
    }

    fn is_done(&self) -> bool {
        // Pairs with `Release` above: whoever sees 0 sees all counts.
        self.missing.load(Acquire) == 0
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is read, and how far its entries have their final answers.
#[derive(Debug)]
pub(crate) struct ReadFile {
    progress: Mutex<Progress>,
    /// Up to where an earlier run had them.
    start: u64,
}

#[derive(Debug)]
struct Progress {
    file: FileState,
    /// Of entries that have their final answer, and whose predecessors have it.
    counts: Counts,
    /// In the order of the text.
    under_way: VecDeque<Arc<Ticket>>,
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Nothing of the file was read in this run.
    Ahead,
    /// Some of it was read, and may be anything: its hash isn't known yet.
    UnderWay,
    /// The file was read to its end, and is what its manifest says.
    Ended,
}

impl ReadFile {
    fn new(file: FileState) -> Self {
        let (start, counts, under_way) = (file.acknowledged_bytes, Counts::default(), VecDeque::new());
        let reading = Reading::Ahead;
        Self { progress: Mutex::new(Progress { file, counts, under_way, reading }), start }
    }

    /// Returns up to which offset of the text an earlier run had final answers.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Returns the ticket of the next block.
    pub(crate) fn begin_block(&self) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::default());
        let mut progress = self.progress();
        // Here, and not only when the state is written, so that there are about as many as blocks under way.
        progress.collect();
        progress.under_way.push_back(Arc::clone(&ticket));
        progress.reading = Reading::UnderWay;
        ticket
    }

    /// The file was read to its end, all its blocks are closed, and it is what its manifest says.
    pub(crate) fn end(&self) {
        self.progress().reading = Reading::Ended;
    }

    /// Returns how far the file is, and adds what was counted up to there.
    fn save(&self, counts: &mut Counts) -> FileState {
        let mut progress = self.progress();
        progress.collect();
        *counts += &progress.counts;
        progress.file.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Moves on behind the blocks in front that are done.
    fn collect(&mut self) {
        while let Some(ticket) = self.under_way.front().filter(|ticket| ticket.is_done()).cloned() {
            self.under_way.pop_front();
            let rest = ticket.rest();
            self.file.acknowledged_bytes = self.file.acknowledged_bytes.max(rest.end);
            self.counts += &rest.counts;
            let records = &mut self.counts.records;
            records.inserted += ticket.inserted.load(Relaxed);
            records.existed += ticket.existed.load(Relaxed);
            records.fresher += ticket.fresher.load(Relaxed);
        }
        self.file.done |= self.reading == Reading::Ended && self.under_way.is_empty();
    }
}

/// How far all files of a restore are.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    files: BTreeMap<String, Arc<ReadFile>>,
    /// What earlier runs counted.
    pub(crate) earlier: Counts,
    metadata: Mutex<MetadataProgress>,
}

#[derive(Debug, Clone, Copy, Default)]
struct MetadataProgress {
    done: bool,
    /// Of the side file, in this run.
    side_file: MetadataCounts,
}

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) files: Vec<FileState>,
    pub(super) metadata_done: bool,
    pub(super) counts: Counts,
}

impl Ledger {
    /// Returns the ledger of a restore that begins with these files.
    pub(crate) fn new(files: &[SetFile]) -> Self {
        let saved = Saved {
            files: files.iter().map(FileState::new).collect(),
            metadata_done: false,
            counts: Counts::default(),
        };
        Self::go_on(saved)
    }

    /// Returns the ledger of a restore that goes on.
    pub(super) fn go_on(saved: Saved) -> Self {
        let files = saved.files.into_iter();
        Self {
            files: files.map(|file| (file.name.clone(), Arc::new(ReadFile::new(file)))).collect(),
            earlier: saved.counts,
            metadata: Mutex::new(MetadataProgress {
                done: saved.metadata_done,
                ..MetadataProgress::default()
            }),
        }
    }

    /// Returns how far a file is; none of a file that isn't in the ledger.
    pub(crate) fn file(&self, name: &str) -> Option<Arc<ReadFile>> {
        self.files.get(name).cloned()
    }

    /// Returns whether nothing of a file is left to do.
    pub(crate) fn is_done(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|file| file.progress().file.done)
    }

    /// Returns whether some of a file was read in this run, but not all of it.
    pub(crate) fn is_under_way(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|file| file.progress().reading == Reading::UnderWay)
    }

    /// Returns whether indexes and UDF modules in files of their own, and the side file, are done.
    pub(crate) fn metadata_is_done(&self) -> bool {
        self.metadata().done
    }

    /// Takes note of what became of the side file.
    pub(crate) fn side_file_done(&self, counts: MetadataCounts) {
        self.metadata().side_file += counts;
    }

    /// Indexes and UDF modules in files of their own, and the side file, are done.
    pub(crate) fn metadata_done(&self) {
        self.metadata().done = true;
    }

    pub(super) fn save(&self) -> Saved {
        let mut counts = self.earlier.clone();
        let files = self.files.values().map(|file| file.save(&mut counts)).collect();
        let metadata = *self.metadata();
        if metadata.done {
            counts.metadata += metadata.side_file;
        }
        Saved { files, metadata_done: metadata.done, counts }
    }

    fn metadata(&self) -> MutexGuard<'_, MetadataProgress> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ReadFile {
        ReadFile::new(FileState {
            name: "a".to_owned(),
            bytes: 100,
            hash: None,
            acknowledged_bytes: 0,
            done: false,
        })
    }

    fn saved(file: &ReadFile) -> (u64, bool, Counts) {
        let mut counts = Counts::default();
        let state = file.save(&mut counts);
        (state.acknowledged_bytes, state.done, counts)
    }

    fn read(records: u64) -> Counts {
        let mut counts = Counts::default();
        counts.records.read = records;
        counts
    }

    #[test]
    fn only_blocks_behind_which_none_is_missing_count() {
        let file = file();
        let (first, second) = (file.begin_block(), file.begin_block());
        first.close(40, 2, &read(3));
        second.close(90, 1, &read(1));
        second.answered(Answers { inserted: 1, ..Answers::default() });
        first.answered(Answers { fresher: 1, ..Answers::default() });
        assert_eq!(saved(&file), (0, false, Counts::default()));
        first.ignored("record_too_big");
        let (end, done, counts) = saved(&file);
        assert_eq!((end, done), (90, false), "its end was not seen yet");
        let records = counts.records;
        assert_eq!((records.read, records.inserted, records.fresher), (4, 1, 1));
        assert_eq!(records.ignored, [("record_too_big".to_owned(), 1)].into());
        file.end();
        assert_eq!((saved(&file).0, saved(&file).1), (90, true));
    }

    #[test]
    fn block_that_is_being_filled_is_not_done() {
        let file = file();
        let ticket = file.begin_block();
        ticket.expect_one();
        ticket.metadata_done(MetadataCounts::default());
        assert_eq!(saved(&file).0, 0);
        ticket.close(10, 0, &Counts::default());
        assert_eq!(saved(&file).0, 10, "a block without rows is done when it is closed");
    }

    #[test]
    fn side_file_counts_once_all_metadata_is_done() {
        let ledger = Ledger::default();
        let mut counts = MetadataCounts::default();
        counts.indexes.created = 1;
        ledger.side_file_done(counts);
        assert_eq!(ledger.save().counts.metadata.indexes.created, 0, "it is done again by the next run");
        ledger.metadata_done();
        assert_eq!(ledger.save().counts.metadata.indexes.created, 1);
    }
}
