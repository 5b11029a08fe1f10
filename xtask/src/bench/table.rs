//! What was measured, the targets, and the table of both.

use std::fmt;

use crate::bench::JobKind;
use crate::bench::data::Size;
use crate::measure::Usage;
use crate::tools::Side;

/// One job with one size of records and one number of streams, measured on both sides in several rounds.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) size: Size,
    pub(crate) kind: JobKind,
    pub(crate) parallel: u16,
    pub(crate) records: u64,
    wrapping: Wrapping,
    ours: Vec<Usage>,
    theirs: Vec<Usage>,
    stored: Stored,
}

/// Bytes of the files that each side wrote, or read.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    ours: u64,
    theirs: u64,
}

/// What the files are wrapped in; it decides the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    None,
    /// Whether encrypted or not: compression takes far more.
    Compressed,
    Encrypted,
}

impl Case {
    pub(crate) fn new(size: Size, kind: JobKind, parallel: u16, records: u64) -> Self {
        Self {
            size,
            kind,
            parallel,
            records,
            wrapping: Wrapping::None,
            ours: Vec::new(),
            theirs: Vec::new(),
            stored: Stored::default(),
        }
    }

    /// Returns the same with what its files are wrapped in.
    pub(crate) fn wrapped(self, wrapping: Wrapping) -> Self {
        Self { wrapping, ..self }
    }

    /// Adds a round in which a side wrote or read files of that many bytes in all.
    pub(crate) fn add(&mut self, side: Side, usage: Usage, stored_bytes: u64) {
        let (rounds, stored) = match side {
            Side::Ours => (&mut self.ours, &mut self.stored.ours),
            Side::BackupGo => (&mut self.theirs, &mut self.stored.theirs),
        };
        rounds.push(usage);
        *stored = stored_bytes;
    }

    /// Lists the targets that aren't met.
    pub(crate) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let (ratio, largest) = (self.cpu_ratio(), self.largest_cpu_ratio());
        if ratio > largest {
            missed.push(format!("CPU ratio {ratio:.3}, target {largest:.3}"));
        }
        let peak = Range::of(&self.ours, peak_mib).max;
        if let Some(limit) = self.largest_peak_mib().filter(|limit| peak > *limit) {
            missed.push(format!("peak {peak:.0} MiB, target {limit:.0} MiB"));
        }
        let Stored { ours, theirs } = self.stored;
        if self.wrapping == Wrapping::Compressed && ours > theirs {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
            let share = ours as f64 / theirs as f64;
            missed.push(format!("output {share:.3} of theirs, target 1"));
        }
        missed
    }

    /// The median of our CPU times by that of theirs: a round in which somebody else had the machine says nothing.
    fn cpu_ratio(&self) -> f64 {
        let median_of = |rounds: &[Usage]| median(rounds.iter().map(Usage::cpu_s).collect());
        median_of(&self.ours) / median_of(&self.theirs)
    }

    fn cpu_ratios(&self) -> Range {
        Range::new(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours.cpu_s() / theirs.cpu_s()))
    }

    fn largest_cpu_ratio(&self) -> f64 {
        match (self.wrapping, self.kind) {
            (Wrapping::None, _) => {}
            (Wrapping::Compressed, JobKind::Backup) => return 1.0 / 3.0,
            (Wrapping::Compressed, JobKind::Restore) => return 1.0 / 5.0,
            (Wrapping::Encrypted, _) => return 1.0 / 4.0,
        }
        match (self.size, self.kind) {
            (Size::Small | Size::Medium, JobKind::Backup) => 1.0 / 5.0,
            (Size::Small, JobKind::Restore) => 1.0 / 4.0,
            (Size::Medium, JobKind::Restore) => 1.0 / 6.0,
            (Size::Large | Size::Huge, _) => 1.0 / 3.0,
        }
    }

    fn largest_peak_mib(&self) -> Option<f64> {
        if self.wrapping != Wrapping::None {
            return None;
        }
        match (self.parallel, self.kind, self.size) {
            (8, JobKind::Backup, _) => Some(32.0),
            (8, JobKind::Restore, Size::Small | Size::Medium) => Some(64.0),
            (8, JobKind::Restore, Size::Large | Size::Huge) => Some(100.0),
            _ => None,
        }
    }

    fn per_million(&self, rounds: &[Usage], seconds: impl Fn(&Usage) -> f64) -> Range {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 records")]
        let millions = self.records as f64 / 1e6;
        Range::of(rounds, |usage| seconds(usage) / millions)
    }
}

