//! `interop`: what one side writes, the other side reads, and the official Python client works with the test server.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use asbackup_demo::compare::{self, Verdict};
use asbackup_demo::sample;
use asbackup_model::VoidTime;
use asbackup_testserver::TestServer;

use crate::tools::{Job, Place, Side, Spelling, Tools, records_read, records_written};
use crate::workspace::Workspace;
use crate::{awkward, process, python};

/// Runs both directions in both spellings, then those with awkward data, then the Python client's check.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = Tools::build(workspace)?;
    let source = start()?;
    sample::load_records(source.store(), SOURCE, RECORDS, now()?);
    sample::load_metadata(source.store(), SOURCE);

    for spelling in [Spelling::Base64, Spelling::Compact] {
        for (writer, reader) in [(Side::Ours, Side::BackupGo), (Side::BackupGo, Side::Ours)] {
            let exchange = Exchange { tools: &tools, source: &source, spelling };
            let direction = format!("{writer} to {reader}, {spelling:?}");
            let verdict = exchange.run(writer, reader).with_context(|| direction.clone())?;
            ensure!(verdict.is_equal(), "{direction}: {verdict}");
            println!("interop: {direction}: {verdict}");
        }
    }
    awkward::run(&tools)?;
    python::run(workspace)
}

/// One namespace on its way through a folder.
struct Exchange<'a> {
    tools: &'a Tools,
    source: &'a TestServer,
    spelling: Spelling,
}

impl Exchange<'_> {
    fn run(&self, writer: Side, reader: Side) -> Result<Verdict> {
        let folder = tempfile::tempdir()?;
        let backup = Job::Backup { namespace: SOURCE, spelling: self.spelling };
        self.work(writer, backup, self.source, folder.path())?;
        self.validate(reader, folder.path())?;

        let target = start()?;
        // backup-go renames records but not indexes, so it restores into the name that the data came from.
        let (namespaces, namespace) = match reader {
            Side::Ours => ("test,copy", TARGET),
            Side::BackupGo => ("test", SOURCE),
        };
        self.work(reader, Job::Restore { namespaces }, &target, folder.path())?;
        let original = compare::Side { store: self.source.store(), namespace: SOURCE };
        Ok(compare::compare(original, compare::Side { store: target.store(), namespace }))
    }

    fn work(&self, side: Side, job: Job<'_>, server: &TestServer, directory: &Path) -> Result<()> {
        let place = Place { server: server.address(), directory, parallel: STREAMS };
        let report = process::json_line(&mut self.tools.command(side, job, place))?;
        let written = records_written(side, job, &report)?;
        ensure!(written == RECORDS, "{written} of {RECORDS} records written: {report}");
        Ok(())
    }

    fn validate(&self, side: Side, directory: &Path) -> Result<()> {
        let report = process::json_line(&mut self.tools.validate(side, directory))?;
        let read = records_read(side, &report)?;
        ensure!(read == RECORDS, "{side} finds {read} of {RECORDS} records: {report}");
        Ok(())
    }
}

pub(crate) fn start() -> Result<TestServer> {
    Ok(TestServer::builder().nodes(NODES).namespace(SOURCE).namespace(TARGET).start()?)
}

pub(crate) fn now() -> Result<VoidTime> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(VoidTime::EPOCH_UNIX_SECONDS);
    Ok(VoidTime(epoch.elapsed().context("the clock stands before 2010")?.as_secs()))
}

pub(crate) const SOURCE: &str = "test";
const TARGET: &str = "copy";
const RECORDS: u64 = 20_000;
const STREAMS: u16 = 4;
/// Enough that partitions lie scattered, and that streams and nodes don't pair up.
const NODES: usize = 3;
