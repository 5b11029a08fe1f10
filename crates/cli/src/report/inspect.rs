//! What an inspection found, and what a removal did, as text for people.

use asbackup::{
    Completeness, InspectReport, InspectedFile, InspectedIndex, InspectedUdf, ManifestFacts, RemovalReport,
};

use super::{Summary, text::Rows};
use crate::{
    exit::Tally,
    number::{grouped, mib},
};

impl Summary for InspectReport {
    fn tally(&self) -> Tally {
        Tally { findings: self.inspected.findings.len(), ..Tally::default() }
    }

    fn lines(&self) -> Vec<String> {
        let inspected = &self.inspected;
        let mut rows = Rows::default();
        match &inspected.manifest {
            Some(manifest) => add_manifest(&mut rows, manifest),
            None => rows.add("namespace", namespaces(&inspected.files)),
        }
        if let Some(records) = sum(&inspected.files, |file| file.records) {
            rows.add("records", grouped(records));
        }
        rows.add("files", format!("{} with {}", grouped(self.source.place.files), mib(inspected.bytes)));
        rows.add("completeness", completeness(self.source.completeness));
        inspected.indexes.iter().for_each(|index| rows.add("index", self::index(index)));
        inspected.udfs.iter().for_each(|udf| rows.add("UDF module", self::udf(udf)));
        inspected.files.iter().for_each(|file| rows.add("file", self::file(file)));
        let mut lines = rows.into_lines();
        lines.extend(inspected.findings.iter().map(|found| found.message.clone()));
        lines
    }
}

fn add_manifest(rows: &mut Rows, manifest: &ManifestFacts) {
    rows.add("namespace", &manifest.namespace);
    rows.add("backup", format!("{} by {}, {}", manifest.kind, manifest.tool, manifest.outcome));
    rows.add("taken", format!("from {} to {}", manifest.started, manifest.finished));
    let name = manifest.cluster.as_ref().map_or_else(String::new, |name| format!("{name}, "));
    rows.add("cluster", format!("{name}server {}, nodes: {}", manifest.build, manifest.nodes));
    let selection: Vec<String> =
        manifest.selection.iter().map(|(key, value)| format!("{key} {value}")).collect();
    rows.add("selection", if selection.is_empty() { "everything".to_owned() } else { selection.join("; ") });
    rows.add("partitions", &manifest.partitions);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    rows.add("compression", or_none(&manifest.compression));
    rows.add("encryption", or_none(&manifest.encryption));
    if let Some(shares) = manifest.shares {
        rows.add("shares", grouped(u64::from(shares)));
    }
    if let Some(name) = &manifest.side_file {
        rows.add("side file", name);
    }
    for (kind, count) in &manifest.inexact {
        rows.add("inexact values", format!("{kind} {}", grouped(*count)));
    }
}

fn completeness(completeness: Completeness) -> &'static str {
    match completeness {
        Completeness::Checked => {
            "names and sizes are as in the manifest; asrestore --validate checks the rest"
        }
        Completeness::Unchecked => "unchecked",
    }
}

fn namespaces(files: &[InspectedFile]) -> String {
    let mut names: Vec<&str> = files.iter().filter_map(|file| file.namespace.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "unknown".to_owned() } else { names.join(", ") }
}

fn sum(files: &[InspectedFile], count: impl Fn(&InspectedFile) -> Option<u64>) -> Option<u64> {
    files.iter().map(count).sum()
}

fn index(index: &InspectedIndex) -> String {
    let what = match (&index.bin, &index.expression) {
        (Some(bin), _) => format!(" on bin {bin}"),
        (None, Some(_)) => " on an expression".to_owned(),
        (None, None) => String::new(),
    };
    let of = index.set.as_ref().map_or_else(String::new, |set| format!(" of set {set}"));
    let indexed = index.indexed.map_or_else(String::new, |indexed| format!(" {indexed}"));
    format!("{}{what}{of}: {}{indexed}", index.name, index.kind)
}

fn udf(udf: &InspectedUdf) -> String {
    format!("{} ({} bytes)", udf.name, grouped(udf.bytes))
}

fn file(file: &InspectedFile) -> String {
    let counts = [("records", file.records), ("indexes", file.indexes), ("UDF modules", file.udfs)];
    let counts =
        counts.into_iter().filter_map(|(name, count)| Some((name, count.filter(|count| *count > 0)?)));
    let counts: Vec<String> = counts.map(|(name, count)| format!(", {} {name}", grouped(count))).collect();
    let version = file.version.map_or_else(String::new, |version| format!(", version {version}"));
    format!("{}: {} bytes{version}{}", file.name, grouped(file.bytes), counts.concat())
}

impl Summary for RemovalReport {
    fn tally(&self) -> Tally {
        Tally { moved: !self.removed.is_empty(), ..Tally::default() }
    }

    fn lines(&self) -> Vec<String> {
        let mut rows = Rows::default();
        rows.add("removed", format!("{} files in {}", grouped(self.target.files), self.target.path));
        rows.add("left", format!("{} files that no backup tool wrote", grouped(self.left)));
        self.removed.iter().for_each(|name| rows.add("file", name));
        rows.into_lines()
    }
}