/// One row of the table.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ours, theirs] = [&self.ours, &self.theirs];
        let cpu = |rounds| self.per_million(rounds, Usage::cpu_s);
        let system = |rounds| self.per_million(rounds, |usage| usage.system_s);
        let [ratio, target] = [self.cpu_ratio(), self.largest_cpu_ratio()];
        let peak_target =
            self.largest_peak_mib().map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0}"));
        write!(f, "{:<5} {:<8} {:>3} ", self.size, self.kind, self.parallel)?;
        write!(
            f,
            "| {:>13.2} {:>13.2} {ratio:>6.3} {:>13.3} {target:>6.3} ",
            cpu(ours),
            cpu(theirs),
            self.cpu_ratios()
        )?;
        write!(f, "| {:>13.2} {:>13.2} ", system(ours), system(theirs))?;
        write!(
            f,
            "| {:>9.0} {:>9.0} {peak_target:>6} ",
            Range::of(ours, peak_mib),
            Range::of(theirs, peak_mib)
        )?;
        write!(f, "| {:>11.2} {:>11.2} ", Range::of(ours, wall_s), Range::of(theirs, wall_s))?;
        let [ours, theirs] = [self.stored.ours, self.stored.theirs].map(|bytes| bytes / self.records);
        write!(f, "| {ours:>6} {theirs:>9} ")?;
        let missed = self.missed();
        if missed.is_empty() { f.write_str("| met") } else { write!(f, "| MISSED: {}", missed.join("; ")) }
    }
}

/// Prints all rows below a header; each range is minimum–maximum over the rounds.
pub(crate) fn print(cases: &[Case]) {
    println!(
        "\n{:<18} | {:^55} | {:^27} | {:^26} | {:^23} | {:^16} |",
        "",
        "client CPU s per million records",
        "of it in the kernel",
        "peak memory, MiB",
        "wall time, s",
        "stored B/record"
    );
    let [ours, theirs] = ["ours", "backup-go"];
    println!(
        "{:<5} {:<8} {:>3} | {ours:>13} {theirs:>13} {:>6} {:>13} {:>6} | {ours:>13} {theirs:>13} \
         | {ours:>9} {theirs:>9} {:>6} | {ours:>11} {theirs:>11} | {ours:>6} {theirs:>9} | targets",
        "size", "job", "par", "ratio", "min–max", "target", "target"
    );
    for case in cases {
        println!("{case}");
    }
}

/// Smallest and largest of a row of numbers.
struct Range {
    min: f64,
    max: f64,
}

impl Range {
    fn new(numbers: impl Iterator<Item = f64>) -> Self {
        numbers.fold(Self { min: f64::INFINITY, max: f64::NEG_INFINITY }, |range, number| Self {
            min: range.min.min(number),
            max: range.max.max(number),
        })
    }

    fn of(rounds: &[Usage], quantity: impl Fn(&Usage) -> f64) -> Self {
        Self::new(rounds.iter().map(quantity))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, width) = (f.precision().unwrap_or(2), f.width().unwrap_or(0));
        let text = format!("{:.digits$}–{:.digits$}", self.min, self.max);
        write!(f, "{text:>width$}")
    }
}

/// Returns the middle one of the numbers, or the mean of the two in the middle.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let [below, above] = [(numbers.len() - 1) / 2, numbers.len() / 2];
    f64::midpoint(numbers[below], numbers[above])
}

fn peak_mib(usage: &Usage) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let bytes = usage.peak_bytes as f64;
    bytes / (1024.0 * 1024.0)
}

fn wall_s(usage: &Usage) -> f64 {
    usage.wall_s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(kind: JobKind, parallel: u16, ours: (f64, u64), theirs: (f64, u64)) -> Case {
        let usage = |(cpu_s, mib)| Usage { user_s: cpu_s, system_s: 0.0, peak_bytes: mib << 20, wall_s: 1.0 };
        let mut case = Case::new(Size::Medium, kind, parallel, 1_000_000);
        case.add(Side::Ours, usage(ours), 0);
        case.add(Side::BackupGo, usage(theirs), 0);
        case
    }

    #[test]
    fn a_case_within_its_targets_misses_none() {
        assert!(case(JobKind::Backup, 8, (0.6, 32), (3.0, 120)).missed().is_empty());
        assert!(case(JobKind::Restore, 8, (1.5, 64), (9.0, 90)).missed().is_empty());
    }

    #[test]
    fn one_disturbed_round_of_three_does_not_count() {
        let mut case = case(JobKind::Backup, 8, (0.6, 32), (3.0, 120));
        for (ours, theirs) in [(9.0, 4.0), (0.4, 2.0)] {
            let usage = |user_s| Usage { user_s, system_s: 0.0, peak_bytes: 0, wall_s: 1.0 };
            case.add(Side::Ours, usage(ours), 0);
            case.add(Side::BackupGo, usage(theirs), 0);
        }
        assert!((case.cpu_ratio() - 0.6 / 3.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn each_missed_target_is_named() {
        let missed = case(JobKind::Backup, 8, (0.7, 33), (3.0, 120)).missed();
        assert_eq!(missed, ["CPU ratio 0.233, target 0.200", "peak 33 MiB, target 32 MiB"]);
        assert_eq!(case(JobKind::Restore, 8, (1.6, 65), (9.0, 90)).missed().len(), 2);
    }

    #[test]
    fn a_compressed_backup_must_not_be_larger_than_theirs() {
        for (ours, missed) in [(100, 0), (101, 1)] {
            let mut case = case(JobKind::Backup, 8, (0.6, 32), (3.0, 120)).wrapped(Wrapping::Compressed);
            case.stored = Stored { ours, theirs: 100 };
            assert_eq!(case.missed().len(), missed);
        }
    }

    #[test]
    fn memory_has_a_target_with_eight_streams_only() {
        assert!(case(JobKind::Backup, 1, (0.6, 500), (3.0, 120)).missed().is_empty());
    }
}
