//! Everything that a server keeps: the records of its namespaces, secondary indexes, UDF modules.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use asbackup_codec::Step;
use asbackup_codec::wire::{Answer, decode_answer, encode_record_answer};
use asbackup_model::{Digest, PartitionId, RecordLayout, RecordView, SecondaryIndex, UdfModule};

use crate::clock::Clock;
use crate::namespace::{Namespace, NamespaceConfig, Record};
use crate::stored::Stored;

/// What a server keeps, in memory. Shared between the server and whoever looks into it.
///
/// Every method that names a namespace panics if the server has none of that name: that is a mistake of the test.
#[derive(Debug)]
pub struct Store {
    namespaces: Vec<Namespace>,
    indexes: Mutex<Vec<Index>>,
    udfs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(crate) clock: Clock,
}

/// An index as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Index {
    /// Over values.
    Values(SecondaryIndex),
    /// Over the members of a set.
    Set {
        /// Namespace.
        namespace: Vec<u8>,
        /// Name.
        name: Vec<u8>,
        /// Set.
        set: Vec<u8>,
    },
}

impl Store {
    pub(crate) fn new(namespaces: Vec<NamespaceConfig>) -> Self {
        Self {
            namespaces: namespaces.into_iter().map(Namespace::new).collect(),
            indexes: Mutex::default(),
            udfs: Mutex::default(),
            clock: Clock::default(),
        }
    }

    /// Stores a record as it is, with its generation and void time, in place of the one under its digest. No rule of
    /// writing applies.
    pub fn put(&self, record: &RecordView<'_>) {
        let mut message = Vec::new();
        encode_record_answer(&mut message, record);
        let stored = Record { last_update_ns: self.clock.now().unix_ns(), message: message.into() };
        self.expect(record.namespace).partition(record.digest.partition()).insert(record.digest, stored);
    }

    /// Visits every record of a namespace, partition by partition, within one in the order of digests; expired ones
    /// too. Writers of a partition wait while it is visited.
    pub fn for_each_record(&self, namespace: impl AsRef<[u8]>, mut visit: impl FnMut(&RecordView<'_>)) {
        let namespace = self.expect(namespace.as_ref());
        let mut layout = RecordLayout::new();
        for id in PartitionId::all() {
            for record in namespace.partition(id).values() {
                decode(record, &mut layout);
                visit(&layout.view(&record.message));
            }
        }
    }

    /// Visits one record, if it is there; returns whether it is.
    pub fn visit_record(
        &self,
        namespace: impl AsRef<[u8]>,
        digest: &Digest,
        visit: impl FnOnce(&RecordView<'_>),
    ) -> bool {
        let partition = self.expect(namespace.as_ref()).partition(digest.partition());
        let Some(record) = partition.get(digest) else { return false };
        let mut layout = RecordLayout::new();
        decode(record, &mut layout);
        visit(&layout.view(&record.message));
        true
    }

    /// Returns the number of records of a namespace; expired ones count until something overwrites them.
    pub fn record_count(&self, namespace: impl AsRef<[u8]>) -> u64 {
        self.expect(namespace.as_ref()).record_count()
    }

    /// Removes all records of a namespace. Indexes and UDF modules stay.
    pub fn truncate(&self, namespace: impl AsRef<[u8]>) {
        truncate(self.expect(namespace.as_ref()), None, u64::MAX);
    }

    /// Returns the indexes of a namespace in the order in which they were made. Those over whole sets aren't among
    /// them.
    pub fn indexes(&self, namespace: impl AsRef<[u8]>) -> Vec<SecondaryIndex> {
        let namespace = namespace.as_ref();
        let values = |index: &Index| match index {
            Index::Values(index) if index.namespace == namespace => Some(index.clone()),
            _ => None,
        };
        self.lock_indexes().iter().filter_map(values).collect()
    }

    /// Adds an index in place of the one under its name.
    pub fn add_index(&self, index: SecondaryIndex) {
        self.put_index(Index::Values(index));
    }

    /// Adds an index over the members of a set, which ASB files have no line for.
    pub fn add_set_index(&self, namespace: &str, name: &str, set: &str) {
        self.put_index(Index::Set { namespace: namespace.into(), name: name.into(), set: set.into() });
    }

    /// Returns name and set of the indexes over the members of a set, in the order in which they were made.
    pub fn set_indexes(&self, namespace: impl AsRef<[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_namespace = |index: &Index| match index {
            Index::Set { namespace: found, name, set } if found == namespace.as_ref() => {
                Some((name.clone(), set.clone()))
            }
            _ => None,
        };
        self.lock_indexes().iter().filter_map(of_namespace).collect()
    }

    /// Returns the UDF modules in the order of their names.
    pub fn udfs(&self) -> Vec<UdfModule> {
        let module = |(name, content): (&Vec<u8>, &Vec<u8>)| UdfModule {
            name: name.clone(),
            content: content.clone(),
        };
        self.lock_udfs().iter().map(module).collect()
    }

    /// Adds a UDF module in place of the one under its name.
    pub fn add_udf(&self, udf: UdfModule) {
        self.lock_udfs().insert(udf.name, udf.content);
    }

    pub(crate) fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    pub(crate) fn namespace(&self, name: &[u8]) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name() == name)
    }

    pub(crate) fn lock_indexes(&self) -> MutexGuard<'_, Vec<Index>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock_udfs(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.udfs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_index(&self, index: Index) {
        let mut indexes = self.lock_indexes();
        indexes.retain(|old| !old.is_named(index.namespace(), index.name()));
        indexes.push(index);
    }

    pub(crate) fn expect(&self, name: &[u8]) -> &Namespace {
        let found = self.namespace(name);
        found.unwrap_or_else(|| panic!("the server has no namespace {}", String::from_utf8_lossy(name)))
    }
}

impl Index {
    pub(crate) fn namespace(&self) -> &[u8] {
        match self {
            Self::Values(index) => &index.namespace,
            Self::Set { namespace, .. } => namespace,
        }
    }

    pub(crate) fn name(&self) -> &[u8] {
        match self {
            Self::Values(index) => &index.name,
            Self::Set { name, .. } => name,
        }
    }

    pub(crate) fn is_named(&self, namespace: &[u8], name: &[u8]) -> bool {
        self.namespace() == namespace && self.name() == name
    }
}

fn decode(record: &Record, layout: &mut RecordLayout) {
    let step = decode_answer(&record.message, layout);
    assert!(matches!(step, Step::Done { value: Answer::Record, .. }), "a stored record is damaged: {step:?}");
}

/// Removes the records that were last updated before a moment: of one set, or all.
pub(crate) fn truncate(namespace: &Namespace, set: Option<&[u8]>, before_ns: u64) {
    for id in PartitionId::all() {
        namespace.partition(id).retain(|_, record| {
            let in_set = set.is_none() || Stored(&record.message).set(namespace.name()) == set;
            !in_set || record.last_update_ns >= before_ns
        });
    }
}
