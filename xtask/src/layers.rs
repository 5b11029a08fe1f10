//! `layers`: which crate may use which, as the table in ARCHITECTURE.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, bail, ensure};
use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::workspace::Workspace;

/// Prints each edge that differs between the manifests and the table; an error if there is one.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let table = parse_table(&fs::read_to_string(workspace.path("ARCHITECTURE.md"))?)?;
    let crates = crates(workspace.metadata());
    let violations = compare(&table, &crates);
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} differences from the table of layers in ARCHITECTURE.md", violations.len());
    }
    let edges: usize = crates.values().map(|uses| uses.workspace.len() + uses.outside.len()).sum();
    println!("layers: {} crates, {edges} dependencies, all in the table", crates.len());
    Ok(())
}

/// What a crate uses: folder names of the workspace, and packages from outside.
#[derive(Debug, Default, PartialEq, Eq)]
struct Uses {
    workspace: BTreeSet<String>,
    outside: BTreeSet<String>,
}

/// What the table allows; `None` is anything.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    workspace: Option<BTreeSet<String>>,
    outside: Option<BTreeSet<String>>,
}

type Table = BTreeMap<String, Rule>;

/// Reads the rows below the line that begins with [`TABLE_HEADER`].
fn parse_table(text: &str) -> Result<Table> {
    let mut table = Table::new();
    let rows = text.lines().skip_while(|line| !line.starts_with(TABLE_HEADER)).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let [names, workspace, outside, _never] = cells[..] else {
            bail!("a row of the table of layers hasn't 4 cells: {row}");
        };
        for name in parse_cell(names).unwrap_or_default() {
            table.insert(name, Rule { workspace: parse_cell(workspace), outside: parse_cell(outside) });
        }
    }
    ensure!(!table.is_empty(), "no table that begins with {TABLE_HEADER:?}");
    Ok(table)
}

/// Reads a list of names, in which brackets hold remarks; `None` is "anything".
fn parse_cell(cell: &str) -> Option<BTreeSet<String>> {
    let names = cell.split(',').map(|name| name.split('(').next().unwrap_or_default());
    let names: BTreeSet<_> = names.map(|name| name.trim().trim_matches('`').to_owned()).collect();
    match names.first().map(String::as_str) {
        Some("anything") => None,
        Some("nothing") => Some(BTreeSet::new()),
        _ => Some(names),
    }
}

/// Returns the normal dependencies of every member, by folder name; those of tests are free.
fn crates(metadata: &Metadata) -> BTreeMap<String, Uses> {
    let folders: BTreeMap<&str, String> =
        metadata.packages.iter().map(|package| (package.name.as_str(), folder(package))).collect();
    let uses = |package: &Package| {
        let mut uses = Uses::default();
        for dependency in package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal) {
            match folders.get(dependency.name.as_str()) {
                Some(folder) => uses.workspace.insert(folder.clone()),
                None => uses.outside.insert(dependency.name.clone()),
            };
        }
        uses
    };
    metadata.packages.iter().map(|package| (folder(package), uses(package))).collect()
}

fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().and_then(|path| path.file_name());
    folder.unwrap_or_default().to_owned()
}

/// Lists what isn't allowed, and what the table allows but nothing uses, so that the table stays true.
fn compare(table: &Table, crates: &BTreeMap<String, Uses>) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, uses) in crates {
        let Some(rule) = table.get(name) else {
            violations.push(format!("{name}: no row in the table"));
            continue;
        };
        let edges = [(&uses.workspace, &rule.workspace), (&uses.outside, &rule.outside)];
        for (used, allowed) in edges.into_iter().filter_map(|(used, allowed)| Some((used, allowed.as_ref()?)))
        {
            violations
                .extend(used.difference(allowed).map(|it| format!("{name}: uses {it}, not in the table")));
            violations
                .extend(allowed.difference(used).map(|it| format!("{name}: doesn't use {it}, in the table")));
        }
    }
    let rows = table.keys().filter(|name| !crates.contains_key(*name));
    violations.extend(rows.map(|name| format!("{name}: in the table, not in the workspace")));
    violations
}

const TABLE_HEADER: &str = "| crate | from the workspace | from outside |";

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
text
| crate | from the workspace | from outside | never |
| --- | --- | --- | --- |
| `model` | nothing | ripemd, proptest (feature `arbitrary`) | I/O |
| `codec` | model | memchr | I/O |
| `xtask` | anything | anything | being used |

| other | table |
";

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().copied().map(String::from).collect()
    }

    #[track_caller]
    fn check(crates: &[(&str, &[&str], &[&str])], expected: &[&str]) {
        let crates = crates.iter().map(|(name, workspace, outside)| {
            ((*name).to_owned(), Uses { workspace: names(workspace), outside: names(outside) })
        });
        assert_eq!(compare(&parse_table(TABLE).unwrap(), &crates.collect()), expected);
    }

    #[test]
    fn what_the_table_allows_is_no_violation() {
        check(
            &[
                ("model", &[], &["proptest", "ripemd"]),
                ("codec", &["model"], &["memchr"]),
                ("xtask", &["codec"], &["clap"]),
            ],
            &[],
        );
    }

    #[test]
    fn each_difference_is_named() {
        check(
            &[
                ("model", &["codec"], &["proptest", "ripemd", "tokio"]),
                ("codec", &[], &["memchr"]),
                ("demo", &[], &[]),
            ],
            &[
                "codec: doesn't use model, in the table",
                "demo: no row in the table",
                "model: uses codec, not in the table",
                "model: uses tokio, not in the table",
                "xtask: in the table, not in the workspace",
            ],
        );
    }

    #[test]
    fn a_missing_or_broken_table_is_an_error() {
        assert!(parse_table("| a | b |\n").is_err());
        let broken = TABLE.replace("| `codec` | model | memchr | I/O |", "| `codec` | model |");
        assert!(parse_table(&broken).is_err());
    }
}
