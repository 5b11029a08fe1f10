//! Which records are sampled, and what they take.

use std::{
    collections::BTreeMap,
    mem,
    ops::{ControlFlow, Range},
};

use asbackup_cluster::{Cluster, QueryProgress, QuerySpec};
use asbackup_model::{Block, PartitionId, RecordView};
use fastrand::Rng;

use super::{
    interval::Part,
    packing::{Packing, Shrinkage},
};
use crate::{
    Error, blocking,
    config::BackupConfig,
    job::JobContext,
    source::selection,
    transcode::to_text::{self, Taken},
};

/// Partitions that are sampled at least, so that they can tell how much partitions differ.
const LEAST_PARTITIONS: u64 = 64;

/// Records that are sampled at least, where there are as many.
const LEAST_SAMPLES: u64 = 64;

/// Which records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) partitions: Vec<PartitionId>,
    /// The most that is read of each; none: all.
    pub(super) records_each: Option<u64>,
}

impl Choice {
    /// Chooses partitions at random, so many that they hold about `samples` of `total` records. They are read as a whole
    /// unless that would be far too much.
    pub(super) fn new(all: &[PartitionId], total: u64, samples: u64, mut random: Rng) -> Self {
        let (samples, count) = (samples.max(LEAST_SAMPLES), all.len() as u64);
        let enough = samples.saturating_mul(count).div_ceil(total.max(1));
        let partitions = enough.max(LEAST_PARTITIONS).min(count);
        let mut chosen = all.to_vec();
        random.shuffle(&mut chosen);
        chosen.truncate(usize::try_from(partitions).unwrap_or(usize::MAX));
        let each = samples.div_ceil(partitions.max(1));
        let is_whole = enough >= LEAST_PARTITIONS;
        Self { partitions: chosen, records_each: (!is_whole).then_some(each) }
    }

    /// Returns whether every record of all partitions is read.
    pub(super) fn is_all(&self, all: &[PartitionId]) -> bool {
        self.records_each.is_none() && self.partitions.len() == all.len()
    }
}

/// What the chosen records take.
#[derive(Debug)]
pub(super) struct Sampled {
    /// The text of each partition.
    pub(super) parts: Vec<Part>,
    /// What compression makes of it, if there is any.
    pub(super) shrinkage: Option<Shrinkage>,
}

/// Reads the chosen records.
pub(super) async fn read(
    cluster: &Cluster,
    config: &BackupConfig,
    spec: &QuerySpec,
    choice: &Choice,
    job: &JobContext,
) -> Result<Sampled, Error> {
    let mut sample = Sample::new(config, &choice.partitions);
    let _running = job.scan_permit().await?;
    match choice.records_each {
        None => sample.read(cluster, spec.clone(), choice.partitions.clone(), job).await?,
        Some(most) => {
            for &partition in &choice.partitions {
                let mut spec = spec.clone();
                spec.max_records = most;
                sample.read(cluster, spec, vec![partition], job).await?;
            }
        }
    }
    sample.finish().await
}

struct Sample<'a> {
    config: &'a BackupConfig,
    /// Where in `parts` each partition is.
    places: BTreeMap<PartitionId, usize>,
    parts: Vec<Part>,
    /// The text that was read last.
    block: Block,
    entries: Vec<Entry>,
    packing: Option<Packing>,
}

/// The text of one record in a block.
#[derive(Debug, Clone)]
struct Entry {
    /// The place of its partition.
    place: usize,
    text: Range<usize>,
}

impl<'a> Sample<'a> {
    fn new(config: &'a BackupConfig, partitions: &[PartitionId]) -> Self {
        let compression = config.envelope.compression;
        Self {
            config,
            places: partitions.iter().enumerate().map(|(place, &id)| (id, place)).collect(),
            parts: vec![Part::default(); partitions.len()],
            block: Block::default(),
            entries: Vec::new(),
            packing: compression.map(|zstd| Packing::new(zstd.codec_level(), partitions.len())),
        }
    }

    async fn read(
        &mut self,
        cluster: &Cluster,
        spec: QuerySpec,
        partitions: Vec<PartitionId>,
        job: &JobContext,
    ) -> Result<(), Error> {
        let mut query = selection::scan(cluster, self.config, spec, partitions);
        loop {
            let mut read = 0;
            let next = query.next(|record| {
                read += 1;
                self.take(record);
                ControlFlow::Continue(())
            });
            let progress = job.or_cancelled(next).await?.map_err(crate::scan_error)?;
            self.pack().await?;
            job.counters.read.add(read);
            job.pace_records(read).await?;
            if progress == QueryProgress::Finished {
                return Ok(());
            }
        }
    }

    fn take(&mut self, record: &RecordView<'_>) {
        let start = self.block.bytes.len();
        let Some(&place) = self.places.get(&record.digest.partition()) else { return };
        if to_text::record(&mut self.block, record, self.config.spelling) == Taken::MonitorSet {
            return;
        }
        let text = start..self.block.bytes.len();
        self.parts[place].records += 1;
        self.parts[place].bytes += text.len() as u64;
        self.entries.push(Entry { place, text });
    }

    /// Compresses what was read, if it is to be compressed, and forgets it. Memory so depends on no number of samples.
    async fn pack(&mut self) -> Result<(), Error> {
        if let Some(mut packing) = self.packing.take() {
            let (block, entries) = (mem::take(&mut self.block), mem::take(&mut self.entries));
            let packed = blocking(move || {
                let add = |entry: &Entry| packing.add(entry.place, &block.bytes[entry.text.clone()]);
                entries.iter().try_for_each(add)?;
                Ok::<_, Error>((packing, block, entries))
            });
            let (packing, block, entries) = packed.await??;
            (self.packing, self.block, self.entries) = (Some(packing), block, entries);
        }
        self.block.clear();
        self.entries.clear();
        Ok(())
    }

    async fn finish(self) -> Result<Sampled, Error> {
        let Self { parts, packing, .. } = self;
        let Some(packing) = packing else { return Ok(Sampled { parts, shrinkage: None }) };
        blocking(move || {
            let shrinkage = Some(packing.finish(&parts)?);
            Ok(Sampled { parts, shrinkage })
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_records_are_chosen_as_asked_for() {
        let all: Vec<_> = PartitionId::all().collect();
        for (total, samples, partitions, each) in [
            (0, 10_000, 4096, None),
            (9_999, 10_000, 4096, None),
            (100_000, 10_000, 410, None),
            (600_000, 10_000, 69, None),
            (1_000_000_000, 10_000, 64, Some(157)),
            (1_000_000_000, 1, 64, Some(1)),
            (2, 1, 4096, None),
            (u64::MAX, u64::from(u32::MAX), 64, Some(67_108_864)),
        ] {
            let choice = Choice::new(&all, total, samples, Rng::with_seed(7));
            let found = (choice.partitions.len(), choice.records_each);
            assert_eq!(found, (partitions, each), "{samples} of {total}");
            assert_eq!(choice.is_all(&all), partitions == all.len());
        }
    }

    #[test]
    fn same_seed_chooses_the_same_partitions() {
        let all: Vec<_> = PartitionId::all().collect();
        let choose = |seed| Choice::new(&all, 1_000_000_000, 10_000, Rng::with_seed(seed));
        assert_eq!(choose(1), choose(1));
        assert_ne!(choose(1), choose(2));
    }
}
