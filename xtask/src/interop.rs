//! `interop`: what one side writes, the other side reads, and the official Python client works with the test server.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use asbackup_demo::compare::{self, Verdict};
use asbackup_demo::sample;
use asbackup_model::VoidTime;
use asbackup_testserver::TestServer;

use crate::tools::{Envelope, Job, Place, Side, Spelling, Tools, records_read, records_written};
use crate::workspace::Workspace;
use crate::{awkward, process, python};

/// Runs both directions in both spellings and all envelopes, then those with awkward data, then the Python client's check.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = Tools::build(workspace)?;

    let key = workspace.path("testdata/keys/a_rsa_pkcs1.pem");
    for spelling in [Spelling::Base64, Spelling::Compact] {
        for (writer, reader) in [(Side::Ours, Side::BackupGo), (Side::BackupGo, Side::Ours)] {
            for envelope in envelopes(&key) {
                let records = if envelope == PLAIN { RECORDS } else { WRAPPED_RECORDS };
                let exchange = Exchange { tools: &tools, records, spelling, envelope };
                let direction = format!("{writer} to {reader}, {spelling:?}, {envelope}");
                let verdict = exchange.run(writer, reader).with_context(|| direction.clone())?;
                ensure!(verdict.is_equal(), "{direction}: {verdict}");
                println!("interop: {direction}: {verdict}");
            }
        }
    }
    for envelope in [PLAIN, Envelope { level: Some(3), encryption: Some(("AES256", &key)) }] {
        let spelling = Spelling::Base64;
        let verdict =
            Exchange { tools: &tools, records: WRAPPED_RECORDS, spelling, envelope }.run_in_shares()?;
        ensure!(verdict.is_equal(), "in shares, {envelope}: {verdict}");
        println!("interop: ours in shares to backup-go, {envelope}: {verdict}");
    }
    awkward::run(&tools)?;
    python::run(workspace)
}

/// Every compression with every encryption.
fn envelopes(key: &Path) -> impl Iterator<Item = Envelope<'_>> {
    let ciphers = [None, Some("AES128"), Some("AES256")];
    [None, Some(1), Some(3), Some(19)].into_iter().flat_map(move |level| {
        ciphers.map(|cipher| Envelope { level, encryption: cipher.map(|cipher| (cipher, key)) })
    })
}

/// One namespace on its way through a folder.
struct Exchange<'a> {
    tools: &'a Tools,
    records: u64,
    spelling: Spelling,
    envelope: Envelope<'a>,
}

impl Exchange<'_> {
    fn run(&self, writer: Side, reader: Side) -> Result<Verdict> {
        let (source, folder) = (self.source()?, tempfile::tempdir()?);
        self.work(writer, self.backup(), &source, folder.path())?;
        self.read(reader, &source, folder.path())
    }

    /// Backs up with ours in shares, makes one backup of them, and restores it with backup-go.
    fn run_in_shares(&self) -> Result<Verdict> {
        let (source, folder) = (self.source()?, tempfile::tempdir()?);
        let place = Place { server: source.address(), directory: folder.path(), parallel: STREAMS };
        for share in SHARES {
            let mut command = self.tools.command(Side::Ours, self.backup(), place);
            self.envelope.add_to(&mut command, Side::Ours, Some(self.backup()));
            process::json_line(command.args(["--shard", share]))?;
        }
        let mut complete = self.tools.complete(folder.path());
        self.envelope.add_to(&mut complete, Side::Ours, None);
        process::json_line(&mut complete)?;
        self.read(Side::BackupGo, &source, folder.path())
    }

    fn source(&self) -> Result<TestServer> {
        let source = start()?;
        sample::load_records(source.store(), SOURCE, self.records, now()?);
        sample::load_metadata(source.store(), SOURCE);
        Ok(source)
    }

    fn backup(&self) -> Job<'static> {
        Job::Backup { namespace: SOURCE, spelling: self.spelling }
    }

    /// Validates and restores what was written, and compares it with the source.
    fn read(&self, reader: Side, source: &TestServer, directory: &Path) -> Result<Verdict> {
        self.validate(reader, directory)?;
        let target = start()?;
        // backup-go renames records but not indexes, so it restores into the name that the data came from.
        let (namespaces, namespace) = match reader {
            Side::Ours => ("test,copy", TARGET),
            Side::BackupGo => ("test", SOURCE),
        };
        self.work(reader, Job::Restore { namespaces }, &target, directory)?;
        let original = compare::Side { store: source.store(), namespace: SOURCE };
        Ok(compare::compare(original, compare::Side { store: target.store(), namespace }))
    }

    fn work(&self, side: Side, job: Job<'_>, server: &TestServer, directory: &Path) -> Result<()> {
        let place = Place { server: server.address(), directory, parallel: STREAMS };
        let mut command = self.tools.command(side, job, place);
        self.envelope.add_to(&mut command, side, Some(job));
        let report = process::json_line(&mut command)?;
        let (written, records) = (records_written(side, job, &report)?, self.records);
        ensure!(written == records, "{written} of {records} records written: {report}");
        Ok(())
    }

    fn validate(&self, side: Side, directory: &Path) -> Result<()> {
        let mut command = self.tools.validate(side, directory);
        self.envelope.add_to(&mut command, side, None);
        let report = process::json_line(&mut command)?;
        let (read, records) = (records_read(side, &report)?, self.records);
        ensure!(read == records, "{side} finds {read} of {records} records: {report}");
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
/// Enough for files of some 100 KB: all envelopes with more would take minutes.
const WRAPPED_RECORDS: u64 = 1_000;
const PLAIN: Envelope<'_> = Envelope { level: None, encryption: None };
const STREAMS: u16 = 4;
const SHARES: [&str; 3] = ["1/3", "2/3", "3/3"];
/// Enough that partitions lie scattered, and that streams and nodes don't pair up.
const NODES: usize = 3;
