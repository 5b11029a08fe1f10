//! `damage`: backups with random cuts and changed bits, which `asrestore --validate` has to refuse.
//!
//! A backup is damaged in place, validated and healed, so that no copy of it is made for each case.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use asbackup::ByteSize;
use asbackup_model::UdfModule;
use asbackup_testserver::TestServer;
use fastrand::Rng;

use crate::bench::{Size, load};
use crate::process;
use crate::tools::{Envelope, Job, Side, Spelling};
use crate::workspace::Workspace;

/// What to damage, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Text of each backup.
    #[arg(long, default_value = "100MB", value_parser = bytes)]
    bytes: ByteSize,
    /// Damaged sets in all, half of them with a cut and half with a changed bit.
    #[arg(long, default_value_t = 1000)]
    cases: u64,
    /// Seed of the choices; it is printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Damages a plain, a compressed, an encrypted, and a compressed and encrypted backup in turn, and fails unless all of it
/// is refused with exit code 4.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    workspace.build_programs()?;
    run_built(workspace, args)
}

/// Like [`run`], a few cases with small backups. The programs have to be there.
pub(crate) fn run_short(workspace: &Workspace) -> Result<()> {
    run_built(workspace, &Args { bytes: ByteSize(2_000_000), cases: 40, seed: None })
}

fn run_built(workspace: &Workspace, args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{} damaged sets, each of {} bytes of text; seed {seed}", args.cases, args.bytes.0);
    let server = TestServer::builder().namespace(NAMESPACE).server_build(BUILD).start()?;
    load(&server, NAMESPACE, Size::Medium, args.bytes.0 / TEXT_BYTES);
    server.store().add_set_index(NAMESPACE, "whole", "bench");
    server.store().add_udf(UdfModule { name: b"one.lua".to_vec(), content: b"return 1\n".to_vec() });
    let key = workspace.path("testdata/keys/a_rsa_pkcs1.pem");
    let envelopes = envelopes(&key);
    let mut random = Rng::with_seed(seed);
    let mut passed = Vec::new();
    for (number, envelope) in (0..).zip(envelopes) {
        let share = args.cases * (number + 1) / ENVELOPES - args.cases * number / ENVELOPES;
        let set = Set::back_up(workspace, &server, envelope, args.bytes)?;
        set.check_random(share, &mut random, &mut passed)?;
        set.check_files(&mut passed)?;
    }
    ensure!(passed.is_empty(), "not refused: {}", passed.join("; "));
    Ok(())
}

fn envelopes(key: &Path) -> [Envelope<'_>; 4] {
    let envelope = |level, cipher: Option<&'static str>| Envelope {
        level,
        encryption: cipher.map(|cipher| (cipher, key)),
    };
    [
        envelope(None, None),
        envelope(Some(3), None),
        envelope(None, Some("AES128")),
        envelope(Some(3), Some("AES256")),
    ]
}

/// A backup that is damaged and healed again.
struct Set<'a> {
    directory: tempfile::TempDir,
    asrestore: PathBuf,
    envelope: Envelope<'a>,
    /// Names of all files, of which there is at least one of each kind.
    files: Vec<(Kind, String)>,
}

/// What a file of a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Metadata,
    Manifest,
    SideFile,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            MANIFEST => Self::Manifest,
            SIDE_FILE => Self::SideFile,
            name if name.starts_with("metadata") => Self::Metadata,
            _ => Self::Data,
        }
    }

    /// Half of the damage goes to the data, the rest to what is small and would otherwise never be hit.
    fn pick(random: &mut Rng) -> Self {
        match random.u8(..6) {
            0 => Self::Metadata,
            1 => Self::Manifest,
            2 => Self::SideFile,
            _ => Self::Data,
        }
    }
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It ends after so many bytes.
    Cut(u64),
    /// A bit of the byte at this place is another.
    Flip { byte: u64, mask: u8 },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(len) => write!(f, "cut at {len}"),
            Self::Flip { byte, mask } => write!(f, "byte {byte} changed by {mask:#04x}"),
        }
    }
}

