//! Writing rows: one attempt, and what became of each row.

mod single;

use std::time::Duration;

use asbackup_codec::wire::{
    BatchAnswer, ResultCode, begin_batch, decode_batch_answer, end_batch, patch_row, ttl,
};
use asbackup_model::VoidTime;
use tokio::time::{Instant, timeout_at};

use crate::inbox::Inbox;
use crate::pool::Pooled;
use crate::{Error, ErrorKind, Node};

/// The rows of one request to one node. Rows stay until they are dropped, so that they can be sent again.
#[derive(Debug)]
pub struct Batch {
    /// A request as it is sent; index and TTL of its rows are filled in then.
    frame: Vec<u8>,
    /// How much of the frame comes before the first row.
    head_bytes: usize,
    rows: Vec<Row>,
    results: Vec<RowResult>,
    inbox: Inbox,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    bytes: usize,
    void_time: VoidTime,
    origin: u32,
    /// Whether an earlier attempt may have written it.
    in_doubt: bool,
}

/// A row of a batch and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct RowInBatch<'a> {
    /// As [`encode_row`](asbackup_codec::wire::encode_row) made it.
    pub bytes: &'a [u8],
    /// When the record expires.
    pub void_time: VoidTime,
    /// What its owner knows it by: carried along and never looked at.
    pub origin: u32,
    /// What became of it in the last attempt.
    pub result: RowResult,
    /// Whether an attempt may have written it, this one or an earlier one: it was sent and had no answer. A later answer
    /// that isn't final leaves it as it is.
    pub in_doubt: bool,
}

/// Room for the answers to 700 rows, which is more than most batches have; there may be many batches.
const ANSWER_BYTES: usize = 16 * 1024;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowResult {
    /// The server answered with this code.
    Answered(ResultCode),
    /// It didn't answer.
    Unanswered {
        /// Whether this attempt may have written the row.
        in_doubt: bool,
    },
}

const IN_DOUBT: RowResult = RowResult::Unanswered { in_doubt: true };
const NOT_SENT: RowResult = RowResult::Unanswered { in_doubt: false };

/// How long a write may take.
#[derive(Debug, Clone, Copy)]
pub struct WriteDeadlines {
    /// Longest wait for the next bytes; zero for ten minutes.
    pub socket_timeout: Duration,
    /// Longest time for all of it, which the server is told too; zero for no bound.
    pub total_timeout: Duration,
}

impl WriteDeadlines {
    /// Returns how long the server may work on a request.
    fn server_timeout_ms(&self) -> u32 {
        let longest = if self.total_timeout.is_zero() { self.socket_timeout } else { self.total_timeout };
        u32::try_from(longest.as_millis()).unwrap_or(u32::MAX)
    }
}

impl Batch {
    /// Returns a batch without rows.
    #[must_use]
    pub fn new() -> Self {
        let mut frame = Vec::new();
        begin_batch(&mut frame, 0);
        let head_bytes = frame.len();
        let inbox = Inbox::new(ANSWER_BYTES);
        Self { frame, head_bytes, rows: Vec::new(), results: Vec::new(), inbox }
    }

    /// Adds a row as [`encode_row`](asbackup_codec::wire::encode_row) made it.
    /// `origin` is what the caller knows it by.
    pub fn push(&mut self, row: &[u8], void_time: VoidTime, origin: u32) {
        self.push_again(RowInBatch { bytes: row, void_time, origin, result: NOT_SENT, in_doubt: false });
    }

    /// Adds a row that an earlier attempt left. Its result is forgotten, but not a doubt.
    pub fn push_again(&mut self, row: RowInBatch<'_>) {
        let RowInBatch { bytes, void_time, origin, result: _, in_doubt } = row;
        self.frame.extend_from_slice(bytes);
        self.rows.push(Row { bytes: bytes.len(), void_time, origin, in_doubt });
        self.results.push(NOT_SENT);
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns how much memory the rows take or have taken: it stays when they are dropped.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.frame.capacity()
    }

