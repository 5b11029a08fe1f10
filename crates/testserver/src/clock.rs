//! What time it is for the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asbackup_model::VoidTime;

/// The machine's clock, which a test may move ahead instead of waiting for a record to expire.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_s: AtomicU64,
}

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_s.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix: unix + Duration::from_secs(self.ahead_s.load(Ordering::Relaxed)) }
    }
}

/// A moment, in the units that the server needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) unix: Duration,
}

impl Now {
    /// Returns the nanoseconds since the Unix epoch, the unit of last-update times.
    pub(crate) fn unix_ns(self) -> u64 {
        u64::try_from(self.unix.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the seconds since the epoch of void times.
    pub(crate) fn void_time_s(self) -> u32 {
        let seconds = self.unix.as_secs().saturating_sub(VoidTime::EPOCH_UNIX_SECONDS);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}
