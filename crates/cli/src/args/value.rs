//! Values of flags that have a form of their own.

use std::{fmt, num::NonZeroUsize, time::Duration};

/// The namespace of a backup, and the one that is written into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) source: String,
    pub(crate) target: String,
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.source, self.target)
    }
}

/// Parses `SOURCE[,TARGET]`; one name is both.
pub(super) fn namespaces(text: &str) -> Result<Namespaces, String> {
    let names: Vec<&str> = text.split(',').collect();
    let (source, target) = match names.as_slice() {
        [one] => (one, one),
        [source, target] => (source, target),
        _ => return Err(format!("{} names, but at most two are allowed: SOURCE,TARGET", names.len())),
    };
    if source.is_empty() || target.is_empty() {
        return Err("a name is empty".to_owned());
    }
    Ok(Namespaces { source: (*source).to_owned(), target: (*target).to_owned() })
}

/// Parses a deadline. 0 is refused, since it would mean none, and no wait goes without one.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    parse_milliseconds(text, 1)
}

/// Parses a pause, of which there may be none, or a deadline with a meaning for 0.
pub(super) fn pause_milliseconds(text: &str) -> Result<Duration, String> {
    parse_milliseconds(text, 0)
}

/// The largest is what the protocol can say. Source: docs/format/wire.md, "Message".
fn parse_milliseconds(text: &str, least: u32) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(ms) if ms >= least => Ok(Duration::from_millis(u64::from(ms))),
        _ => Err(format!("must be a number of milliseconds from {least} to {}", u32::MAX)),
    }
}

/// Parses a pause as the C tool takes it.
pub(super) fn microseconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<u32>().map(|us| Duration::from_micros(u64::from(us)));
    number.map_err(|_| format!("must be a number of microseconds from 0 to {}", u32::MAX))
}

/// Parses a limit of batches.
pub(super) fn batch_limit(text: &str) -> Result<NonZeroUsize, String> {
    let limit = text.parse::<u16>().ok().map(usize::from).and_then(NonZeroUsize::new);
    limit.ok_or_else(|| format!("must be a number from 1 to {}", u16::MAX))
}

/// Parses the growth of pauses.
pub(super) fn multiplier(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err("must be a number from 1 to 100".to_owned()),
    }
}
