//! Which partitions of a namespace a backup reads.

use std::{fmt, net::IpAddr, str::FromStr};

use asbackup_cluster::Seed;
use asbackup_model::{Digest, PARTITIONS, PartitionId, PartitionSet};

/// Which partitions of a namespace a backup reads.
///
/// ```
/// use asbackup::{BackupConfig, Names, Scope};
///
/// let mut config = BackupConfig::new("users");
/// config.scope = Scope::Partitions("0-1000,2222".parse()?);
/// config.sets = Some(Names::new(["customers", "orders"])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub enum Scope {
    /// All of them.
    Namespace,
    /// Those that are listed.
    Partitions(PartitionList),
    /// What lies behind this digest in its partition, and all partitions with a higher number.
    AfterDigest(Digest),
    /// Those that these nodes own when the backup begins.
    Nodes(Vec<NodeSelector>),
    /// Those that the nodes of these racks own when the backup begins.
    Racks(Vec<RackId>),
}

impl Scope {
    /// Parses the digest for [`Self::AfterDigest`]: base64 of 20 bytes.
    ///
    /// # Errors
    /// If it is something else.
    pub fn after_digest(text: &str) -> Result<Self, ScopeError> {
        parse_digest(text).map(Self::AfterDigest)
    }

    /// Returns the scope of these nodes.
    ///
    /// # Errors
    /// If there is none, or one is named twice.
    pub fn nodes(nodes: Vec<NodeSelector>) -> Result<Self, ScopeError> {
        check_list("node", &nodes)?;
        Ok(Self::Nodes(nodes))
    }

    /// Returns the scope of these racks.
    ///
    /// # Errors
    /// If there is none, or one is named twice.
    pub fn racks(racks: Vec<RackId>) -> Result<Self, ScopeError> {
        check_list("rack", &racks)?;
        Ok(Self::Racks(racks))
    }

    /// Returns the partitions, unless only the cluster can tell.
    pub(crate) fn partitions(&self) -> Option<PartitionSet> {
        match self {
            Self::Namespace => Some(PartitionSet::ALL),
            Self::Partitions(list) => Some(list.partitions),
            Self::AfterDigest(digest) => Some(PartitionId::all().skip(digest.partition().index()).collect()),
            Self::Nodes(_) | Self::Racks(_) => None,
        }
    }

    /// Returns the digests behind which partitions are begun, at most one of each.
    pub(crate) fn begun_after(&self) -> &[Digest] {
        match self {
            Self::Partitions(list) => &list.after,
            Self::AfterDigest(digest) => std::slice::from_ref(digest),
            Self::Namespace | Self::Nodes(_) | Self::Racks(_) => &[],
        }
    }
}

fn check_list<T: PartialEq + ToString>(what: &'static str, list: &[T]) -> Result<(), ScopeError> {
    if list.is_empty() {
        return Err(ScopeError::Empty { what });
    }
    for (index, item) in list.iter().enumerate() {
        if list[..index].contains(item) {
            return Err(ScopeError::Twice { item: item.to_string() });
        }
    }
    Ok(())
}

/// A list of partitions, each of them once: numbers, ranges, and digests behind which a partition is begun.
///
/// As text: items between commas, of which each is a number, `begin-count`, `begin+count`, `first..last` (the last one
/// is included), or a digest in base64, which stands for the rest of its partition. The text that it is written as has
/// numbers, `first..last` and digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionList {
    partitions: PartitionSet,
    after: Vec<Digest>,
}

impl FromStr for PartitionList {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let mut list = Self { partitions: PartitionSet::EMPTY, after: Vec::new() };
        if text.is_empty() {
            return Err(ScopeError::Empty { what: "partition" });
        }
        for item in text.split(',') {
            list.add(item)?;
        }
        Ok(list)
    }
}

impl PartitionList {
    /// Returns `count` partitions from `begin` on, a number from 0 to 4095.
    ///
    /// # Errors
    /// If there are none, or some are beyond 4095.
    pub fn range(begin: u16, count: u16) -> Result<Self, ScopeError> {
        format!("{begin}-{count}").parse()
    }

    /// Returns the whole partition of the records with this digest.
    #[must_use]
    pub fn of_digest(digest: [u8; 20]) -> Self {
        let partitions = [Digest(digest).partition()].into_iter().collect();
        Self { partitions, after: Vec::new() }
    }

    /// Returns the rest of a partition behind this digest.
    #[must_use]
    pub fn after_digest(digest: [u8; 20]) -> Self {
        Self { after: vec![Digest(digest)], ..Self::of_digest(digest) }
    }