    /// Returns how many bytes a request with these rows has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frame.len()
    }

    /// Drops all rows but keeps the memory.
    pub fn clear(&mut self) {
        self.frame.truncate(self.head_bytes);
        self.rows.clear();
        self.results.clear();
    }

    /// Drops all rows and frees what of their memory is beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.clear();
        self.frame.shrink_to(bytes);
    }

    /// Returns each row with what became of it, in the order in which they were added.
    pub fn rows(&self) -> impl Iterator<Item = RowInBatch<'_>> {
        let mut rest = &self.frame[self.head_bytes..];
        self.rows.iter().zip(&self.results).map(move |(row, &result)| {
            let (bytes, behind) = rest.split_at(row.bytes);
            rest = behind;
            let in_doubt = row.in_doubt || result == IN_DOUBT;
            RowInBatch { bytes, void_time: row.void_time, origin: row.origin, result, in_doubt }
        })
    }

    /// Returns what became of each row, in the order in which they were added.
    #[must_use]
    pub fn results(&self) -> &[RowResult] {
        &self.results
    }

    /// Keeps the rows for which `keep` says so, given their place and result, and drops the others.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, RowResult) -> bool) {
        let (mut from, mut to, mut kept) = (self.head_bytes, self.head_bytes, 0);
        for index in 0..self.rows.len() {
            let (row, result) = (self.rows[index], self.results[index]);
            if keep(index, result) {
                self.frame.copy_within(from..from + row.bytes, to);
                (self.rows[kept], self.results[kept]) = (row, result);
                to += row.bytes;
                kept += 1;
            }
            from += row.bytes;
        }
        self.frame.truncate(to);
        self.rows.truncate(kept);
        self.results.truncate(kept);
    }

    /// Makes the frame ready to be sent.
    fn finish(&mut self, timeout_ms: u32, now_unix_s: u64) {
        let mut head = Vec::with_capacity(self.head_bytes);
        begin_batch(&mut head, timeout_ms);
        let (place, mut rest) = self.frame.split_at_mut(self.head_bytes);
        place.copy_from_slice(&head);
        for (index, row) in (0_u32..).zip(&self.rows) {
            let (bytes, behind) = rest.split_at_mut(row.bytes);
            patch_row(bytes, index, seconds_left(row.void_time, now_unix_s));
            rest = behind;
        }
        let rows = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        end_batch(&mut self.frame, 0, rows);
        self.forget_answers();
    }

    /// Forgets all of the last attempt but its doubts.
    fn forget_answers(&mut self) {
        for (row, result) in self.rows.iter_mut().zip(&mut self.results) {
            row.in_doubt |= *result == IN_DOUBT;
            *result = NOT_SENT;
        }
    }

    /// Reads the answer up to its end.
    async fn read_answer(&mut self, pooled: &mut Pooled, longest: Duration) -> Result<(), Error> {
        self.inbox.clear();
        loop {
            self.inbox.fill(&mut pooled.connection, longest).await?;
            while let Some(answer) = self.inbox.message(decode_batch_answer)? {
                match answer {
                    BatchAnswer::Row(row) => {
                        let Some(result) = self.results.get_mut(row.index as usize) else {
                            let what = format!("answer to row {} of {}", row.index, self.rows.len());
                            return Err(Error::new(ErrorKind::Damaged, what));
                        };
                        *result = RowResult::Answered(row.result);
                    }
                    BatchAnswer::Last(result) => return self.end(result),
                }
            }
        }
    }

    /// The answer is over: a code other than 0 is that of all rows without one of their own.
    fn end(&mut self, result: ResultCode) -> Result<(), Error> {
        let unanswered =
            || self.results.iter().filter(|result| matches!(result, RowResult::Unanswered { .. })).count();
        if result == ResultCode::OK && unanswered() > 0 {
            let what = format!("{} of {} rows without an answer", unanswered(), self.rows.len());
            return Err(Error::new(ErrorKind::Damaged, what));
        }
        for row in self.results.iter_mut().filter(|row| matches!(row, RowResult::Unanswered { .. })) {
            *row = RowResult::Answered(result);
        }
        Ok(())
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// Makes one attempt to write the rows of a batch; [`Batch::results`] then says what became of each. A record
    /// expires after the seconds that are left of it at `now_unix_s`, and after one if none is left.
    ///
    /// # Errors
    /// If the request or its answer didn't get through. Rows that were answered before keep their answers.
    ///
    /// # Cancel safety
    /// Rows without an answer may have been written when this is dropped.
    pub async fn write_batch(
        &self,
        batch: &mut Batch,
        deadlines: &WriteDeadlines,
        now_unix_s: u64,
    ) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let WriteDeadlines { socket_timeout, total_timeout } = *deadlines;
        batch.finish(deadlines.server_timeout_ms(), now_unix_s);
        let mut pooled = self.connection().await?;
        batch.results.fill(IN_DOUBT);
        let exchange = async {
            pooled.connection.send(&batch.frame, socket_timeout).await?;
            batch.read_answer(&mut pooled, socket_timeout).await
        };
        let exchanged = if total_timeout.is_zero() {
            exchange.await
        } else {
            timeout_at(begun + total_timeout, exchange).await.unwrap_or_else(|_| {
                let what =
                    format!("batch of {} rows not answered within {total_timeout:?}", batch.rows.len());
                Err(Error::new(ErrorKind::Timeout, what))
            })
        };
        exchanged.map_err(|error| error.at(self.name()))?;
        if batch.inbox.is_finished() {
            pooled.give_back();
        }
        Ok(())
    }
}

