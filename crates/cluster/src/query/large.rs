//! How many records that are larger than a read may be in memory at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits that queries share, one for each record that is larger than what is read at once. Buffers grow for such a
/// record, and all of them at the same time would take any amount of memory.
#[derive(Debug, Clone)]
pub struct LargeRecords(Arc<Semaphore>);

/// Leave to keep a large record in memory, given back when it and all its clones are dropped.
#[derive(Debug, Clone)]
pub struct LargePermit {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl LargeRecords {
    /// Returns that many permits.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Waits for a permit, first come, first served. Whoever has one must not wait for another.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub async fn permit(&self) -> LargePermit {
        // Nothing closes the semaphore.
        LargePermit { _permit: Arc::clone(&self.0).acquire_owned().await.ok().map(Arc::new) }
    }
}
