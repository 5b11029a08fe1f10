//! From what a record takes to what the files of a backup take. Plain functions.

use asbackup_codec::{
    asb::{self, FileOrder, Version},
    envelope,
};
use asbackup_model::{SecondaryIndex, UdfModule};

use super::{
    interval::{Confidence, Mean},
    packing::{self, Shrinkage},
};
use crate::{
    Error,
    backup::{encode_metadata, metadata_version},
    config::BackupConfig,
    report::{Estimate, SizeRange},
    sink::frames::FRAME_BYTES,
};

/// What the sampled records say of all.
#[derive(Debug, Clone)]
pub(super) struct Records {
    /// How many there are.
    pub(super) count: u64,
    /// The text of one.
    pub(super) text: Mean,
    /// What is stored of one.
    pub(super) stored: Mean,
    pub(super) shrinkage: Option<Shrinkage>,
}

/// What a backup takes beside its records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files {
    /// The file that comes first, if it isn't one of records: that of the indexes and UDF modules, or an empty one.
    front: Option<Sizes>,
    /// Of the first file of records.
    first_header_bytes: u64,
    header_bytes: u64,
    /// What each file takes beside its content.
    wrapping_bytes: u64,
    limit: Option<u64>,
    writers: u64,
}

/// A size as text, and what is stored of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sizes {
    text: u64,
    stored: u64,
}

/// Which end of the interval is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Low(Confidence),
    Middle,
    High(Confidence),
}

impl Records {
    /// Returns what a part of a backup without records says of them.
    pub(super) fn none() -> Self {
        let none = Mean::of(&[], 0);
        Self { count: 0, text: none, stored: none, shrinkage: None }
    }

    /// Returns the text of all.
    fn text_bytes(&self) -> f64 {
        self.text.bytes_per_record * float(self.count)
    }

    /// Returns what is stored of all in that many files.
    fn stored_bytes(&self, files: u64, bound: Bound) -> u64 {
        let margin = match bound {
            Bound::Low(confidence) => -self.stored.margin(confidence),
            Bound::Middle => 0.0,
            Bound::High(confidence) => self.stored.margin(confidence),
        };
        let bytes = (self.stored.bytes_per_record + margin) * float(self.count);
        whole(bytes + self.shrinkage.as_ref().map_or(0.0, |found| self.frames_bytes(found, files, bound)))
    }

    /// Returns what frames add that are more than those of the sample, or what larger ones save. How much that is gets
    /// the less certain the smaller the sample's frames are: with each doubling to the full size, larger ones may save as
    /// much again.
    fn frames_bytes(&self, found: &Shrinkage, files: u64, bound: Bound) -> f64 {
        // A frame ends with the record that fills it.
        let largest = float(FRAME_BYTES as u64) + self.text.bytes_per_record;
        let least = (self.text_bytes() / largest).max(1.0);
        let most = self.text_bytes() / float(FRAME_BYTES as u64) + float(files);
        let alike = float(found.frames) * float(self.count) / float(self.text.records.max(1));
        let bytes = |frames: f64| (frames - alike) * found.frame_cost;
        let sampled = self.text.bytes_per_record * float(self.text.records) / float(found.frames.max(1));
        let doublings = (float(FRAME_BYTES as u64) / sampled.max(1.0)).log2().max(1.0);
        match bound {
            Bound::Low(_) => bytes(least).min(bytes(least) * (1.0 + doublings)),
            Bound::Middle => bytes(f64::midpoint(least, most)),
            Bound::High(_) => bytes(most).max(0.0) * 2.0,
        }
    }
}

impl Files {
    /// Returns the files that such metadata need, and such records if there are any.
    pub(super) fn new(
        config: &BackupConfig,
        (udfs, indexes): (&[UdfModule], &[SecondaryIndex]),
        has_records: bool,
    ) -> Result<Self, Error> {
        let header = |version, order| {
            let mut header = Vec::new();
            asb::encode_header(&mut header, version, config.namespace.as_bytes(), order);
            header
        };
        let has_metadata = !(udfs.is_empty() && indexes.is_empty());
        let mut text = header(metadata_version(indexes), FileOrder::First);
        let first = text.len() as u64;
        encode_metadata(&mut text, udfs, indexes);
        let later = header(Version::V31, FileOrder::Later).len() as u64;
        let front = (has_metadata || !has_records).then(|| Sizes::of(config, &text)).transpose()?;
        Ok(Self {
            front,
            first_header_bytes: if has_metadata { later } else { first },
            header_bytes: later,
            wrapping_bytes: config.envelope.encryption.as_ref().map_or(0, |_| envelope::BLOCK_BYTES as u64),
            limit: config.file_limit.map(|limit| limit.0),
            writers: config.writers.count() as u64,
        })
    }

    pub(super) fn estimate(&self, records: &Records) -> Estimate {
        let stored = |bound| self.stored_bytes(records, bound);
        let mean = stored(Bound::Middle);
        Estimate {
            records: records.count,
            samples: records.text.records,
            bytes_per_record: records.text.bytes_per_record,
            ratio: float(self.text_bytes(records)) / float(mean.max(1)),
            bytes: SizeRange {
                mean,
                low_95: stored(Bound::Low(Confidence::P95)).min(mean),
                high_95: stored(Bound::High(Confidence::P95)).max(mean),
                low_99: stored(Bound::Low(Confidence::P99)).min(mean),
                high_99: stored(Bound::High(Confidence::P99)).max(mean),
            },
        }
    }

    /// Returns what all files hold.
    fn text_bytes(&self, records: &Records) -> u64 {
        let files = self.record_files(records, Bound::Middle);
        self.front.map_or(0, |front| front.text) + self.headers(files) + whole(records.text_bytes())
    }

    fn stored_bytes(&self, records: &Records, bound: Bound) -> u64 {
        let files = self.record_files(records, bound);
        let (front_files, front) = self.front.map_or((0, 0), |front| (1, front.stored));
        let wrapping = (front_files + files).saturating_mul(self.wrapping_bytes);
        let records = if files == 0 { 0 } else { records.stored_bytes(files, bound) };
        front.saturating_add(self.headers(files)).saturating_add(wrapping).saturating_add(records)
    }

    /// Returns how many files hold records. Each writer may have one that isn't full, or may have had nothing to write.
    fn record_files(&self, records: &Records, bound: Bound) -> u64 {
        if records.count == 0 {
            return 0;
        }
        let full = self.limit.map_or(0, |limit| records.stored_bytes(1, bound) / limit.max(1));
        match bound {
            Bound::Low(_) => full.max(1),
            Bound::Middle => full + 1,
            Bound::High(_) => full + self.writers,
        }
    }

    /// Returns the size of the headers of that many files of records. Compression leaves about as much of them.
    fn headers(&self, files: u64) -> u64 {
        let more = files.saturating_sub(1).saturating_mul(self.header_bytes);
        if files == 0 { 0 } else { self.first_header_bytes.saturating_add(more) }
    }
}

impl Sizes {
    fn of(config: &BackupConfig, text: &[u8]) -> Result<Self, Error> {
        let packed = config.envelope.compression.map(|zstd| packing::pack(zstd.codec_level(), text));
        let stored = packed.transpose()?.map_or(text.len() as u64, |packed| packed.stored_bytes);
        Ok(Self { text: text.len() as u64, stored })
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 52 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate needs no more than 52 bits, and a size below 0 is 0"
)]
fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}
