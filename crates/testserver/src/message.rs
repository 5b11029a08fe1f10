//! Answers to messages: single commands, batches, scans.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use asbackup_codec::wire::{
    BatchRows, FRAME_BYTES, FrameKind, Message, MessageHeader, QueryRequest, ResultCode, begin_frame,
    end_frame, field, info1, info2, info3,
};
use asbackup_model::{Digest, PartitionId};
use tokio::time::Instant;

use crate::connection::{Injected, Replies};
use crate::fault::Command;
use crate::node::Node;
use crate::query::{Portion, Scan};
use crate::topology::Ownership;
use crate::transact::Transactor;

/// A message and what it is.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    /// About one record.
    Single(Message<'a>, Digest),
    /// About many; with the data of the field that names them.
    Batch(&'a [u8]),
    /// A scan.
    Query(Message<'a>),
}

impl<'a> Request<'a> {
    pub(crate) fn new(message: &Message<'a>) -> Self {
        let digest = message.field(field::DIGEST).and_then(|data| data.try_into().ok());
        match (message.field(field::BATCH), digest) {
            (Some(rows), _) => Self::Batch(rows),
            (None, Some(digest)) => Self::Single(*message, Digest(digest)),
            (None, None) => Self::Query(*message),
        }
    }

    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Single(message, _) if message.header.info2 & (info2::WRITE | info2::DELETE) != 0 => {
                Command::Write
            }
            Self::Single(..) => Command::Read,
            Self::Batch(_) => Command::Batch,
            Self::Query(_) => Command::Query,
        }
    }
}

pub(crate) async fn answer(
    node: &Node,
    request: &Request<'_>,
    injected: &Injected,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    match (request, injected.error) {
        (Request::Single(..), Some(code)) => send_marker(code, 0, replies).await,
        (_, Some(code)) => send_marker(code, info3::LAST, replies).await,
        (Request::Single(_, digest), None) if !node.serves(digest.partition()) => {
            send_marker(ResultCode::UNAVAILABLE, 0, replies).await
        }
        (Request::Single(message, digest), None) => answer_single(node, *digest, message, replies).await,
        (Request::Batch(rows), None) => answer_batch(node, rows, injected.fail_rows, replies).await,
        (Request::Query(message), None) => answer_query(node, message, &injected.unavailable, replies).await,
    }
}

async fn answer_single(
    node: &Node,
    digest: Digest,
    message: &Message<'_>,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let mut out = Vec::new();
    let start = begin_frame(&mut out, FrameKind::Message);
    Transactor::new(&node.shared.store).answer(digest, message, 0, &mut out);
    end_frame(&mut out, start);
    replies.send(&mut out).await
}

/// Answers the rows in their order; a real server answers them as they get done.
async fn answer_batch(
    node: &Node,
    data: &[u8],
    fail_rows: Option<(u32, ResultCode)>,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let rows = match BatchRows::new(data) {
        Ok(rows) if rows.left() == 0 => {
            return send_marker(ResultCode::PARAMETER, info3::LAST, replies).await;
        }
        Ok(rows) if rows.left() > MAX_BATCH_ROWS => {
            return send_marker(ResultCode::BATCH_TOO_LARGE, info3::LAST, replies).await;
        }
        Ok(rows) => rows,
        Err(_) => return send_marker(ResultCode::PARAMETER, info3::LAST, replies).await,
    };
    let (fail, fail_code) = fail_rows.unwrap_or((0, ResultCode::OK));
    let ownership = node.ownership();
    let mut transactor = Transactor::new(&node.shared.store);
    let mut out = Vec::new();
    let mut start = begin_frame(&mut out, FrameKind::Message);
    for (done, row) in (1_u32..).zip(rows) {
        let Ok(row) = row else {
            end_answer(&mut out, start, ResultCode::PARAMETER);
            return replies.send(&mut out).await;
        };
        if done <= fail {
            put_row_answer(&mut out, row.index, fail_code);
        } else if !ownership.serves(node.number, row.digest.partition()) {
            put_row_answer(&mut out, row.index, ResultCode::UNAVAILABLE);
        } else {
            transactor.answer(row.digest, &row.message, row.index, &mut out);
        }
        if out.len() >= node.shared.frame_bytes {
            end_frame(&mut out, start);
            replies.send(&mut out).await?;
            start = begin_frame(&mut out, FrameKind::Message);
        }
        if done % ROWS_A_STEP == 0 {
            tokio::task::yield_now().await;
        }
    }
    end_answer(&mut out, start, ResultCode::OK);
    replies.send(&mut out).await
}

/// Appends the answer to a row that wasn't done.
fn put_row_answer(out: &mut Vec<u8>, index: u32, result: ResultCode) {
    let header = MessageHeader { result, timeout_ms: index, ..MessageHeader::default() };
    out.extend_from_slice(&header.encode());
}

