//! Replies to info commands, taken apart. Source: docs/format/wire.md, "Cluster view" and "Indexes and UDFs".

use std::fmt;

use asbackup_model::{IndexKind, IndexedType, PARTITIONS, PartitionId, SecondaryIndex};

use crate::replicas::Racks;
use crate::{Error, ErrorKind, Seed};

/// The version of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build(pub [u16; 3]);

impl Build {
    /// The oldest that reads partitions.
    pub(crate) const OLDEST: Self = Self([4, 9, 0]);
    /// The first that says `namespace=` and `bin=` for indexes.
    pub(crate) const NAMED_ARGUMENTS: Self = Self([8, 1, 0]);
    /// The first that lists and creates indexes over sets. Source: docs/format/manifest.md, "Side file".
    pub(crate) const SET_INDEXES: Self = Self([8, 1, 2]);
    /// The first that knows filter expressions. Source: docs/format/wire.md, "Filters".
    pub(crate) const EXPRESSIONS: Self = Self([5, 2, 0]);
    /// The first that gives contexts of indexes in base64.
    pub(crate) const BASE64_CONTEXTS: Self = Self([6, 1, 0]);

    /// Returns the version that a text such as `8.1.1.2` begins with.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        let mut numbers = text.split(['.', '-']).map_while(|part| part.parse().ok());
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(major), Some(minor), Some(patch)) => Ok(Self([major, minor, patch])),
            _ => Err(damaged(format!("{text:?} is no version"))),
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A node that another one knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) addresses: Vec<Seed>,
}

/// Parses `<generation>,<default port>,[[<node>,<tls name>,[<host>[:port],…]],…]`.
pub(crate) fn peers(reply: &[u8]) -> Result<Vec<Peer>, Error> {
    let text = String::from_utf8_lossy(reply);
    let broken = || damaged(format!("damaged list of peers {text:?}"));
    let mut head = text.splitn(3, ',');
    let (_generation, port, list) = (head.next(), head.next(), head.next());
    let port = match port {
        Some("") => 3000,
        other => other.and_then(|port| port.parse().ok()).ok_or_else(broken)?,
    };
    let list = list.and_then(|list| list.strip_prefix('[')?.strip_suffix(']')).ok_or_else(broken)?;
    let mut peers = Vec::new();
    let mut rest = list;
    while let Some(peer) = rest.strip_prefix('[') {
        // The list of addresses is the last part; an IPv6 address in it has brackets of its own.
        let (head, tail) = peer.split_once(",[").ok_or_else(broken)?;
        let (addresses, tail) = tail.split_once("]]").ok_or_else(broken)?;
        // `[::1]` without a port ends in the bracket that looks like that of the list.
        let (addresses, tail) = match tail.strip_prefix(']') {
            Some(tail) => (format!("{addresses}]"), tail),
            None => (addresses.to_owned(), tail),
        };
        let (name, tls_name) = head.split_once(',').ok_or_else(broken)?;
        let tls_name = (!tls_name.is_empty()).then_some(tls_name);
        let addresses = addresses.split(',').filter(|address| !address.is_empty());
        let seed = |address| {
            let seed = Seed::parse(address, port)?;
            Ok(Seed { tls_name: tls_name.map(str::to_owned), ..seed })
        };
        let addresses = addresses.map(seed).collect::<Result<_, Error>>()?;
        peers.push(Peer { name: name.to_owned(), addresses });
        rest = tail.strip_prefix(',').unwrap_or(tail);
    }
    if rest.is_empty() { Ok(peers) } else { Err(broken()) }
}

/// The partitions of a namespace that a node is master of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Masters {
    pub(crate) namespace: Vec<u8>,
    pub(crate) regime: u32,
    /// Bit `0x80 >> (p & 7)` of byte `p >> 3` stands for partition p.
    pub(crate) bitmap: Vec<u8>,
}

impl Masters {
    pub(crate) fn contains(&self, partition: usize) -> bool {
        self.bitmap.get(partition >> 3).is_some_and(|byte| byte & (0x80 >> (partition & 7)) != 0)
    }
}