/// How many cases there were, and how many of them were refused.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    refused: u64,
    tried: u64,
}

impl Tally {
    fn add(&mut self, refused: bool) {
        self.tried += 1;
        self.refused += u64::from(refused);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.refused, self.tried)
    }
}

impl<'a> Set<'a> {
    fn back_up(
        workspace: &Workspace,
        server: &TestServer,
        envelope: Envelope<'a>,
        bytes: ByteSize,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(workspace.program("asbackup"));
        let mebibytes = (bytes.0 / FILES).div_ceil(1 << 20).to_string();
        command.args(["-h", &server.address().to_string(), "-n", NAMESPACE, "--quiet"]);
        command.args(["-w", "2", "-F", &mebibytes, "-d"]).arg(directory.path());
        envelope.add_to(
            &mut command,
            Side::Ours,
            Some(Job::Backup { namespace: NAMESPACE, spelling: Spelling::Base64 }),
        );
        process::run(&mut command)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory.path())? {
            let name = entry?.file_name().into_string().ok().context("a name that isn't UTF-8")?;
            files.push((Kind::of(&name), name));
        }
        files.sort_by(|(_, first), (_, second)| first.cmp(second));
        let set = Self { directory, asrestore: workspace.program("asrestore"), envelope, files };
        ensure!(set.validate()? == Some(0), "{envelope}: the whole set is refused");
        Ok(set)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self, kind: Kind) -> Vec<&str> {
        self.files.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str()).collect()
    }

    /// Returns the exit code of a validation that requires a manifest.
    fn validate(&self) -> Result<Option<i32>> {
        let mut command = Command::new(&self.asrestore);
        command.args(["--validate", "--require-manifest", "--quiet", "-d"]).arg(self.directory.path());
        self.envelope.add_to(&mut command, Side::Ours, None);
        let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
        Ok(status.code())
    }

    /// Returns whether the set is refused as damaged, and notes it if not.
    fn is_refused(&self, what: &str, passed: &mut Vec<String>) -> Result<bool> {
        let code = self.validate()?;
        if code != Some(DAMAGED) {
            passed.push(format!("{}: {what}: exit code {code:?}", self.envelope));
        }
        Ok(code == Some(DAMAGED))
    }

    /// Cuts files and changes bits in turn.
    fn check_random(&self, cases: u64, random: &mut Rng, passed: &mut Vec<String>) -> Result<()> {
        let begun = Instant::now();
        let mut tallies = [(Tally::default(), Tally::default()); KINDS.len()];
        for case in 0..cases {
            let kind = Kind::pick(random);
            let name = random.choice(self.names(kind)).with_context(|| format!("no file is {kind:?}"))?;
            let len = fs::metadata(self.path(name))?.len();
            let damage = match case % 2 {
                0 => Damage::Cut(random.u64(..len)),
                _ => Damage::Flip { byte: random.u64(..len), mask: 1 << random.u32(..8) },
            };
            let undo = damage.apply(&self.path(name))?;
            let refused = self.is_refused(&format!("{name}, {damage}"), passed)?;
            undo.heal(&self.path(name))?;
            let place = KINDS.iter().position(|of| *of == kind);
            let (cuts, flips) = place.and_then(|place| tallies.get_mut(place)).context("a kind more")?;
            match damage {
                Damage::Cut(_) => cuts.add(refused),
                Damage::Flip { .. } => flips.add(refused),
            }
        }
        ensure!(self.validate()? == Some(0), "{}: the set isn't healed", self.envelope);
        for (kind, (cuts, flips)) in KINDS.iter().zip(tallies) {
            println!("{}: {kind:?}: refused {cuts} cuts, {flips} flips", self.envelope);
        }
        println!("{}: {cases} cases in {:.1} s", self.envelope, begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Takes files away, adds, renames and swaps some.
    fn check_files(&self, passed: &mut Vec<String>) -> Result<()> {
        let mut tally = Tally::default();
        let aside = self.path("aside");
        for (kind, name) in &self.files {
            // Under another name a data file is one more, too.
            let other = if *kind == Kind::Data { self.path(&format!("9_{name}")) } else { aside.clone() };
            fs::rename(self.path(name), &other)?;
            tally.add(self.is_refused(&format!("{name} renamed"), passed)?);
            fs::rename(&other, self.path(name))?;
        }
        let data = self.names(Kind::Data);
        let [first, .., last] = data[..] else { bail!("{}: too few data files", self.envelope) };
        fs::rename(self.path(first), &aside)?;
        tally.add(self.is_refused(&format!("{first} missing"), passed)?);
        fs::rename(self.path(last), self.path(first))?;
        fs::rename(&aside, self.path(last))?;
        tally.add(self.is_refused(&format!("{first} and {last} swapped"), passed)?);
        fs::rename(self.path(last), &aside)?;
        fs::rename(self.path(first), self.path(last))?;
        fs::rename(&aside, self.path(first))?;
        let copy = self.path("9_test_copy.asb");
        fs::copy(self.path(first), &copy)?;
        tally.add(self.is_refused("one file more", passed)?);
        fs::remove_file(&copy)?;
        ensure!(self.validate()? == Some(0), "{}: the set isn't healed", self.envelope);
        println!("{}: refused {tally} missing, added, renamed and swapped files", self.envelope);
        Ok(())
    }
}

/// What heals a file.
struct Undo {
    from: u64,
    bytes: Vec<u8>,
}

impl Damage {
    fn apply(self, path: &Path) -> Result<Undo> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        let from = match self {
            Self::Cut(len) => len,
            Self::Flip { byte, .. } => byte,
        };
        file.seek(SeekFrom::Start(from))?;
        match self {
            Self::Cut(len) => {
                file.read_to_end(&mut bytes)?;
                file.set_len(len)?;
            }
            Self::Flip { mask, .. } => {
                let mut byte = [0];
                file.read_exact(&mut byte)?;
                bytes.extend(byte);
                write_at(&mut file, from, &byte.map(|byte| byte ^ mask))?;
            }
        }
        Ok(Undo { from, bytes })
    }
}

