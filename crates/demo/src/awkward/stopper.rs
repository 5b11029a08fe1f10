//! Entries that end a whole job of backup-go. They are apart from the rest, so that it can be compared at all.

use asbackup_model::{UdfModule, UserKey, Value};
use asbackup_testserver::Store;

use super::{Labels, Loader, SET};
use crate::draft::Draft;

/// An entry that ends a whole job of backup-go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopper {
    /// A bin whose name is empty.
    EmptyBinName,
    /// A UDF module with a comma in its name.
    UdfComma,
    /// An index over the members of a set, which the format has no line for.
    SetIndex,
}

impl Stopper {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EmptyBinName, Self::UdfComma, Self::SetIndex];

    /// Returns which kind of entry it is.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::EmptyBinName => "bin with an empty name",
            Self::UdfComma => "UDF module with a comma in its name",
            Self::SetIndex => "set index",
        }
    }

    /// Adds the entry to a namespace. An index over a set gets no label, since no comparison sees it.
    pub fn add(self, store: &Store, namespace: &str, labels: &mut Labels) {
        let mut loader = Loader { store, namespace, labels: std::mem::take(labels) };
        let udf = |name: &[u8]| UdfModule { name: name.into(), content: b"-- nothing\n".into() };
        match self {
            Self::EmptyBinName => {
                let mut draft =
                    Draft::new(namespace.as_bytes(), Some(SET), &UserKey::String(b"empty bin name"));
                draft.bin(b"", Value::Integer(1));
                loader.put(self.kind(), &draft);
            }
            Self::UdfComma => loader.udf(self.kind(), udf(b"with,comma.lua")),
            Self::SetIndex => store.add_set_index(namespace, "of_a_set", "awkward"),
        }
        *labels = loader.labels;
    }
}
