//! The second step of `interop`: what each tool keeps of the awkward data, kind by kind.
//!
//! What is lost is compared with what is known to be lost, in both directions: a kind that comes back all of a sudden is
//! an error too, so that this list and docs/differences.md stay true.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use asbackup_demo::awkward::{self, Labels, Stopper};
use asbackup_demo::compare::{self, Entry, each_difference};
use asbackup_testserver::TestServer;

use crate::interop::{SOURCE, now, start};
use crate::process;
use crate::tools::{Job, Place, Side, Spelling, Tools};

/// Sends the awkward data through each pair of tools, prints what is kept, and compares that with what is known.
pub(crate) fn run(tools: &Tools) -> Result<()> {
    let source = start()?;
    let labels = awkward::load(source.store(), SOURCE, now()?);
    let mut columns = Vec::new();
    for ways in WAYS {
        let [base64, compact] = [Spelling::Base64, Spelling::Compact]
            .map(|spelling| exchange(tools, &source, &labels, ways, spelling));
        let losses = base64?;
        ensure!(losses == compact?, "{} to {}: the spelling makes a difference", ways.0, ways.1);
        columns.push(losses);
    }
    print(&labels, &columns);
    for ((writer, reader), losses) in WAYS.into_iter().zip(&columns) {
        let known: Losses = known(writer, reader).collect();
        ensure!(*losses == known, "{writer} to {reader}: known are {known:?}, found were {losses:?}");
    }
    Stopper::ALL.into_iter().try_for_each(|stopper| stop(tools, stopper))
}

/// Who writes a backup, and who reads it.
type Ways = (Side, Side);

/// What became of the kinds of which something was lost.
type Losses = BTreeMap<&'static str, &'static str>;

const WAYS: [Ways; 3] =
    [(Side::Ours, Side::Ours), (Side::Ours, Side::BackupGo), (Side::BackupGo, Side::Ours)];

/// Returns what is known to be lost between two tools.
fn known(writer: Side, reader: Side) -> impl Iterator<Item = (&'static str, &'static str)> {
    // backup-go writes nil for most of them and a plain blob for PHP's, and reads all of them as plain blobs.
    let languages =
        ["Java blob", "C# blob", "Python blob", "Ruby blob", "Erlang blob"].map(|kind| match writer {
            Side::BackupGo => (kind, "lacks bins"),
            Side::Ours => (kind, "has bins of another type"),
        });
    let languages = languages.into_iter().chain([("PHP blob", "has bins of another type")]);
    let by_backup_go = (writer, reader) != (Side::Ours, Side::Ours);
    // No write can make a record without bins.
    languages.filter(move |_| by_backup_go).chain([("no bins", "is missing")])
}

/// Backs the awkward data up with one tool and restores it with another.
fn exchange(
    tools: &Tools,
    source: &TestServer,
    labels: &Labels,
    (writer, reader): Ways,
    spelling: Spelling,
) -> Result<Losses> {
    let folder = tempfile::tempdir()?;
    back_up(tools, writer, source, folder.path(), spelling)?;
    let target = start()?;
    restore(tools, reader, &target, folder.path())?;
    losses(labels, source, &target)
}

fn back_up(
    tools: &Tools,
    side: Side,
    source: &TestServer,
    directory: &Path,
    spelling: Spelling,
) -> Result<()> {
    let place = Place { server: source.address(), directory, parallel: 4 };
    process::json_line(&mut tools.command(side, Job::Backup { namespace: SOURCE, spelling }, place))
        .with_context(|| format!("awkward data, backup by {side}"))?;
    Ok(())
}

fn restore(tools: &Tools, side: Side, target: &TestServer, directory: &Path) -> Result<()> {
    let place = Place { server: target.address(), directory, parallel: 4 };
    process::json_line(&mut tools.command(side, Job::Restore { namespaces: SOURCE }, place))
        .with_context(|| format!("awkward data, restore by {side}"))?;
    Ok(())
}

/// Returns what became of each kind; of one kind the same has to become of every entry that isn't kept.
fn losses(labels: &Labels, source: &TestServer, target: &TestServer) -> Result<Losses> {
    let mut losses = Losses::new();
    let mut odd = None;
    let side = |server| compare::Side { store: TestServer::store(server), namespace: SOURCE };
    each_difference(side(source), side(target), |entry, what| {
        let kind = match entry {
            Entry::Record(digest) => labels.records.get(&digest),
            Entry::Index(name) => labels.indexes.get(name),
            Entry::Udf(name) => labels.udfs.get(name),
        };
        let same = kind.is_some_and(|kind| *losses.entry(*kind).or_insert(what) == what);
        if !same {
            odd = Some(format!("{entry} {what}, of the kind {kind:?}"));
        }
    });
    match odd {
        None => Ok(losses),
        Some(odd) => bail!("{odd}"),
    }
}

fn print(labels: &Labels, columns: &[Losses]) {
    let cell = |text: &str| format!("{text:<26}");
    let heads: String = WAYS.iter().map(|(writer, reader)| cell(&format!("{writer} to {reader}"))).collect();
    println!("interop: {:<30}{:>7}  {heads}", "awkward data", "entries");
    for (kind, total) in labels.totals() {
        let cells = columns.iter().map(|losses| cell(losses.get(kind).copied().unwrap_or("kept")));
        println!("interop: {kind:<30}{total:>7}  {}", cells.collect::<String>());
    }
}

/// Checks that ours keeps an entry, and that backup-go fails with it: at the backup, or at the restore of ours.
fn stop(tools: &Tools, stopper: Stopper) -> Result<()> {
    let source = start()?;
    let mut labels = Labels::default();
    stopper.add(source.store(), SOURCE, &mut labels);
    let losses = exchange(tools, &source, &labels, (Side::Ours, Side::Ours), Spelling::Base64)?;
    ensure!(losses.is_empty(), "{}: {losses:?}", stopper.kind());

    let folder = tempfile::tempdir()?;
    let failed = match back_up(tools, Side::BackupGo, &source, folder.path(), Spelling::Base64) {
        Err(_) => "backup",
        Ok(()) => match restore(tools, Side::BackupGo, &start()?, folder.path()) {
            Err(_) => "restore",
            Ok(()) => bail!("{}: backup-go gets by with it", stopper.kind()),
        },
    };
    let ours = if stopper == Stopper::SetIndex { "named in a warning" } else { "kept" };
    println!("interop: {}: ours: {ours}; backup-go: its {failed} fails", stopper.kind());
    Ok(())
}
