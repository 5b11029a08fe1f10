//! Which records are sampled, and what they take.

use std::{collections::BTreeMap, ops::ControlFlow};

use asbackup_cluster::{Cluster, QueryProgress, QuerySpec};
use asbackup_model::{Block, PartitionId, RecordView};
use fastrand::Rng;

use super::interval::Part;
use crate::{
    Error,
    config::BackupConfig,
    job::JobContext,
    pipeline::BLOCK_BYTES,
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

/// Reads the chosen records and returns what each partition's take.
pub(super) async fn read(
    cluster: &Cluster,
    config: &BackupConfig,
    spec: &QuerySpec,
    choice: &Choice,
    job: &JobContext,
) -> Result<Vec<Part>, Error> {
    let mut sample = Sample { config, block: Block::default(), parts: BTreeMap::new() };
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
    Ok(choice.partitions.iter().map(|id| sample.parts.get(id).copied().unwrap_or_default()).collect())
}

struct Sample<'a> {
    config: &'a BackupConfig,
    /// Only its size counts.
    block: Block,
    parts: BTreeMap<PartitionId, Part>,
}

impl Sample<'_> {
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
            job.counters.read.add(read);
            job.pace_records(read).await?;
            if progress == QueryProgress::Finished {
                return Ok(());
            }
        }
    }

    fn take(&mut self, record: &RecordView<'_>) {
        let before = self.block.bytes.len();
        if to_text::record(&mut self.block, record, self.config.spelling) == Taken::MonitorSet {
            return;
        }
        let part = self.parts.entry(record.digest.partition()).or_default();
        part.records += 1;
        part.bytes += (self.block.bytes.len() - before) as u64;
        if self.block.bytes.len() >= BLOCK_BYTES {
            self.block.clear();
        }
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
