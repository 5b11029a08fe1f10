//! Checked reads over a byte slice: the one place of the wire codec that does offset arithmetic.

use crate::wire::Rule;

/// Reads a message front to back. Nothing beyond `limit` is ever asked for.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
    limit: usize,
}

/// Why a decoder can't go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This many further bytes are needed at least.
    Need(usize),
    /// A rule is broken by what lies at this offset.
    Damaged {
        /// The rule.
        rule: Rule,
        /// Offset in the input.
        at: usize,
    },
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `input`, which must not turn out longer than `limit` bytes.
    pub(crate) fn new(input: &'a [u8], limit: usize) -> Self {
        Self { rest: input, at: 0, limit }
    }

    /// Returns the offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns the next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        if count > self.limit - self.at {
            return Err(self.damaged(Rule::MessageBytes));
        }
        let Some((front, rest)) = self.rest.split_at_checked(count) else {
            return Err(Stop::Need(count - self.rest.len()));
        };
        self.rest = rest;
        self.at += count;
        Ok(front)
    }

    /// Returns the next `N` bytes as an array.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self.take(N)?;
        bytes.first_chunk().copied().ok_or(Stop::Need(N))
    }

    /// Returns the error for a rule that is broken by what was read last.
    #[cold]
    pub(crate) fn damaged(&self, rule: Rule) -> Stop {
        Stop::Damaged { rule, at: self.at }
    }
}
