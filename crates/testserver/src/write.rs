//! Writes and deletes of one record, by the server's rules. Source: docs/format/wire.md, "Write".

use std::collections::btree_map::Entry;

use asbackup_codec::wire::{Message, Op, ResultCode, info1, info2, info3, op, put_op, ttl};
use asbackup_model::particle;

use crate::namespace::{Expiry, Record};
use crate::particle::refusal;
use crate::stored::{Head, Stored, put_head};
use crate::transact::{Outcome, Transaction, live, put_read};

/// Removes a record. The answer says nothing about the record that was.
pub(crate) fn delete(transaction: &Transaction<'_>) -> Outcome {
    let Transaction { namespace, digest, message, now, .. } = *transaction;
    let mut partition = namespace.partition(digest.partition());
    let Some(existing) = live(&partition, &digest, now) else {
        return Outcome::failed(ResultCode::NOT_FOUND, None);
    };
    if !generation_allows(message, existing.generation()) {
        return Outcome::failed(ResultCode::GENERATION, Some(existing));
    }
    if transaction.has_other_key(existing) {
        return Outcome::failed(ResultCode::KEY_MISMATCH, None);
    }
    partition.remove(&digest);
    Outcome::failed(ResultCode::OK, None)
}

/// Writes a record and appends what its ops have to answer. `scratch` is memory to be reused.
pub(crate) fn write(transaction: &Transaction<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Outcome {
    let Transaction { namespace, digest, now, .. } = *transaction;
    if let Err(code) = check_ops(transaction) {
        return Outcome::failed(code, None);
    }
    let mut partition = namespace.partition(digest.partition());
    let record = |message: &[u8]| Record { last_update_ns: now.unix_ns(), message: message.into() };
    match partition.entry(digest) {
        Entry::Vacant(place) => {
            let (outcome, effect) = plan(transaction, None, scratch, out);
            if effect == Effect::Store {
                place.insert(record(scratch));
            }
            outcome
        }
        Entry::Occupied(mut place) => {
            let existing = Stored(&place.get().message);
            let existing = (!existing.is_expired(now.void_time_s())).then_some(existing);
            let (outcome, effect) = plan(transaction, existing, scratch, out);
            match effect {
                Effect::Store => drop(place.insert(record(scratch))),
                Effect::Remove => drop(place.remove()),
                Effect::Nothing => {}
            }
            outcome
        }
    }
}

/// What a write does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    /// The record is now what `scratch` holds.
    Store,
    Remove,
}

/// Finds out what a write does, without doing it.
fn plan(
    transaction: &Transaction<'_>,
    existing: Option<Stored<'_>>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> (Outcome, Effect) {
    let changed = check_rules(transaction, existing).and_then(|()| {
        let void_time_s = void_time(transaction, existing)?;
        let mut bins = if is_replace(transaction.message) { Vec::new() } else { bins_of(existing) };
        let ops = apply(&mut bins, transaction.message, out)?;
        Ok((void_time_s, bins, ops))
    });
    let (void_time_s, bins, ops) = match changed {
        Ok(changed) => changed,
        Err(code) => return (Outcome::failed(code, existing), Effect::Nothing),
    };
    if bins.is_empty() {
        return match existing {
            Some(_) => (Outcome { ops, ..Outcome::failed(ResultCode::OK, None) }, Effect::Remove),
            None => (Outcome::failed(ResultCode::NOT_FOUND, None), Effect::Nothing),
        };
    }
    let generation = next_generation(existing);
    if let Err(code) = encode(transaction, existing, &bins, (generation, void_time_s), scratch) {
        return (Outcome::failed(code, existing), Effect::Nothing);
    }
    (Outcome { result: ResultCode::OK, generation, void_time_s, ops }, Effect::Store)
}

/// Checks what can be said about the ops without looking at the record.
fn check_ops(transaction: &Transaction<'_>) -> Result<(), ResultCode> {
    let message = transaction.message;
    if message.header.ops == 0 {
        return Err(ResultCode::PARAMETER);
    }
    let reads = message.header.info1 & info1::READ != 0;
    for op in message.ops() {
        if op.code != TOUCH && (op.name.len() > MAX_BIN_NAME_BYTES || op.name.contains(&0)) {
            return Err(ResultCode::BIN_NAME);
        }
        let allowed = match op.code {
            op::WRITE => op.particle != particle::NIL || !is_replace(message),
            op::READ => reads,
            TOUCH | DELETE_ALL => !is_replace(message),
            _ => false,
        };
        if !allowed {
            return Err(ResultCode::PARAMETER);
        }
    }
    match transaction.set {
        Some(set) if set.len() > MAX_SET_NAME_BYTES => Err(ResultCode::PARAMETER),
        _ => Ok(()),
    }
}

/// Checks the rules about the record as it is, in the server's order.
fn check_rules(transaction: &Transaction<'_>, existing: Option<Stored<'_>>) -> Result<(), ResultCode> {
    let message = transaction.message;
    let must_exist = message.header.info3 & (info3::UPDATE_ONLY | info3::REPLACE_ONLY) != 0
        || message.ops().any(|op| op.code == TOUCH);
    if must_exist && existing.is_none() {
        return Err(ResultCode::NOT_FOUND);
    }
    if message.header.info2 & info2::CREATE_ONLY != 0 && existing.is_some() {
        return Err(ResultCode::EXISTS);
    }
    if !generation_allows(message, existing.map_or(0, Stored::generation)) {
        return Err(ResultCode::GENERATION);
    }
    match existing {
        Some(existing) if transaction.has_other_key(existing) => Err(ResultCode::KEY_MISMATCH),
        _ => Ok(()),
    }
}

