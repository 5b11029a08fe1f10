//! One of several equal shares of a backup.

use std::{fmt, str::FromStr};

use asbackup_model::{PARTITIONS, PartitionSet};

/// One of several equal shares of a backup, counted from 1. As text: `2/3`.
///
/// ```
/// use asbackup::Shard;
///
/// let shard: Shard = "2/3".parse()?;
/// assert_eq!(shard, Shard::new(2, 3)?);
/// # Ok::<(), asbackup::ShardError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u16,
    of: u16,
}

impl Shard {
    /// Returns share `index` of `of`: from 1, and of 4096 at most.
    ///
    /// # Errors
    /// If there is no such share.
    pub fn new(index: u16, of: u16) -> Result<Self, ShardError> {
        match (1..=PARTITIONS).contains(&of) && (1..=of).contains(&index) {
            true => Ok(Self { index, of }),
            false => Err(ShardError { given: format!("{index}/{of}") }),
        }
    }

    /// Returns which of the shares it is, from 1.
    #[must_use]
    pub fn index(self) -> u16 {
        self.index
    }

    /// Returns how many shares there are.
    #[must_use]
    pub fn of(self) -> u16 {
        self.of
    }

    /// Returns whether it is the first one, which takes what can't be shared out.
    pub(crate) fn is_first(self) -> bool {
        self.index == 1
    }

    /// Returns all shares of that count.
    pub(crate) fn all(of: u16) -> impl Iterator<Item = Self> {
        (1..=of).map(move |index| Self { index, of })
    }

    /// Returns its part of these partitions: a run of them, and no other share's is longer by more than one.
    pub(crate) fn part_of(self, partitions: &PartitionSet) -> PartitionSet {
        let all: Vec<_> = partitions.iter().collect();
        let end_of = |share: u16| usize::from(share) * all.len() / usize::from(self.of);
        all[end_of(self.index - 1)..end_of(self.index)].iter().copied().collect()
    }

    /// Returns whether a file with that number is one of its files: those of a share have every N-th number.
    pub(crate) fn has_number(self, number: u64) -> bool {
        number > 0 && (number - 1) % u64::from(self.of) + 1 == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError { given: text.to_owned() };
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |digits: &str| {
            let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_plain).ok_or_else(wrong)
        };
        Self::new(number(index)?, number(of)?).map_err(|_| wrong())
    }
}

/// What is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no share: a share is I/N, such as 2/3, with I from 1 to N, and N up to {PARTITIONS}")]
#[non_exhaustive]
pub struct ShardError {
    /// What was given.
    pub given: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_share_are_the_same() {
        for text in ["1/1", "2/3", "4096/4096"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in ["", "1", "/", "1/", "/2", "0/2", "3/2", "1/0", "1/4097", "+1/2", "1/2/3", " 1/2", "a/b"]
        {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.given, text);
        }
        let error = Shard::new(3, 2).unwrap_err().to_string();
        assert_eq!(
            error,
            r#""3/2" is no share: a share is I/N, such as 2/3, with I from 1 to N, and N up to 4096"#
        );
    }

    #[test]
    fn shares_are_equal_and_make_the_whole() {
        for partitions in ["0..4095", "0..9", "5,7,4000..4095"] {
            let whole: PartitionSet = partitions.parse().unwrap();
            let count = whole.iter().count();
            for of in [1, 2, 3, 7, 10] {
                let mut seen = Vec::new();
                for share in Shard::all(of) {
                    let part: Vec<_> = share.part_of(&whole).iter().collect();
                    let least = count / usize::from(of);
                    assert!((least..=least + 1).contains(&part.len()), "{share} of {partitions}");
                    seen.extend(part);
                }
                assert_eq!(seen, whole.iter().collect::<Vec<_>>(), "{of} shares of {partitions}");
            }
        }
    }

    #[test]
    fn each_number_is_that_of_one_share() {
        for number in 1..100 {
            let shares: Vec<_> = Shard::all(7).filter(|share| share.has_number(number)).collect();
            assert_eq!(shares.len(), 1, "{number}");
        }
        assert!(Shard::new(2, 3).unwrap().has_number(5));
        assert!(!Shard::all(3).any(|share| share.has_number(0)), "no file of ours is 0");
    }
}
