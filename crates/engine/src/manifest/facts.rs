//! What a manifest says of a whole backup, for people and programs that look at one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::document::Manifest;

/// What a manifest says of a backup as a whole.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ManifestFacts {
    /// Program and version that wrote the backup.
    pub tool: String,
    /// `scan` or `xdr`.
    pub kind: String,
    /// `complete`.
    pub outcome: String,
    /// Namespace.
    pub namespace: String,
    /// Start of the backup, RFC 3339 in UTC.
    pub started: String,
    /// End of the backup, RFC 3339 in UTC.
    pub finished: String,
    /// Name of the cluster, if it has one.
    pub cluster: Option<String>,
    /// Version of the server.
    pub build: String,
    /// How many nodes the cluster had.
    pub nodes: u64,
    /// What was asked for, by the manifest's own keys; empty if that is the whole namespace.
    pub selection: BTreeMap<String, String>,
    /// Partitions that the server reported done, such as `0..4095`.
    pub partitions: String,
    /// Compression and its level, if the files are compressed.
    pub compression: Option<String>,
    /// Encryption, if the files are encrypted.
    pub encryption: Option<String>,
    /// How files and manifest are hashed.
    pub hash: String,
    /// How many shares it was made of, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u16>,
    /// Name of the side file, if there is one.
    pub side_file: Option<String>,
    /// Values that the format can't say in full, by kind.
    pub inexact: BTreeMap<String, u64>,
}

impl ManifestFacts {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let mut selection = told(&manifest.selection);
        selection
            .extend(told(&manifest.modified).into_iter().map(|(key, at)| (format!("modified_{key}"), at)));
        Self {
            tool: manifest.tool.clone(),
            kind: manifest.kind.clone(),
            outcome: manifest.outcome.clone(),
            namespace: manifest.namespace.clone(),
            started: manifest.started.clone(),
            finished: manifest.finished.clone(),
            cluster: manifest.cluster.name.clone(),
            build: manifest.cluster.build.clone(),
            nodes: manifest.cluster.nodes,
            selection,
            partitions: manifest.partitions.to_string(),
            compression: manifest.envelope.compression.clone(),
            encryption: manifest.envelope.encryption.clone(),
            hash: manifest.hash.clone(),
            shares: manifest.all_shards().map(|shares| shares.of),
            side_file: manifest.extra.as_ref().map(|extra| extra.name.clone()),
            inexact: manifest.totals.inexact.clone(),
        }
    }
}

/// Returns the keys that say anything: not null, false, empty, or the whole namespace.
fn told(selection: &impl Serialize) -> BTreeMap<String, String> {
    let Ok(Value::Object(keys)) = serde_json::to_value(selection) else { return BTreeMap::new() };
    keys.into_iter().filter_map(|(key, value)| Some((key, tell(&value)?))).collect()
}

fn tell(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text == "namespace" => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.is_empty() => None,
        Value::Array(values) => Some(values.iter().filter_map(tell).collect::<Vec<_>>().join(",")),
        Value::Object(keys) => {
            let said = keys.iter().filter_map(|(key, value)| Some(format!("{key} {}", tell(value)?)));
            Some(said.collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selection_is_only_what_was_asked_for() {
        let whole = json!({"scope": "namespace", "sets": [], "filter": null, "no_bins": false});
        assert_eq!(told(&whole), BTreeMap::new());
        let part = json!({"scope": {"racks": [1, 2]}, "sets": ["a", "b"], "no_bins": true, "max_records": 5});
        let told = told(&part);
        let told: Vec<(&str, &str)> =
            told.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            told,
            [("max_records", "5"), ("no_bins", "true"), ("scope", "racks 1,2"), ("sets", "a,b")]
        );
    }
}
