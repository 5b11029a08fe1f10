//! What must hold of a directory while and after jobs are killed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    scenario::Envelope,
    stage::{Place, Stage},
    tool,
};

/// Returns how many records the backup in a directory has; none if it isn't whole.
pub(crate) fn records_of_whole(stage: &Stage, envelope: Envelope, directory: &Path) -> Result<Option<u64>> {
    let output = tool::output(&mut stage.validate(envelope, directory))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        ensure!(output.status.code().is_some_and(|code| code != CODE_OF_BUGS), "validation: {printed}");
        return Ok(None);
    }
    let report: Value = serde_json::from_str(&printed).context("validation")?;
    ensure!(report["source"]["completeness"] == "checked", "validation: {report}");
    Ok(Some(count(&report, "/records/read")?))
}

/// Checks that a directory holds a backup of so many records and nothing beside it, and that no state is left.
pub(crate) fn check_whole(stage: &Stage, envelope: Envelope, place: &Place, records: u64) -> Result<()> {
    let found = records_of_whole(stage, envelope, &place.directory)?;
    ensure!(found == Some(records), "validation finds {found:?} of {records} records");
    for name in names(&place.directory)? {
        let belongs = name.ends_with(".asb") || name == MANIFEST || name.starts_with("asbackup.extra.");
        ensure!(belongs && !name.ends_with(".part"), "{name} is left");
    }
    if place.states != place.directory {
        let left = names(&place.states)?;
        ensure!(left.is_empty(), "{left:?} is left beside states");
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<String>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Checks that a report is one of a job that is done and accounts for all records, and returns how many it read.
pub(crate) fn records_read(report: &Value) -> Result<u64> {
    ensure!(report["outcome"] == "complete" && report["state_file"].is_null(), "{report}");
    ensure!(count(report, "/records/unaccounted")? == 0, "{report}");
    count(report, "/records/read")
}

/// Returns which run wrote the manifest of a directory; none if there is no manifest.
pub(crate) fn run_of_manifest(directory: &Path) -> Result<Option<String>> {
    let Ok(text) = fs::read_to_string(directory.join(MANIFEST)) else { return Ok(None) };
    let manifest: Value = serde_json::from_str(&text)?;
    Ok(manifest["run"].as_str().map(str::to_owned))
}

/// Returns a number of a report.
pub(crate) fn count(report: &Value, path: &str) -> Result<u64> {
    let count = report.pointer(path).and_then(Value::as_u64);
    count.with_context(|| format!("no number at {path} of {report}"))
}

const MANIFEST: &str = "asbackup.manifest.json";

/// The exit code of what is neither damage nor misuse.
const CODE_OF_BUGS: i32 = 1;
