//! Records from a backup to rows of writes.

use asbackup_codec::wire::{self, WriteRules};
use asbackup_model::{RecordView, Row, RowBlock, Value, VoidTime};

use crate::config::{EntryClass, Names, Rename, RestoreConfig};

/// Which records become rows, and how.
#[derive(Debug, Clone)]
pub(crate) struct ToRows {
    rename: Option<Rename>,
    rules: WriteRules,
    takes_records: bool,
    sets: Option<Names>,
    bins: Option<Names>,
    extra_ttl_s: u64,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is a row of the block.
    Row,
    /// Its time is over.
    Expired,
    /// It isn't wanted, or can't be written.
    Skipped(Skip),
    /// It belongs to another namespace than the one that is renamed.
    OtherNamespace,
    /// The block is for another namespace: send it, and come again with an empty one.
    BlockOfOtherNamespace,
}

/// Why a record is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// No record is wanted.
    Class,
    /// Its set isn't wanted.
    Set,
    /// It has no bin that is wanted and has a value, and such a record can't be written.
    Bins,
}

impl Skip {
    pub(crate) const ALL: [Self; 3] = [Self::Class, Self::Set, Self::Bins];

    /// Returns the reason as reports count it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Set => "set",
            Self::Bins => "bins",
        }
    }
}

impl ToRows {
    pub(crate) fn new(config: &RestoreConfig) -> Self {
        Self {
            rename: config.rename.clone(),
            rules: config.rules,
            takes_records: !config.left_out.contains(&EntryClass::Records),
            sets: config.sets.clone(),
            bins: config.bins.clone(),
            extra_ttl_s: config.extra_ttl.as_secs(),
        }
    }

    pub(crate) fn rename(&self) -> Option<&Rename> {
        self.rename.as_ref()
    }

    /// Returns the namespace that entries of `namespace` are written into, or nothing if it isn't the renamed one.
    fn target<'a>(&'a self, namespace: &'a [u8]) -> Option<&'a [u8]> {
        match &self.rename {
            None => Some(namespace),
            Some(rename) => (rename.from.as_bytes() == namespace).then_some(rename.to.as_bytes()),
        }
    }

    /// Appends a record to a block. `now` is the present time as a void time.
    pub(crate) fn record(&self, block: &mut RowBlock, record: &RecordView<'_>, now: VoidTime) -> Taken {
        if !self.takes_records {
            return Taken::Skipped(Skip::Class);
        }
        // Before the other filters, so that none of them hides a wrong name.
        let Some(namespace) = self.target(record.namespace) else { return Taken::OtherNamespace };
        if let Some(skip) = self.skip(record) {
            return Taken::Skipped(skip);
        }
        let void_time = self.void_time(record);
        if void_time != VoidTime::NEVER && void_time <= now {
            return Taken::Expired;
        }
        if block.namespace != namespace {
            if !block.rows.is_empty() {
                return Taken::BlockOfOtherNamespace;
            }
            block.namespace.clear();
            block.namespace.extend_from_slice(namespace);
        }
        self.append(block, record, void_time, namespace);
        Taken::Row
    }

    fn skip(&self, record: &RecordView<'_>) -> Option<Skip> {
        let in_set = |sets: &Names| record.set.is_some_and(|set| sets.contains(set));
        if !self.sets.as_ref().is_none_or(in_set) {
            return Some(Skip::Set);
        }
        let is_empty = !record.bins.iter().any(|bin| bin.value != Value::Nil && self.takes_bin(bin.name));
        is_empty.then_some(Skip::Bins)
    }

    fn takes_bin(&self, name: &[u8]) -> bool {
        self.bins.as_ref().is_none_or(|bins| bins.contains(name))
    }

    /// Returns when a record is to expire.
    fn void_time(&self, record: &RecordView<'_>) -> VoidTime {
        match record.void_time {
            VoidTime::NEVER => VoidTime::NEVER,
            VoidTime(seconds) => VoidTime(seconds.saturating_add(self.extra_ttl_s)),
        }
    }

    fn append(&self, block: &mut RowBlock, record: &RecordView<'_>, void_time: VoidTime, namespace: &[u8]) {
        let start = block.bytes.len();
        if self.bins.is_none() {
            wire::encode_row(&mut block.bytes, record, namespace, self.rules);
        } else {
            let bins = record.bins.iter().filter(|bin| self.takes_bin(bin.name));
            wire::encode_row_of_bins(&mut block.bytes, record, bins, namespace, self.rules);
        }
        let offset =
            |at: usize| u32::try_from(at).expect("one entry is at most 256 MiB, and a block little more");
        block.rows.push(Row {
            start: offset(start),
            len: offset(block.bytes.len() - start),
            partition: record.digest.partition(),
            void_time,
        });
    }
}
