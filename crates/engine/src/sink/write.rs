//! Rows into a cluster, second half: a batch is written, and tried again row by row until each has its final answer.

use std::{sync::Arc, time::Duration};

use asbackup_cluster::{Batch, Node, ResultClass, RowInBatch, RowResult, class};
use asbackup_codec::wire::{ResultCode, row_digest};

use super::backoff::Turn;
use super::cluster::Writer;
use super::dead_letters::DeadLetter;
use super::refusal::{self, Verdict};
use crate::{
    Error, ErrorKind,
    config::Writes,
    progress::Counters,
    restore_state::{Answers, Ticket},
};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One batch on its way, until each of its rows has its final answer.
pub(super) struct Write {
    pub(super) writer: Arc<Writer>,
    pub(super) namespace: Vec<u8>,
    /// By the origin of its rows.
    pub(super) tickets: Vec<Arc<Ticket>>,
}

/// One batch per owner.
#[derive(Default)]
struct Dealt(Vec<(Option<Node>, Batch)>);

/// Final answers to rows one after another of the same origin, so that a ticket is looked at once for all of them.
struct Answered<'a> {
    tickets: &'a [Arc<Ticket>],
    counters: &'a Counters,
    origin: u32,
    answers: Answers,
}

/// Rows that have to be tried again, and why.
#[derive(Default)]
struct Left {
    rows: Batch,
    reason: &'static str,
    cause: Option<asbackup_cluster::Error>,
}

/// A row that ends the job.
struct Ending<'a> {
    verdict: Verdict,
    code: ResultCode,
    row: &'a [u8],
}

