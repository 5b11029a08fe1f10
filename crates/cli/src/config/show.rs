//! `config show`: the value of each flag, and where it comes from, as YAML that can be a file again.

use clap::error::ErrorKind;

use super::{
    flags::{Flag, Takes},
    layers::Layers,
    setting::Given,
};
use crate::args::Answer;

/// Returns the effective values. What is missing is shown as not set.
///
/// # Errors
///
/// What is wrong with a value, or with values together.
pub(super) fn show(layers: &Layers) -> Result<Answer, Answer> {
    match layers.matches() {
        Err(Answer::Clap { error, .. }) if is_missing(error.kind()) => {}
        matches => drop(matches?),
    }
    let mut root = Vec::new();
    for flag in &layers.flags {
        let (value, source) = effective(layers, flag);
        let path: Vec<&str> = flag.key.split('.').collect();
        insert(&mut root, &path, format!("{value}  # {source}"));
    }
    let mut text = String::new();
    write(&root, "", &mut text);
    Ok(Answer::Text(text))
}

fn is_missing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Returns the value of a flag as YAML, and where it comes from.
fn effective(layers: &Layers, flag: &Flag) -> (String, String) {
    let line = &layers.line;
    if line.gives(&flag.id) {
        let raw = line.matches.get_raw(&flag.id).into_iter().flatten();
        let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let given =
            if values.is_empty() || flag.takes == Takes::Nothing { Given::On } else { Given::Values(values) };
        return (yaml(flag, &given), "flag".to_owned());
    }
    if line.decides(flag) {
        return (yaml(flag, &Given::Off), "flag".to_owned());
    }
    if let Some(setting) = layers.settings.iter().find(|setting| setting.flag.id == flag.id) {
        return (yaml(flag, &setting.given), setting.origin.to_string());
    }
    match (flag.takes, flag.default.is_empty()) {
        (Takes::Nothing, _) => (yaml(flag, &Given::Off), "default".to_owned()),
        (_, true) => (yaml(flag, &Given::Off), "not set".to_owned()),
        (_, false) => (yaml(flag, &Given::Values(flag.default.clone())), "default".to_owned()),
    }
}

fn yaml(flag: &Flag, given: &Given) -> String {
    match (given, flag.takes) {
        (Given::On, _) => "true".to_owned(),
        (Given::Off, Takes::Nothing) => "false".to_owned(),
        (Given::Off, Takes::List) => "[]".to_owned(),
        (Given::Off, _) => "\"\"".to_owned(),
        (Given::Values(values), Takes::List) => {
            let values: Vec<String> = values.iter().map(|value| scalar(flag.printable(value))).collect();
            format!("[{}]", values.join(", "))
        }
        (Given::Values(values), _) => {
            values.first().map(|value| scalar(flag.printable(value))).unwrap_or_default()
        }
    }
}

/// Returns a value as YAML. A string of JSON is one of YAML.
fn scalar(text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A key, and what is below it.
struct Branch {
    key: String,
    /// The value with its comment; empty for a section.
    leaf: String,
    below: Vec<Self>,
}

fn insert(branches: &mut Vec<Branch>, path: &[&str], leaf: String) {
    let [key, rest @ ..] = path else { return };
    let found = branches.iter().position(|branch| branch.key == *key);
    let index = found.unwrap_or_else(|| {
        branches.push(Branch { key: (*key).to_owned(), leaf: String::new(), below: Vec::new() });
        branches.len() - 1
    });
    if rest.is_empty() {
        branches[index].leaf = leaf;
    } else {
        insert(&mut branches[index].below, rest, leaf);
    }
}

fn write(branches: &[Branch], indent: &str, text: &mut String) {
    for Branch { key, leaf, below } in branches {
        let space = if leaf.is_empty() { "" } else { " " };
        text.push_str(&format!("{indent}{key}:{space}{leaf}\n"));
        write(below, &format!("{indent}  "), text);
    }
}
