//! A rate of writes that falls by itself while the server is overloaded, and rises again slowly when it isn't.
//!
//! Attempts that are under way at once are counted. An answer of overload halves how many may be, and nobody begins one
//! before a pause is over, which grows from one such answer to the next. As many good answers as attempts are allowed
//! allow one more. All batches of a job share this, so the server isn't asked by each of them whether it is well again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use asbackup_cluster::RowResult;
use asbackup_codec::wire::ResultCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use crate::config::WriteRetry;

/// The longest pause after an overload.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Lets attempts begin, as many at once as the server bears.
#[derive(Debug)]
pub(crate) struct BackOff {
    permits: Arc<Semaphore>,
    window: Mutex<Window>,
}

/// One attempt under way.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    back_off: &'a BackOff,
    permit: Option<OwnedSemaphorePermit>,
    /// How often the rate had been lowered when the attempt began.
    lowered: u64,
}

/// How many attempts may be under way, and from when on.
#[derive(Debug)]
struct Window {
    retry: WriteRetry,
    most: usize,
    allowed: usize,
    /// Permits that are in use although they are no longer allowed; they are taken back when their attempts end.
    owed: usize,
    /// Good answers since `allowed` changed.
    well: usize,
    lowered: u64,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl BackOff {
    /// Returns one that allows `most` attempts at once, as long as all is well.
    pub(crate) fn new(most: usize, retry: WriteRetry) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), window: Mutex::new(Window::new(most, retry)) }
    }

    /// Waits until one more attempt may begin. Each pause that somebody waits for is told once.
    pub(super) async fn turn(&self, on_wait: impl Fn()) -> Turn<'_> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        // The permit counts as this attempt's from here on, also if the future is dropped in the pause.
        let mut turn = Turn { back_off: self, permit, lowered: 0 };
        let mut waited_for = None;
        loop {
            let (lowered, paused_until) = self.lock().state();
            turn.lowered = lowered;
            match paused_until {
                Some(until) if until > Instant::now() => {
                    if waited_for.replace(until) != Some(until) {
                        on_wait();
                    }
                    sleep_until(until).await;
                }
                _ => return turn,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Ends an attempt with the answers that it got.
    pub(super) fn end(self, results: &[RowResult]) {
        let mut window = self.back_off.lock();
        if results.iter().any(is_overload) {
            if self.lowered == window.lowered {
                let fewer = window.lower(Instant::now());
                window.owed += fewer - self.back_off.permits.forget_permits(fewer);
            }
        } else if results.iter().any(|result| matches!(result, RowResult::Answered(_))) && window.answered() {
            if window.owed > 0 {
                window.owed -= 1;
            } else {
                self.back_off.permits.add_permits(1);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut window = self.back_off.lock();
        if window.owed > 0
            && let Some(permit) = self.permit.take()
        {
            window.owed -= 1;
            permit.forget();
        }
    }
}

/// Source: docs/format/wire.md, "Result codes".
fn is_overload(result: &RowResult) -> bool {
    matches!(result, RowResult::Answered(ResultCode::DEVICE_OVERLOAD | ResultCode::BATCH_QUEUES_FULL))
}

impl Window {
    fn new(most: usize, retry: WriteRetry) -> Self {
        let pause = retry.first_pause;
        Self { retry, most, allowed: most, owed: 0, well: 0, lowered: 0, pause, paused_until: None }
    }

    fn state(&self) -> (u64, Option<Instant>) {
        (self.lowered, self.paused_until)
    }

    /// Returns how many attempts fewer are allowed from now on.
    fn lower(&mut self, now: Instant) -> usize {
        let fewer = self.allowed / 2;
        self.allowed -= fewer;
        self.well = 0;
        self.lowered += 1;
        self.paused_until = Some(now + self.pause);
        self.pause = self.pause.mul_f64(self.retry.multiplier).min(LONGEST_PAUSE);
        tracing::info!(batches = self.allowed, "the server is overloaded: fewer writes at once");
        fewer
    }

    /// Takes note of an attempt that found the server well. Returns whether one more is allowed from now on.
    fn answered(&mut self) -> bool {
        self.pause = self.retry.first_pause;
        self.well += 1;
        let more = self.well >= self.allowed && self.allowed < self.most;
        if more {
            self.allowed += 1;
            self.well = 0;
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use tokio::{task::JoinSet, time::sleep};

    use super::*;
    use crate::progress::Counter;

    const RETRY: WriteRetry =
        WriteRetry { max_retries: 10, first_pause: Duration::from_secs(1), multiplier: 2.0 };
    const OVERLOAD: [RowResult; 2] =
        [RowResult::Answered(ResultCode::OK), RowResult::Answered(ResultCode::DEVICE_OVERLOAD)];
    const WELL: [RowResult; 1] = [RowResult::Answered(ResultCode::OK)];

    /// Begins as many attempts as are allowed at once.
    async fn turns<'a>(back_off: &'a BackOff, waits: &Counter) -> Vec<Turn<'a>> {
        let mut turns = vec![back_off.turn(|| waits.add(1)).await];
        while back_off.permits.available_permits() > 0 {
            turns.push(back_off.turn(|| waits.add(1)).await);
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn overload_halves_the_attempts_once_a_round() {
        let (back_off, waits) = (BackOff::new(32, RETRY), Counter::default());
        let mut allowed = Vec::new();
        for _ in 0..7 {
            let turns = turns(&back_off, &waits).await;
            allowed.push(turns.len());
            turns.into_iter().for_each(|turn| turn.end(&OVERLOAD));
        }
        assert_eq!(allowed, [32, 16, 8, 4, 2, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_all_is_well() {
        let (back_off, waits, start) = (BackOff::new(4, RETRY), Counter::default(), Instant::now());
        let mut began_s = Vec::new();
        for results in [&OVERLOAD[..], &OVERLOAD, &OVERLOAD, &WELL, &OVERLOAD, &WELL] {
            let turn = back_off.turn(|| waits.add(1)).await;
            began_s.push(start.elapsed().as_secs());
            turn.end(results);
        }
        assert_eq!(began_s, [0, 1, 3, 7, 7, 8]);
        assert_eq!(waits.count(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_rise_again_one_by_one() {
        let (back_off, waits) = (BackOff::new(4, RETRY), Counter::default());
        for _ in 0..2 {
            turns(&back_off, &waits).await.into_iter().for_each(|turn| turn.end(&OVERLOAD));
        }
        let mut allowed = Vec::new();
        for _ in 0..6 {
            let turns = turns(&back_off, &waits).await;
            allowed.push(turns.len());
            turns.into_iter().for_each(|turn| turn.end(&WELL));
        }
        assert_eq!(allowed, [1, 2, 3, 4, 4, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_is_dropped_gives_its_turn_back() {
        let (back_off, waits) = (BackOff::new(2, RETRY), Counter::default());
        drop(back_off.turn(|| waits.add(1)).await);
        let turn = back_off.turn(|| waits.add(1)).await;
        // Neither good nor bad: the connection broke.
        turn.end(&[RowResult::Unanswered { in_doubt: true }]);
        assert_eq!((back_off.permits.available_permits(), back_off.lock().allowed), (2, 2));
    }

    /// A server that is overloaded for a minute is asked a few times, not by each of many batches over and over.
    #[tokio::test(start_paused = true)]
    async fn overloaded_server_gets_few_attempts() {
        let shared = Arc::new((BackOff::new(32, RETRY), Counter::default(), Counter::default()));
        let start = Instant::now();
        let mut batches = JoinSet::new();
        for _ in 0..64 {
            let shared = Arc::clone(&shared);
            batches.spawn(async move {
                let (back_off, waits, attempts) = &*shared;
                let mut is_well = false;
                while !is_well {
                    let turn = back_off.turn(|| waits.add(1)).await;
                    attempts.add(1);
                    sleep(Duration::from_millis(5)).await;
                    is_well = start.elapsed() > Duration::from_secs(60);
                    turn.end(if is_well { &WELL } else { &OVERLOAD });
                    sleep(RETRY.first_pause).await;
                }
            });
        }
        while batches.join_next().await.is_some() {}
        let attempts = shared.2.count();
        // 64 batches that try for themselves with growing pauses would be at about 600.
        assert!(attempts < 64 + 80, "{attempts} attempts");
    }
}