impl Undo {
    fn heal(&self, path: &Path) -> Result<()> {
        write_at(&mut OpenOptions::new().write(true).open(path)?, self.from, &self.bytes)
    }
}

fn write_at(file: &mut File, from: u64, bytes: &[u8]) -> Result<()> {
    file.seek(SeekFrom::Start(from))?;
    file.write_all(bytes)?;
    Ok(())
}

/// Reads a number of bytes, such as 100MB.
fn bytes(text: &str) -> Result<ByteSize> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        unit => bail!("no unit {unit:?}: there are B, KB and MB"),
    };
    let bytes: u64 = digits.parse()?;
    ensure!(bytes * unit >= LEAST_BYTES, "at least {LEAST_BYTES} bytes, so that there are several files");
    Ok(ByteSize(bytes * unit))
}

const NAMESPACE: &str = "test";
/// A version that has indexes over sets, which lie in the side file.
const BUILD: &str = "8.1.2.0";
const MANIFEST: &str = "asbackup.manifest.json";
const SIDE_FILE: &str = "asbackup.extra.json";
const KINDS: [Kind; 4] = [Kind::Data, Kind::Metadata, Kind::Manifest, Kind::SideFile];
const ENVELOPES: u64 = 4;
/// About as many data files as a backup has.
const FILES: u64 = 25;
/// Text of a record, about.
const TEXT_BYTES: u64 = 480;
const LEAST_BYTES: u64 = 2_000_000;
/// The exit code of damage. Source: docs/cli.md, "Exit codes".
const DAMAGED: i32 = 4;
