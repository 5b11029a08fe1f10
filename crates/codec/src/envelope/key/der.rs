//! As much DER as finds an RSA private key: PKCS#1, or PKCS#8 around it. Source: docs/format/key.md, "DER".

use super::KeyError;

/// Returns the PKCS#1 form of a private key, which is the input itself or a part of it.
pub(super) fn pkcs1(input: &[u8]) -> Result<&[u8], KeyError> {
    let mut outer = Reader { rest: input, at: 0 };
    let mut key = outer.nested(SEQUENCE)?;
    outer.end()?;
    let version = key.integer()?;
    match key.tag() {
        Some(INTEGER) => two_primes(version, key).map(|()| input),
        Some(SEQUENCE) => pkcs8(key),
        // The form for EC keys has an octet string here.
        Some(OCTET_STRING) => Err(KeyError::NotRsa),
        _ => Err(key.damaged()),
    }
}

/// Returns the PKCS#1 form within the rest of a PKCS#8 key, behind its version. Attributes may follow the key.
fn pkcs8(mut key: Reader<'_>) -> Result<&[u8], KeyError> {
    let mut algorithm = key.nested(SEQUENCE)?;
    if algorithm.content(OBJECT_IDENTIFIER)? != RSA_ENCRYPTION {
        return Err(KeyError::NotRsa);
    }
    let inner = key.nested(OCTET_STRING)?;
    let input = inner.rest;
    let mut whole = inner.clone();
    let mut fields = whole.nested(SEQUENCE)?;
    whole.end()?;
    let version = fields.integer()?;
    two_primes(version, fields).map(|()| input)
}

/// Checks the rest of a PKCS#1 key behind its version: eight numbers and nothing else.
fn two_primes(version: &[u8], mut key: Reader<'_>) -> Result<(), KeyError> {
    match version {
        [0] => {}
        [1] => return Err(KeyError::MultiPrime),
        _ => return Err(key.damaged()),
    }
    for _number in 0..8 {
        key.integer()?;
    }
    key.end()
}

/// Reads elements front to back.
#[derive(Clone)]
struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the whole input.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns the tag of the next element.
    fn tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Returns a reader of what the next element holds, which must have this tag.
    fn nested(&mut self, tag: u8) -> Result<Self, KeyError> {
        let content = self.content(tag)?;
        Ok(Self { rest: content, at: self.at - content.len() })
    }

    /// Returns what the next element holds, which must have this tag.
    fn content(&mut self, tag: u8) -> Result<&'a [u8], KeyError> {
        let (head, bytes) = match *self.rest {
            [found, len @ 0..=0x7f, ..] if found == tag => (2, usize::from(len)),
            [found, 0x81, len @ 0x80..=0xff, ..] if found == tag => (3, usize::from(len)),
            [found, 0x82, high @ 1..=0xff, low, ..] if found == tag => {
                (4, usize::from(u16::from_be_bytes([high, low])))
            }
            _ => return Err(self.damaged()),
        };
        let content = self.rest.get(head..head + bytes).ok_or_else(|| self.damaged())?;
        self.rest = self.rest.get(head + bytes..).unwrap_or_default();
        self.at += head + bytes;
        Ok(content)
    }

    /// Returns the bytes of the next element, a number that isn't negative, in its one spelling.
    fn integer(&mut self) -> Result<&'a [u8], KeyError> {
        let number = self.content(INTEGER)?;
        match *number {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] if number != [0] => Err(self.damaged()),
            _ => Ok(number),
        }
    }

    /// Checks that nothing follows.
    fn end(&self) -> Result<(), KeyError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }

    fn damaged(&self) -> KeyError {
        KeyError::Damaged { at: self.at }
    }
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The object identifier of RSA keys, 1.2.840.113549.1.1.1. Source: docs/format/key.md, "DER".
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
