//! The value of a bin. Lists, maps, HLLs and blobs stay the bytes that they came as.

/// Particle types: the byte that names a value's type on the wire. Source: docs/format/wire.md, "Particles".
pub mod particle {
    #![expect(missing_docs, reason = "the names are the server's own and say all there is to say")]
    pub const NIL: u8 = 0;
    pub const INTEGER: u8 = 1;
    pub const FLOAT: u8 = 2;
    pub const STRING: u8 = 3;
    pub const BLOB: u8 = 4;
    pub const JAVA_BLOB: u8 = 7;
    pub const CSHARP_BLOB: u8 = 8;
    pub const PYTHON_BLOB: u8 = 9;
    pub const RUBY_BLOB: u8 = 10;
    pub const PHP_BLOB: u8 = 11;
    pub const ERLANG_BLOB: u8 = 12;
    pub const BOOL: u8 = 17;
    pub const HLL: u8 = 18;
    pub const MAP: u8 = 19;
    pub const LIST: u8 = 20;
    pub const GEOJSON: u8 = 23;
}

/// A bin's value, borrowed from the buffer that it was decoded from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No value. Writing it deletes the bin.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Integer(i64),
    /// A double.
    Float(f64),
    /// A string: bytes, since nothing forces it to be UTF-8.
    String(&'a [u8]),
    /// The JSON text of a GeoJSON value, without the prefix that it has on the wire.
    GeoJson(&'a [u8]),
    /// Everything that the product needn't understand: blobs, HLLs, lists, maps.
    Bytes(BytesType, &'a [u8]),
}

/// What kind of bytes a [`Value::Bytes`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BytesType {
    /// Plain bytes.
    Blob,
    /// A serialised Java object.
    Java,
    /// A serialised C# object.
    CSharp,
    /// A serialised Python object.
    Python,
    /// A serialised Ruby object.
    Ruby,
    /// A serialised PHP object.
    Php,
    /// A serialised Erlang term.
    Erlang,
    /// A HyperLogLog sketch.
    Hll,
    /// A map in `MessagePack`, as the server stores it.
    Map,
    /// A list in `MessagePack`, as the server stores it.
    List,
    /// A particle type that this version doesn't know, or a value that doesn't fit its type.
    Unknown(u8),
}

impl BytesType {
    /// Returns the particle type of these bytes on the wire.
    #[must_use]
    pub fn particle(self) -> u8 {
        match self {
            Self::Blob => particle::BLOB,
            Self::Java => particle::JAVA_BLOB,
            Self::CSharp => particle::CSHARP_BLOB,
            Self::Python => particle::PYTHON_BLOB,
            Self::Ruby => particle::RUBY_BLOB,
            Self::Php => particle::PHP_BLOB,
            Self::Erlang => particle::ERLANG_BLOB,
            Self::Hll => particle::HLL,
            Self::Map => particle::MAP,
            Self::List => particle::LIST,
            Self::Unknown(particle) => particle,
        }
    }
}
