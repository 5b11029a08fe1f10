//! A YAML file as a tree of values that know where they stand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// Where something stands in a file: both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A string, or a number as it is written: `007` and `1e5` may be names.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// Why a text isn't YAML. Quotes nothing of the text, which may hold secrets.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
}

impl Value {
    /// Returns what kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Text(_) => "a text or number",
            Self::List(_) => "a list",
            Self::Map(_) => "a section",
        }
    }
}

/// Reads a text. An empty one is `Null`. A key that stands twice in a section is an error.
pub(crate) fn parse(text: &str) -> Result<Node, Malformed> {
    let options = serde_saphyr::options! { strict_booleans: true, reject_unsupported_tags: true };
    let tree: Spanned<Tree> = serde_saphyr::from_str_with_options(text, options).map_err(malformed)?;
    Ok(node(tree, text))
}

fn malformed(error: serde_saphyr::Error) -> Malformed {
    let place = error.location().map(place);
    // The first line is the message; what may follow is a piece of the text, the place once more, or advice for programmers.
    let message = error.without_snippet().to_string();
    let mut message = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    for end in [" at line ", ", set "] {
        message = message.split(end).next().unwrap_or_default();
    }
    // The tag may be the beginning of a secret.
    let is_tag = message.contains("unsupported tag");
    let message = if is_tag { "a value that begins with ! must stand in quotes" } else { message };
    Malformed { place, message: message.to_owned() }
}

fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

fn node(tree: Spanned<Tree>, text: &str) -> Node {
    let value = match tree.value {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(value),
        Tree::Text(value) => Value::Text(value),
        Tree::Number(value) => Value::Text(written(tree.defined, text).unwrap_or(value)),
        Tree::List(items) => Value::List(items.into_iter().map(|item| node(item, text)).collect()),
        Tree::Map(entries) => Value::Map(entries.into_iter().map(|entry| self::entry(entry, text)).collect()),
    };
    Node { place: place(tree.referenced), value }
}

fn entry((key, value): (Spanned<String>, Spanned<Tree>), text: &str) -> Entry {
    Entry { place: place(key.referenced), key: key.value, value: node(value, text) }
}

/// Returns a number as it stands in the text.
fn written(location: Location, text: &str) -> Option<String> {
    let span = location.span();
    let begin = usize::try_from(span.byte_offset()?).ok()?;
    let end = begin.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    text.get(begin..end).map(str::trim).filter(|number| !number.is_empty()).map(str::to_owned)
}

/// What the parser hands over.
#[derive(Debug)]
enum Tree {
    Null,
    Bool(bool),
    Text(String),
    Number(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        match parse(text).unwrap().value {
            Value::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_know_their_places() {
        let entries = entries("a:\n  b: [1, x]\n");
        assert_eq!((entries[0].key.as_str(), entries[0].place), ("a", Place { line: 1, column: 1 }));
        let Value::Map(inner) = &entries[0].value.value else { panic!("no map") };
        assert_eq!((inner[0].key.as_str(), inner[0].place), ("b", Place { line: 2, column: 3 }));
        let Value::List(items) = &inner[0].value.value else { panic!("no list") };
        assert_eq!(items[1].place, Place { line: 2, column: 10 });
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        for text in ["007", "1e5", "0x1F", "1_000", "2.50", "-5", "12345678901234567890123", "a b"] {
            match &entries(&format!("k: {text} # c\n"))[0].value.value {
                Value::Text(value) => assert_eq!(value, text),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        for (text, kind) in [
            ("", "nothing"),
            ("~", "nothing"),
            ("true", "true or false"),
            ("'true'", "a text or number"),
            ("yes", "a text or number"),
            ("[]", "a list"),
            ("{}", "a section"),
        ] {
            assert_eq!(entries(&format!("k: {text}\n"))[0].value.value.kind(), kind, "{text:?}");
        }
        assert_eq!(parse("").unwrap().value.kind(), "nothing");
    }

    #[test]
    fn what_is_malformed_is_located_and_not_quoted() {
        for (text, line) in
            [("a: 1\na: 2\n", 2), ("a: [s3cret\nb: 1\n", 2), ("a: 1\n\tb: s3cret\n", 1), ("a: !s3cret\n", 1)]
        {
            let error = parse(text).unwrap_err();
            assert!(error.place.unwrap().line >= line, "{error:?}");
            assert!(!error.message.contains("s3cret"), "{error:?}");
        }
    }
}
