//! A YAML file as a layer: `backup.parallel` is `--parallel`.

use std::{fs, path::Path};

use super::{
    absctl,
    flags::{Flag, SEEDS, Takes, suggestion},
    setting::{Finding, Given, Origin, Setting},
    yaml::{self, Entry, Node, Place, Value},
};

/// What a file says, in its order.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) settings: Vec<Setting>,
    pub(super) findings: Vec<Finding>,
}

/// Reads a file for the tool of `flags`. Keys of the other tool are known and left alone, so that one file may serve both.
pub(super) fn read(path: &Path, flags: &[Flag], foreign: &[Flag]) -> File {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text, flags, foreign),
        Err(error) => {
            let origin = Origin::File { path: path.to_owned(), place: Place::default() };
            let message = format!("cannot be read: {error}");
            File { findings: vec![Finding { origin, message }], ..File::default() }
        }
    }
}

fn parse(path: &Path, text: &str, flags: &[Flag], foreign: &[Flag]) -> File {
    let mut reader = Reader { path, flags, foreign, file: File::default() };
    match yaml::parse(text) {
        Ok(Node { value: Value::Map(entries), .. }) => reader.section("", entries),
        Ok(Node { value: Value::Null, .. }) => {}
        Ok(Node { place, value }) => {
            reader.find(place, format!("the file must be made of sections, not {}", value.kind()));
        }
        Err(error) => reader.find(error.place.unwrap_or_default(), error.message),
    }
    reader.file
}

struct Reader<'a> {
    path: &'a Path,
    flags: &'a [Flag],
    foreign: &'a [Flag],
    file: File,
}

impl Reader<'_> {
    fn section(&mut self, name: &str, entries: Vec<Entry>) {
        for Entry { key, place, value } in entries {
            let key = if name.is_empty() { key } else { format!("{name}.{key}") };
            if let Some(flag) = self.flags.iter().find(|flag| flag.key == key) {
                self.setting(&flag.clone(), value);
            } else if self.is_section(&key) {
                self.subsection(&key, value);
            } else if !self.foreign.iter().any(|flag| flag.key == key) {
                self.other(&key, place, &value);
            }
        }
    }

    fn is_section(&self, key: &str) -> bool {
        self.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        let flags = self.flags.iter().chain(self.foreign).map(|flag| flag.key.as_str());
        flags.chain(absctl::KEYS.iter().map(|(key, _)| *key))
    }

    fn subsection(&mut self, key: &str, node: Node) {
        match node.value {
            Value::Map(entries) => self.section(key, entries),
            Value::Null => {}
            other => self.find(node.place, format!("{key} must be a section, not {}", other.kind())),
        }
    }

    fn setting(&mut self, flag: &Flag, node: Node) {
        let place = node.place;
        let given = if flag.key == SEEDS { seeds(node.value) } else { given(flag, node.value) };
        match given {
            Ok(None) => {}
            Ok(Some(given)) => {
                let origin = self.origin(place);
                self.file.settings.push(Setting { flag: flag.clone(), given, origin });
            }
            Err(message) => self.find(place, message),
        }
    }

    /// Deals with a key that no flag of either tool has.
    fn other(&mut self, key: &str, place: Place, node: &Node) {
        let message = match absctl::standing(key, &node.value) {
            absctl::Standing::Unset => return,
            absctl::Standing::Unsupported => format!("{key} isn't supported yet: take it out"),
            absctl::Standing::Unknown => match suggestion(key, self.keys()) {
                Some(meant) => format!("{key} is unknown; is {meant} meant?"),
                None => format!("{key} is unknown"),
            },
        };
        self.find(place, message);
    }

    fn find(&mut self, place: Place, message: String) {
        let origin = self.origin(place);
        self.file.findings.push(Finding { origin, message });
    }

    fn origin(&self, place: Place) -> Origin {
        Origin::File { path: self.path.to_owned(), place }
    }
}

