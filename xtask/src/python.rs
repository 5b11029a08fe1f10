//! The last step of `interop`: the official Python client with the test server.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use asbackup_demo::awkward::{self, Labels};
use asbackup_demo::compare::{Entry, Side, each_difference};
use asbackup_testserver::TestServer;

use crate::interop::{SOURCE, now, start};
use crate::process;
use crate::workspace::Workspace;

/// Runs the client's check, then lets it dump and reload the awkward data.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let python = workspace.python()?;
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command.arg(workspace.path("interop/python").join(name));
        command
    };
    let server = start()?;
    process::run(script("check.py").arg(server.address().to_string()))
        .context("the official Python client against the test server")?;

    let (source, target) = (start()?, start()?);
    let labels = awkward::load(source.store(), SOURCE, now()?);
    let addresses = [source.address().to_string(), target.address().to_string()];
    process::run(script("reload.py").args(addresses).arg(SOURCE)).context("dump and reload")?;
    let lost = lost(&labels, &source, &target);
    for ((kind, what), count) in &lost {
        println!("interop: through the Python client: {kind}: {count} {what}");
    }
    let kept = labels.records.len() as u64 - lost.values().sum::<u64>();
    println!("interop: through the Python client: {kept} of {} awkward records kept", labels.records.len());
    ensure!(lost == Lost::from(KNOWN), "known are {KNOWN:?}");
    Ok(())
}

/// How many records of a kind came to what.
type Lost = BTreeMap<(&'static str, &'static str), u64>;

/// Counts the records that aren't kept. The client carries records alone: indexes and UDF modules don't count.
fn lost(labels: &Labels, source: &TestServer, target: &TestServer) -> Lost {
    let mut lost = Lost::new();
    let side = |server| Side { store: TestServer::store(server), namespace: SOURCE };
    each_difference(side(source), side(target), |entry, what| {
        if let Entry::Record(digest) = entry {
            *lost.entry((labels.records.get(&digest).copied().unwrap_or("unknown"), what)).or_default() += 1;
        }
    });
    lost
}

/// What the client can't carry, in the version of interop/python/requirements.txt.
/// It takes a string up to its first NUL, writes GeoJSON
/// in its own spelling, and knows neither blobs of other languages, float keys nor flags of lists and maps.
const KNOWN: [((&str, &str), u64); 23] = [
    (("1 MiB string", "has other bins"), 1),
    (("C# blob", "has bins of another type"), 9),
    (("Erlang blob", "has bins of another type"), 9),
    (("GeoJSON", "has other bins"), 3),
    (("Java blob", "has bins of another type"), 9),
    (("PHP blob", "has bins of another type"), 9),
    (("Python blob", "has bins of another type"), 9),
    (("Ruby blob", "has bins of another type"), 9),
    (("bin name", "is missing"), 1),
    (("bytes key", "is missing"), 1),
    (("float key", "has another user key"), 4),
    (("list", "is missing"), 1),
    (("list of 200 levels", "is missing"), 1),
    (("list with flags", "has other bins"), 3),
    (("map", "has other bins"), 1),
    (("map", "is missing"), 1),
    (("map of 200 levels", "is missing"), 1),
    (("map with flags", "has other bins"), 3),
    (("no bins", "is missing"), 1),
    (("set", "is missing"), 2),
    (("string", "has other bins"), 3),
    (("string", "is missing"), 1),
    (("string key", "is missing"), 2),
];
