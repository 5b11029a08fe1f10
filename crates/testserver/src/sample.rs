//! Sample records, to have something to scan.

use asbackup_codec::wire::{op, put_op};
use asbackup_model::{Digest, UserKey, particle};

use crate::clock::Now;
use crate::namespace::Record;
use crate::store::Store;
use crate::stored::{Head, put_head};

/// What to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRecords {
    /// How many records.
    pub count: u64,
    /// How many bytes a scan sends for each, at least about 130.
    pub record_bytes: usize,
}

impl Store {
    /// Stores made-up records in a namespace: set `demo`, integer keys from 0, an integer, a string and a blob, none
    /// of which is random.
    pub fn load(&self, namespace: impl AsRef<[u8]>, samples: SampleRecords) {
        let namespace = self.expect(namespace.as_ref());
        let now = self.clock.now();
        for number in 0..samples.count {
            let (digest, record) = sample(namespace.name(), number, samples.record_bytes, now);
            namespace.partition(digest.partition()).insert(digest, record);
        }
    }
}

fn sample(namespace: &[u8], number: u64, record_bytes: usize, now: Now) -> (Digest, Record) {
    let mut key = vec![particle::INTEGER];
    key.extend_from_slice(&number.to_be_bytes());
    let digest = Digest::compute(SET, &UserKey::Integer(number.cast_signed()));
    let head = Head { namespace, digest, set: Some(SET), key: Some(&key), generation: 1, void_time_s: 0 };
    let mut message = Vec::with_capacity(record_bytes);
    put_head(&mut message, &head, 3);
    put_op(&mut message, op::READ, particle::INTEGER, b"number", &number.to_be_bytes());
    put_op(&mut message, op::READ, particle::STRING, b"name", format!("sample record {number}").as_bytes());
    let filler: Vec<u8> =
        (message.len() + BLOB_HEAD_BYTES..record_bytes).map(|at| filler_byte(at, number)).collect();
    put_op(&mut message, op::READ, particle::BLOB, b"filler", &filler);
    (digest, Record { last_update_ns: now.unix_ns(), message: message.into() })
}

/// Mixes position and record, so that the blob compresses about as badly as real data.
fn filler_byte(at: usize, number: u64) -> u8 {
    let mixed = (number << 16 ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0]
}

const SET: &[u8] = b"demo";
const BLOB_HEAD_BYTES: usize = 8 + b"filler".len();
