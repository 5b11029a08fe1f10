//! What an estimate reads.

use std::num::NonZeroU32;

/// Which records an estimate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sampling {
    /// About how many records are read; fewer only where there aren't as many, and at least 64 then. They come from 64
    /// partitions or more. Default: 10,000, as many as absctl reads.
    pub samples: NonZeroU32,
    /// Chooses the partitions; the same seed chooses the same ones. Default: none, which is another one each time.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { samples: DEFAULT_SAMPLES, seed: None }
    }
}

const DEFAULT_SAMPLES: NonZeroU32 = NonZeroU32::new(10_000).expect("10,000 isn't 0");
