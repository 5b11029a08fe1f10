//! What identifies a record: its digest, the partition that the digest falls into, and the user's key.

use std::fmt;

use ripemd::{Digest as _, Ripemd160};

use crate::particle;

/// Number of partitions of every namespace. Source: docs/format/wire.md, "Digest and partition".
pub const PARTITIONS: u16 = 4096;

/// The 20 bytes under which the server files a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 20]);

impl Digest {
    /// Returns the digest of a user key within a set: RIPEMD-160 over set, particle type of the key, key.
    #[must_use]
    pub fn compute(set: &[u8], key: &UserKey<'_>) -> Self {
        let mut hash = Ripemd160::new();
        hash.update(set);
        hash.update([key.particle()]);
        match key {
            UserKey::Integer(value) => hash.update(value.to_be_bytes()),
            UserKey::Float(value) => hash.update(value.to_be_bytes()),
            UserKey::String(bytes) | UserKey::Bytes(bytes) => hash.update(bytes),
        }
        Self(hash.finalize().into())
    }

    /// Returns the partition of this digest: its first two bytes, little endian, modulo 4096.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        PartitionId(u16::from_le_bytes([self.0[0], self.0[1]]) % PARTITIONS)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The number of a partition, 0 to 4095.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(u16);

impl PartitionId {
    /// Returns the partition of that number, or nothing from 4096 on.
    #[must_use]
    pub fn new(id: u16) -> Option<Self> {
        (id < PARTITIONS).then_some(Self(id))
    }

    /// Returns all partitions in ascending order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// Returns the number, 0 to 4095.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Returns the number as an index into a table of 4096 rows.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key that a user stored with a record; strings are bytes, since nothing forces them to be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UserKey<'a> {
    /// A signed integer.
    Integer(i64),
    /// A double. Servers refuse it as a key today, but backups may hold it.
    Float(f64),
    /// A string.
    String(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl UserKey<'_> {
    /// Returns the particle type under which the key travels and is hashed.
    #[must_use]
    pub fn particle(&self) -> u8 {
        match self {
            Self::Integer(_) => particle::INTEGER,
            Self::Float(_) => particle::FLOAT,
            Self::String(_) => particle::STRING,
            Self::Bytes(_) => particle::BLOB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_a_captured_key() {
        // Source: the digest that the Go client sent for ("demo", "user1"), testdata/wire/put_int.req.bin.
        let digest = Digest::compute(b"demo", &UserKey::String(b"user1"));
        assert_eq!(digest.to_string(), "03161f352c8ab85448952c896ecdaa122b3c4e71");
        assert_eq!(digest.partition().number(), 1539);
    }

    #[test]
    fn partition_numbers_end_at_4095() {
        assert_eq!(PartitionId::new(4096), None);
        assert_eq!(PartitionId::all().last(), PartitionId::new(4095));
    }
}