/// Returns what a value says about a flag. As with absctl, an empty text or list is as if the key weren't there.
fn given(flag: &Flag, value: Value) -> Result<Option<Given>, String> {
    let kind = value.kind();
    let given = match (flag.takes, value) {
        (_, Value::Null) => return Ok(None),
        (Takes::Nothing | Takes::ValueOrNothing, Value::Bool(true)) => Given::On,
        (Takes::Nothing | Takes::ValueOrNothing, Value::Bool(false)) => Given::Off,
        (Takes::Value | Takes::ValueOrNothing | Takes::List, Value::Text(text)) => {
            if text.is_empty() || absctl::means_unset(&flag.key, &text) {
                return Ok(None);
            }
            Given::Values(vec![text])
        }
        (Takes::List, Value::List(items)) if items.is_empty() => return Ok(None),
        (Takes::List, Value::List(items)) => {
            let texts = items.into_iter().map(|item| item_of(&flag.key, item));
            Given::Values(texts.collect::<Result<_, _>>()?)
        }
        _ => return Err(format!("{} must be {}, not {kind}", flag.key, flag.expected())),
    };
    Ok(Some(given))
}

fn item_of(key: &str, item: Node) -> Result<String, String> {
    match item.value {
        Value::Text(text) if !text.is_empty() => Ok(text),
        Value::Text(_) => Err(format!("an item of {key} is empty")),
        other => Err(format!("an item of {key} must be a text or number, not {}", other.kind())),
    }
}

/// Returns the seeds as `--host` takes them.
fn seeds(value: Value) -> Result<Option<Given>, String> {
    let items = match value {
        Value::Null => return Ok(None),
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => return Ok(Some(Given::Values(vec![text]))),
        Value::List(items) if items.is_empty() => return Ok(None),
        Value::List(items) => items,
        other => return Err(format!("{SEEDS} must be a list, not {}", other.kind())),
    };
    let seeds = items.into_iter().map(|item| match item.value {
        Value::Map(entries) => seed(entries),
        _ => item_of(SEEDS, item),
    });
    Ok(Some(Given::Values(seeds.collect::<Result<_, _>>()?)))
}

