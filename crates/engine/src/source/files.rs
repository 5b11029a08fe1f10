//! The files of a backup, decoded entry by entry. Blocks, so it belongs on threads of its own.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, PoisonError},
};

use asbackup_cluster::{LargePermit, LargeRecords};
use asbackup_codec::{
    Step,
    asb::{DecodeError, Decoder, Entry, Version},
};
use asbackup_model::{PartitionId, PartitionSet, RecordLayout, RecordView, SecondaryIndex, UdfModule};
use asbackup_storage::{Local, StoredFile};
use tokio::runtime::Handle;

use super::{
    ahead::{Decompression, Text, read_ahead},
    input::Input,
    open::{OpenFile, Workspace},
};
use crate::{
    Error, ErrorKind,
    event::Event,
    job::JobContext,
    manifest::{OTHER_HASH, SetFile},
    pipeline::{CHUNK_BYTES, PAGE_BYTES},
    report::{Finding, FindingKind},
};

/// The files that are still to be read; readers take from it in turn.
#[derive(Debug)]
pub(crate) struct FileQueue(Mutex<VecDeque<SetFile>>);

impl FileQueue {
    pub(crate) fn new(files: impl IntoIterator<Item = SetFile>) -> Self {
        Self(Mutex::new(files.into_iter().collect()))
    }

    pub(crate) fn take(&self) -> Option<SetFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// One entry of a file.
#[derive(Debug)]
pub(crate) enum FileEntry<'a> {
    Record {
        record: RecordView<'a>,
        /// Its text; none of a version whose text means something else in the present one.
        text: Option<&'a [u8]>,
        /// If buffers have grown for it. Whoever keeps what is made of it keeps the permit too.
        large: Option<LargePermit>,
    },
    SecondaryIndex(SecondaryIndex),
    UdfModule(UdfModule),
}

/// Reads files with one buffer for all of them.
#[derive(Debug)]
pub(crate) struct FileReader<'a> {
    storage: &'a Local,
    job: &'a JobContext,
    buffer: Buffer,
    layout: RecordLayout,
    workspace: Workspace,
    decompression: Decompression,
    counts: EntryCounts,
    large_entries: LargeRecords,
    /// While buffers are larger than usual.
    large: Option<LargePermit>,
}

/// How many entries a file held, and of which partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct EntryCounts {
    records: u64,
    indexes: u64,
    udfs: u64,
    /// Those of its records.
    partitions: PartitionSet,
}

impl<'a> FileReader<'a> {
    /// Returns a reader that asks for a permit for each entry larger than its buffer.
    pub(crate) fn new(
        storage: &'a Local,
        job: &'a JobContext,
        decompression: Decompression,
        large_entries: LargeRecords,
    ) -> Self {
        Self {
            storage,
            job,
            buffer: Buffer::new(),
            layout: RecordLayout::new(),
            workspace: Workspace::default(),
            decompression,
            counts: EntryCounts::default(),
            large_entries,
            large: None,
        }
    }

    /// Decodes a file and hands over its entries, in order, each with the offset of the text behind it. Returns what of it isn't as the manifest says.
    pub(crate) fn read(
        &mut self,
        file: &SetFile,
        mut on_entry: impl FnMut(FileEntry<'_>, u64) -> Result<(), Error>,
    ) -> Result<Option<Finding>, Error> {
        self.counts = EntryCounts::default();
        // Taken out while the file holds on to it.
        let mut workspace = mem::take(&mut self.workspace);
        let job = self.job.child();
        let stored = Input::open(self.storage, &file.stored.name, &job.token)?;
        let stored = job.paced(stored);
        self.job.events.tell(Event::FileOpened { name: file.stored.name.clone() });
        let mut input = OpenFile::open(stored, &file.stored.name, &file.opening, &mut workspace)?;
        let on_entry = |entry: FileEntry<'_>, end| {
            check_namespace(&entry, file)?;
            on_entry(entry, end)
        };
        if self.decompression == Decompression::Ahead && input.is_compressed() {
            read_ahead(&mut input, &job.token, |text| self.read_all(&file.stored, text, on_entry))?;
        } else {
            self.read_all(&file.stored, &mut input, on_entry)?;
        }
        let (hash, bytes) = (input.hash(), input.stored_bytes());
        self.workspace = workspace;
        let finding = self.compare(file, &hash);
        if finding.is_none() {
            let (name, records) = (file.stored.name.clone(), self.counts.records);
            self.job.events.tell(Event::FileComplete { name, bytes, records });
        }
        Ok(finding)
    }

