//! `bench`: our tools and backup-go in turn, on the same server and the same data.
//!
//! The server runs in this process, so its work isn't counted as the client's. It is loaded once per record size.
//!
//! Before each job, pages that it will need are taken and freed ([`warm_up`]).

mod data;
mod table;

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use asbackup_testserver::TestServer;
use clap::ValueEnum;

pub(crate) use crate::bench::data::{Size, load};
use crate::bench::table::{Case, Wrapping};
use crate::measure::Usage;
use crate::process;
use crate::tools::{Envelope, Job, Place, Side, Spelling, Tools, records_written};
use crate::workspace::Workspace;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each side does each job.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Number of records of 60 and 400 B; of those of 50 KB there are a fiftieth of it, of those of 1 MB a thousandth.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    records: u64,
    /// Only these record sizes.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["60", "400", "50k"])]
    only: Vec<Size>,
    /// Only these jobs.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["backup", "restore"])]
    jobs: Vec<JobKind>,
    /// With these numbers of streams.
    #[arg(long, value_delimiter = ',', default_values = ["1", "8"])]
    parallel: Vec<u16>,
    /// Compressed by ZSTD with this level.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=22))]
    compression_level: Option<u8>,
    /// Encrypted with AES-256.
    #[arg(long)]
    encrypt: bool,
    /// Ends with an error if a target is missed.
    #[arg(long)]
    check: bool,
    /// Leaves the backups in the target folder.
    #[arg(long)]
    keep: bool,
}

/// The jobs that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobKind {
    Backup,
    Restore,
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        })
    }
}

/// Measures what `args` ask for and prints the table.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if cfg!(debug_assertions) {
        // The server would slow both sides down: the same command again, with optimisations.
        workspace.build_programs()?;
        return process::run(Command::new(workspace.program("asbackup-xtask")).args(env::args_os().skip(1)));
    }
    let key = workspace.path(KEY);
    let envelope = Envelope {
        level: args.compression_level,
        encryption: args.encrypt.then_some(("AES256", key.as_path())),
    };
    let bench = Bench { tools: Tools::build(workspace)?, folder: workspace.target("bench"), envelope, args };
    let cases = bench.run()?;
    table::print(&cases);
    let missed: usize = cases.iter().map(|case| case.missed().len()).sum();
    if args.check && missed > 0 {
        bail!("{missed} targets missed");
    }
    Ok(())
}

struct Bench<'a> {
    tools: Tools,
    folder: PathBuf,
    envelope: Envelope<'a>,
    args: &'a Args,
}

