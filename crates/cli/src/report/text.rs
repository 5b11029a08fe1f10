//! The report as text for people.

use std::{collections::BTreeMap, time::Duration};

use asbackup::{
    BackupReport, CompleteReport, Completeness, Estimate, EstimateReport, Rates, RestoreReport, Source, Span,
    Troubles, ValidateReport,
};

use super::{Command, Ended, Summary};
use crate::{
    exit::{Exit, Tally},
    number::{grouped, mib, seconds},
};

/// Returns the report: a headline, and below it what the job did, if there was one.
pub(super) fn text<R: Summary>(ended: &Ended<R>, command: Command, exit: Exit) -> String {
    let mut lines = vec![format!("{command} {}", exit.outcome())];
    lines.extend(ended.report.iter().flat_map(|report| report.lines()));
    lines.join("\n")
}

impl Summary for BackupReport {
    fn tally(&self) -> Tally {
        let (unaccounted, refused) = (self.records.unaccounted, self.records.failed);
        Tally { unaccounted, refused, moved: self.records.read > 0, ..Tally::default() }
    }

    fn lines(&self) -> Vec<String> {
        let records = &self.records;
        let mut counts = Counts::of(&[("read", records.read), ("written", records.written)]);
        counts.by_name("skipped", &records.skipped);
        counts.more(&[("failed", records.failed), ("unfinished", records.unfinished)]);
        let mut rows = Rows::default();
        rows.add("namespace", self.namespace.clone());
        rows.share(self.shard.as_deref());
        rows.add("records", counts.text());
        for (label, copied) in [("indexes", &self.indexes), ("UDF modules", &self.udfs)] {
            rows.add(label, Counts::of(&[("read", copied.read), ("written", copied.written)]).text());
        }
        rows.add("files", files(self.target.place.files, self.bytes.stored, &self.target.place.path));
        rows.named("inexact values", &self.inexact);
        rows.troubles(&self.errors);
        if let Some(path) = &self.state_file {
            rows.add("state", format!("{path}: go on with --continue"));
        }
        rows.end(&self.span, &self.rates, &self.warnings)
    }

    fn state_file(&self) -> Option<&str> {
        self.state_file.as_deref()
    }
}

impl Summary for EstimateReport {
    fn tally(&self) -> Tally {
        Tally { moved: self.estimate.samples > 0, ..Tally::default() }
    }

    fn lines(&self) -> Vec<String> {
        let Estimate { records, samples, bytes_per_record, ratio, bytes, .. } = &self.estimate;
        let mut rows = Rows::default();
        rows.add("namespace", self.namespace.clone());
        rows.add("records", format!("{} in all, {} sampled", grouped(*records), grouped(*samples)));
        rows.add("mean size", format!("{bytes_per_record:.1} bytes a record, compressed {ratio:.2} : 1"));
        rows.add("backup", format!("{}, {} bytes", mib(bytes.mean), grouped(bytes.mean)));
        let range = |low, high| format!("{} to {} bytes", grouped(low), grouped(high));
        rows.add("95 % sure", range(bytes.low_95, bytes.high_95));
        rows.add("99 % sure", range(bytes.low_99, bytes.high_99));
        rows.add("time", seconds(Duration::from_millis(self.span.duration_ms)));
        rows.0
    }
}

impl Summary for RestoreReport {
    fn tally(&self) -> Tally {
        let records: u64 = self.records.failed.values().sum();
        let refused = records + self.indexes.failed + self.udfs.failed;
        let (ignored, moved) = (self.records.ignored.values().sum(), self.bytes.stored > 0);
        Tally { unaccounted: self.records.unaccounted, refused, ignored, findings: 0, moved }
    }

    fn lines(&self) -> Vec<String> {
        let records = &self.records;
        let mut counts = Counts::of(&[("read", records.read), ("inserted", records.inserted)]);
        counts.more(&[
            ("fresher", records.fresher),
            ("existed", records.existed),
            ("expired", records.expired),
        ]);
        counts.by_name("skipped", &records.skipped);
        counts.by_name("ignored", &records.ignored);
        counts.by_name("failed", &records.failed);
        counts.more(&[("unfinished", records.unfinished)]);
        let mut indexes = Counts::of(&[("read", self.indexes.read), ("created", self.indexes.created)]);
        indexes.more(&[
            ("the same already", self.indexes.same),
            ("kept", self.indexes.kept),
            ("replaced", self.indexes.replaced),
            ("left out", self.indexes.not_restored),
            ("failed", self.indexes.failed),
        ]);
        let mut udfs = Counts::of(&[("read", self.udfs.read), ("created", self.udfs.created)]);
        udfs.more(&[("left out", self.udfs.not_restored), ("failed", self.udfs.failed)]);
        let mut rows = Rows::default();
        if !self.namespace.is_empty() {
            rows.add("namespace", self.namespace.clone());
        }
        rows.share(self.shard.as_deref());
        if self.dry_run {
            rows.add("dry run", "nothing was written; what counts as inserted, created or replaced would be");
        }
        rows.add("records", counts.text());
        rows.add("indexes", indexes.text());
        rows.add("UDF modules", udfs.text());
        rows.add("files", files(self.source.place.files, self.bytes.stored, &self.source.place.path));
        rows.source(&self.source);
        rows.troubles(&self.errors);
        if let Some(path) = &self.state_file {
            rows.add("state", format!("{path}: --continue goes on from here"));
        }
        rows.end(&self.span, &self.rates, &self.warnings)
    }

