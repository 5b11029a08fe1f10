//! What a backup holds beside records: secondary indexes and UDF modules. They are few, so they own their bytes.

/// The definition of a secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondaryIndex {
    /// Namespace.
    pub namespace: Vec<u8>,
    /// Set; an index over the whole namespace has none.
    pub set: Option<Vec<u8>>,
    /// Name.
    pub name: Vec<u8>,
    /// Which part of a bin is indexed.
    pub kind: IndexKind,
    /// Bin; `null` for an expression index, as the server reports it.
    pub bin: Vec<u8>,
    /// Type of the indexed values.
    pub indexed: IndexedType,
    /// Base64 of the path into a list or map, as the server reports it.
    pub context: Option<Vec<u8>>,
    /// Base64 of the indexed expression, as the server reports it.
    pub expression: Option<Vec<u8>>,
}

/// Which part of a bin an index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// The bin's value.
    Default,
    /// The elements of a list.
    ListElements,
    /// The keys of a map.
    MapKeys,
    /// The values of a map.
    MapValues,
}

/// The type of the values in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexedType {
    /// Integers.
    Numeric,
    /// Strings.
    String,
    /// Points and regions on the globe.
    Geo2dSphere,
    /// Blobs.
    Blob,
}

/// A module of user-defined functions. Lua is the only language that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdfModule {
    /// File name.
    pub name: Vec<u8>,
    /// Source text.
    pub content: Vec<u8>,
}
