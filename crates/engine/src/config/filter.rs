//! Which records a backup reads, by what the server knows of each.

use std::{fmt, str::FromStr, time::SystemTime};

use asbackup_codec::wire::Expression;
use jiff::Timestamp;

/// Bounds of the time of a record's last update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modified {
    after: Option<SystemTime>,
    before: Option<SystemTime>,
}

impl Modified {
    /// Returns these bounds: records that were updated at `after` or later, and earlier than `before`.
    ///
    /// # Errors
    /// If no time lies between them.
    pub fn new(after: Option<SystemTime>, before: Option<SystemTime>) -> Result<Self, NoTimeBetween> {
        match (after, before) {
            (Some(after), Some(before)) if after >= before => Err(NoTimeBetween),
            _ => Ok(Self { after, before }),
        }
    }

    /// Returns the lower bound, which is included.
    #[must_use]
    pub fn after(&self) -> Option<SystemTime> {
        self.after
    }

    /// Returns both bounds in RFC 3339, UTC, with all digits that they have.
    pub(crate) fn rfc3339(&self) -> [Option<String>; 2] {
        [self.after.map(rfc3339), self.before.map(rfc3339)]
    }

    /// Returns the upper bound, which isn't included.
    #[must_use]
    pub fn before(&self) -> Option<SystemTime> {
        self.before
    }
}

/// Returns a time in RFC 3339, UTC, with all digits that it has.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // The calendar ends in the year 9999.
    Timestamp::try_from(time).map_or_else(|_| format!("{time:?}"), |time| time.to_string())
}

/// A lower bound that isn't below the upper one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no time lies between modified-after and modified-before: the second must be later than the first")]
pub struct NoTimeBetween;

/// Whether records that expire are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// All records are.
    Any,
    /// Only those that never expire.
    Unlimited,
}

/// A condition in the server's own language, which each record must meet. As text: base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterExpression(Expression);

impl FilterExpression {
    pub(crate) fn expression(&self) -> &Expression {
        &self.0
    }
}

impl FromStr for FilterExpression {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Self, NoFilter> {
        let bytes = base64_simd::STANDARD.decode_to_vec(text).map_err(|_| NoFilter::NotBase64)?;
        Expression::given(&bytes).map(Self).ok_or(NoFilter::NotOneValue { bytes: bytes.len() })
    }
}

impl fmt::Display for FilterExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::STANDARD.encode_to_string(self.0.as_bytes()))
    }
}

/// What is wrong with a filter expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFilter {
    /// It is no base64.
    #[error("the filter expression is no base64")]
    NotBase64,
    /// It isn't one whole value of MessagePack.
    #[error(
        "the filter expression is base64 of {bytes} bytes, but not of one whole expression (MessagePack)"
    )]
    NotOneValue {
        /// Its bytes.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn filters_are_base64_of_one_value() {
        let filter: FilterExpression = "kwOTUQKjYWdlQA==".parse().unwrap();
        assert_eq!(filter.to_string(), "kwOTUQKjYWdlQA==");
        for (text, expected) in [
            ("kwOTUQKjYWdlQA", NoFilter::NotBase64),
            ("what?", NoFilter::NotBase64),
            ("", NoFilter::NotOneValue { bytes: 0 }),
            ("kwOTUQKjYWdl", NoFilter::NotOneValue { bytes: 9 }),
            ("kwOTUQKjYWdlQAE=", NoFilter::NotOneValue { bytes: 11 }),
        ] {
            assert_eq!(text.parse::<FilterExpression>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn some_time_lies_between_the_bounds() {
        let at = |s| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(s));
        assert!(Modified::new(at(1), at(2)).is_ok() && Modified::new(at(2), None).is_ok());
        assert_eq!(Modified::new(at(2), at(2)), Err(NoTimeBetween));
        assert_eq!(Modified::new(at(3), at(2)), Err(NoTimeBetween));
    }
}