/// Ends the frame that began at `start`, or takes it back if it is empty, and appends one with the last message.
fn end_answer(out: &mut Vec<u8>, start: usize, result: ResultCode) {
    if out.len() > start + FRAME_BYTES {
        end_frame(out, start);
    } else {
        out.truncate(start);
    }
    put_marker_frame(out, result, info3::LAST);
}

async fn answer_query(
    node: &Node,
    message: &Message<'_>,
    unavailable: &[PartitionId],
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let Ok(request) = QueryRequest::decode(message) else {
        return send_marker(ResultCode::PARAMETER, info3::LAST, replies).await;
    };
    let has_other_fields = message.fields().any(|field| UNSUPPORTED_QUERY_FIELDS.contains(&field.kind));
    let shared = &node.shared;
    let mut scan = match Scan::new(&shared.store, &request) {
        Ok(scan) if !has_other_fields && message.header.info1 & info1::READ != 0 => scan,
        Ok(_) => return send_marker(ResultCode::UNSUPPORTED, info3::LAST, replies).await,
        Err(code) => return send_marker(code, info3::LAST, replies).await,
    };
    if request.socket_timeout_ms > 0 {
        replies.set_timeout(Duration::from_millis(u64::from(request.socket_timeout_ms)));
    }
    let mut pace = Pace::new(request.records_per_second);
    let mut out = Vec::new();
    let mut start = begin_frame(&mut out, FrameKind::Message);
    let mut ownership = node.ownership();
    let scans = |ownership: &Ownership, id| ownership.scans(node.number, id);
    put_unavailable(&mut out, scan.leave_out(|id| !scans(&ownership, id) || unavailable.contains(&id)));
    while !scan.is_finished() {
        let room = shared.frame_bytes.saturating_sub(out.len());
        let sent =
            scan.fill(&mut out, Portion { bytes: room, records: pace.portion() }, shared.store.clock.now());
        if out.len() < shared.frame_bytes && !(pace.is_limited() && sent > 0) {
            tokio::task::yield_now().await;
            continue;
        }
        end_frame(&mut out, start);
        replies.send(&mut out).await?;
        start = begin_frame(&mut out, FrameKind::Message);
        pace.wait(sent).await;
        let now = node.ownership();
        if !Arc::ptr_eq(&now, &ownership) {
            ownership = now;
            put_unavailable(&mut out, scan.leave_out(|id| !scans(&ownership, id)));
        }
    }
    end_answer(&mut out, start, ResultCode::OK);
    replies.send(&mut out).await
}

/// Reports partitions of a request that aren't here, or no more.
fn put_unavailable(out: &mut Vec<u8>, partitions: Vec<PartitionId>) {
    for id in partitions {
        put_marker(out, ResultCode::UNAVAILABLE, info3::PARTITION_DONE, u32::from(id.number()));
    }
}

/// Keeps a scan to its rate.
struct Pace {
    records_per_second: u64,
    started: Instant,
    sent: u64,
}

impl Pace {
    fn new(records_per_second: u32) -> Self {
        Self { records_per_second: u64::from(records_per_second), started: Instant::now(), sent: 0 }
    }

    /// Returns how many records may be sent at once.
    fn portion(&self) -> u64 {
        if self.is_limited() { self.records_per_second.div_ceil(PORTIONS_A_SECOND) } else { u64::MAX }
    }

    fn is_limited(&self) -> bool {
        self.records_per_second > 0
    }

    async fn wait(&mut self, sent: u64) {
        self.sent += sent;
        if let Some(due_ms) = (self.sent * 1000).checked_div(self.records_per_second) {
            tokio::time::sleep_until(self.started + Duration::from_millis(due_ms)).await;
        }
    }
}

/// Sends a frame with a message that has nothing but a header.
async fn send_marker(result: ResultCode, info3: u8, replies: &mut Replies<'_>) -> io::Result<()> {
    let mut out = Vec::new();
    put_marker_frame(&mut out, result, info3);
    replies.send(&mut out).await
}

fn put_marker_frame(out: &mut Vec<u8>, result: ResultCode, info3: u8) {
    let start = begin_frame(out, FrameKind::Message);
    put_marker(out, result, info3, 0);
    end_frame(out, start);
}

fn put_marker(out: &mut Vec<u8>, result: ResultCode, info3: u8, generation: u32) {
    let header = MessageHeader { info3, result, generation, ..MessageHeader::default() };
    out.extend_from_slice(&header.encode());
}

/// The server's default for `batch-max-requests`.
const MAX_BATCH_ROWS: u32 = 5000;
/// So that a long batch lets others have the thread.
const ROWS_A_STEP: u32 = 256;
const PORTIONS_A_SECOND: u64 = 20;
/// Secondary index queries (21 to 26) and UDFs (30 to 33). Source: docs/format/wire.md, "Field".
const UNSUPPORTED_QUERY_FIELDS: [u8; 10] = [21, 22, 23, 24, 25, 26, 30, 31, 32, 33];
