//! A set of partitions, and the text form in which manifests name it.

use std::{fmt, ops::BitOrAssign, str::FromStr};

use crate::{PARTITIONS, PartitionId};

/// A set of partitions: one bit for each, so that a record costs no more than setting it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PartitionSet([u64; WORDS]);

const WORDS: usize = PARTITIONS as usize / 64;

impl PartitionSet {
    /// The set of none.
    pub const EMPTY: Self = Self([0; WORDS]);
    /// The set of all.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// Adds a partition.
    pub fn insert(&mut self, partition: PartitionId) {
        self.0[partition.index() / 64] |= 1 << (partition.index() % 64);
    }

    /// Returns whether a partition is in it.
    #[must_use]
    pub fn contains(&self, partition: PartitionId) -> bool {
        self.0[partition.index() / 64] & (1 << (partition.index() % 64)) != 0
    }

    /// Returns whether all partitions of `other` are in it.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(own, other)| other & !own == 0)
    }

    /// Returns the partitions in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = PartitionId> {
        PartitionId::all().filter(|&partition| self.contains(partition))
    }
}

impl Default for PartitionSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl BitOrAssign for PartitionSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
    }
}

impl FromIterator<PartitionId> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = PartitionId>>(partitions: I) -> Self {
        let mut set = Self::EMPTY;
        partitions.into_iter().for_each(|partition| set.insert(partition));
        set
    }
}

/// Runs `first..last`, both included, and single numbers, joined by commas. Source: docs/format/manifest.md,
/// "Partition lists".
impl fmt::Display for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut partitions = self.iter().map(PartitionId::number).peekable();
        let mut separator = "";
        while let Some(first) = partitions.next() {
            let mut last = first;
            while partitions.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            match first == last {
                true => write!(f, "{separator}{first}")?,
                false => write!(f, "{separator}{first}..{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionSet({self})")
    }
}

/// A text that is no list of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPartitions;

impl fmt::Display for NotPartitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a list of partitions such as 0..99,4095")
    }
}

impl std::error::Error for NotPartitions {}

impl FromStr for PartitionSet {
    type Err = NotPartitions;

    fn from_str(text: &str) -> Result<Self, NotPartitions> {
        let mut set = Self::EMPTY;
        for run in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = run.split_once("..").unwrap_or((run, run));
            let (first, last) = (partition(first)?, partition(last)?);
            if first > last {
                return Err(NotPartitions);
            }
            PartitionId::all()
                .skip(first.index())
                .take_while(|&partition| partition <= last)
                .for_each(|partition| set.insert(partition));
        }
        Ok(set)
    }
}

fn partition(text: &str) -> Result<PartitionId, NotPartitions> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).and_then(PartitionId::new).ok_or(NotPartitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_set_are_the_same() {
        for text in ["", "0..4095", "0", "4095", "0..1", "0..99,101,4000..4095"] {
            let set: PartitionSet = text.parse().unwrap();
            assert_eq!(set.to_string(), text);
        }
        assert_eq!("0..4095".parse(), Ok(PartitionSet::ALL));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [",", "0,", "4096", "5..4", "-1", "+1", "0..", "..3", "0...3", "0-3", "a", " 0"] {
            assert_eq!(text.parse::<PartitionSet>(), Err(NotPartitions), "{text:?}");
        }
    }

    #[test]
    fn sets_are_joined_and_compared() {
        let (mut low, high): (PartitionSet, PartitionSet) =
            ("0..2047".parse().unwrap(), "2048..4095".parse().unwrap());
        assert!(!low.is_superset(&high) && low.is_superset(&PartitionSet::EMPTY));
        low |= high;
        assert_eq!(low, PartitionId::all().collect());
        assert!(low.is_superset(&high) && low.contains(PartitionId::new(4095).unwrap()));
    }
}