/// Parses `<namespace>:<regime>,<count>,<bitmap of masters>,…;…`.
pub(crate) fn masters(reply: &[u8]) -> Result<Vec<Masters>, Error> {
    reply.split(|&byte| byte == b';').filter(|item| !item.is_empty()).map(masters_of_one).collect()
}

fn masters_of_one(item: &[u8]) -> Result<Masters, Error> {
    let broken = || damaged("damaged list of replicas".to_owned());
    let colon = item.iter().rposition(|&byte| byte == b':').ok_or_else(broken)?;
    let mut parts = item[colon + 1..].split(|&byte| byte == b',');
    let regime = parts.next().and_then(number).ok_or_else(broken)?;
    let bitmap = parts.nth(1).and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
    let bitmap = bitmap.filter(|bitmap| bitmap.len() * 8 == usize::from(PARTITIONS)).ok_or_else(broken)?;
    Ok(Masters { namespace: item[..colon].to_vec(), regime, bitmap })
}

/// The partitions of a namespace of which a node holds a copy: a bitmap for each place in the order of copies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replicas(Vec<Vec<u8>>);

impl Replicas {
    /// Returns the place of this node's copy of a partition: 0 is the owner's.
    pub(crate) fn column(&self, partition: PartitionId) -> Option<usize> {
        let (byte, bit) = (partition.index() >> 3, 0x80 >> (partition.index() & 7));
        self.0.iter().position(|bitmap| bitmap.get(byte).is_some_and(|byte| byte & bit != 0))
    }
}

/// Finds `<namespace>:<regime>,<count>,<bitmap>,…` in a list; none if the node doesn't know the namespace.
pub(crate) fn replicas(reply: &[u8], namespace: &[u8]) -> Result<Option<Replicas>, Error> {
    let mut items = reply.split(|&byte| byte == b';');
    let item = items.find_map(|item| item.strip_prefix(namespace)?.strip_prefix(b":"));
    let Some(item) = item else { return Ok(None) };
    let columns = item.split(|&byte| byte == b',').skip(2);
    let bitmaps = columns.map(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
    let bitmaps = bitmaps.map(|bitmap| bitmap.filter(|bytes| bytes.len() * 8 == usize::from(PARTITIONS)));
    let bitmaps =
        bitmaps.collect::<Option<_>>().ok_or_else(|| damaged("damaged list of replicas".to_owned()));
    bitmaps.map(|bitmaps| Some(Replicas(bitmaps)))
}

/// Parses `ns=<namespace>:rack_<id>=<node>,<node>:…;…`. A namespace that isn't listed has no racks.
pub(crate) fn racks(reply: &[u8], namespace: &[u8]) -> Result<Racks, Error> {
    let items = reply.split(|&byte| byte == b';');
    let item = items.into_iter().find(|item| value_in(item, b':', b"ns") == Some(namespace));
    let mut racks = Racks::default();
    let Some(item) = item else { return Ok(racks) };
    for pair in item.split(|&byte| byte == b':') {
        let text = String::from_utf8_lossy(pair);
        let Some((key, nodes)) = text.split_once('=') else {
            return Err(damaged(format!("damaged list of racks {:?}", String::from_utf8_lossy(reply))));
        };
        let Some(id) = key.to_ascii_lowercase().strip_prefix("rack_").and_then(|id| id.parse().ok()) else {
            continue;
        };
        let nodes = nodes.split(',').filter(|node| !node.is_empty());
        racks.0.insert(id, nodes.map(str::to_owned).collect());
    }
    Ok(racks)
}

/// Returns how many records a node has in these sets. Source: docs/format/wire.md, "Cluster view".
pub(crate) fn objects_in_sets(reply: &[u8], sets: &[&[u8]]) -> u64 {
    let items = reply.split(|&byte| byte == b';');
    let wanted = items.filter(|item| value_in(item, b':', b"set").is_some_and(|set| sets.contains(&set)));
    wanted.filter_map(|item| value_in(item, b':', b"objects").and_then(number::<u64>)).sum()
}

/// Returns the number behind `key=` in a list that is separated by semicolons.
pub(crate) fn statistic(reply: &[u8], key: &str) -> Option<u64> {
    value_in(reply, b';', key.as_bytes()).and_then(number)
}

/// Returns what is behind `key=` in a list.
pub(crate) fn value_in<'a>(list: &'a [u8], separator: u8, key: &[u8]) -> Option<&'a [u8]> {
    list.split(|&byte| byte == separator).find_map(|item| {
        let (name, value) = item.split_at_checked(key.len())?;
        if name.eq_ignore_ascii_case(key) { value.strip_prefix(b"=") } else { None }
    })
}