/// Returns the TTL to send for a void time.
fn seconds_left(void_time: VoidTime, now_unix_s: u64) -> u32 {
    if void_time == VoidTime::NEVER {
        return ttl::NEVER;
    }
    let left = void_time.0.saturating_add(VoidTime::EPOCH_UNIX_SECONDS).saturating_sub(now_unix_s);
    // The two largest numbers mean something else; the server refuses this one, as it does all above ten years.
    u32::try_from(left).unwrap_or(u32::MAX).clamp(1, ttl::KEEP - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = VoidTime::EPOCH_UNIX_SECONDS + 1000;

    #[test]
    fn what_is_left_of_a_record_is_at_least_a_second() {
        for (void_time, expected) in
            [(0, ttl::NEVER), (1, 1), (1000, 1), (1001, 1), (1100, 100), (u64::MAX, ttl::KEEP - 1)]
        {
            assert_eq!(seconds_left(VoidTime(void_time), NOW), expected, "{void_time}");
        }
    }

    fn batch(rows: &[&[u8]]) -> Batch {
        let mut batch = Batch::new();
        rows.iter().for_each(|row| batch.push(row, VoidTime::NEVER, 0));
        batch
    }

    #[test]
    fn rows_that_are_kept_move_up() {
        let mut kept = batch(&[b"aa", b"", b"bbb", b"c"]);
        kept.results[2] = RowResult::Answered(ResultCode::TIMEOUT);
        kept.retain(|index, _| index != 0 && index != 3);
        assert_eq!(kept.frame, batch(&[b"", b"bbb"]).frame);
        assert_eq!(kept.results()[1], RowResult::Answered(ResultCode::TIMEOUT));
        kept.clear();
        assert_eq!((kept.len(), kept.bytes()), (0, Batch::new().bytes()));
        assert!(kept.is_empty());
    }

    #[test]
    fn doubt_outlasts_an_answer_that_is_not_final() {
        let mut first = batch(&[b"a", b"b"]);
        first.results[0] = IN_DOUBT;
        first.forget_answers();
        first.results.fill(RowResult::Answered(ResultCode::DEVICE_OVERLOAD));
        let mut again = Batch::new();
        first.rows().for_each(|row| again.push_again(row));
        assert_eq!(again.rows().map(|row| row.in_doubt).collect::<Vec<_>>(), [true, false]);
        assert_eq!(again.results(), [NOT_SENT; 2]);
    }

    #[test]
    fn a_code_for_the_whole_batch_is_that_of_each_row_without_an_answer() {
        let mut batch = batch(&[b"a", b"b"]);
        batch.results[0] = RowResult::Answered(ResultCode::OK);
        batch.end(ResultCode::BATCH_QUEUES_FULL).unwrap();
        assert_eq!(batch.results(), [ResultCode::OK, ResultCode::BATCH_QUEUES_FULL].map(RowResult::Answered));
    }

    #[test]
    fn an_answer_without_all_rows_is_damaged() {
        let error = batch(&[b"a", b"b"]).end(ResultCode::OK).unwrap_err();
        assert_eq!(error.to_string(), "2 of 2 rows without an answer");
        assert_eq!(error.kind(), ErrorKind::Damaged);
    }
}
