//! How far each partition of a query is.

use asbackup_model::{Digest, PartitionId};

/// The partitions from the first that is read to the last, by number: a job may have hundreds of queries, each for a few.
#[derive(Debug)]
pub(super) struct Cursors {
    first: usize,
    cursors: Vec<Cursor>,
}

/// How far one partition is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    pub(super) state: State,
    /// The last record that was handed downstream.
    pub(super) last: Option<Digest>,
    pub(super) reader: Reader,
}

/// Who is asked for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reader {
    /// Whoever the spec names, or the owner.
    #[default]
    Chosen,
    /// The owner: another one has failed.
    Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    NotAsked,
    Open,
    /// Part of the request that is being answered.
    Reading,
    Done,
}

impl Cursor {
    /// Returns whether its records are expected.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.state, State::Open | State::Reading)
    }

    /// Leaves it to a later request, to its owner.
    fn give_up(&mut self) {
        (self.state, self.reader) = (State::Open, Reader::Owner);
    }
}

impl Cursors {
    pub(super) fn new(partitions: &[PartitionId]) -> Self {
        let numbers = || partitions.iter().map(|partition| partition.index());
        let (first, end) = (numbers().min().unwrap_or(0), numbers().max().map_or(0, |last| last + 1));
        let mut cursors = vec![Cursor::default(); end - first];
        numbers().for_each(|number| cursors[number - first].state = State::Open);
        Self { first, cursors }
    }

    pub(super) fn get(&self, partition: PartitionId) -> Option<&Cursor> {
        self.cursors.get(partition.index().checked_sub(self.first)?)
    }

    pub(super) fn get_mut(&mut self, partition: PartitionId) -> Option<&mut Cursor> {
        self.cursors.get_mut(partition.index().checked_sub(self.first)?)
    }

    pub(super) fn state(&self, partition: PartitionId) -> State {
        self.get(partition).map_or(State::NotAsked, |cursor| cursor.state)
    }

    /// Returns the partitions that are still to be asked for, in ascending order.
    pub(super) fn open(&self) -> impl Iterator<Item = PartitionId> {
        PartitionId::all()
            .skip(self.first)
            .take(self.cursors.len())
            .filter(|&id| self.state(id) == State::Open)
    }

    pub(super) fn are_done(&self) -> bool {
        !self.cursors.iter().any(Cursor::is_asked)
    }

    /// Returns whether any is part of the request that is being answered.
    pub(super) fn are_read(&self) -> bool {
        self.cursors.iter().any(|cursor| cursor.state == State::Reading)
    }

    /// These are asked for.
    pub(super) fn begin(&mut self, asked: &[PartitionId]) {
        for &partition in asked {
            if let Some(cursor) = self.get_mut(partition) {
                cursor.state = State::Reading;
            }
        }
    }

    /// The answer is over.
    pub(super) fn end(&mut self, state: State) {
        self.reading().for_each(|cursor| cursor.state = state);
    }

    /// One isn't going to come with this answer. Returns whether it was part of the request.
    pub(super) fn give_up(&mut self, partition: PartitionId) -> bool {
        let cursor = self.get_mut(partition).filter(|cursor| cursor.state == State::Reading);
        cursor.map(Cursor::give_up).is_some()
    }

    /// None is going to come with this answer.
    pub(super) fn give_up_all(&mut self) {
        self.reading().for_each(Cursor::give_up);
    }

    fn reading(&mut self) -> impl Iterator<Item = &mut Cursor> {
        self.cursors.iter_mut().filter(|cursor| cursor.state == State::Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u16) -> PartitionId {
        PartitionId::new(number).unwrap()
    }

    #[test]
    fn memory_is_for_the_partitions_between_first_and_last() {
        let cursors = Cursors::new(&[partition(4000), partition(4010)]);
        assert_eq!(cursors.cursors.len(), 11);
        assert_eq!(cursors.open().collect::<Vec<_>>(), [partition(4000), partition(4010)]);
        assert_eq!(cursors.state(partition(4005)), State::NotAsked);
        assert!(cursors.get(partition(3999)).is_none() && cursors.get(partition(4011)).is_none());
        assert!(Cursors::new(&[]).are_done());
    }
}