impl Bench<'_> {
    fn run(&self) -> Result<Vec<Case>> {
        remove(&self.folder)?;
        let mut cases = Vec::new();
        for &size in &self.args.only {
            cases.extend(self.measure_size(size)?);
        }
        if !self.args.keep {
            remove(&self.folder)?;
        }
        Ok(cases)
    }

    fn measure_size(&self, size: Size) -> Result<Vec<Case>> {
        let records = size.records(self.args.records);
        let server = TestServer::builder().namespace(SOURCE).namespace(TARGET).start()?;
        data::load(&server, SOURCE, size, records);

        // Both sides restore the files that backup-go wrote.
        let input = self.folder.join(format!("{size}-input"));
        let place = Place { server: server.address(), directory: &input, parallel: INPUT_FILES };
        let report = process::json_line(&mut self.command(Side::BackupGo, BACKUP, place))?;
        let stored = report.pointer("/counters/bytes_written").and_then(|bytes| bytes.as_u64());
        // What is still to be written back would slow down whoever comes first.
        process::run(&mut Command::new("sync"))?;
        println!("{size}: {records} records, {} bytes of ASB each", stored.unwrap_or_default() / records);

        let mut cases = Vec::new();
        for &kind in &self.args.jobs {
            for &parallel in &self.args.parallel {
                cases.push(self.measure_case(&server, self.case(size, kind, parallel, records), &input)?);
            }
        }
        Ok(cases)
    }

    fn case(&self, size: Size, kind: JobKind, parallel: u16, records: u64) -> Case {
        let wrapping = match (self.envelope.level, self.envelope.encryption) {
            (None, None) => Wrapping::None,
            (None, Some(_)) => Wrapping::Encrypted,
            (Some(_), _) => Wrapping::Compressed,
        };
        Case::new(size, kind, parallel, records).wrapped(wrapping)
    }

    fn command(&self, side: Side, job: Job<'_>, place: Place<'_>) -> Command {
        let mut command = self.tools.command(side, job, place);
        self.envelope.add_to(&mut command, side, Some(job));
        command
    }

    fn measure_case(&self, server: &TestServer, mut case: Case, input: &Path) -> Result<Case> {
        for round in 0..self.args.rounds {
            // Who goes first changes, so that neither side always finds warm caches.
            let mut sides = [Side::Ours, Side::BackupGo];
            sides.rotate_left(round as usize % 2);
            for side in sides {
                let (usage, stored_bytes) = self.measure(server, &case, side, input)?;
                case.add(side, usage, stored_bytes);
            }
        }
        println!("{case}");
        Ok(case)
    }

    /// Returns what the job took, and how many bytes its files have.
    fn measure(&self, server: &TestServer, case: &Case, side: Side, input: &Path) -> Result<(Usage, u64)> {
        let output = self.folder.join(format!("{}-{side}-{}", case.size, case.parallel));
        let (job, directory) = match case.kind {
            JobKind::Backup => {
                remove(&output)?;
                (BACKUP, &*output)
            }
            JobKind::Restore => {
                server.store().truncate(TARGET);
                (RESTORE, input)
            }
        };
        let place = Place { server: server.address(), directory, parallel: case.parallel };
        warm_up(&self.folder.join("warm-up"), files_bytes(input)? + MEMORY_BYTES)?;
        let lines = process::json_lines(&mut measured(&self.command(side, job, place))?)?;
        let [report, usage] = &lines[..] else {
            bail!("{side} printed {} lines instead of a report", lines.len() - 1);
        };
        let written = records_written(side, job, report)?;
        ensure!(written == case.records, "{side} wrote {written} of {} records: {report}", case.records);
        let stored_bytes = files_bytes(directory)?;
        if case.kind == JobKind::Backup && !self.args.keep {
            remove(&output)?;
        }
        Ok((serde_json::from_value(usage.clone())?, stored_bytes))
    }
}

/// Takes memory from the system and frees it, as pages of a file that is never stored. A virtual machine gets its memory
/// from the host when it touches a page first, and gives free pages back: that takes more CPU time than a whole backup, and would
/// be counted for whichever side it hits.
fn warm_up(path: &Path, bytes: u64) -> Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut file = File::create(path)?;
    for _ in 0..bytes.div_ceil(zeros.len() as u64) {
        file.write_all(&zeros)?;
    }
    fs::remove_file(path)?;
    Ok(())
}

/// Returns the size of all backup files in a directory.
fn files_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "asb") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Returns a call of this program that runs `command` and prints what it used after its report.
pub(crate) fn measured(command: &Command) -> Result<Command> {
    let mut measured = Command::new(env::current_exe()?);
    measured.arg("measure").arg(command.get_program()).args(command.get_args());
    Ok(measured)
}

pub(crate) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

pub(crate) const SOURCE: &str = "test";
pub(crate) const TARGET: &str = "copy";
pub(crate) const BACKUP: Job<'_> = Job::Backup { namespace: SOURCE, spelling: Spelling::Base64 };
pub(crate) const RESTORE: Job<'_> = Job::Restore { namespaces: "test,copy" };

/// The key of encrypted backups.
pub(crate) const KEY: &str = "testdata/keys/a_rsa_pkcs1.pem";

/// Memory beside the page cache that the larger of both sides takes.
const MEMORY_BYTES: u64 = 512 << 20;

/// Files that a restore reads: as many as the largest number of streams.
const INPUT_FILES: u16 = 8;
