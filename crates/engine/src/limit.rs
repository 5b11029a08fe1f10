//! Rates that a job keeps: of records, and of stored bytes.

use std::{
    io::{self, Read},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use asbackup_cluster::QuerySpec;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    config::{BatchLimits, Limits, Parallelism, Writes},
};

/// Lost time that may be made up for. More would let a job that was held up come back as a burst.
const LARGEST_CREDIT: Duration = Duration::from_millis(250);

/// What is moved at once is at most a second's worth divided by this, so that no window of ten seconds gets much more
/// than its share.
const PORTIONS_PER_SECOND: u64 = 20;

/// The limits that all tasks of a job share.
#[derive(Debug, Default)]
pub(crate) struct JobLimits {
    /// Of records.
    pub(crate) records: Limiter,
    /// Of stored bytes.
    pub(crate) stored: Limiter,
    scans: Option<ScanPermits>,
}

/// How many scans may run at once, shared by the jobs of all clients that it is given to, and by all its clones.
#[derive(Debug, Clone)]
pub struct ScanPermits(Arc<Semaphore>);

/// One scan that may run; none where there is no bound.
#[derive(Debug)]
pub(crate) struct ScanPermit(
    #[expect(dead_code, reason = "it is given back when it is dropped")] Option<OwnedSemaphorePermit>,
);

impl ScanPermits {
    /// Returns permits for that many scans at once.
    #[must_use]
    pub fn new(scans: Parallelism) -> Self {
        Self(Arc::new(Semaphore::new(scans.count())))
    }
}

impl JobLimits {
    pub(crate) fn new(limits: Limits, scans: Option<ScanPermits>) -> Self {
        Self {
            scans,
            records: Limiter::new(limits.records_per_second.map_or(0, |rate| u64::from(rate.get()))),
            stored: Limiter::new(limits.bandwidth.map_or(0, |rate| rate.0)),
        }
    }

    /// Returns a query with the share of the limit that one of `streams` has, for the server to keep. All keep the whole
    /// of it together as well, since a server does so only roughly, and shares are rounded up.
    pub(crate) fn share_of(&self, mut spec: QuerySpec, streams: usize) -> QuerySpec {
        if let Some(limit) = &self.records.0 {
            let share = limit.per_second.div_ceil(streams.max(1) as u64);
            spec.records_per_second = u32::try_from(share).unwrap_or(u32::MAX);
            spec.records_at_once = self.records.portion();
        }
        spec
    }

    /// Returns writes that are small enough for the limit.
    pub(crate) fn portions(&self, writes: Writes) -> Writes {
        match (writes, self.records.portion()) {
            (Writes::Batches(limits), Some(portion)) => {
                Writes::Batches(BatchLimits { rows: limits.rows.min(portion), ..limits })
            }
            (writes, _) => writes,
        }
    }

    /// Waits until one more scan may run, first come, first served.
    pub(crate) async fn scan_permit(&self) -> ScanPermit {
        ScanPermit(match &self.scans {
            // Nothing closes the semaphore.
            Some(ScanPermits(scans)) => Arc::clone(scans).acquire_owned().await.ok(),
            None => None,
        })
    }
}

/// Keeps a rate, or none. Who comes first goes first: each takes the next span of time for what it moved, and waits until
/// that is over. Waiting holds no lock.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Option<Limit>);

#[derive(Debug)]
struct Limit {
    per_second: u64,
    pace: Mutex<Pace>,
    /// Lets threads that block wait like tasks: until the time has come or the job is cancelled.
    runtime: Handle,
}

impl Limiter {
    /// Returns a limiter of a rate; 0 is no limit.
    fn new(per_second: u64) -> Self {
        Self((per_second > 0).then(|| Limit {
            per_second,
            pace: Mutex::new(Pace::new(per_second)),
            runtime: Handle::current(),
        }))
    }