/// An index as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerIndex {
    /// An index over a bin or an expression.
    Secondary(SecondaryIndex),
    /// An index over the records of a set.
    Set {
        /// Namespace.
        namespace: Vec<u8>,
        /// Set.
        set: Vec<u8>,
        /// Name of the index.
        name: Vec<u8>,
    },
    /// An index of a kind that this version doesn't know: the item as it came.
    Unknown(Vec<u8>),
}

impl ServerIndex {
    /// Returns the name, if the item says one.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Secondary(index) => Some(&index.name),
            Self::Set { name, .. } => Some(name),
            Self::Unknown(item) => value_in(item, b':', b"indexname"),
        }
    }
}

/// Parses the items of `sindex-list`, of old servers and new ones.
pub(crate) fn indexes(reply: &[u8]) -> Vec<ServerIndex> {
    let items = reply.split(|&byte| byte == b';').filter(|item| !item.is_empty());
    items.map(|item| index(item).unwrap_or_else(|| ServerIndex::Unknown(item.to_vec()))).collect()
}

fn index(item: &[u8]) -> Option<ServerIndex> {
    let value = |key: &str| value_in(item, b':', key.as_bytes());
    // The text form of a backup can't tell an empty part from a missing one either.
    let is_given = |text: &&[u8]| !text.is_empty() && !text.eq_ignore_ascii_case(b"null");
    let optional = |key| value(key).filter(is_given).map(<[u8]>::to_vec);
    let (namespace, name) = (value("ns")?.to_vec(), value("indexname")?.to_vec());
    let kind = match &value("indextype").unwrap_or(b"default").to_ascii_lowercase()[..] {
        b"default" | b"none" => IndexKind::Default,
        b"list" => IndexKind::ListElements,
        b"mapkeys" => IndexKind::MapKeys,
        b"mapvalues" => IndexKind::MapValues,
        b"set" => return Some(ServerIndex::Set { namespace, set: optional("set")?, name }),
        _ => return None,
    };
    let indexed = match &value("type")?.to_ascii_lowercase()[..] {
        b"numeric" | b"int signed" => IndexedType::Numeric,
        b"string" | b"text" => IndexedType::String,
        b"blob" => IndexedType::Blob,
        b"geo2dsphere" | b"geojson" => IndexedType::Geo2dSphere,
        _ => return None,
    };
    Some(ServerIndex::Secondary(SecondaryIndex {
        namespace,
        set: optional("set"),
        name,
        kind,
        bin: value("bin")?.to_vec(),
        indexed,
        context: optional("context"),
        expression: optional("exp"),
    }))
}

/// Parses the names of `udf-list`. A name may hold commas and equal signs: it ends at the last `,hash=`.
pub(crate) fn udf_names(reply: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    const NAME: &[u8] = b"filename=";
    const HASH: &[u8] = b",hash=";
    let items = reply.split(|&byte| byte == b';').filter(|item| !item.is_empty());
    items
        .map(|item| {
            let name = item.strip_prefix(NAME)?;
            let end = name.windows(HASH.len()).rposition(|window| window == HASH)?;
            Some(name[..end].to_vec())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| damaged(format!("damaged list of UDF modules {:?}", String::from_utf8_lossy(reply))))
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn damaged(what: String) -> Error {
    Error::new(ErrorKind::Damaged, what)
}

#[cfg(test)]
mod tests;
