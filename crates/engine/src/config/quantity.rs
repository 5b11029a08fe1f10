//! Quantities with a unit or a range.

use std::fmt;

/// How many streams or files are worked on at once: 1 to 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parallelism(u16);

impl Parallelism {
    /// One at a time.
    pub const ONE: Self = Self(1);
    /// The most that is allowed. Source: the limit of absctl's `--parallel`.
    pub const MAX: Self = Self(1024);

    /// Returns that parallelism.
    ///
    /// # Errors
    /// If it isn't from 1 to 1024.
    pub fn new(count: usize) -> Result<Self, OutOfRange> {
        match u16::try_from(count) {
            Ok(count) if (1..=Self::MAX.0).contains(&count) => Ok(Self(count)),
            _ => Err(OutOfRange {
                what: "parallel",
                given: count as u64,
                least: 1,
                most: u64::from(Self::MAX.0),
            }),
        }
    }

    /// Returns the count.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Parallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Returns that many mebibytes (1,048,576 bytes each).
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }
}

/// A number outside of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {given}, but must be from {least} to {most}")]
#[non_exhaustive]
pub struct OutOfRange {
    /// What it counts.
    pub what: &'static str,
    /// The number.
    pub given: u64,
    /// The least that is allowed.
    pub least: u64,
    /// The most that is allowed.
    pub most: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallelism_is_from_1_to_1024() {
        assert_eq!(Parallelism::new(1024).unwrap(), Parallelism::MAX);
        for count in [0, 1025, 70_000] {
            let error = Parallelism::new(count).unwrap_err();
            assert_eq!(error.to_string(), format!("parallel is {count}, but must be from 1 to 1024"));
        }
    }
}
