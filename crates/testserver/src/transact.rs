//! What a message about one record asks for, alone or as a row of a batch, and its answer.

use asbackup_codec::wire::{
    HEADER_BYTES, Message, MessageHeader, Op, ResultCode, field, info1, info2, op, put_op,
};
use asbackup_model::{Digest, particle};

use crate::clock::Now;
use crate::namespace::{Namespace, Partition};
use crate::store::Store;
use crate::stored::Stored;
use crate::write;

/// A message about one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transaction<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) digest: Digest,
    pub(crate) message: &'a Message<'a>,
    pub(crate) set: Option<&'a [u8]>,
    /// The data of the field of the user key.
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) now: Now,
}

impl Transaction<'_> {
    /// Returns whether the request comes with another user key than the one that is stored.
    pub(crate) fn has_other_key(&self, existing: Stored<'_>) -> bool {
        match (self.key, existing.key(self.namespace.name())) {
            (Some(sent), Some(stored)) => sent != stored,
            _ => false,
        }
    }
}

/// What became of it. On failure the generation and void time are those of the record as it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: ResultCode,
    pub(crate) generation: u16,
    pub(crate) void_time_s: u32,
    /// How many ops were appended for the answer.
    pub(crate) ops: u16,
}

impl Outcome {
    pub(crate) fn failed(result: ResultCode, existing: Option<Stored<'_>>) -> Self {
        let (generation, void_time_s) =
            existing.map_or((0, 0), |record| (record.generation(), record.void_time_s()));
        Self { result, generation, void_time_s, ops: 0 }
    }
}

/// Answers messages about one record.
#[derive(Debug)]
pub(crate) struct Transactor<'a> {
    store: &'a Store,
    now: Now,
    /// Where records are made; its memory is used again.
    scratch: Vec<u8>,
}

impl<'a> Transactor<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, now: store.clock.now(), scratch: Vec::new() }
    }

    /// Does what a message asks for and appends the message that answers it.
    pub(crate) fn answer(&mut self, digest: Digest, message: &Message<'_>, index: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        let outcome = self.run(digest, message, out);
        let header = MessageHeader {
            result: outcome.result,
            generation: u32::from(outcome.generation),
            ttl: outcome.void_time_s,
            timeout_ms: index,
            ops: outcome.ops,
            ..MessageHeader::default()
        };
        out[start..start + HEADER_BYTES].copy_from_slice(&header.encode());
        if outcome.ops == 0 {
            out.truncate(start + HEADER_BYTES);
        }
    }

    fn run(&mut self, digest: Digest, message: &Message<'_>, out: &mut Vec<u8>) -> Outcome {
        let (mut name, mut set, mut key) = (None, None, None);
        for field in message.fields() {
            match field.kind {
                field::NAMESPACE => name = Some(field.data),
                field::SET => set = Some(field.data).filter(|set| !set.is_empty()),
                field::USER_KEY => key = Some(field.data).filter(|key| !key.is_empty()),
                // Filters are evaluated for scans only; to ignore one here would be wrong.
                field::FILTER => return Outcome::failed(ResultCode::PARAMETER, None),
                _ => {}
            }
        }
        let Some(namespace) = name.and_then(|name| self.store.namespace(name)) else {
            return Outcome::failed(ResultCode::NAMESPACE, None);
        };
        let transaction = Transaction { namespace, digest, message, set, key, now: self.now };
        if message.header.info2 & info2::DELETE != 0 {
            write::delete(&transaction)
        } else if message.header.info2 & info2::WRITE != 0 {
            write::write(&transaction, &mut self.scratch, out)
        } else {
            read(&transaction, out)
        }
    }
}

/// Returns the record unless it has expired.
pub(crate) fn live<'a>(partition: &'a Partition, digest: &Digest, now: Now) -> Option<Stored<'a>> {
    let stored = Stored(&partition.get(digest)?.message);
    (!stored.is_expired(now.void_time_s())).then_some(stored)
}

fn read(transaction: &Transaction<'_>, out: &mut Vec<u8>) -> Outcome {
    let partition = transaction.namespace.partition(transaction.digest.partition());
    let Some(record) = live(&partition, &transaction.digest, transaction.now) else {
        return Outcome::failed(ResultCode::NOT_FOUND, None);
    };
    if transaction.has_other_key(record) {
        return Outcome::failed(ResultCode::KEY_MISMATCH, None);
    }
    let header = transaction.message.header;
    let ops = if header.info1 & info1::NO_BIN_DATA != 0 {
        0
    } else if header.info1 & info1::ALL_BINS != 0 {
        out.extend_from_slice(&record.0[record.ops_at()..]);
        record.op_count()
    } else {
        match read_bins(record, transaction.message, out) {
            Ok(ops) => ops,
            Err(code) => return Outcome::failed(code, Some(record)),
        }
    };
    Outcome {
        result: ResultCode::OK,
        generation: record.generation(),
        void_time_s: record.void_time_s(),
        ops,
    }
}

fn read_bins(record: Stored<'_>, message: &Message<'_>, out: &mut Vec<u8>) -> Result<u16, ResultCode> {
    if message.header.ops == 0 {
        return Err(ResultCode::PARAMETER);
    }
    let mut ops = 0;
    for wanted in message.ops() {
        if wanted.code != op::READ {
            return Err(ResultCode::PARAMETER);
        }
        let bin = record.message().ops().find(|bin| bin.name == wanted.name);
        ops += put_read(out, &wanted, bin.map(|bin| (bin.particle, bin.value)), message.header.info2);
    }
    Ok(ops)
}

/// Appends what a read op found. Without a bin of that name it says so only if all ops are to be answered.
pub(crate) fn put_read(out: &mut Vec<u8>, wanted: &Op<'_>, found: Option<(u8, &[u8])>, info2: u8) -> u16 {
    match found {
        Some((particle, value)) => put_op(out, op::READ, particle, wanted.name, value),
        None if info2 & info2::RESPOND_ALL_OPS != 0 => put_op(out, op::READ, particle::NIL, wanted.name, &[]),
        None => return 0,
    }
    1
}
