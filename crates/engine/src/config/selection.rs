//! What of a namespace or of a backup is wanted.

use std::collections::BTreeSet;

/// Names of sets or of bins: at least one, none of them empty or twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(BTreeSet<Vec<u8>>);

impl Names {
    /// Returns those names.
    ///
    /// # Errors
    /// If there is none, one is empty, or one is there twice.
    pub fn new(names: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Result<Self, NamesError> {
        let mut all = BTreeSet::new();
        for name in names {
            let name = name.into();
            if name.is_empty() {
                return Err(NamesError::Empty);
            }
            if let Some(name) = all.replace(name) {
                return Err(NamesError::Twice { name: String::from_utf8_lossy(&name).into_owned() });
            }
        }
        if all.is_empty() { Err(NamesError::None) } else { Ok(Self(all)) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.0.contains(name)
    }
}

/// What is wrong with a list of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// There is no name.
    #[error("no name is given")]
    None,
    /// A name has no letters.
    #[error("a name is empty")]
    Empty,
    /// A name is there more than once.
    #[error("{name:?} is named twice")]
    Twice {
        /// The name.
        name: String,
    },
}

/// A class of entries, which can be left out as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryClass {
    /// Records.
    Records,
    /// Secondary indexes.
    Indexes,
    /// UDF modules.
    UdfModules,
}

impl EntryClass {
    /// All classes.
    pub(crate) const ALL: [Self; 3] = [Self::Records, Self::Indexes, Self::UdfModules];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_some_and_differ() {
        let names = Names::new(["a", "b"]).unwrap();
        assert!(names.contains(b"a") && names.contains(b"b") && !names.contains(b"c"));
        for (wrong, message) in [
            (&[][..], "no name is given"),
            (&["a", ""], "a name is empty"),
            (&["a", "b", "a"], r#""a" is named twice"#),
        ] {
            assert_eq!(Names::new(wrong.iter().copied()).unwrap_err().to_string(), message);
        }
    }
}