    /// Returns both lists in one.
    ///
    /// # Errors
    /// If a partition is in both.
    pub fn and(mut self, other: &Self) -> Result<Self, ScopeError> {
        let item = other.to_string();
        other.partitions.iter().try_for_each(|partition| self.insert(&item, partition.number()))?;
        self.after.extend(&other.after);
        Ok(self)
    }

    fn add(&mut self, item: &str) -> Result<(), ScopeError> {
        if let Some((first, last)) = parse_range(item)? {
            return (first..=last).try_for_each(|id| self.insert(item, id));
        }
        let digest = parse_digest(item).map_err(|error| match error {
            // A digest of another length is worth its own words.
            ScopeError::DigestBytes { bytes: 1.., .. } => error,
            _ => ScopeError::Item { item: item.to_owned() },
        })?;
        self.insert(item, digest.partition().number())?;
        self.after.push(digest);
        Ok(())
    }

    fn insert(&mut self, item: &str, id: u16) -> Result<(), ScopeError> {
        match PartitionId::new(id) {
            Some(partition) if self.partitions.contains(partition) => {
                Err(ScopeError::Overlap { item: item.to_owned(), partition: id })
            }
            Some(partition) => {
                self.partitions.insert(partition);
                Ok(())
            }
            None => Err(ScopeError::Beyond { item: item.to_owned(), last: u64::from(id) }),
        }
    }
}

impl fmt::Display for PartitionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun_after = |partition| self.after.iter().any(|digest| digest.partition() == partition);
        let whole: PartitionSet = self.partitions.iter().filter(|&id| !begun_after(id)).collect();
        write!(f, "{whole}")?;
        let mut separator = if whole == PartitionSet::EMPTY { "" } else { "," };
        for digest in &self.after {
            write!(f, "{separator}{}", base64_simd::STANDARD.encode_to_string(digest.0))?;
            separator = ",";
        }
        Ok(())
    }
}

/// Returns the first and the last partition of an item that is a number or a range; nothing if it is neither.
fn parse_range(item: &str) -> Result<Option<(u16, u16)>, ScopeError> {
    let split = item.split_once("..").map(|ends| (ends, Second::Last));
    let split = split.or_else(|| item.split_once(['-', '+']).map(|ends| (ends, Second::Count)));
    let ((first, second), meaning) = split.unwrap_or(((item, "1"), Second::Count));
    let (Some(first), Some(second)) = (parse_number(first), parse_number(second)) else { return Ok(None) };
    let last = match meaning {
        Second::Last if second < first => return Err(ScopeError::Backwards { item: item.to_owned() }),
        Second::Last => second,
        Second::Count if second == 0 => return Err(ScopeError::NoPartitions { item: item.to_owned() }),
        Second::Count => first.saturating_add(second - 1),
    };
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(first), Ok(last)) if last < PARTITIONS => Ok(Some((first, last))),
        _ => Err(ScopeError::Beyond { item: item.to_owned(), last }),
    }
}

/// What the second number of a range says.
#[derive(Debug, Clone, Copy)]
enum Second {
    Count,
    Last,
}

/// Returns a number of any size; one that is too large for the type is the largest.
fn parse_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn parse_digest(text: &str) -> Result<Digest, ScopeError> {
    let bytes = base64_simd::STANDARD.decode_to_vec(text);
    let bytes = bytes.map_err(|_| ScopeError::Digest { text: text.to_owned() })?;
    let digest = bytes.try_into().map(Digest);
    digest.map_err(|bytes: Vec<u8>| ScopeError::DigestBytes { text: text.to_owned(), bytes: bytes.len() })
}

/// A node of a cluster, by its name or its address.
///
/// As text: the name, `host:port`, `[IPv6]:port`, or `host:tls-name:port`, of which the TLS name doesn't count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSelector {
    /// The node of this name, in whatever case.
    Name(String),
    /// The node that is reached, or says that it is, at this address.
    Address(Seed),
}

impl NodeSelector {
    /// Returns whether an address is the one that is meant.
    pub(crate) fn is_at(&self, address: &Seed) -> bool {
        let Self::Address(wanted) = self else { return false };
        let same_host = match (wanted.host.parse::<IpAddr>(), address.host.parse::<IpAddr>()) {
            (Ok(wanted), Ok(host)) => wanted == host,
            _ => wanted.host.eq_ignore_ascii_case(&address.host),
        };
        same_host && wanted.port == address.port
    }
}

