//! docs/differences.md names the tests that show what ours does. It would be worth nothing if they weren't there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::workspace::Workspace;

#[test]
fn every_test_that_the_page_names_exists() -> Result<()> {
    let workspace = Workspace::locate()?;
    let named = tests_named(&fs::read_to_string(workspace.path("docs/differences.md"))?);
    let mut functions = BTreeSet::new();
    collect_functions(&workspace.path("crates"), &mut functions)?;
    let missing: Vec<_> = named.difference(&functions).collect();
    assert!(!named.is_empty() && missing.is_empty(), "these don't exist: {missing:?}");
    Ok(())
}

#[test]
fn only_columns_for_tests_name_tests() {
    let page = "| A | B |\n| --- | --- |\n| a | `b` |\n\n| A | Tests |\n| --- | --- |\n| `a` | `c`, `d` |\n";
    assert_eq!(tests_named(page), ["c".to_owned(), "d".to_owned()].into());
}

/// Returns the quoted words in the last column of the tables that have a column for tests.
fn tests_named(page: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut has_tests = false;
    for line in page.lines() {
        let Some((_, last)) = line.strip_suffix(" |").and_then(|row| row.rsplit_once(" | ")) else {
            has_tests = false;
            continue;
        };
        if has_tests {
            named.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        has_tests |= last == "Tests";
    }
    named
}

fn collect_functions(folder: &Path, functions: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_functions(&path, functions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let names =
                text.lines().filter_map(|line| line.trim_start().split_once("fn ")?.1.split_once("()"));
            functions.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
    Ok(())
}