/// A record that isn't there has generation 0.
fn generation_allows(message: &Message<'_>, stored: u16) -> bool {
    let (sent, stored) = (message.header.generation, u32::from(stored));
    if message.header.info2 & info2::GENERATION_EQUAL != 0 {
        return sent == stored;
    }
    message.header.info2 & info2::GENERATION_GREATER == 0 || sent > stored
}

fn is_replace(message: &Message<'_>) -> bool {
    message.header.info3 & (info3::CREATE_OR_REPLACE | info3::REPLACE_ONLY) != 0
}

/// Returns when the record expires once it is written.
fn void_time(transaction: &Transaction<'_>, existing: Option<Stored<'_>>) -> Result<u32, ResultCode> {
    let config = &transaction.namespace.config;
    let ttl_s = match (transaction.message.header.ttl, existing) {
        (ttl::NEVER, _) => return Ok(0),
        (ttl::KEEP, Some(existing)) => return Ok(existing.void_time_s()),
        (ttl::KEEP | ttl::NAMESPACE_DEFAULT, _) => config.default_ttl_s,
        (ttl_s, _) if ttl_s > MAX_TTL_S => return Err(ResultCode::PARAMETER),
        (ttl_s, _) => ttl_s,
    };
    match config.expiry {
        _ if ttl_s == 0 => Ok(0),
        Expiry::Refused => Err(ResultCode::FORBIDDEN),
        Expiry::Allowed => Ok(transaction.now.void_time_s().saturating_add(ttl_s)),
    }
}

/// A generation has 16 bits, and 0 means that there is no record.
fn next_generation(existing: Option<Stored<'_>>) -> u16 {
    existing.map_or(0, Stored::generation).checked_add(1).unwrap_or(1)
}

/// A bin of the record as it is going to be.
struct Bin<'a> {
    name: &'a [u8],
    particle: u8,
    value: &'a [u8],
}

fn bins_of(existing: Option<Stored<'_>>) -> Vec<Bin<'_>> {
    let Some(existing) = existing else { return Vec::new() };
    let bin = |op| {
        let Op { particle, name, value, .. } = op;
        Bin { name, particle, value }
    };
    existing.message().ops().map(bin).collect()
}

/// Applies the ops in order, appends what they answer, and returns how many answers that are.
fn apply<'a>(bins: &mut Vec<Bin<'a>>, message: &Message<'a>, out: &mut Vec<u8>) -> Result<u16, ResultCode> {
    let info2 = message.header.info2;
    let mut answers = 0;
    for op in message.ops() {
        match op.code {
            op::READ if op.name.is_empty() => answers += put_all(out, bins),
            op::READ => {
                let bin = bins.iter().find(|bin| bin.name == op.name);
                answers += put_read(out, &op, bin.map(|bin| (bin.particle, bin.value)), info2);
            }
            op::WRITE => write_bin(bins, &op)?,
            DELETE_ALL => bins.clear(),
            _ => {}
        }
        if matches!(op.code, op::WRITE | DELETE_ALL) && info2 & info2::RESPOND_ALL_OPS != 0 {
            put_op(out, op.code, particle::NIL, op.name, &[]);
            answers += 1;
        }
    }
    Ok(answers)
}

fn write_bin<'a>(bins: &mut Vec<Bin<'a>>, op: &Op<'a>) -> Result<(), ResultCode> {
    let at = bins.iter().position(|bin| bin.name == op.name);
    if op.particle == particle::NIL {
        if let Some(at) = at {
            bins.remove(at);
        }
        return Ok(());
    }
    if let Some(code) = refusal(op.particle, op.value) {
        return Err(code);
    }
    let bin = Bin { name: op.name, particle: op.particle, value: op.value };
    match at {
        Some(at) => bins[at] = bin,
        None => bins.push(bin),
    }
    Ok(())
}

fn put_all(out: &mut Vec<u8>, bins: &[Bin<'_>]) -> u16 {
    bins.iter().for_each(|bin| put_op(out, op::READ, bin.particle, bin.name, bin.value));
    u16::try_from(bins.len()).unwrap_or(u16::MAX)
}

/// Makes the record as it is stored. Set and key of a record that exists stay, also when it is replaced.
fn encode(
    transaction: &Transaction<'_>,
    existing: Option<Stored<'_>>,
    bins: &[Bin<'_>],
    (generation, void_time_s): (u16, u32),
    scratch: &mut Vec<u8>,
) -> Result<(), ResultCode> {
    let namespace = transaction.namespace;
    let name = namespace.name();
    let head = Head {
        namespace: name,
        digest: transaction.digest,
        set: existing.map_or(transaction.set, |existing| existing.set(name)),
        key: existing.and_then(|existing| existing.key(name)).or(transaction.key),
        generation,
        void_time_s,
    };
    scratch.clear();
    let ops = u16::try_from(bins.len()).map_err(|_| ResultCode::RECORD_TOO_BIG)?;
    put_head(scratch, &head, ops);
    put_all(scratch, bins);
    if scratch.len() > namespace.config.max_record_bytes {
        return Err(ResultCode::RECORD_TOO_BIG);
    }
    Ok(())
}

/// Op that only renews the record. Source: docs/format/wire.md, "Op".
const TOUCH: u8 = 11;
/// Op that deletes all bins.
const DELETE_ALL: u8 = 14;
const MAX_BIN_NAME_BYTES: usize = 15;
const MAX_SET_NAME_BYTES: usize = 63;
/// Ten years. Source: docs/format/wire.md, "Write".
const MAX_TTL_S: u32 = 10 * 365 * 24 * 60 * 60;