    /// Returns the most that should be moved at once, if there is a limit.
    pub(crate) fn portion(&self) -> Option<NonZeroUsize> {
        let limit = self.0.as_ref()?;
        let portion = usize::try_from(limit.per_second / PORTIONS_PER_SECOND).unwrap_or(usize::MAX);
        Some(NonZeroUsize::new(portion).unwrap_or(NonZeroUsize::MIN))
    }

    /// Waits until what was moved has had its time, or the job is cancelled.
    pub(crate) async fn pace(&self, amount: u64, token: &CancellationToken) -> Result<(), Error> {
        if let Some(limit) = &self.0 {
            limit.pace(amount, token).await;
        }
        if token.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Does the same on a thread that may block.
    pub(crate) fn pace_blocking(&self, amount: u64, token: &CancellationToken) -> Result<(), Error> {
        if let Some(limit) = &self.0 {
            limit.runtime.block_on(limit.pace(amount, token));
        }
        if token.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Moves bytes in portions, each of which is waited for. Blocks.
    pub(crate) fn move_blocking(
        &self,
        bytes: &[u8],
        token: &CancellationToken,
        mut step: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(portion) = self.portion() else { return step(bytes) };
        for bytes in bytes.chunks(portion.get()) {
            step(bytes)?;
            self.pace_blocking(bytes.len() as u64, token)?;
        }
        Ok(())
    }
}

impl Limit {
    async fn pace(&self, amount: u64, token: &CancellationToken) {
        let wait = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now(), amount);
        if wait > Duration::ZERO {
            // Whoever waits looks at the token afterwards.
            let _ = token.run_until_cancelled(sleep(wait)).await;
        }
    }
}

/// Input that is read no faster than a limit allows. Blocks.
#[derive(Debug)]
pub(crate) struct Paced<'a, R> {
    input: R,
    limiter: &'a Limiter,
    token: &'a CancellationToken,
}

impl<'a, R> Paced<'a, R> {
    pub(crate) fn new(input: R, limiter: &'a Limiter, token: &'a CancellationToken) -> Self {
        Self { input, limiter, token }
    }
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let portion = self.limiter.portion().map_or(usize::MAX, NonZeroUsize::get).min(into.len());
        let read = self.input.read(&mut into[..portion])?;
        // A cancelled job's input may give what it has: the job's own look at its token ends it.
        let _ = self.limiter.pace_blocking(read as u64, self.token);
        Ok(read)
    }
}

/// When what is moved at a rate has had its time.
#[derive(Debug)]
struct Pace {
    per_second: u64,
    /// When everything that was taken so far has had its time.
    due: Option<Instant>,
}

impl Pace {
    fn new(per_second: u64) -> Self {
        Self { per_second, due: None }
    }

    /// Takes the next span of time for an amount. Returns how long it is until that is over.
    fn take(&mut self, now: Instant, amount: u64) -> Duration {
        let earliest = now.checked_sub(LARGEST_CREDIT).unwrap_or(now);
        let from = self.due.map_or(now, |due| due.max(earliest));
        let nanoseconds = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second);
        let due = from + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::ByteSize;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn each_takes_the_time_behind_the_one_before() {
        let (mut pace, start) = (Pace::new(1000), Instant::now());
        for (at_ms, amount, wait_ms) in [
            (0, 100, 100),
            (0, 50, 150),
            (50, 50, 150),
            (200, 0, 0),
            (300, 10, 0),
            (300, 100, 10),
            (10_000, 300, 50),
        ] {
            assert_eq!(pace.take(start + ms(at_ms), amount), ms(wait_ms), "{amount} at {at_ms} ms");
        }
    }

    #[test]
    fn an_amount_that_takes_ages_does_not_overflow() {
        let (mut pace, now) = (Pace::new(1), Instant::now());
        assert!(pace.take(now, u64::from(u32::MAX)) > ms(1000));
    }

    fn limits(records_per_second: u32, bandwidth: u64) -> JobLimits {
        let records_per_second = NonZeroU32::new(records_per_second);
        JobLimits::new(Limits { records_per_second, bandwidth: Some(ByteSize(bandwidth)) }, None)
    }

