//! What compression makes of a sample: its text goes into frames as that of a backup does, not record by record. Plain
//! functions; they take as long as the compression does.

use asbackup_codec::envelope::{Compressor, Level};

use super::interval::Part;
use crate::{Error, sink::frames};

/// Groups that the sampled partitions are dealt to, so that they can tell how much the sizes of compressed partitions
/// differ: a partition alone has too little text for that.
const GROUPS: usize = 32;

/// Text from which on a frame of a group is closed. All groups are open at once.
const GROUP_FRAME_BYTES: usize = 128 << 10;

/// The text of a sample, compressed twice: all of it in frames of the size that a backup has, and each group for itself
/// in smaller ones.
#[derive(Debug)]
pub(super) struct Packing {
    compressor: Compressor,
    whole: Stream,
    groups: Vec<Stream>,
}

/// Frames of the same text, one after another.
#[derive(Debug)]
struct Stream {
    open: Vec<u8>,
    close_at: usize,
    frame: Vec<u8>,
    packed: Packed,
}

/// What text takes in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) stored_bytes: u64,
    pub(super) frames: u64,
}

impl Packing {
    /// Returns an empty one for a sample of that many partitions.
    pub(super) fn new(level: Level, partitions: usize) -> Self {
        let groups = partitions.clamp(1, GROUPS);
        Self {
            compressor: Compressor::new(level),
            whole: Stream::new(frames::FRAME_BYTES),
            groups: (0..groups).map(|_| Stream::new(GROUP_FRAME_BYTES)).collect(),
        }
    }

    /// Adds the text of a record of a partition, which goes by its place in the sample.
    pub(super) fn add(&mut self, partition: usize, text: &[u8]) -> Result<(), Error> {
        let group = partition % self.groups.len();
        self.groups[group].push(text, &mut self.compressor)?;
        self.whole.push(text, &mut self.compressor)
    }

    /// Closes all frames. Returns how the text got smaller; `parts` is what it was.
    pub(super) fn finish(mut self, parts: &[Part]) -> Result<Shrinkage, Error> {
        let whole = self.whole.finish(&mut self.compressor)?;
        let count = self.groups.len();
        let mut groups = vec![(0, Packed::default()); count];
        for (number, part) in parts.iter().enumerate() {
            groups[number % count].0 += part.records;
        }
        for (group, stream) in groups.iter_mut().zip(self.groups) {
            group.1 = stream.finish(&mut self.compressor)?;
        }
        Ok(Shrinkage::of(whole, &groups))
    }
}

/// Compresses a text in frames of a backup.
pub(super) fn pack(level: Level, text: &[u8]) -> Result<Packed, Error> {
    let (mut compressor, mut stream) = (Compressor::new(level), Stream::new(frames::FRAME_BYTES));
    text.chunks(frames::FRAME_BYTES).try_for_each(|text| stream.push(text, &mut compressor))?;
    stream.finish(&mut compressor)
}

impl Stream {
    fn new(close_at: usize) -> Self {
        Self { open: Vec::new(), close_at, frame: Vec::new(), packed: Packed::default() }
    }

    fn push(&mut self, text: &[u8], compressor: &mut Compressor) -> Result<(), Error> {
        self.open.extend_from_slice(text);
        if self.open.len() < self.close_at { Ok(()) } else { self.close(compressor) }
    }

    fn close(&mut self, compressor: &mut Compressor) -> Result<(), Error> {
        compressor.compress(&self.open, &mut self.frame).map_err(frames::not_compressed)?;
        self.packed.stored_bytes += self.frame.len() as u64;
        self.packed.frames += 1;
        self.open.clear();
        Ok(())
    }

    fn finish(mut self, compressor: &mut Compressor) -> Result<Packed, Error> {
        if !self.open.is_empty() {
            self.close(compressor)?;
        }
        Ok(self.packed)
    }
}

/// How a sample's text got smaller.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shrinkage {
    /// Each group's share of what the whole takes.
    pub(super) parts: Vec<Part>,
    /// Frames of the whole.
    pub(super) frames: u64,
    /// What one more frame for the same text costs: its head, and what it has to learn anew.
    pub(super) frame_cost: f64,
}

impl Shrinkage {
    /// Groups have smaller frames, so that all of them together take more than the whole. That says what a frame costs;
    /// the rest is what tells groups apart.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate needs no more than 52 bits, and no size is below 0"
    )]
    fn of(whole: Packed, groups: &[(u64, Packed)]) -> Self {
        let sum = |of: fn(&Packed) -> u64| groups.iter().map(|(_, group)| of(group)).sum::<u64>();
        let (stored, frames) = (sum(|group| group.stored_bytes), sum(|group| group.frames));
        let more = frames.saturating_sub(whole.frames);
        let frame_cost = stored.saturating_sub(whole.stored_bytes) as f64 / more.max(1) as f64;
        let scale = whole.stored_bytes as f64 / stored.max(1) as f64;
        let part = |&(records, group): &(u64, Packed)| Part {
            records,
            bytes: (group.stored_bytes as f64 * scale).round() as u64,
        };
        Self { parts: groups.iter().map(part).collect(), frames: whole.frames, frame_cost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(stored_bytes: u64, frames: u64) -> Packed {
        Packed { stored_bytes, frames }
    }

    #[test]
    fn smaller_frames_tell_what_a_frame_costs() {
        let groups = [(10, packed(300, 2)), (30, packed(700, 3))];
        let found = Shrinkage::of(packed(800, 1), &groups);
        let part = |records, bytes| Part { records, bytes };
        assert_eq!(found.parts, [part(10, 240), part(30, 560)]);
        assert_eq!((found.frames, found.frame_cost), (1, 50.0));
        assert_eq!(Shrinkage::of(packed(800, 1), &[(10, packed(800, 1))]).frame_cost, 0.0);
    }

    #[test]
    fn records_of_a_sample_are_compressed_together() {
        let record = b"+ k I 4 1234\n+ n test\n+ d AAAA\n- I 5 value 77\n";
        let mut packing = Packing::new(Level::DEFAULT, 3);
        for number in 0..30_000 {
            packing.add(number % 3, record).unwrap();
        }
        let parts = [Part { records: 10_000, bytes: 10_000 * record.len() as u64 }; 3];
        let found = packing.finish(&parts).unwrap();
        let stored: u64 = found.parts.iter().map(|part| part.bytes).sum();
        // Each for itself would be no smaller than it is.
        assert!(stored < 30_000, "{stored} bytes for 30,000 records");
        let frames = (30_000 * record.len()).div_ceil(frames::FRAME_BYTES) as u64;
        assert_eq!((found.frames, found.parts.len()), (frames, 3));
        assert!(found.parts.iter().all(|part| part.records == 10_000));
    }
}