impl Write {
    pub(super) async fn run(self, owner: Option<Node>, batch: Batch) -> Result<(), Error> {
        let mut parts = Dealt(vec![(owner, batch)]);
        let mut pause = self.writer.retry.first_pause;
        let mut retries = 0;
        loop {
            let left = self.attempt_all(parts).await?;
            if left.rows.is_empty() {
                return Ok(());
            }
            if retries == self.writer.retry.max_retries {
                return Err(self.give_up(left));
            }
            retries += 1;
            self.writer.job.retry(left.reason, left.rows.len() as u64);
            // Up to a tenth less or more, so that batches that failed together don't come back together.
            let sleep = tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * fastrand::f64()));
            self.writer.job.or_cancelled(sleep).await?;
            pause = pause.mul_f64(self.writer.retry.multiplier).min(LONGEST_PAUSE);
            parts = self.deal_again(&left.rows).await?;
        }
    }

    async fn attempt_all(&self, parts: Dealt) -> Result<Left, Error> {
        let mut left = Left::default();
        for (owner, mut batch) in parts.0 {
            self.attempt(owner.as_ref(), &mut batch, &mut left).await?;
            self.writer.keep_batch(batch);
        }
        Ok(left)
    }

    /// Writes each row once, counts the final answers, and puts the other rows into `left`.
    async fn attempt(&self, owner: Option<&Node>, batch: &mut Batch, left: &mut Left) -> Result<(), Error> {
        let Some(node) = owner else {
            left.reason = "no_owner";
            batch.rows().for_each(|row| left.rows.push_again(row));
            return Ok(());
        };
        let turn = self.turn(batch.len()).await?;
        let now_unix_s = self.writer.clock.unix_s();
        let deadlines = &self.writer.deadlines;
        let write = async {
            match self.writer.writes {
                Writes::Batches(_) => node.write_batch(batch, deadlines, now_unix_s).await,
                Writes::Single { .. } => node.write_one_by_one(batch, deadlines, now_unix_s).await,
            }
        };
        // What is under way when the job is cancelled stays without a final answer.
        if let Err(error) = self.writer.job.or_cancelled(write).await? {
            left.reason = error.reason();
            left.cause = Some(error);
        }
        turn.end(batch.results());
        match self.settle(batch, left, node)? {
            None => Ok(()),
            Some(Ending { verdict, code, row }) => Err(refusal::error(verdict, code, row, node)),
        }
    }

    /// Waits until the limit of records and the server's load allow an attempt.
    async fn turn(&self, rows: usize) -> Result<Turn<'_>, Error> {
        let job = &self.writer.job;
        job.pace_records(rows as u64).await?;
        job.or_cancelled(self.writer.back_off.turn(|| job.throttled())).await
    }

    /// Counts the final answers of a batch. Returns the first row that ends the job, if one does.
    fn settle<'a>(
        &self,
        batch: &'a Batch,
        left: &mut Left,
        node: &Node,
    ) -> Result<Option<Ending<'a>>, Error> {
        let counters = &self.writer.job.counters;
        let mut judge = self.writer.refusals.judge();
        let (mut in_doubt_rows, mut ending) = (0, None);
        let mut answered =
            Answered { tickets: &self.tickets, counters, origin: 0, answers: Answers::default() };
        for row in batch.rows() {
            match row.result {
                RowResult::Answered(code) if class(code) == ResultClass::Outcome => {
                    judge.accepted();
                    let answers = answered.of(row.origin);
                    match code {
                        ResultCode::GENERATION => answers.fresher += 1,
                        ResultCode::EXISTS => answers.existed += 1,
                        _ => answers.inserted += 1,
                    }
                }
                RowResult::Answered(code) if class(code) == ResultClass::Transient => {
                    left.reason = code.name();
                    left.rows.push_again(row);
                }
                RowResult::Answered(code) => {
                    let verdict = judge.refused(code);
                    if verdict == Verdict::Failed {
                        counters.failed.add(code.name(), 1);
                    } else {
                        self.ignore(&row, code, node)?;
                    }
                    if verdict != Verdict::Ignored {
                        ending = ending.or(Some(Ending { verdict, code, row: row.bytes }));
                    }
                }
                RowResult::Unanswered { in_doubt } => {
                    in_doubt_rows += u64::from(in_doubt);
                    left.rows.push_again(row);
                }
            }
        }
        answered.end();
        counters.in_doubt_attempts.add(in_doubt_rows);
        Ok(ending)
    }

    /// Leaves out a row that was refused, and keeps its record if that is wanted.
    fn ignore(&self, row: &RowInBatch<'_>, code: ResultCode, node: &Node) -> Result<(), Error> {
        let ticket = &self.tickets[row.origin as usize];
        if let Some(dead_letters) = &self.writer.dead_letters {
            let digest = row_digest(row.bytes);
            let text = ticket.take_text(digest).ok_or_else(|| {
                Error::of(ErrorKind::Internal, format!("the text of refused record {digest} is lost")).build()
            })?;
            let namespace =
                self.writer.renamed_from.as_ref().map_or(&*self.namespace, |name| name.as_bytes());
            dead_letters.add(&DeadLetter { namespace, digest, text: &text, code, node: node.name() })?;
        }
        self.writer.job.counters.ignored.add(code.name(), 1);
        ticket.ignored(code.name());
        Ok(())
    }

    /// Deals rows anew, by a map of the partitions that was asked for again.
    async fn deal_again(&self, rows: &Batch) -> Result<Dealt, Error> {
        if let Err(error) = self.writer.job.or_cancelled(self.writer.cluster.refresh()).await? {
            // The rows are tried with the old map: if that fails too, their own error says more than this one.
            tracing::debug!(error = &error as &dyn std::error::Error, "cannot refresh the partition map");
        }
        let map = self.writer.cluster.partition_map(&self.namespace);
        let mut parts = Dealt::default();
        for row in rows.rows() {
            let owner = map.owner(row_digest(row.bytes).partition());
            parts.batch(owner, &self.writer).push_again(row);
        }
        Ok(parts)
    }

    fn give_up(&self, left: Left) -> Error {
        let counters = &self.writer.job.counters;
        counters.failed.add(left.reason, left.rows.len() as u64);
        counters.in_doubt_records.add(left.rows.rows().filter(|row| row.in_doubt).count() as u64);
        let retries = self.writer.retry.max_retries;
        let is_lost =
            left.cause.as_ref().is_some_and(|cause| cause.kind() == asbackup_cluster::ErrorKind::Connect);
        let kind = if is_lost { ErrorKind::Write } else { ErrorKind::Refused };
        let message = format!(
            "{} records have no final answer after {retries} retries ({})",
            left.rows.len(),
            left.reason
        );
        let error = Error::of(kind, message).hint(
            "restore once more when the cluster is well: records that are there already are left as they are",
        );
        match left.cause {
            Some(cause) => error.source(cause).build(),
            None => error.build(),
        }
    }
}

impl Dealt {
    fn batch(&mut self, owner: Option<&Node>, writer: &Writer) -> &mut Batch {
        let index = match self.0.iter().position(|(dealt, _)| dealt.as_ref() == owner) {
            Some(index) => index,
            None => {
                self.0.push((owner.cloned(), writer.spare_batch()));
                self.0.len() - 1
            }
        };
        &mut self.0[index].1
    }
}

impl Answered<'_> {
    /// Returns the answers to count a row of that origin in.
    fn of(&mut self, origin: u32) -> &mut Answers {
        if origin != self.origin {
            self.end();
            self.origin = origin;
        }
        &mut self.answers
    }

    /// Counts the answers, and hands them to their ticket.
    fn end(&mut self) {
        let answers = std::mem::take(&mut self.answers);
        if answers != Answers::default() {
            self.counters.inserted.add(answers.inserted);
            self.counters.existed.add(answers.existed);
            self.counters.fresher.add(answers.fresher);
            self.tickets[self.origin as usize].answered(answers);
        }
    }
}
