//! What a run does, drawn from its seed: the same seed gives the same flags and the same moments.

use std::fmt;
use std::time::Duration;

use asbackup_model::RecordView;
use fastrand::Rng;

/// What a run does.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) half: Half,
    pub(crate) nodes: usize,
    pub(crate) selection: Selection,
    pub(crate) envelope: Envelope,
    /// Flags that stay the same in each attempt, since they say what is written.
    pub(crate) flags: Vec<String>,
    /// Whether the backup takes the place of another one.
    pub(crate) target: Target,
    /// How many kills are tried, of each job.
    pub(crate) kills: u32,
    /// How many jobs make the backup.
    pub(crate) shares: u16,
    /// Whether states lie in a directory of their own.
    pub(crate) states_apart: bool,
}

/// Which job is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Backup,
    Restore,
}

/// What is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    /// The records of two sets.
    Sets,
    /// The partitions from one to another.
    Partitions(u16, u16),
}

/// What the files of a backup are wrapped in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope {
    /// Flags of the backup alone: a restore detects compression.
    pub(crate) compression: &'static str,
    pub(crate) cipher: Option<&'static str>,
}

/// What a backup finds in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Empty,
    /// A backup, made with the same options.
    Same,
    /// A backup, made with other options.
    Other,
}

impl Scenario {
    /// Returns the run of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let half = if seed.is_multiple_of(2) { Half::Backup } else { Half::Restore };
        let mut scenario = Self {
            seed,
            half,
            nodes: choose(random, &[1, 3]),
            selection: Selection::draw(half, random),
            envelope: Envelope::draw(random),
            flags: match half {
                Half::Backup => backup_flags(random),
                Half::Restore => restore_flags(random),
            },
            target: choose(random, &[Target::Empty, Target::Empty, Target::Same, Target::Other]),
            kills: random.u32(1..=4),
            shares: 1,
            states_apart: choose(random, &[false, false, true]),
        };
        // Shares take the place of no other backup.
        if half == Half::Backup && scenario.target == Target::Empty {
            scenario.shares = choose(random, &[1, 2, 3]);
        }
        scenario
    }

    /// Returns the source of what differs between attempts.
    pub(crate) fn random(&self) -> Rng {
        Rng::with_seed(!self.seed)
    }
}

impl Envelope {
    fn draw(random: &mut Rng) -> Self {
        Self {
            compression: choose(
                random,
                &["", "", "--compress ZSTD", "--compress ZSTD --compression-level 1"],
            ),
            cipher: choose(random, &[None, Some("AES128"), Some("AES256")]),
        }
    }

    /// Returns the flags of a backup in it.
    pub(crate) fn compression_flags(self) -> Vec<String> {
        words(self.compression)
    }
}

impl Selection {
    fn draw(half: Half, random: &mut Rng) -> Self {
        let first = random.u16(0..4000);
        match (random.u8(0..6), half) {
            (0, _) => Self::Sets,
            (1, Half::Backup) => Self::Partitions(first, random.u16(first..4096)),
            _ => Self::All,
        }
    }

    /// Returns the flags that ask for it.
    pub(crate) fn flags(self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Sets => vec!["--set-list".to_owned(), SETS.join(",")],
            Self::Partitions(first, last) => vec!["--partition-list".to_owned(), format!("{first}..{last}")],
        }
    }

    /// Returns whether a record is copied.
    pub(crate) fn holds(self, record: &RecordView<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Sets => {
                record.set.is_some_and(|set| SETS.iter().any(|selected| selected.as_bytes() == set))
            }
            Self::Partitions(first, last) => (first..=last).contains(&record.digest.partition().number()),
        }
    }
}

/// Flags of a backup that its state holds the next attempt to.
fn backup_flags(random: &mut Rng) -> Vec<String> {
    words(choose(random, &["", "--compact"]))
}

fn restore_flags(random: &mut Rng) -> Vec<String> {
    words(choose(random, &["", "", "--unique", "--replace", "--no-generation"]))
}

/// Returns flags of an attempt of a backup, which may differ from those before.
pub(crate) fn backup_attempt(random: &mut Rng) -> Vec<String> {
    let file_limit = choose(random, &["1", "1", "4", "250", "0"]);
    words(&format!("--parallel {} --file-limit {file_limit} {}", random.u8(1..=8), interval(random)))
}

/// Returns flags of an attempt of a restore, which may differ from those before.
pub(crate) fn restore_attempt(random: &mut Rng) -> Vec<String> {
    let metadata = choose(random, &["", "--apply-metadata-last"]);
    let (batch, batches) = (choose(random, &[16, 128]), choose(random, &[4, 32]));
    let parallel = random.u8(1..=8);
    words(&format!(
        "--parallel {parallel} --batch-size {batch} --max-async-batches {batches} {metadata} {}",
        interval(random)
    ))
}

/// The usual 10 s would be longer than a run.
fn interval(random: &mut Rng) -> String {
    format!("--state-interval {}", choose(random, &[1, 10, 50, 200, 10_000]))
}

/// Returns a moment of an undisturbed run.
pub(crate) fn moment(random: &mut Rng, length: Duration) -> Duration {
    length.mul_f64(random.f64())
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn choose<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, half, nodes, selection, envelope, flags, target, kills: _, shares, states_apart } =
            self;
        write!(f, "seed {seed}: {half:?}, {nodes} nodes, {selection:?}")?;
        if let Some(cipher) = envelope.cipher {
            write!(f, ", {cipher}")?;
        }
        envelope.compression_flags().iter().try_for_each(|flag| write!(f, " {flag}"))?;
        if *half == Half::Backup && *target != Target::Empty {
            write!(f, ", over a backup of {target:?} options")?;
        }
        if *shares > 1 {
            write!(f, ", in {shares} shares")?;
        }
        if *states_apart {
            write!(f, ", states apart")?;
        }
        flags.iter().try_for_each(|flag| write!(f, " {flag}"))
    }
}

const SETS: [&str; 2] = ["users", "orders"];
