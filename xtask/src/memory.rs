//! `memory`: the peak memory of our tools beside what their plans say of it, and beside backup-go's.
//!
//! Queues and buffers have to be full for a peak to say something. So that they are, backups may store only so many bytes a
//! second, and the server is slow to answer batches. backup-go runs without a limit: it would only take longer.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use asbackup_testserver::{Command as Request, Fault, FaultAction, TestServer};
use serde_json::Value;

use crate::bench::{BACKUP, JobKind, KEY, RESTORE, SOURCE, Size, TARGET, load, measured, remove};
use crate::measure::Usage;
use crate::process;
use crate::tools::{Envelope, Place, Side, Tools, records_written};
use crate::workspace::Workspace;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// MiB of values in the records of each size.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..))]
    mib: u64,
    /// Only these record sizes.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["400", "50k", "1m"])]
    only: Vec<Size>,
    /// Only these jobs.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["backup", "restore"])]
    jobs: Vec<JobKind>,
    /// With these numbers of streams.
    #[arg(long, value_delimiter = ',', default_values = ["1", "8", "64", "256"])]
    parallel: Vec<u16>,
    /// Compressed by ZSTD with these levels; 0: not compressed.
    #[arg(long, value_delimiter = ',', default_values = ["0", "1", "3"], value_parser = clap::value_parser!(u8).range(0..=22))]
    compression_level: Vec<u8>,
    /// Encrypted with AES-256.
    #[arg(long)]
    encrypt: bool,
    /// Leaves backup-go out.
    #[arg(long)]
    ours_only: bool,
    /// Ends with an error if a peak is above a bound: that of the plan by a fifth, the number for 64 streams, or a quarter of backup-go's.
    #[arg(long)]
    check: bool,
}

/// Measures what `args` ask for and prints the table.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if cfg!(debug_assertions) {
        workspace.build_programs()?;
        return process::run(Command::new(workspace.program("asbackup-xtask")).args(env::args_os().skip(1)));
    }
    let chore = Chore {
        tools: Tools::build(workspace)?,
        folder: workspace.target("memory"),
        key: workspace.path(KEY),
        args,
    };
    let cases = chore.run()?;
    let missed: usize = cases.iter().map(|case| case.missed().len()).sum();
    if args.check && missed > 0 {
        bail!("{missed} bounds exceeded");
    }
    Ok(())
}

struct Chore<'a> {
    tools: Tools,
    folder: PathBuf,
    key: PathBuf,
    args: &'a Args,
}

impl Chore<'_> {
    fn run(&self) -> Result<Vec<Case<'_>>> {
        println!("peak memory in MiB\n{HEADER}");
        let mut cases = Vec::new();
        for &size in &self.args.only {
            let server = TestServer::builder().namespace(SOURCE).namespace(TARGET).start()?;
            let records = (self.args.mib << 20) / size.value_bytes();
            load(&server, SOURCE, size, records);
            for &level in &self.args.compression_level {
                let envelope = self.envelope(level);
                for &parallel in &self.args.parallel {
                    cases.extend(self.measure_both(&server, Setting { size, envelope, parallel, records })?);
                }
            }
        }
        remove(&self.folder)?;
        Ok(cases)
    }

    fn envelope(&self, level: u8) -> Envelope<'_> {
        let encryption = self.args.encrypt.then_some(("AES256", self.key.as_path()));
        Envelope { level: Some(level).filter(|&level| level > 0), encryption }
    }

    /// Measures the jobs with one setting. Restores read what our backup wrote.
    fn measure_both<'a>(&'a self, server: &TestServer, setting: Setting<'a>) -> Result<Vec<Case<'a>>> {
        let input = self.folder.join("input");
        remove(&self.folder)?;
        fs::create_dir_all(&self.folder)?;
        if !self.args.jobs.contains(&JobKind::Backup) {
            self.measure(server, setting, (JobKind::Backup, Side::Ours), &input)?;
        }
        let mut cases = Vec::new();
        for kind in [JobKind::Backup, JobKind::Restore] {
            if !self.args.jobs.contains(&kind) {
                continue;
            }
            let ours = self.measure(server, setting, (kind, Side::Ours), &input)?;
            let theirs = match self.args.ours_only {
                true => None,
                false => Some(self.measure(server, setting, (kind, Side::BackupGo), &input)?.peak),
            };
            let case = Case { setting, kind, ours, theirs };
            println!("{case}");
            cases.push(case);
        }
        Ok(cases)
    }

    fn measure(
        &self,
        server: &TestServer,
        setting: Setting<'_>,
        (kind, side): (JobKind, Side),
        input: &Path,
    ) -> Result<Measured> {
        let log = self.folder.join("log");
        let other = self.folder.join("other");
        let (job, directory) = match (kind, side) {
            (JobKind::Backup, Side::Ours) => (BACKUP, input),
            (JobKind::Backup, Side::BackupGo) => (BACKUP, &*other),
            (JobKind::Restore, _) => (RESTORE, input),
        };
        server.store().truncate(TARGET);
        server.faults().clear();
        let pause = setting.pause();
        server.faults().add(Fault::new(Request::Batch, FaultAction::Delay(pause)).times(u64::MAX));
        let place = Place { server: server.address(), directory, parallel: setting.parallel };
        let mut command = self.tools.command(side, job, place);
        setting.envelope.add_to(&mut command, side, Some(job));
        if side == Side::Ours {
            command.args(["--log-json", "--log-file"]).arg(&log);
            if kind == JobKind::Backup {
                command.args(["--bandwidth", &(self.args.mib / SECONDS).max(1).to_string()]);
            }
        }
        let lines = process::json_lines(&mut measured(&command)?)?;
        let [report, usage] = &lines[..] else {
            bail!("{side} printed {} lines instead of a report", lines.len() - 1);
        };
        let written = records_written(side, job, report)?;
        ensure!(written == setting.records, "{side} wrote {written} of {}: {report}", setting.records);
        remove(&other)?;
        let usage: Usage = serde_json::from_value(usage.clone())?;
        let planned = (side == Side::Ours).then(|| planned(&log)).transpose()?;
        Ok(Measured { peak: mib(usage.peak_bytes), planned: planned.map_or(0.0, mib) })
    }
}

