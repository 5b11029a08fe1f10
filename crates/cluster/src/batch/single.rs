//! Writing rows one by one, for servers that take no batches.

use std::time::Duration;

use asbackup_codec::wire::{BatchAnswer, ResultCode, decode_batch_answer, encode_row_alone};
use tokio::time::{Instant, timeout_at};

use super::{Batch, IN_DOUBT, RowResult, WriteDeadlines, seconds_left};
use crate::pool::Pooled;
use crate::{Error, ErrorKind, Node};

impl Node {
    /// Makes one attempt to write the rows of a batch as [`Self::write_batch`] does, but each by a request of its own, one
    /// after another on one connection. The deadlines are those of each request.
    ///
    /// # Errors
    /// If a request or its answer didn't get through. That row is in doubt then, and those behind it weren't sent.
    ///
    /// # Cancel safety
    /// The row that is under way may have been written when this is dropped.
    pub async fn write_one_by_one(
        &self,
        batch: &mut Batch,
        deadlines: &WriteDeadlines,
        now_unix_s: u64,
    ) -> Result<(), Error> {
        batch.forget_answers();
        if batch.is_empty() {
            return Ok(());
        }
        let mut pooled = self.connection().await?;
        let (mut request, mut row_start) = (Vec::new(), batch.head_bytes);
        for index in 0..batch.rows.len() {
            let row = batch.rows[index];
            let bytes = &batch.frame[row_start..row_start + row.bytes];
            row_start += row.bytes;
            request.clear();
            let ttl = seconds_left(row.void_time, now_unix_s);
            encode_row_alone(&mut request, bytes, ttl, deadlines.server_timeout_ms());
            batch.results[index] = IN_DOUBT;
            let answer = batch.exchange(&mut pooled, &request, deadlines).await;
            let code = answer.map_err(|error| error.at(self.name()))?;
            batch.results[index] = RowResult::Answered(code);
        }
        pooled.give_back();
        Ok(())
    }
}

impl Batch {
    /// Sends the request of one row and reads its answer.
    async fn exchange(
        &mut self,
        pooled: &mut Pooled,
        request: &[u8],
        deadlines: &WriteDeadlines,
    ) -> Result<ResultCode, Error> {
        let WriteDeadlines { socket_timeout, total_timeout } = *deadlines;
        let deadline = Instant::now() + total_timeout;
        let exchange = async {
            pooled.connection.send(request, socket_timeout).await?;
            self.read_single_answer(pooled, socket_timeout).await
        };
        if total_timeout.is_zero() {
            return exchange.await;
        }
        timeout_at(deadline, exchange).await.unwrap_or_else(|_| {
            let what = format!("write not answered within {total_timeout:?}");
            Err(Error::new(ErrorKind::Timeout, what))
        })
    }

    async fn read_single_answer(
        &mut self,
        pooled: &mut Pooled,
        longest: Duration,
    ) -> Result<ResultCode, Error> {
        self.inbox.clear();
        loop {
            self.inbox.fill(&mut pooled.connection, longest).await?;
            let code = match self.inbox.message(decode_batch_answer)? {
                None => continue,
                // One request has one answer, whether or not it is marked as the last.
                Some(BatchAnswer::Row(row)) => row.result,
                Some(BatchAnswer::Last(code)) => code,
            };
            if !self.inbox.is_finished() {
                return Err(Error::new(ErrorKind::Damaged, "more than one answer to a write"));
            }
            return Ok(code);
        }
    }
}
