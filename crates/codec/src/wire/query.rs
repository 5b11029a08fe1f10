//! Scans: what a client asks for. Source: docs/format/wire.md, "Scan".

use asbackup_model::{Digest, PartitionId};

use super::message::{Message, MessageHeader};
use super::{
    DecodeError, FrameKind, Rule, begin_frame, end_frame, field, info1, info3, op, put_field, put_op,
};

/// A request for the records of some partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryRequest<'a> {
    /// Namespace.
    pub namespace: &'a [u8],
    /// Set; none for all.
    pub set: Option<&'a [u8]>,
    /// Bins to send; empty for all.
    pub bins: Vec<&'a [u8]>,
    /// What to send of each record.
    pub content: Content,
    /// Partitions to be read from the start.
    pub from_start: Vec<PartitionId>,
    /// Last records that are known of partitions to be read from behind them.
    pub after: Vec<Digest>,
    /// Filter expression.
    pub filter: Option<&'a [u8]>,
    /// Most records to send, 0 for no bound.
    pub max_records: u64,
    /// Most records a second, 0 for no bound.
    pub records_per_second: u32,
    /// When the server gives up on a client that doesn't read, 0 for its default.
    pub socket_timeout_ms: u32,
    /// Number under which the server lists the scan.
    pub task_id: u64,
}

/// What to send of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Content {
    /// With its bins.
    #[default]
    Bins,
    /// Without bins.
    Metadata,
}

impl<'a> QueryRequest<'a> {
    /// Appends the frame of this request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_frame(out, FrameKind::Message);
        let header_at = out.len();
        out.extend_from_slice(&MessageHeader::default().encode());
        let fields = self.put_fields(out);
        for bin in &self.bins {
            put_op(out, op::READ, 0, bin, &[]);
        }
        let header = MessageHeader {
            info1: info1::READ | if self.content == Content::Metadata { info1::NO_BIN_DATA } else { 0 },
            info3: info3::PARTITION_DONE,
            fields,
            ops: u16::try_from(self.bins.len()).unwrap_or(u16::MAX),
            ..MessageHeader::default()
        };
        if let Some(place) = out.get_mut(header_at..).and_then(<[u8]>::first_chunk_mut) {
            *place = header.encode();
        }
        end_frame(out, start);
    }

    /// Appends the fields that are needed, in the order of the Go client, and returns how many they are.
    fn put_fields(&self, out: &mut Vec<u8>) -> u16 {
        let mut count = 3;
        put_field(out, field::NAMESPACE, self.namespace);
        let mut put = |out: &mut Vec<u8>, kind, data: &[u8]| {
            count += 1;
            put_field(out, kind, data);
        };
        put(out, field::SET, self.set.unwrap_or_default());
        if !self.from_start.is_empty() {
            let numbers: Vec<u8> = self.from_start.iter().flat_map(|id| id.number().to_le_bytes()).collect();
            put(out, field::PARTITIONS, &numbers);
        }
        if !self.after.is_empty() {
            let digests: Vec<u8> = self.after.iter().flat_map(|digest| digest.0).collect();
            put(out, field::DIGESTS, &digests);
        }
        if let Some(filter) = self.filter {
            put(out, field::FILTER, filter);
        }
        if self.max_records > 0 {
            put(out, field::MAX_RECORDS, &self.max_records.to_be_bytes());
        }
        if self.records_per_second > 0 {
            put(out, field::RECORDS_PER_SECOND, &self.records_per_second.to_be_bytes());
        }
        put_field(out, field::SOCKET_TIMEOUT, &self.socket_timeout_ms.to_be_bytes());
        put_field(out, field::TASK_ID, &self.task_id.to_be_bytes());
        count
    }

    /// Returns the request that a message is, for a server. An absent number is 0.
    ///
    /// # Errors
    /// If the namespace is missing, a field has an impossible length, or a partition an impossible number.
    pub fn decode(message: &Message<'a>) -> Result<Self, DecodeError> {
        let mut query = Self { bins: message.ops().map(|op| op.name).collect(), ..Self::default() };
        if message.header.info1 & info1::NO_BIN_DATA != 0 {
            query.content = Content::Metadata;
        }
        let mut namespace = None;
        for field in message.fields() {
            match field.kind {
                field::NAMESPACE => namespace = Some(field.data),
                field::SET => query.set = Some(field.data).filter(|set| !set.is_empty()),
                field::PARTITIONS => query.from_start = partitions(field.data)?,
                field::DIGESTS => query.after = digests(field.data)?,
                field::FILTER => query.filter = Some(field.data),
                field::MAX_RECORDS => query.max_records = u64::from_be_bytes(number(field.kind, field.data)?),
                field::RECORDS_PER_SECOND => {
                    query.records_per_second = u32::from_be_bytes(number(field.kind, field.data)?);
                }
                field::SOCKET_TIMEOUT => {
                    query.socket_timeout_ms = u32::from_be_bytes(number(field.kind, field.data)?)
                }
                field::TASK_ID => query.task_id = u64::from_be_bytes(number(field.kind, field.data)?),
                _ => {}
            }
        }
        query.namespace =
            namespace.ok_or_else(|| DecodeError::new(Rule::MissingField(field::NAMESPACE), 0))?;
        Ok(query)
    }
}

/// Returns the filter expression that keeps the records of unfinished transactions' monitors out: set ≠ `<ERO~MRT`.
/// Source: docs/format/wire.md, "Filters".
#[must_use]
pub fn monitor_set_filter() -> &'static [u8] {
    b"\x93\x02\x91\x46\xa9\x03<ERO~MRT"
}

fn partitions(data: &[u8]) -> Result<Vec<PartitionId>, DecodeError> {
    let (pairs, []) = data.as_chunks::<2>() else {
        return Err(field_bytes(field::PARTITIONS, data));
    };
    let number = |pair: &[u8; 2]| u16::from_le_bytes(*pair);
    let partition =
        |id| PartitionId::new(id).ok_or_else(|| DecodeError::new(Rule::Partition(u32::from(id)), 0));
    pairs.iter().map(|pair| partition(number(pair))).collect()
}

fn digests(data: &[u8]) -> Result<Vec<Digest>, DecodeError> {
    let (digests, []) = data.as_chunks::<20>() else {
        return Err(field_bytes(field::DIGESTS, data));
    };
    Ok(digests.iter().copied().map(Digest).collect())
}

fn number<const N: usize>(kind: u8, data: &[u8]) -> Result<[u8; N], DecodeError> {
    data.try_into().map_err(|_| field_bytes(kind, data))
}

fn field_bytes(kind: u8, data: &[u8]) -> DecodeError {
    DecodeError::new(Rule::FieldBytes { kind, bytes: data.len() }, 0)
}
