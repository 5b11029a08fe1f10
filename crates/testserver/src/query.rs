//! Scans: which records are sent, and in which form. Source: docs/format/wire.md, "Scan".

use std::ops::Bound;

use asbackup_codec::wire::{Content, HEADER_BYTES, Op, QueryRequest, ResultCode, info1, op, put_op};
use asbackup_model::{Digest, PARTITIONS, PartitionId};

use crate::clock::Now;
use crate::filter::Filter;
use crate::namespace::{Namespace, Record};
use crate::store::Store;
use crate::stored::Stored;

/// A scan and how far it has come.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    namespace: &'a Namespace,
    set: Option<&'a [u8]>,
    bins: Vec<&'a [u8]>,
    content: Content,
    filter: Option<Filter>,
    /// What is left, the next one last.
    partitions: Vec<Part>,
    /// How many records may still be sent.
    pub(crate) left: u64,
}

/// A partition, to be read behind a record or from its start.
#[derive(Debug, Clone, Copy)]
struct Part {
    id: PartitionId,
    after: Option<Digest>,
}

/// How much one step of a scan may append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    /// No record is begun beyond this many bytes.
    pub(crate) bytes: usize,
    /// Most records.
    pub(crate) records: u64,
}

impl<'a> Scan<'a> {
    /// Starts a scan.
    ///
    /// # Errors
    /// With the code for the client if the request makes no sense here.
    pub(crate) fn new(store: &'a Store, request: &QueryRequest<'a>) -> Result<Self, ResultCode> {
        let namespace = store.namespace(request.namespace).ok_or(ResultCode::NAMESPACE)?;
        let partitions = parts(request)?;
        Ok(Self {
            namespace,
            set: request.set,
            bins: request.bins.clone(),
            content: request.content,
            filter: request.filter.map(Filter::parse).transpose()?,
            partitions,
            left: if request.max_records == 0 { u64::MAX } else { request.max_records },
        })
    }

    /// Drops the partitions that are left and for which `is_out` says so, and returns them, the lowest first.
    pub(crate) fn leave_out(&mut self, is_out: impl Fn(PartitionId) -> bool) -> Vec<PartitionId> {
        let out: Vec<PartitionId> =
            self.partitions.iter().rev().map(|part| part.id).filter(|&id| is_out(id)).collect();
        self.partitions.retain(|part| !is_out(part.id));
        out
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.partitions.is_empty() || self.left == 0
    }

    /// Appends the next records and returns how many they are. A partition is locked only while it is copied from.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, portion: Portion, now: Now) -> u64 {
        let end = out.len() + portion.bytes;
        let allowed = portion.records.min(self.left);
        let mut sent = 0;
        for _ in 0..PARTITIONS_A_STEP {
            let Some(part) = self.partitions.pop() else { break };
            if let Some(after) = self.fill_from(part, out, end, allowed, &mut sent, now) {
                self.partitions.push(Part { id: part.id, after: Some(after) });
                break;
            }
        }
        self.left -= sent;
        sent
    }

    /// Returns the last record that was looked at if the partition isn't finished.
    fn fill_from(
        &self,
        part: Part,
        out: &mut Vec<u8>,
        end: usize,
        allowed: u64,
        sent: &mut u64,
        now: Now,
    ) -> Option<Digest> {
        let partition = self.namespace.partition(part.id);
        let start = part.after.map_or(Bound::Unbounded, Bound::Excluded);
        let now_s = now.void_time_s();
        for (digest, record) in partition.range((start, Bound::Unbounded)) {
            if self.wants(record, now_s) && self.put(record, out) {
                *sent += 1;
            }
            if *sent >= allowed || out.len() >= end {
                return Some(*digest);
            }
        }
        None
    }

    fn wants(&self, record: &Record, now_s: u32) -> bool {
        let stored = Stored(&record.message);
        let name = self.namespace.name();
        !stored.is_expired(now_s)
            && (self.set.is_none() || stored.set(name) == self.set)
            && self.filter.as_ref().is_none_or(|filter| filter.keeps(name, record, now_s))
    }

    /// Appends a record. One that has none of the wanted bins isn't sent.
    fn put(&self, record: &Record, out: &mut Vec<u8>) -> bool {
        let stored = Stored(&record.message);
        if self.content == Content::Metadata {
            put_without_ops(out, stored, info1::NO_BIN_DATA, 0);
        } else if self.bins.is_empty() {
            out.extend_from_slice(&record.message);
        } else {
            return self.put_bins(stored, out);
        }
        true
    }

    fn put_bins(&self, stored: Stored<'_>, out: &mut Vec<u8>) -> bool {
        let message = stored.message();
        let bin = |name: &&[u8]| message.ops().find(|op| op.name == *name);
        let wanted: Vec<Op<'_>> = self.bins.iter().filter_map(bin).collect();
        if wanted.is_empty() {
            return false;
        }
        put_without_ops(out, stored, 0, u16::try_from(wanted.len()).unwrap_or(u16::MAX));
        wanted.iter().for_each(|bin| put_op(out, op::READ, bin.particle, bin.name, bin.value));
        true
    }
}

/// Appends everything of a record but its ops.
fn put_without_ops(out: &mut Vec<u8>, stored: Stored<'_>, info1: u8, ops: u16) {
    let start = out.len();
    out.extend_from_slice(&stored.0[..stored.ops_at()]);
    out[start + INFO1_AT] = info1;
    out[start + OPS_AT..start + HEADER_BYTES].copy_from_slice(&ops.to_be_bytes());
}

/// Returns the partitions of a request, the highest first. One that is named twice, or none, is a mistake of the
/// client.
fn parts(request: &QueryRequest<'_>) -> Result<Vec<Part>, ResultCode> {
    let from_start = request.from_start.iter().map(|&id| Part { id, after: None });
    let after = request.after.iter().map(|&digest| Part { id: digest.partition(), after: Some(digest) });
    let mut parts: Vec<Part> = from_start.chain(after).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.id));
    let is_repeated = parts.windows(2).any(|pair| pair[0].id == pair[1].id);
    if parts.is_empty() || is_repeated || parts.len() > usize::from(PARTITIONS) {
        return Err(ResultCode::PARAMETER);
    }
    Ok(parts)
}

/// So that a scan that finds nothing still lets others have the thread.
const PARTITIONS_A_STEP: usize = 64;
const INFO1_AT: usize = 1;
const OPS_AT: usize = 20;