impl FromStr for NodeSelector {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let wrong = || ScopeError::Node { text: text.to_owned() };
        let (host, behind) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']').ok_or_else(wrong)?;
                (host, behind.strip_prefix(':').ok_or_else(wrong)?)
            }
            None => match text.split_once(':') {
                Some(split) => split,
                None if text.is_empty() => return Err(wrong()),
                None => return Ok(Self::Name(text.to_owned())),
            },
        };
        // Behind the host there may be the name in its certificate.
        let port = match behind.split_once(':') {
            Some((tls_name, port)) if !tls_name.is_empty() => port,
            Some(_) => return Err(wrong()),
            None => behind,
        };
        let port = parse_number(port).and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0);
        match port {
            Some(port) if !host.is_empty() => Ok(Self::Address(Seed::new(host, port))),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for NodeSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The number of a rack: 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RackId(u32);

impl RackId {
    /// Returns the rack of that number, or nothing from 1,000,001 on.
    #[must_use]
    pub fn new(id: u32) -> Option<Self> {
        (id <= LAST_RACK).then_some(Self(id))
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl FromStr for RackId {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let id = parse_number(text).and_then(|id| u32::try_from(id).ok());
        id.and_then(Self::new).ok_or_else(|| ScopeError::Rack { text: text.to_owned() })
    }
}

impl fmt::Display for RackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Source: the limit of absctl's `--rack-list`.
const LAST_RACK: u32 = 1_000_000;

/// What is wrong with a part of a namespace that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// A list names nothing.
    #[error("no {what} is named")]
    Empty {
        /// What it should name.
        what: &'static str,
    },
    /// A node or rack is there more than once.
    #[error("{item} is named twice")]
    Twice {
        /// It.
        item: String,
    },
    /// An item of a partition list is none of its forms.
    #[error(
        "{item:?} is no partition from 0 to 4095, no range such as 0-100 or 0..99, and no digest in base64"
    )]
    Item {
        /// The item.
        item: String,
    },
    /// A partition or the end of a range is beyond the last partition.
    #[error("{item:?} goes up to partition {last}, but the last one is 4095{}", count_hint(item))]
    Beyond {
        /// The item.
        item: String,
        /// The partition that doesn't exist.
        last: u64,
    },
    /// The end of a range comes before its beginning.
    #[error("{item:?} ends before it begins")]
    Backwards {
        /// The item.
        item: String,
    },
    /// The count of a range is 0.
    #[error("{item:?} is a range of no partitions{}", count_hint(item))]
    NoPartitions {
        /// The item.
        item: String,
    },
    /// A partition is in more than one item.
    #[error("{item:?} names partition {partition} again")]
    Overlap {
        /// The second item.
        item: String,
        /// The partition.
        partition: u16,
    },
    /// A text is no base64.
    #[error("{text:?} is no digest in base64")]
    Digest {
        /// The text.
        text: String,
    },
    /// Base64 of another length than that of a digest.
    #[error("{text:?} is base64 of {bytes} bytes, but a digest has 20")]
    DigestBytes {
        /// The text.
        text: String,
        /// Its bytes.
        bytes: usize,
    },
    /// A text that is no node.
    #[error("{text:?} is no node: it takes a name, host:port, host:tls-name:port or [IPv6]:port")]
    Node {
        /// The text.
        text: String,
    },
    /// A text that is no rack.
    #[error("{text:?} is no rack: they are numbered from 0 to 1000000")]
    Rack {
        /// The text.
        text: String,
    },
}

