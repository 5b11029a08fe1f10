//! The side file: what the text format has no line for. Source: docs/format/manifest.md, "Side file".

use serde::{Deserialize, Serialize};

use super::{
    error::DocumentError,
    seal::{check_head, text},
};

const FORMAT: &str = "asbackup-extra";
const VERSION: u64 = 1;

/// A side file of version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideFile {
    format: String,
    version: u64,
    /// Namespace of all that is in it.
    pub(crate) namespace: String,
    /// Indexes over the members of a set.
    #[serde(default)]
    pub(crate) set_indexes: Vec<SetIndex>,
}

/// An index over the members of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetIndex {
    pub(crate) name: String,
    pub(crate) set: String,
}

impl SideFile {
    pub(crate) fn new(namespace: &str, set_indexes: Vec<SetIndex>) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, namespace: namespace.to_owned(), set_indexes }
    }

    pub(crate) fn encode(&self) -> String {
        text(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        let text = str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
        check_head(text, FORMAT, VERSION)?;
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let index = SetIndex { name: "ix\"1".to_owned(), set: "süß".to_owned() };
        let file = SideFile::new("test", vec![index]);
        assert_eq!(SideFile::decode(file.encode().as_bytes()).unwrap(), file);
    }

    #[test]
    fn keys_of_later_writers_are_ignored_but_not_their_versions() {
        let text = r#"{"format":"asbackup-extra","version":1,"namespace":"n","users":[1],"set_indexes":[]}"#;
        assert_eq!(SideFile::decode(text.as_bytes()).unwrap(), SideFile::new("n", Vec::new()));
        let later = text.replace(":1,", ":2,");
        assert!(matches!(
            SideFile::decode(later.as_bytes()),
            Err(DocumentError::Version { found: 2, known: 1 })
        ));
        assert!(matches!(SideFile::decode(&[0xff]), Err(DocumentError::NotText)));
    }
}
