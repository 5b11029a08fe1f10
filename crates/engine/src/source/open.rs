//! An open file of a backup: what is stored to text, step by step, with the hash of what was read.

use std::{
    io::{self, Read},
    mem,
};

use asbackup_codec::envelope::{AesCtr, AesKey, BLOCK_BYTES, Decompressed, Decompressor, Layer, ZstdError};

use super::{ahead::Text, input::is_cancelled};
use crate::{
    Error, ErrorKind,
    config::ExpectedCompression,
    manifest::{Hashing, StoredHash},
};

/// Compressed bytes that are read at once. They become several times as much text.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// What is known of the files of a backup before they are opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Opening {
    pub(crate) key: Option<AesKey>,
    pub(crate) encrypted: Encrypted,
    pub(crate) compression: Option<ExpectedCompression>,
}

/// Whether files are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encrypted {
    /// There is no manifest that says it: their first bytes tell.
    #[default]
    Unknown,
    /// The manifest says that they are.
    Yes,
    /// The manifest says that they aren't.
    No,
}

/// Memory that files are decompressed with, one after another.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    decompressor: Option<Decompressor>,
    chunk: Vec<u8>,
}

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct OpenFile<'a, R> {
    name: &'a str,
    stored: Stored<R>,
    /// If the text is compressed.
    compressed: Option<Compressed<'a>>,
}

/// What was read of a compressed file and isn't decompressed yet.
#[derive(Debug)]
struct Compressed<'a> {
    decompressor: &'a mut Decompressor,
    chunk: &'a mut Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a, R: Read> OpenFile<'a, R> {
    /// Opens a file and finds out what it is wrapped in.
    ///
    /// # Errors
    /// If it can't be read, if a key is missing or not wanted, or if nothing in it makes sense.
    pub(crate) fn open(
        file: R,
        name: &'a str,
        opening: &Opening,
        workspace: &'a mut Workspace,
    ) -> Result<Self, Error> {
        let mut stored = Stored::begin(file, opening.key.as_ref());
        stored.read_head(name)?;
        if is_encrypted(name, &stored.head, opening)? {
            stored.decrypt(name, opening.key.as_ref())?;
        }
        let layer = Layer::of(&stored.head);
        check_compression(name, layer, opening.compression)?;
        let is_compressed = layer == Layer::Compressed;
        let compressed = is_compressed.then(|| {
            let Workspace { decompressor, chunk } = workspace;
            let decompressor = decompressor.get_or_insert_default();
            decompressor.reset();
            chunk.resize(CHUNK_BYTES, 0);
            Compressed { decompressor, chunk, start: 0, end: 0 }
        });
        Ok(Self { name, stored, compressed })
    }

    /// Reads text into `into`. 0: the file is at its end.
    ///
    /// # Errors
    /// If it can't be read, or its frames are damaged.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let Some(compressed) = &mut self.compressed else { return self.stored.read(self.name, into) };
        loop {
            let Compressed { decompressor, chunk, start, end } = compressed;
            if start == end {
                (*start, *end) = (0, self.stored.read(self.name, chunk)?);
            }
            let at_end = *end == 0;
            let step = decompressor.decompress(&chunk[*start..*end], into);
            let Decompressed { used, written } =
                step.map_err(|error| broken_frame(self.name, error, self.stored.bytes))?;
            *start += used;
            if written > 0 {
                return Ok(written);
            }
            if at_end {
                let ended = decompressor.finish().map(|()| 0);
                return ended.map_err(|error| broken_frame(self.name, error, self.stored.bytes));
            }
        }
    }

    /// Returns whether the text is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// Returns how many stored bytes were read.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored.bytes
    }

    /// Returns the hash of all stored bytes that were read.
    pub(crate) fn hash(&self) -> String {
        self.stored.hash.hex()
    }
}

impl<R: Read> Text for OpenFile<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        OpenFile::read(self, into)
    }

    fn stored_bytes(&self) -> u64 {
        OpenFile::stored_bytes(self)
    }
}

/// The bytes of a file, decrypted if they are encrypted.
#[derive(Debug)]
struct Stored<R> {
    file: R,
    /// What was read to find out what it is, and isn't handed on yet.
    head: Vec<u8>,
    cipher: Option<AesCtr>,
    hash: StoredHash,
    bytes: u64,
}

impl<R: Read> Stored<R> {
    fn begin(file: R, key: Option<&AesKey>) -> Self {
        let hash = Hashing::of(key).begin();
        Self { file, head: Vec::new(), cipher: None, hash, bytes: 0 }
    }

    /// Reads as much as it takes to know what a file is.
    fn read_head(&mut self, name: &str) -> Result<(), Error> {
        let mut head = [0; BLOCK_BYTES + Layer::PREFIX_BYTES];
        let mut len = 0;
        while len < head.len() {
            match self.read_file(name, &mut head[len..])? {
                0 => break,
                read => len += read,
            }
        }
        self.head = head[..len].to_vec();
        Ok(())
    }