/// Whoever means `first-last` gets a count that is too large or odd, and learns why.
fn count_hint(item: &str) -> &'static str {
    if item.contains('-') { "; behind a hyphen stands a count" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of which the base64 is this lies in partition 2 (0x002).
    const IN_2: &str = "AgAAAAAAAAAAAAAAAAAAAAAAAAE=";

    fn list(text: &str) -> Result<String, String> {
        let list = text.parse::<PartitionList>();
        list.map(|list| list.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_put_together() {
        let digest: [u8; 20] = base64_simd::STANDARD.decode_to_vec(IN_2).unwrap().try_into().unwrap();
        let list = PartitionList::range(10, 3).unwrap().and(&PartitionList::after_digest(digest)).unwrap();
        assert_eq!(list, format!("10..12,{IN_2}").parse().unwrap());
        assert_eq!(PartitionList::of_digest(digest), "2".parse().unwrap());
        let twice = list.and(&PartitionList::of_digest(digest)).unwrap_err();
        assert!(matches!(twice, ScopeError::Overlap { partition: 2, .. }), "{twice}");
        assert!(matches!(PartitionList::range(4000, 97), Err(ScopeError::Beyond { last: 4096, .. })));
        assert!(matches!(PartitionList::range(1, 0), Err(ScopeError::NoPartitions { .. })));
    }

    #[test]
    fn partitions_are_listed_in_several_forms() {
        for (text, expected) in [
            ("0", "0"),
            ("4095", "4095"),
            ("1000-1000", "1000..1999"),
            ("0-4096", "0..4095"),
            ("4095-1", "4095"),
            ("7+2", "7..8"),
            ("7..9", "7..9"),
            ("7..7", "7"),
            ("4,1..3,0", "0..4"),
            ("0-1000,2222", "0..999,2222"),
            (IN_2, IN_2),
            ("5,AgAAAAAAAAAAAAAAAAAAAAAAAAE=,1", "1,5,AgAAAAAAAAAAAAAAAAAAAAAAAAE="),
        ] {
            assert_eq!(list(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(list(expected).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn broken_lists_of_partitions_are_refused() {
        let neither =
            "is no partition from 0 to 4095, no range such as 0-100 or 0..99, and no digest in base64";
        for (text, expected) in [
            ("", "no partition is named"),
            ("1,", &format!(r#""" {neither}"#)),
            ("a", &format!(r#""a" {neither}"#)),
            ("1-", &format!(r#""1-" {neither}"#)),
            ("-1", &format!(r#""-1" {neither}"#)),
            ("1..", &format!(r#""1.." {neither}"#)),
            (" 1", &format!(r#"" 1" {neither}"#)),
            ("0x10", r#""0x10" is base64 of 3 bytes, but a digest has 20"#),
            ("4096", r#""4096" goes up to partition 4096, but the last one is 4095"#),
            ("5000", r#""5000" goes up to partition 5000, but the last one is 4095"#),
            ("70000..70001", r#""70000..70001" goes up to partition 70001, but the last one is 4095"#),
            (
                "4095-2",
                r#""4095-2" goes up to partition 4096, but the last one is 4095; behind a hyphen stands a count"#,
            ),
            ("1-0", r#""1-0" is a range of no partitions; behind a hyphen stands a count"#),
            ("1+0", r#""1+0" is a range of no partitions"#),
            ("9..8", r#""9..8" ends before it begins"#),
            ("1,0..1", r#""0..1" names partition 1 again"#),
            ("2,AgAAAAAAAAAAAAAAAAAAAAAAAAE=", r#""AgAAAAAAAAAAAAAAAAAAAAAAAAE=" names partition 2 again"#),
        ] {
            assert_eq!(list(text), Err(expected.to_owned()), "{text}");
        }
        assert!(list("1+99999999999999999999999").unwrap_err().contains("the last one is 4095"));
    }

    #[test]
    fn digest_stands_for_the_rest_of_its_partition_and_all_later_ones() {
        let scope = Scope::after_digest(IN_2).unwrap();
        assert_eq!(scope.partitions().unwrap().to_string(), "2..4095");
        assert_eq!(scope.begun_after()[0].0[19], 1);
        for (text, expected) in [
            ("", r#""" is base64 of 0 bytes, but a digest has 20"#),
            ("AA==", r#""AA==" is base64 of 1 bytes, but a digest has 20"#),
            ("no!", r#""no!" is no digest in base64"#),
        ] {
            assert_eq!(Scope::after_digest(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn nodes_have_a_name_or_an_address() {
        for (text, shown) in [
            ("BB9020011AC4202", "BB9020011AC4202"),
            ("10.0.0.1:3000", "10.0.0.1:3000"),
            ("10.0.0.1:db:3000", "10.0.0.1:3000"),
            ("[::1]:3000", "[::1]:3000"),
            ("[::1]:db:3000", "[::1]:3000"),
        ] {
            assert_eq!(text.parse::<NodeSelector>().unwrap().to_string(), shown);
        }
        for text in ["", ":3000", "h:", "h:0", "h:65536", "h:port", "h::3000", "[::1]", "[::1", "[]:1", "::1"]
        {
            let error = text.parse::<NodeSelector>().unwrap_err();
            assert_eq!(error, ScopeError::Node { text: text.to_owned() });
        }
        let node: NodeSelector = "[0:0::1]:3000".parse().unwrap();
        assert!(node.is_at(&Seed::new("::1", 3000)));
        assert!(!node.is_at(&Seed::new("::1", 3001)));
    }

    #[test]
    fn racks_are_numbered() {
        assert_eq!("1000000".parse::<RackId>().unwrap().number(), 1_000_000);
        for text in ["", "-1", "1000001", "a"] {
            assert!(text.parse::<RackId>().is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_is_named_twice() {
        let node = || "a".parse::<NodeSelector>().unwrap();
        let rack = RackId(1);
        assert_eq!(Scope::nodes(vec![node(), node()]).unwrap_err().to_string(), "a is named twice");
        assert_eq!(Scope::racks(vec![rack, rack]).unwrap_err().to_string(), "1 is named twice");
        assert_eq!(Scope::racks(vec![]).unwrap_err().to_string(), "no rack is named");
        assert!(Scope::nodes(vec![node()]).is_ok() && Scope::racks(vec![rack]).is_ok());
    }
}