/// Returns `host[:tls-name][:port]`.
fn seed(entries: Vec<Entry>) -> Result<String, String> {
    let (mut host, mut tls_name, mut port) = (None, None, None);
    for Entry { key, value, .. } in entries {
        let part = match key.as_str() {
            "host" => &mut host,
            "tls-name" => &mut tls_name,
            "port" => &mut port,
            _ => return Err(format!("an item of {SEEDS} has host, tls-name and port, but not {key}")),
        };
        *part = match value.value {
            Value::Null => None,
            Value::Text(text) => Some(text).filter(|text| !text.is_empty()),
            other => return Err(format!("{key} of {SEEDS} must be a text or number, not {}", other.kind())),
        };
    }
    let host = host.ok_or_else(|| format!("an item of {SEEDS} has no host"))?;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    // A port of 0 is that of --port.
    match (tls_name, port.filter(|port| port != "0")) {
        (None, None) => Ok(host),
        (None, Some(port)) => Ok(format!("{host}:{port}")),
        (Some(name), Some(port)) => Ok(format!("{host}:{name}:{port}")),
        (Some(_), None) => Err(format!("an item of {SEEDS} with a tls-name needs a port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{backup_command, flags::flags, restore_command};

    fn backup_file(text: &str) -> File {
        parse(Path::new("c.yaml"), text, &flags(&backup_command()), &flags(&restore_command()))
    }

    #[track_caller]
    fn check_given(text: &str, expected: &[&str]) {
        let file = backup_file(text);
        assert_eq!(file.findings, [], "{text}");
        let arguments: Vec<String> = file.settings.iter().flat_map(Setting::arguments).collect();
        assert_eq!(arguments, expected, "{text}");
    }

    #[track_caller]
    fn check_finding(text: &str, expected: &str) {
        let findings = backup_file(text).findings;
        assert_eq!(findings.first().map(ToString::to_string).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn keys_are_flags() {
        check_given(
            "backup: {parallel: 4, compact: true, remove-files: false}",
            &["--parallel=4", "--compact"],
        );
        check_given("app: {log-json: true}\ncluster: {port: 7}\n", &["--log-json", "--port=7"]);
        check_given("backup: {namespace: 007}", &["--namespace=007"]);
        for nothing in
            ["", "backup:", "backup: {namespace: \"\"}", "backup: {namespace: ~}", "cluster: {seeds: []}"]
        {
            check_given(nothing, &[]);
        }
    }

    #[test]
    fn seeds_are_hosts() {
        check_given("cluster: {seeds: a}", &["--host=a"]);
        check_given("cluster: {seeds: [a, 'b:1']}", &["--host=a,b:1"]);
        check_given("cluster: {seeds: [{host: a, port: 0}, {host: '::1', port: 2}]}", &["--host=a,[::1]:2"]);
        check_given("cluster: {seeds: [{host: a, tls-name: t, port: 1}]}", &["--host=a:t:1"]);
        for (seeds, message) in [
            ("[{port: 1}]", "an item of cluster.seeds has no host"),
            ("[{host: a, name: b}]", "an item of cluster.seeds has host, tls-name and port, but not name"),
            ("[{host: a, tls-name: b}]", "an item of cluster.seeds with a tls-name needs a port"),
            ("[{host: [a]}]", "host of cluster.seeds must be a text or number, not a list"),
            ("{host: a}", "cluster.seeds must be a list, not a section"),
        ] {
            check_finding(&format!("cluster: {{seeds: {seeds}}}"), &format!("c.yaml:1:18: {message}"));
        }
    }

    #[test]
    fn wrong_types_are_named_with_the_key() {
        for (text, message) in [
            ("backup: {compact: 1}", "1:19: backup.compact must be true or false, not a text or number"),
            ("backup: {parallel: [1]}", "1:20: backup.parallel must be a text or number, not a list"),
            (
                "backup: {namespace: true}",
                "1:21: backup.namespace must be a text or number, not true or false",
            ),
            ("backup: 5", "1:9: backup must be a section, not a text or number"),
            ("[a]", "1:1: the file must be made of sections, not a list"),
        ] {
            check_finding(text, &format!("c.yaml:{message}"));
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        check_finding(
            "backup:\n  paralel: 1\n",
            "c.yaml:2:3: backup.paralel is unknown; is backup.parallel meant?",
        );
        check_finding("zzz: {a: 1}", "c.yaml:1:1: zzz is unknown");
    }

    #[test]
    fn key_that_stands_twice_is_refused() {
        let finding = backup_file("backup:\n  parallel: 1\n  parallel: 2\n").findings[0].to_string();
        assert!(finding.starts_with("c.yaml:3:3: ") && finding.contains("parallel"), "{finding}");
    }

    #[test]
    fn all_findings_are_told() {
        let findings = backup_file("backup:\n  a: 1\n  compact: 2\ncluster: 3\n").findings;
        assert_eq!(findings.len(), 3, "{findings:?}");
    }

    #[test]
    fn one_file_serves_both_tools() {
        check_given("backup: {parallel: 2}\nrestore: {batch-size: 3}\n", &["--parallel=2"]);
        check_finding(
            "restore: {batchsize: 3}",
            "c.yaml:1:11: restore.batchsize is unknown; is restore.batch-size meant?",
        );
    }

    #[test]
    fn file_that_cannot_be_read_is_a_finding() {
        let file = read(Path::new("nowhere.yaml"), &[], &[]);
        assert!(file.findings[0].to_string().starts_with("nowhere.yaml: cannot be read: "));
    }
}