    fn read_all(
        &mut self,
        file: &StoredFile,
        input: &mut impl Text,
        mut on_entry: impl FnMut(FileEntry<'_>, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut decoder = Decoder::new();
        self.buffer.clear();
        let (mut need, mut counted) = (1, 0);
        loop {
            if self.job.token.is_cancelled() {
                return Err(Error::cancelled());
            }
            self.shrink();
            self.permit(need)?;
            let filled = self.buffer.fill(need, |into| input.read(into))?;
            self.job.counters.bytes_stored.add(input.stored_bytes() - counted);
            counted = input.stored_bytes();
            need = self.decode(file, &mut decoder, &mut on_entry)?;
            if filled == Filled::AtEnd && need > 0 {
                let rest = self.buffer.bytes();
                return decoder.finish(rest).map_err(|error| damaged(file, &error));
            }
        }
    }

    /// Moves the unfinished tail to the front. Behind a large entry, frees what it took and gives its permit back.
    fn shrink(&mut self) {
        self.buffer.move_to_front();
        if self.large.is_some() && self.buffer.is_usual() {
            self.layout.shrink_to(PAGE_BYTES);
            self.large = None;
        }
    }

    /// Waits for a permit if the buffer has to grow.
    fn permit(&mut self, need: usize) -> Result<(), Error> {
        if self.large.is_none() && self.buffer.bytes().len() + need > CHUNK_BYTES {
            let permit = self.job.or_cancelled(self.large_entries.permit());
            self.large = Some(Handle::current().block_on(permit)?);
        }
        Ok(())
    }

    /// Decodes what is in the buffer up to the end of a large record, and returns how many bytes the next entry lacks: 0 if that isn't known yet.
    fn decode(
        &mut self,
        file: &StoredFile,
        decoder: &mut Decoder,
        on_entry: &mut impl FnMut(FileEntry<'_>, u64) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let mut decoded = 0;
        let need = loop {
            let input = &self.buffer.bytes()[decoded..];
            match decoder.decode(input, &mut self.layout) {
                Step::Need(need) => break need,
                Step::Damaged(error) => return Err(damaged(file, &error)),
                Step::Done { value, used } => {
                    let end = decoder.position().byte;
                    match value {
                        Entry::HeaderLine => {}
                        Entry::Record => {
                            let record = self.layout.view(input);
                            self.counts.records += 1;
                            self.counts.partitions.insert(record.digest.partition());
                            let text = input.get(..used).filter(|_| decoder.version() != Some(Version::V30));
                            let large = self.large.clone();
                            let is_large = large.is_some();
                            on_entry(FileEntry::Record { record, text, large }, end)?;
                            if is_large {
                                // What it took is freed before anything waits again.
                                decoded += used;
                                break 0;
                            }
                        }
                        Entry::SecondaryIndex(index) => {
                            self.counts.indexes += 1;
                            on_entry(FileEntry::SecondaryIndex(index), end)?;
                        }
                        Entry::UdfModule(udf) => {
                            self.counts.udfs += 1;
                            on_entry(FileEntry::UdfModule(udf), end)?;
                        }
                    }
                    decoded += used;
                }
            }
        };
        self.job.counters.bytes_decoded.add(decoded as u64);
        self.buffer.consume(decoded);
        Ok(need)
    }

    fn compare(&self, file: &SetFile, hash: &str) -> Option<Finding> {
        let (name, listed) = (&file.stored.name, file.listed.as_ref()?);
        if hash != listed.hash {
            return Some(Finding::new(name, FindingKind::Hash, format!("{name} {OTHER_HASH}")));
        }
        let EntryCounts { records, indexes, udfs, partitions } = self.counts;
        let found = [("records", records), ("indexes", indexes), ("UDF modules", udfs)];
        let said = [listed.records, listed.indexes, listed.udfs];
        let other = found.into_iter().zip(said).find(|((_, found), said)| found != said);
        let message = match other {
            Some(((what, found), said)) => {
                format!("{name} holds {found} {what}, but the manifest says {said}")
            }
            None => format!("{name} {}", other_partition(&partitions, &listed.partitions)?),
        };
        Some(Finding::new(name, FindingKind::Count, message))
    }
}

/// Checks that an entry is of the namespace that the manifest names. Its hash is known only at the end of the file, and
/// a damaged name must not be taken for a namespace that the cluster lacks.
fn check_namespace(entry: &FileEntry<'_>, file: &SetFile) -> Result<(), Error> {
    let found = match entry {
        FileEntry::Record { record, .. } => record.namespace,
        FileEntry::SecondaryIndex(index) => &index.namespace,
        FileEntry::UdfModule(_) => return Ok(()),
    };
    match &file.namespace {
        Some(namespace) if namespace.as_bytes() != found => {
            let (name, found) = (&file.stored.name, String::from_utf8_lossy(found));
            let message =
                format!("{name} holds an entry of namespace {found:?}, but the manifest is of {namespace:?}");
            Err(Error::of(ErrorKind::Format, message)
                .place(|place| place.file = Some(name.clone()))
                .hint("check the whole backup with --validate")
                .build())
        }
        _ => Ok(()),
    }
}

/// Says in which partition the records that were found differ from those that are listed, if they do.
fn other_partition(found: &PartitionSet, listed: &PartitionSet) -> Option<String> {
    let partition = PartitionId::all().find(|&id| found.contains(id) != listed.contains(id))?;
    let number = partition.number();
    Some(match found.contains(partition) {
        true => format!("holds records of partition {number}, but the manifest says that it doesn't"),
        false => format!("holds no record of partition {number}, but the manifest says that it does"),
    })
}

/// Whether there may be more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    Enough,
    AtEnd,
}

/// A buffer whose unfinished tail has to be moved to the front before more is read behind it.
#[derive(Debug)]
struct Buffer {
    space: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { space: vec![0; CHUNK_BYTES], start: 0, end: 0 }
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    fn bytes(&self) -> &[u8] {
        &self.space[self.start..self.end]
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    fn is_usual(&self) -> bool {
        self.space.len() == CHUNK_BYTES
    }

    /// Moves the unfinished tail to the front, and shrinks to the usual size behind a large entry.
    fn move_to_front(&mut self) {
        self.space.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.space.len() > CHUNK_BYTES && self.end <= CHUNK_BYTES {
            self.space.truncate(CHUNK_BYTES);
            self.space.shrink_to_fit();
        }
    }

    /// Reads until at least `need` more bytes are there, or the input ends.
    fn fill<E>(
        &mut self,
        need: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Filled, E> {
        let mut bytes = 0;
        while bytes < need {
            if self.end == self.space.len() {
                self.grow(need - bytes);
            }
            match read(&mut self.space[self.end..])? {
                0 => return Ok(Filled::AtEnd),
                read => {
                    self.end += read;
                    bytes += read;
                }
            }
        }
        Ok(Filled::Enough)
    }

    /// Grows for a large entry, at most to twice the size: a damaged length must not take memory for bytes that
    /// aren't there. Little of what comes behind the entry is read with it, so that the buffer can shrink then.
    fn grow(&mut self, more_bytes: usize) {
        let more_bytes = more_bytes.next_multiple_of(STEP_BYTES).min(self.space.len());
        self.space.reserve_exact(more_bytes);
        self.space.resize(self.space.len() + more_bytes, 0);
    }
}

/// By how much a buffer grows at least: some entries don't say how long they are.
const STEP_BYTES: usize = CHUNK_BYTES / 4;

fn damaged(file: &StoredFile, error: &DecodeError) -> Error {
    let position = error.position();
    Error::of(ErrorKind::Format, format!("{} is damaged: {error}", file.name))
        .place(|place| {
            place.file = Some(file.name.clone());
            place.line = Some(position.line);
            place.byte = Some(position.byte);
        })
        .hint("check the whole backup with --validate")
        .build()
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future as _,
        io::{self, Read},
        task::{Context, Waker},
    };

    use tokio::task;
    use tokio_util::sync::CancellationToken;

    use super::super::open::{Encrypted, Opening};
    use super::*;
    use crate::{
        event::EventLog,
        manifest::{Hashing, ListedFile},
        progress::Counters,
    };

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (Some((first, rest)), Some(space)) = (self.0.split_first(), into.first_mut()) else {
                return Ok(0);
            };
            *space = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    const HEADER: &str = "Version 3.1\n# namespace test\n";

    /// A record of partition 564 with these bins.
    fn record(bins: &[String]) -> String {
        let head = "+ n test\n+ d NBIAAAAAAAAAAAAAAAAAAAAAAAA=\n+ g 1\n+ t 0\n";
        format!("{head}+ b {}\n{}", bins.len(), bins.concat())
    }

    /// Reads a file of this text.
    fn read(
        text: &str,
        listed: impl FnOnce(StoredFile) -> Option<ListedFile>,
        large_entries: &LargeRecords,
        on_entry: impl FnMut(FileEntry<'_>, u64) -> Result<(), Error>,
    ) -> (Option<Finding>, usize) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.asb"), text).unwrap();
        let stored = StoredFile { name: "a.asb".to_owned(), bytes: text.len() as u64 };
        let opening = Opening { key: None, encrypted: Encrypted::No, compression: None };
        let file = SetFile { listed: listed(stored.clone()), stored, namespace: None, opening };
        let job = JobContext {
            counters: Counters::new().into(),
            token: CancellationToken::new(),
            limits: std::sync::Arc::default(),
            events: EventLog::new().0,
        };
        let source = Local::directory(directory.path());
        let mut reader = FileReader::new(&source, &job, Decompression::InStep, large_entries.clone());
        let finding = reader.read(&file, on_entry).unwrap();
        (finding, reader.layout.decoded.capacity() + reader.buffer.space.capacity())
    }

    /// Reads a file of one record, of which the manifest says this.
    fn compare(partitions: &str) -> Option<Finding> {
        let text = format!("{HEADER}{}", record(&[]));
        let mut hash = Hashing::default().begin();
        hash.update(text.as_bytes());
        let (hash, partitions) = (hash.hex(), partitions.parse().unwrap());
        let listed = |StoredFile { name, bytes }| {
            Some(ListedFile { name, bytes, hash, records: 1, indexes: 0, udfs: 0, partitions })
        };
        read(&text, listed, &LargeRecords::new(1), |_, _| Ok(())).0
    }

    fn is_free(large_entries: &LargeRecords) -> bool {
        let permit = std::pin::pin!(large_entries.permit());
        permit.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn permit_for_a_large_record_is_kept_until_its_memory_is_free() {
        let base64 = "A".repeat(1 << 20);
        let large = record(&[format!("- B b {} {base64}\n", base64.len())]);
        let small = record(&[]);
        for records in [[&small, &large, &large, &small], [&small, &small, &large, &large]] {
            let text = format!("{HEADER}{}", records.map(String::as_str).concat());
            let large_entries = LargeRecords::new(1);
            let (mut seen, entries) = (Vec::new(), large_entries.clone());
            let on_entry = |entry: FileEntry<'_>, _| {
                let FileEntry::Record { record, large, .. } = entry else { panic!("{entry:?}") };
                assert_eq!(large.is_some(), !record.bins.is_empty());
                drop(large);
                seen.push(is_free(&entries));
                Ok(())
            };
            let memory = task::block_in_place(|| read(&text, |_| None, &large_entries, on_entry).1);
            assert_eq!(seen, records.map(|record| record == &small));
            assert!(is_free(&large_entries));
            assert!(memory <= CHUNK_BYTES + 2 * STEP_BYTES || records[3] == &large, "{memory}");
        }
    }

    #[test]
    fn records_of_other_partitions_than_listed_are_found() {
        assert_eq!(compare("564"), None);
        let finding = compare("").unwrap();
        assert_eq!(finding.kind, FindingKind::Count);
        assert!(
            finding.message.contains("holds records of partition 564, but the manifest says that it doesn't")
        );
        let message = compare("1,564").unwrap().message;
        assert!(message.contains("holds no record of partition 1, but"), "{message}");
    }

    #[test]
    fn fill_reads_on_until_enough_is_there() {
        let mut buffer = Buffer::new();
        let mut input = Drip(b"abcdef");
        let filled = buffer.fill(4, |into| input.read(into)).unwrap();
        assert_eq!((filled, buffer.bytes()), (Filled::Enough, &b"abcd"[..]));
        buffer.consume(3);
        buffer.move_to_front();
        let filled = buffer.fill(9, |into| input.read(into)).unwrap();
        assert_eq!((filled, buffer.bytes()), (Filled::AtEnd, &b"def"[..]));
    }

    #[test]
    fn nothing_is_reserved_for_bytes_that_do_not_come() {
        let mut buffer = Buffer::new();
        let mut input = &b"short"[..];
        let filled = buffer.fill(100 << 20, |into| (&mut input).read(into)).unwrap();
        assert_eq!((filled, buffer.space.len()), (Filled::AtEnd, CHUNK_BYTES));
        assert_eq!(buffer.bytes(), b"short");
    }

    #[test]
    fn buffer_grows_for_a_large_entry_and_shrinks_behind_it() {
        let mut buffer = Buffer::new();
        let input = vec![7; 3 * CHUNK_BYTES];
        let mut input = input.as_slice();
        buffer.fill(2 * CHUNK_BYTES + 1, |into| input.read(into)).unwrap();
        assert_eq!(buffer.space.len(), 2 * CHUNK_BYTES + STEP_BYTES);
        buffer.move_to_front();
        assert_eq!(buffer.space.len(), 2 * CHUNK_BYTES + STEP_BYTES);
        buffer.consume(2 * CHUNK_BYTES + 1);
        buffer.move_to_front();
        assert_eq!((buffer.space.len(), buffer.bytes().len()), (CHUNK_BYTES, STEP_BYTES - 1));
    }
}