    /// Takes the first block off the head, and decrypts the rest and all that follows.
    fn decrypt(&mut self, name: &str, key: Option<&AesKey>) -> Result<(), Error> {
        let key = key.ok_or_else(|| missing_key(name))?;
        let (Some(first), Some(rest)) = (self.head.first_chunk(), self.head.get(BLOCK_BYTES..)) else {
            return Err(damaged(name, "it ends within its first block"));
        };
        let (mut cipher, mut rest) = (AesCtr::open(key, *first), rest.to_vec());
        cipher.apply(&mut rest);
        if Layer::of(&rest) == Layer::Unknown {
            return Err(damaged(
                name,
                "it is damaged, or the encryption key or cipher isn't the one it was made with",
            ));
        }
        (self.head, self.cipher) = (rest, Some(cipher));
        Ok(())
    }

    fn read(&mut self, name: &str, into: &mut [u8]) -> Result<usize, Error> {
        if self.head.is_empty() {
            let read = self.read_file(name, into)?;
            if let Some(cipher) = &mut self.cipher {
                cipher.apply(&mut into[..read]);
            }
            return Ok(read);
        }
        let mut head = mem::take(&mut self.head);
        let len = head.len().min(into.len());
        into[..len].copy_from_slice(&head[..len]);
        self.head = head.split_off(len);
        Ok(len)
    }

    fn read_file(&mut self, name: &str, into: &mut [u8]) -> Result<usize, Error> {
        let read = loop {
            match self.file.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| unreadable(name, error))?,
            }
        };
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Returns whether a file is encrypted.
fn is_encrypted(name: &str, head: &[u8], opening: &Opening) -> Result<bool, Error> {
    match (opening.encrypted, Layer::of(head)) {
        (Encrypted::Yes, _) => Ok(true),
        (Encrypted::No, _) => Ok(false),
        // Too short to tell, so that it is damaged in any case: whoever gives a key means that it is encrypted.
        (Encrypted::Unknown, _) if opening.key.is_some() && head.len() < Layer::PREFIX_BYTES => Ok(true),
        (Encrypted::Unknown, Layer::Text | Layer::Compressed) if opening.key.is_none() => Ok(false),
        (Encrypted::Unknown, Layer::Text | Layer::Compressed) => Err(unused_key(name)),
        // What is encrypted isn't ASCII. Whatever else this is, the decoder says it.
        (Encrypted::Unknown, Layer::Unknown) => Ok(opening.key.is_some() || !head.is_ascii()),
    }
}

fn check_compression(name: &str, layer: Layer, expected: Option<ExpectedCompression>) -> Result<(), Error> {
    let (expected, found) = match (expected, layer) {
        (Some(ExpectedCompression::None), Layer::Compressed) => ("none", "compressed"),
        (Some(ExpectedCompression::Zstd), Layer::Text) => ("ZSTD", "not compressed"),
        // What is neither is damaged, which the decoder says.
        _ => return Ok(()),
    };
    Err(Error::of(ErrorKind::Config, format!("{name} is {found}, but {expected} is expected"))
        .place(|place| place.file = Some(name.to_owned()))
        .hint("leave out --compress: compression is detected")
        .build())
}

/// Returns the error of a backup that is encrypted while no key is given.
pub(crate) fn missing_key(name: &str) -> Error {
    no_key_given(name, format!("{name} is encrypted (or no backup at all), and no key is given"))
}

/// The same, of one whose manifest or state says that it is encrypted.
pub(crate) fn missing_key_by(document: &str) -> Error {
    no_key_given(document, format!("the backup is encrypted, as {document} says, and no key is given"))
}

fn no_key_given(name: &str, message: String) -> Error {
    Error::of(ErrorKind::Config, message)
        .place(|place| place.file = Some(name.to_owned()))
        .hint("name the cipher with --encrypt and the key with --encryption-key-file, --encryption-key-env or --encryption-key-secret")
        .build()
}

/// Returns the error of a backup that isn't encrypted while a key is given.
pub(crate) fn unused_key(name: &str) -> Error {
    Error::of(ErrorKind::Config, format!("{name} isn't encrypted, but an encryption key is given"))
        .place(|place| place.file = Some(name.to_owned()))
        .hint("leave out --encrypt and the key if that is as it should be")
        .build()
}

fn damaged(name: &str, why: &str) -> Error {
    Error::of(ErrorKind::Format, format!("{name} can't be decrypted: {why}"))
        .place(|place| place.file = Some(name.to_owned()))
        .hint("check key and cipher, then the whole backup with --validate")
        .build()
}

fn broken_frame(name: &str, error: ZstdError, stored_bytes: u64) -> Error {
    let message = format!("{name} is damaged before stored byte {stored_bytes}: {error}");
    Error::of(ErrorKind::Format, message)
        .place(|place| place.file = Some(name.to_owned()))
        .hint("check the whole backup with --validate")
        .source(error)
        .build()
}

pub(super) fn unreadable(name: &str, source: io::Error) -> Error {
    if is_cancelled(&source) {
        return Error::cancelled();
    }
    Error::of(ErrorKind::Storage, format!("cannot read {name}"))
        .place(|place| place.file = Some(name.to_owned()))
        .source(source)
        .build()
}