    fn state_file(&self) -> Option<&str> {
        self.state_file.as_deref()
    }
}

impl Summary for CompleteReport {
    fn tally(&self) -> Tally {
        Tally::default()
    }

    fn lines(&self) -> Vec<String> {
        let mut rows = Rows::default();
        if self.target.manifest.is_some() {
            rows.add("namespace", self.namespace.clone());
            rows.add("shares", grouped(u64::from(self.shares)));
            for (label, completed) in
                [("records", &self.records), ("indexes", &self.indexes), ("UDF modules", &self.udfs)]
            {
                rows.add(label, grouped(completed.written));
            }
            rows.add("files", files(self.target.place.files, self.bytes, &self.target.place.path));
        }
        rows.add("time", seconds(Duration::from_millis(self.span.duration_ms)));
        rows.warnings(&self.warnings);
        rows.0
    }
}

impl Summary for ValidateReport {
    fn tally(&self) -> Tally {
        Tally { findings: self.findings.len(), moved: self.bytes.stored > 0, ..Tally::default() }
    }

    fn lines(&self) -> Vec<String> {
        let mut rows = Rows::default();
        for (label, decoded) in
            [("records", &self.records), ("indexes", &self.indexes), ("UDF modules", &self.udfs)]
        {
            rows.add(label, Counts::of(&[("read", decoded.read)]).text());
        }
        rows.add("files", files(self.source.place.files, self.bytes.stored, &self.source.place.path));
        rows.source(&self.source);
        let mut lines = rows.end(&self.span, &self.rates, &[]);
        lines.extend(self.findings.iter().map(|found| found.message.clone()));
        lines
    }
}

/// Lines of a label and a text.
#[derive(Default)]
pub(super) struct Rows(Vec<String>);

impl Rows {
    pub(super) fn into_lines(self) -> Vec<String> {
        self.0
    }

    pub(super) fn add(&mut self, label: &str, text: impl AsRef<str>) {
        self.0.push(format!("  {label:<15} {}", text.as_ref()));
    }

    /// Adds the share that the job was, if it was one.
    fn share(&mut self, shard: Option<&str>) {
        shard.iter().for_each(|shard| self.add("share", shard));
    }

    fn warnings(&mut self, warnings: &[String]) {
        self.0.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
    }

    /// Adds counts by name, if there are any.
    fn named(&mut self, label: &str, counts: &BTreeMap<&'static str, u64>) {
        if !counts.is_empty() {
            self.add(label, list(counts));
        }
    }

    /// Adds whether a backup is whole, and each of several.
    fn source(&mut self, source: &Source) {
        self.add("completeness", completeness(source.completeness));
        for found in &source.directories {
            let files = if found.files == 1 {
                "1 file".to_owned()
            } else {
                format!("{} files", grouped(found.files))
            };
            self.add("directory", format!("{}: {files}, {}", found.path, completeness(found.completeness)));
        }
    }

    fn troubles(&mut self, troubles: &Troubles) {
        self.named("retries", &troubles.retries);
        if troubles.throttle_waits > 0 {
            self.add("throttled", format!("{} waits for the server", grouped(troubles.throttle_waits)));
        }
        if troubles.in_doubt_attempts > 0 {
            let attempts = grouped(troubles.in_doubt_attempts);
            let records = grouped(troubles.in_doubt_records);
            self.add("in doubt", format!("{attempts} attempts, {records} records in the end"));
        }
    }

    fn end(mut self, span: &Span, rates: &Rates, warnings: &[String]) -> Vec<String> {
        let time = seconds(Duration::from_millis(span.duration_ms));
        let (records, bytes) = (grouped(rates.records_per_s), mib(rates.stored_bytes_per_s));
        self.add("time", format!("{time}, {records} records/s, {bytes}/s"));
        self.warnings(warnings);
        self.0
    }
}

/// Counts with their names, in one line.
struct Counts(Vec<String>);

impl Counts {
    /// Returns counts that are shown also if they are 0.
    fn of(counts: &[(&str, u64)]) -> Self {
        Self(counts.iter().map(|(name, count)| format!("{} {name}", grouped(*count))).collect())
    }

    /// Adds those that aren't 0.
    fn more(&mut self, counts: &[(&str, u64)]) {
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        self.0.extend(counts.map(|(name, count)| format!("{} {name}", grouped(*count))));
    }

    /// Adds a sum and what it consists of, if it isn't 0.
    fn by_name(&mut self, name: &str, counts: &BTreeMap<&'static str, u64>) {
        if !counts.is_empty() {
            let sum = grouped(counts.values().sum());
            self.0.push(format!("{sum} {name} ({})", list(counts)));
        }
    }

    fn text(&self) -> String {
        self.0.join(", ")
    }
}

fn list(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

fn completeness(completeness: Completeness) -> &'static str {
    match completeness {
        Completeness::Checked => "checked against the manifest",
        Completeness::Unchecked => "unchecked",
    }
}

fn files(files: u64, bytes: u64, path: &str) -> String {
    format!("{} with {} in {path}", grouped(files), mib(bytes))
}
