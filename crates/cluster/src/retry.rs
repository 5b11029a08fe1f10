//! Growing pauses. Plain functions: the clock and the randomness belong to the caller.

use std::time::Duration;

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(10);

/// Returns the pause before the retry of that number, from 1: `first`, doubled each time up to ten seconds, and up to a
/// tenth less or more as `random` (0 to 1) says, so that streams that failed together don't come back together.
pub(crate) fn pause(first: Duration, retry: u32, random: f64) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST).mul_f64(0.9 + 0.2 * random)
}

/// Returns the pause before the retry of that number, from 1: `first`, grown by `multiplier` each time up to ten seconds,
/// and varied like [`pause`].
pub(crate) fn growing_pause(first: Duration, multiplier: f64, retry: u32, random: f64) -> Duration {
    let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = first.as_secs_f64() * multiplier.powi(exponent);
    // What is no duration any more is longer than the longest.
    let grown = Duration::try_from_secs_f64(grown).unwrap_or(LONGEST);
    grown.min(LONGEST).mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        let first = Duration::from_millis(100);
        let pauses: Vec<_> = (1..=9).map(|retry| pause(first, retry, 0.5).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(pause(first, 4_000_000, 0.5), LONGEST);
        assert_eq!(pause(Duration::ZERO, 5, 0.5), Duration::ZERO);
    }

    #[test]
    fn pauses_grow_by_what_was_asked_for() {
        let pauses = |multiplier| {
            let first = Duration::from_millis(100);
            [1, 2, 3, 4_000_000].map(|retry| growing_pause(first, multiplier, retry, 0.5).as_millis())
        };
        assert_eq!(pauses(1.0), [100, 100, 100, 100]);
        assert_eq!(pauses(3.0), [100, 300, 900, 10_000]);
        assert_eq!(growing_pause(Duration::ZERO, 2.0, 9, 0.5), Duration::ZERO);
    }

    #[test]
    fn pauses_vary_by_a_tenth() {
        let first = Duration::from_secs(1);
        assert_eq!(pause(first, 1, 0.0), Duration::from_millis(900));
        assert_eq!(pause(first, 1, 1.0), Duration::from_millis(1100));
    }
}