    #[tokio::test]
    async fn servers_and_batches_get_their_share() {
        let batches = |rows| {
            let rows = NonZeroUsize::new(rows).unwrap();
            Writes::Batches(BatchLimits { rows, ..BatchLimits::default() })
        };
        for (rate, streams, share, portion) in [(1000, 8, 125, 50), (1000, 3, 334, 50), (5, 64, 1, 1)] {
            let limits = limits(rate, 0);
            let spec = limits.share_of(QuerySpec::new("test"), streams);
            assert_eq!(spec.records_per_second, share, "{rate} over {streams}");
            assert_eq!(spec.records_at_once, NonZeroUsize::new(portion));
            assert_eq!(limits.portions(batches(128)), batches(portion));
            assert_eq!(limits.portions(batches(1)), batches(1));
        }
        let free = limits(0, 1).share_of(QuerySpec::new("test"), 8);
        assert_eq!((free.records_per_second, free.records_at_once), (0, None));
        assert_eq!(limits(0, 1).portions(batches(128)), batches(128));
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_share_a_rate_in_turn() {
        let (limits, token, start) = (limits(1000, 0), CancellationToken::new(), Instant::now());
        let take = async |amount| {
            limits.records.pace(amount, &token).await.unwrap();
            start.elapsed().as_millis()
        };
        assert_eq!(tokio::join!(take(100), take(200), take(300)), (100, 300, 600));
        limits.stored.pace(1 << 40, &token).await.unwrap();
        assert_eq!(start.elapsed(), ms(600), "the other one has no limit");
    }

    /// Over any ten seconds after the first five the rate is held within 5 %, whatever the portions.
    #[tokio::test(start_paused = true)]
    async fn rate_is_steady_over_ten_seconds() {
        for (rate, streams) in [(7_u32, 3), (100, 8), (20_000, 64)] {
            let (limits, token, start) = (limits(rate, 0), CancellationToken::new(), Instant::now());
            let portion = limits.records.portion().unwrap().get() as u64;
            let mut moved = vec![0_u64; 31];
            let mut streams: Vec<_> = (0..streams).map(|_| start).collect();
            // The streams take turns as they would if each waited for itself.
            while let Some(stream) = streams.iter_mut().min() {
                let second = usize::try_from((*stream - start).as_secs()).unwrap();
                let Some(moved) = moved.get_mut(second) else { break };
                *moved += portion;
                tokio::time::advance(stream.saturating_duration_since(Instant::now())).await;
                let limit = limits.records.0.as_ref().unwrap();
                let wait = limit.pace.lock().unwrap().take(Instant::now(), portion);
                *stream = Instant::now() + wait;
                assert!(!token.is_cancelled());
            }
            for window in moved[5..30].windows(10) {
                let (sum, right) = (window.iter().sum::<u64>(), u64::from(rate) * 10);
                assert!(sum.abs_diff(right) * 20 <= right, "{sum} records in 10 s at {rate} a second");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_job_does_not_wait() {
        let (limits, token) = (limits(1, 1), CancellationToken::new());
        token.cancel();
        let start = Instant::now();
        assert!(limits.records.pace(1_000_000, &token).await.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO);
        let blocking = tokio::task::spawn_blocking(move || limits.stored.pace_blocking(1 << 40, &token));
        assert!(blocking.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn bytes_are_moved_in_portions() {
        let (token, limits) = (CancellationToken::new(), limits(0, 20_000));
        tokio::task::spawn_blocking(move || {
            let mut moved = Vec::new();
            let step = |bytes: &[u8]| {
                moved.push(bytes.len());
                Ok(())
            };
            limits.stored.move_blocking(&[0; 2500], &token, step).unwrap();
            assert_eq!(moved, [1000, 1000, 500]);
            let mut paced = Paced::new(&[0; 2500][..], &limits.stored, &token);
            assert_eq!(paced.read(&mut [0; 2000]).unwrap(), 1000);
            let mut free = Paced::new(&[0; 2500][..], &limits.records, &token);
            assert_eq!(free.read(&mut [0; 2000]).unwrap(), 2000);
        })
        .await
        .unwrap();
    }
}
