//! Progress: how fast a job is, and when it may be over.

use std::{collections::VecDeque, fs::File, io::Write, path::Path, time::Duration};

use asbackup::Progress;
use serde::Serialize;

use crate::{
    failure::Failure,
    number::{clock, grouped, mib},
};

/// Rates are those of this long, so that they neither jump nor lag.
const WINDOW: Duration = Duration::from_secs(5);

/// Version of the JSON form of a reading. New keys may come within a version.
const VERSION: u32 = 1;

/// What a job has done at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    elapsed: Duration,
    records: u64,
    bytes: u64,
    /// How much is done, from 0 to 1, if that is known.
    share: Option<f64>,
    /// Records, bytes and share that earlier runs had done.
    before: (u64, u64, Option<f64>),
}

/// How a job gets on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Reading {
    percent: Option<f64>,
    records: u64,
    records_per_s: u64,
    bytes: u64,
    bytes_per_s: u64,
    elapsed_s: u64,
    remaining_s: Option<u64>,
}

/// Makes readings out of samples.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<Sample>,
}

impl From<Progress> for Sample {
    fn from(progress: Progress) -> Self {
        Self {
            elapsed: progress.elapsed,
            records: progress.records_read,
            bytes: progress.bytes_stored,
            share: progress.share(),
            before: (progress.before.records, progress.before.bytes_stored, progress.share_before()),
        }
    }
}

impl Meter {
    /// Takes the sample of this moment.
    pub(crate) fn read(&mut self, sample: Sample) -> Reading {
        // What earlier runs did is known only after a moment.
        if self.samples.front().is_some_and(|first| first.before != sample.before) {
            self.samples.clear();
        }
        // The oldest sample that is kept is the last one before the window, so that the window is always covered.
        while self.samples.get(1).is_some_and(|second| second.elapsed + WINDOW <= sample.elapsed) {
            self.samples.pop_front();
        }
        let (records, bytes, share) = sample.before;
        let zero = Sample { elapsed: Duration::ZERO, records, bytes, share, ..sample };
        let first = self.samples.front().copied().unwrap_or(zero);
        self.samples.push_back(sample);
        let per_s = |count| per_second(count, sample.elapsed.saturating_sub(first.elapsed));
        Reading {
            percent: sample.share.map(|share| (share * 1000.0).floor() / 10.0),
            records: sample.records,
            records_per_s: per_s(sample.records - first.records),
            bytes: sample.bytes,
            bytes_per_s: per_s(sample.bytes - first.bytes),
            elapsed_s: sample.elapsed.as_secs(),
            remaining_s: sample
                .share
                .and_then(|done| remaining_s(share.unwrap_or(0.0), done, sample.elapsed)),
        }
    }
}

impl Reading {
    /// Returns it as one line for people.
    pub(crate) fn text(&self) -> String {
        let percent = self.percent.map(|percent| format!("{percent:.1} %"));
        let rest = self.remaining_s.map(|left| format!("{} left", clock(Duration::from_secs(left))));
        let done = [
            format!("{} records", grouped(self.records)),
            format!("{} records/s", grouped(self.records_per_s)),
            format!("{}/s", mib(self.bytes_per_s)),
        ];
        percent.into_iter().chain(done).chain(rest).collect::<Vec<_>>().join("  ")
    }

    /// Returns it as one line of JSON.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Event<'a> {
            version: u32,
            event: &'static str,
            #[serde(flatten)]
            reading: &'a Reading,
        }
        let event = Event { version: VERSION, event: "progress", reading: self };
        serde_json::to_string(&event).expect("it holds only numbers and fixed keys")
    }
}

/// A file to which readings are appended as lines of JSON.
#[derive(Debug)]
pub(crate) struct ProgressFile(Option<File>);

impl ProgressFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = File::options().create(true).append(true).open(path);
        opened.map(|file| Self(Some(file))).map_err(|error| {
            let message = format!("cannot open the progress file {}", path.display());
            Failure::usage(message, "name another one with --progress-file").because(&error)
        })
    }

    /// Appends a line. A file that takes none any more is given up: the job is worth more than its progress.
    pub(crate) fn write(&mut self, reading: &Reading) {
        let Some(file) = &mut self.0 else { return };
        if let Err(error) = writeln!(file, "{}", reading.json()) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot write to the progress file");
            self.0 = None;
        }
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1000 / time.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// Returns how long the rest takes at the average speed since `before`, if that can be told.
fn remaining_s(before: f64, done: f64, elapsed: Duration) -> Option<u64> {
    let rest = (1.0 - done) / (done - before);
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest).ok().map(|time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64, records: u64, share: Option<f64>) -> Sample {
        let before = (0, 0, None);
        Sample { elapsed: Duration::from_secs(seconds), records, bytes: records << 20, share, before }
    }

    #[test]
    fn what_earlier_runs_did_is_not_the_speed_of_this_one() {
        let before = (700, 700 << 20, Some(0.7));
        let reading = Meter::default().read(Sample { before, ..sample(10, 800, Some(0.8)) });
        assert_eq!((reading.records, reading.records_per_s, reading.bytes_per_s), (800, 10, 10 << 20));
        assert_eq!(reading.remaining_s, Some(20));
    }

    #[test]
    fn rates_are_those_of_the_window() {
        let mut meter = Meter::default();
        let rates: Vec<u64> = [(2, 200), (4, 400), (10, 400), (14, 4400)]
            .map(|(seconds, records)| meter.read(sample(seconds, records, None)).records_per_s)
            .into();
        assert_eq!(rates, [100, 100, 0, 400]);
    }

    #[test]
    fn many_samples_are_not_kept() {
        let mut meter = Meter::default();
        for second in 0..1000 {
            meter.read(sample(second, second, None));
        }
        assert!(meter.samples.len() <= 7, "{} samples", meter.samples.len());
    }

    #[test]
    fn text_names_what_is_known() {
        let known = Meter::default().read(sample(10, 1000, Some(0.25)));
        assert_eq!(known.text(), "25.0 %  1,000 records  100 records/s  100.0 MiB/s  0:30 left");
        let unknown = Meter::default().read(sample(10, 1000, None));
        assert_eq!(unknown.text(), "1,000 records  100 records/s  100.0 MiB/s");
    }

    #[test]
    fn json_is_one_event() {
        let json = Meter::default().read(sample(10, 1000, Some(0.25))).json();
        let expected = r#"{"version":1,"event":"progress","percent":25.0,"records":1000,"records_per_s":100,"bytes":1048576000,"bytes_per_s":104857600,"elapsed_s":10,"remaining_s":30}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn nothing_done_yet_has_no_end() {
        assert_eq!(Meter::default().read(sample(1, 0, Some(0.0))).remaining_s, None);
    }
}