/// Returns what the plan in a log says, and removes the log.
fn planned(log: &Path) -> Result<u64> {
    let text = fs::read_to_string(log)?;
    fs::remove_file(log)?;
    let bytes = |line| serde_json::from_str::<Value>(line).ok()?.pointer("/fields/memory_bytes")?.as_u64();
    text.lines().find_map(bytes).context("no plan in the log says how much memory it takes")
}

#[derive(Debug, Clone, Copy)]
struct Setting<'a> {
    size: Size,
    envelope: Envelope<'a>,
    parallel: u16,
    records: u64,
}

impl Setting<'_> {
    /// Returns how slow the server has to be for a restore of some seconds.
    fn pause(&self) -> Duration {
        let at_once = (BATCHES * BATCH_ROWS * self.size.value_bytes()).min(BYTES_IN_FLIGHT);
        let rounds = (self.records * self.size.value_bytes()).div_ceil(at_once);
        Duration::from_secs(SECONDS) / u32::try_from(rounds).unwrap_or(u32::MAX)
    }
}

/// In MiB.
#[derive(Debug, Clone, Copy)]
struct Measured {
    peak: f64,
    planned: f64,
}

/// One row of the table.
#[derive(Debug)]
struct Case<'a> {
    setting: Setting<'a>,
    kind: JobKind,
    ours: Measured,
    theirs: Option<f64>,
}

impl Case<'_> {
    /// Lists the bounds that are exceeded.
    fn missed(&self) -> Vec<String> {
        let Measured { peak, planned } = self.ours;
        let for_64 = match self.kind {
            JobKind::Backup => 96.0,
            JobKind::Restore => 128.0,
        };
        let mut missed = Vec::new();
        if peak > 1.2 * planned {
            missed.push(format!("planned {planned:.0}"));
        }
        if self.setting.parallel == 64 && peak > for_64 {
            missed.push(format!("{for_64:.0} for 64 streams"));
        }
        if let Some(theirs) = self.theirs.filter(|theirs| peak > theirs / 4.0) {
            missed.push(format!("{:.0}, a quarter of backup-go's", theirs / 4.0));
        }
        missed
    }
}

const HEADER: &str =
    "size  job      par envelope                    |   ours planned  ratio | backup-go  ratio | bounds";

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Setting { size, envelope, parallel, .. }, Measured { peak, planned }) =
            (&self.setting, self.ours);
        let (kind, envelope) = (self.kind, envelope.to_string());
        write!(
            f,
            "{size:<5} {kind:<8} {parallel:>3} {envelope:<27} | {peak:>6.1} {planned:>7.1} {:>6.2} | ",
            peak / planned
        )?;
        match self.theirs {
            Some(theirs) => write!(f, "{theirs:>9.1} {:>6.3} | ", peak / theirs)?,
            None => write!(f, "{:>9} {:>6} | ", "-", "-")?,
        }
        let missed = self.missed();
        if missed.is_empty() { f.write_str("kept") } else { write!(f, "EXCEEDED: {}", missed.join("; ")) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What our restores have under way.
const BATCHES: u64 = 32;
const BATCH_ROWS: u64 = 128;
const BYTES_IN_FLIGHT: u64 = 8 << 20;

/// About how long a job of ours takes.
const SECONDS: u64 = 4;
