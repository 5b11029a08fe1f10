//! The decoder of a file's text.

use asbackup_model::RecordLayout;

use super::cursor::{Cursor, Escapes, Parse, Stop};
use super::error::{DecodeError, Position, Rule};
use super::record::{self, Progress};
use super::{Entry, MAX_ENTRY_BYTES, Version, duplicates, global, header};
use crate::Step;

/// Reads the text of one file, entry by entry.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    version: Version,
    namespace: Option<Vec<u8>>,
    position: Position,
    progress: Option<Progress>,
    bin_order: Vec<u32>,
}

/// Which lines may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Version,
    Metadata,
    Entries,
}

impl Decoder {
    /// Returns a decoder for the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::Version,
            version: Version::V31,
            namespace: None,
            position: Position::START,
            progress: None,
            bin_order: Vec::new(),
        }
    }

    /// Reads the entry at the front of `input`, which begins where the last `Done` ended.
    ///
    /// After [`Entry::Record`] the record is `layout.view(input)`. After `Need` the next call must bring the same
    /// `layout` as it was left, since it may hold the first bins of the record. A record costs no allocation once
    /// `layout` has grown large enough.
    pub fn decode(&mut self, input: &[u8], layout: &mut RecordLayout) -> Step<Entry, DecodeError> {
        let window = input.get(..MAX_ENTRY_BYTES).unwrap_or(input);
        let mut cursor = Cursor::new(window);
        match self.entry(&mut cursor, window, layout) {
            Ok(value) => {
                let used = cursor.at();
                self.position = self.position.after(window.get(..used).unwrap_or_default());
                Step::Done { value, used }
            }
            Err(Stop::Need(bytes)) if window.len() + bytes <= MAX_ENTRY_BYTES => Step::Need(bytes),
            Err(Stop::Need(_)) => Step::Damaged(DecodeError::new(Rule::EntryTooLong, self.position)),
            Err(Stop::Broken(rule, at)) => {
                let position = self.position.after(window.get(..at).unwrap_or_default());
                Step::Damaged(DecodeError::new(rule, position))
            }
        }
    }

    /// Checks that the file may end here. `rest` is what came behind the last `Done`.
    ///
    /// # Errors
    /// If the header isn't complete, or if `rest` isn't empty: it is the beginning of an entry.
    pub fn finish(&self, rest: &[u8]) -> Result<(), DecodeError> {
        let rule = match self.stage {
            Stage::Version => Rule::CutHeader,
            _ if rest.is_empty() => return Ok(()),
            Stage::Metadata if rest.starts_with(b"#") => Rule::CutHeader,
            _ => Rule::CutEntry,
        };
        Err(DecodeError::new(rule, self.position.after(rest)))
    }

    /// Returns where the next entry begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the version that the header names; the usual one before it was read.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the namespace that the header names, the last one if it names several.
    #[must_use]
    pub fn namespace(&self) -> Option<&[u8]> {
        self.namespace.as_deref()
    }

    fn entry(&mut self, cursor: &mut Cursor<'_>, input: &[u8], layout: &mut RecordLayout) -> Parse<Entry> {
        if self.stage == Stage::Version {
            self.version = header::version(cursor)?;
            self.stage = Stage::Metadata;
            return Ok(Entry::HeaderLine);
        }
        let escapes = if self.version == Version::V30 { Escapes::Kept } else { Escapes::Dropped };
        match cursor.peek()? {
            b'#' if self.stage == Stage::Metadata => {
                let namespace = header::metadata(cursor, escapes)?;
                self.namespace = namespace.or_else(|| self.namespace.take());
                Ok(Entry::HeaderLine)
            }
            b'#' => Err(Stop::Broken(Rule::LateMetadata, 0)),
            b'+' => {
                self.stage = Stage::Entries;
                record::record(cursor, escapes, layout, &mut self.progress)?;
                duplicates::keep_last(layout, input, &mut self.bin_order);
                Ok(Entry::Record)
            }
            b'*' if self.version == Version::V30 => Err(Stop::Broken(Rule::LegacyGlobal, 0)),
            b'*' => {
                self.stage = Stage::Entries;
                global::global(cursor)
            }
            found => Err(Stop::Broken(Rule::UnknownLine { found }, 0)),
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
