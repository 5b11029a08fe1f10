//! The beginning of generated file names.

use std::fmt;

use crate::naming::METADATA;

/// What the names of record files begin with, in place of the writer's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePrefix(String);

impl FilePrefix {
    /// Returns a prefix.
    ///
    /// # Errors
    /// If it isn't the beginning of a file name everywhere: it is empty, holds a control character or one of
    /// `\\ / : * ? " < > |`, begins or ends with a space, or begins like the names of metadata files.
    pub fn new(text: impl Into<String>) -> Result<Self, PrefixError> {
        let text = text.into();
        let wrong = |character: &char| character.is_control() || FORBIDDEN.contains(character);
        match text.chars().find(wrong) {
            Some(character) => Err(PrefixError::Character { character }),
            None if text.is_empty() => Err(PrefixError::Empty),
            None if text.trim() != text => Err(PrefixError::Space),
            None if text.starts_with(METADATA) => Err(PrefixError::Metadata),
            None => Ok(Self(text)),
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text can't begin the names of record files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// There is nothing in it.
    #[error("a prefix of file names can't be empty")]
    Empty,
    /// A character that isn't allowed in file names everywhere.
    #[error("a prefix of file names can't hold {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// Spaces at an end are lost easily.
    #[error("a prefix of file names can't begin or end with a space")]
    Space,
    /// Record files would be taken for metadata files.
    #[error("a prefix of file names can't begin with \"metadata_\", as the names of metadata files do")]
    Metadata,
}

const FORBIDDEN: [char; 9] = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_name_can_begin_with_is_refused() {
        for (text, expected) in [
            ("", PrefixError::Empty),
            ("a/b", PrefixError::Character { character: '/' }),
            ("a\\b", PrefixError::Character { character: '\\' }),
            ("a:b", PrefixError::Character { character: ':' }),
            ("*?", PrefixError::Character { character: '*' }),
            ("a\tb", PrefixError::Character { character: '\t' }),
            (" a", PrefixError::Space),
            ("a ", PrefixError::Space),
            ("metadata_", PrefixError::Metadata),
            ("metadata_x", PrefixError::Metadata),
        ] {
            assert_eq!(FilePrefix::new(text).unwrap_err(), expected, "{text:?}");
        }
        assert_eq!(FilePrefix::new("a b-metadata_").unwrap().as_str(), "a b-metadata_");
    }
}
