//! What all runs share: the programs, and servers with the data that is copied.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use asbackup_demo::compare::{self, Side};
use asbackup_demo::sample;
use asbackup_model::VoidTime;
use asbackup_testserver::TestServer;

use super::scenario::{Envelope, Scenario, Selection, Target};
use crate::interop::now;
use crate::workspace::Workspace;

/// The programs, and servers with the data that is copied.
#[derive(Debug)]
pub(crate) struct Stage {
    asbackup: PathBuf,
    asrestore: PathBuf,
    /// Of the backups that are encrypted.
    key: PathBuf,
    /// The same data on one node, and on three.
    sources: [TestServer; 2],
    /// Less data, for backups that are replaced.
    earlier: TestServer,
}

impl Stage {
    /// Loads the servers.
    pub(crate) fn set(workspace: &Workspace) -> Result<Self> {
        // Both sources hold the same, void times included.
        let now = now()?;
        Ok(Self {
            asbackup: workspace.program("asbackup"),
            asrestore: workspace.program("asrestore"),
            key: workspace.path("testdata/keys/a_rsa_pkcs1.pem"),
            sources: [loaded(1, RECORDS, now)?, loaded(3, RECORDS, now)?],
            earlier: loaded(1, EARLIER_RECORDS, now)?,
        })
    }

    /// Returns the server that a run copies from.
    pub(crate) fn source(&self, scenario: &Scenario) -> &TestServer {
        let [one, three] = &self.sources;
        if scenario.nodes == 1 { one } else { three }
    }

    /// Returns a server that holds what a run copies.
    pub(crate) fn selected(&self, selection: Selection) -> Result<TestServer> {
        let (source, selected) = (&self.sources[0], empty(1)?);
        source.store().for_each_record(NAMESPACE, |record| {
            if selection.holds(record) {
                selected.store().put(record);
            }
        });
        load_metadata(&selected);
        Ok(selected)
    }

    /// Returns a backup of a server into a directory, in an envelope.
    pub(crate) fn backup(&self, server: &TestServer, envelope: Envelope, directory: &Path) -> Command {
        let mut command = job(&self.asbackup, server, directory);
        command.args(envelope.compression_flags());
        self.with_key(command, envelope)
    }

    /// Returns a restore of a directory into a server.
    pub(crate) fn restore(&self, server: &TestServer, envelope: Envelope, directory: &Path) -> Command {
        self.with_key(job(&self.asrestore, server, directory), envelope)
    }

    /// Returns what makes one backup of the shares in a directory.
    pub(crate) fn complete(&self, envelope: Envelope, directory: &Path) -> Command {
        let mut command = Command::new(&self.asbackup);
        command.args(["complete", "--report", "json", "--quiet", "-d"]).arg(directory);
        self.with_key(command, envelope)
    }

    /// Returns a validation of a directory.
    pub(crate) fn validate(&self, envelope: Envelope, directory: &Path) -> Command {
        let mut command = Command::new(&self.asrestore);
        command.args(["--validate", "--report", "json", "--quiet", "-d"]).arg(directory);
        self.with_key(command, envelope)
    }

    fn with_key(&self, mut command: Command, envelope: Envelope) -> Command {
        if let Some(cipher) = envelope.cipher {
            command.args(["--encrypt", cipher, "--encryption-key-file"]).arg(&self.key);
        }
        command
    }

    /// Returns the backup that a run takes the place of.
    pub(crate) fn earlier(&self, scenario: &Scenario, directory: &Path) -> Option<Command> {
        // One key for both: a validation between two attempts has to read whichever is there.
        let mut command = self.backup(&self.earlier, scenario.envelope, directory);
        match scenario.target {
            Target::Empty => return None,
            Target::Same => command.args(scenario.selection.flags()).args(&scenario.flags),
            Target::Other => command.args(["--modified-after", "2020-01-01"]),
        };
        Some(command)
    }
}

/// Where a backup lies, and the states of its jobs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) states: PathBuf,
}

impl Place {
    pub(crate) fn new(scenario: &Scenario, folder: &Path, name: &str) -> Self {
        let directory = folder.join(name);
        let states =
            if scenario.states_apart { folder.join(format!("{name}.states")) } else { directory.clone() };
        Self { directory, states }
    }

    /// Returns the flags that say where states lie, if that has to be said.
    pub(crate) fn state_flags(&self) -> Vec<&OsStr> {
        if self.states == self.directory {
            return Vec::new();
        }
        vec!["--state-dir".as_ref(), self.states.as_os_str()]
    }
}

fn job(program: &Path, server: &TestServer, directory: &Path) -> Command {
    let address = server.address();
    let mut command = Command::new(program);
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-n", NAMESPACE]);
    command.args(["--report", "json", "--quiet", "-d"]).arg(directory);
    command
}

/// Returns a server without any data.
pub(crate) fn empty(nodes: usize) -> Result<TestServer> {
    Ok(TestServer::builder().nodes(nodes).namespace(NAMESPACE).server_build(BUILD).start()?)
}

fn loaded(nodes: usize, records: u64, now: VoidTime) -> Result<TestServer> {
    let server = empty(nodes)?;
    sample::load_records(server.store(), NAMESPACE, records, now);
    load_metadata(&server);
    Ok(server)
}

fn load_metadata(server: &TestServer) {
    sample::load_metadata(server.store(), NAMESPACE);
    server.store().add_set_index(NAMESPACE, "all_users", "users");
}

/// Checks that a server holds what another one does, decision 11.
pub(crate) fn check_equal(expected: &TestServer, found: &TestServer) -> Result<()> {
    let side = |server| Side { store: TestServer::store(server), namespace: NAMESPACE };
    let verdict = compare::compare(side(expected), side(found));
    ensure!(verdict.is_equal(), "{verdict}");
    let indexes = |server: &TestServer| server.store().set_indexes(NAMESPACE);
    ensure!(indexes(expected) == indexes(found), "set indexes {:?}", indexes(found));
    Ok(())
}

/// Returns the number of records of a server.
pub(crate) fn records(server: &TestServer) -> u64 {
    server.store().record_count(NAMESPACE)
}

const NAMESPACE: &str = "test";

/// A server with indexes over sets, which the text format has no line for.
const BUILD: &str = "8.1.2.0";

/// About 40 MiB of text, so that files of 1 MiB are often begun.
const RECORDS: u64 = 80_000;
const EARLIER_RECORDS: u64 = 3_000;
