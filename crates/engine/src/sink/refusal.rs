//! What becomes of rows that the server refuses, and of the job.

use std::sync::{Mutex, MutexGuard, PoisonError};

use asbackup_cluster::{Node, ResultClass, class};
use asbackup_codec::wire::{ResultCode, row_digest};

use crate::{Error, ErrorKind, config::RecordErrors};

/// Records that may be refused with the same code one after another. Then it isn't about single records any more, and
/// whoever ignores a few doesn't want to lose all.
const SAME_IN_A_ROW: u64 = 1_000;

/// Judges refused rows of all batches of a job.
#[derive(Debug)]
pub(crate) struct Refusals {
    rule: RecordErrors,
    run: Mutex<Run>,
}

/// Rows one after another with the same refusal.
#[derive(Debug, Default)]
struct Run {
    code: Option<ResultCode>,
    rows: u64,
}

/// Judges the rows of one batch; others wait meanwhile.
pub(super) struct Judge<'a> {
    rule: RecordErrors,
    run: MutexGuard<'a, Run>,
}

/// What becomes of a refused row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is left out, as asked.
    Ignored,
    /// It is left out, but it is one too many: the job stops.
    IgnoredTooOften,
    /// It failed, and the job stops.
    Failed,
}

impl Refusals {
    pub(crate) fn new(rule: RecordErrors) -> Self {
        Self { rule, run: Mutex::default() }
    }

    pub(super) fn judge(&self) -> Judge<'_> {
        Judge { rule: self.rule, run: self.run.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Judge<'_> {
    /// Takes note of a row that was written or found as new as it is.
    pub(super) fn accepted(&mut self) {
        *self.run = Run::default();
    }

    /// Returns what becomes of a row that was refused with a code that won't pass.
    pub(super) fn refused(&mut self, code: ResultCode) -> Verdict {
        if self.rule == RecordErrors::Stop || class(code) != ResultClass::Record {
            return Verdict::Failed;
        }
        if self.run.code != Some(code) {
            *self.run = Run { code: Some(code), rows: 0 };
        }
        self.run.rows += 1;
        if self.run.rows < SAME_IN_A_ROW { Verdict::Ignored } else { Verdict::IgnoredTooOften }
    }
}

/// Returns the error of a row that ends the job.
pub(super) fn error(verdict: Verdict, code: ResultCode, row: &[u8], node: &Node) -> Error {
    let digest = row_digest(row);
    let (kind, message) = match (verdict, class(code)) {
        (Verdict::Failed, ResultClass::JobFatal) => {
            (ErrorKind::Write, format!("the server takes no more records: {code}"))
        }
        (Verdict::Failed, _) => (ErrorKind::Refused, format!("the server refused record {digest}: {code}")),
        (Verdict::Ignored | Verdict::IgnoredTooOften, _) => {
            (ErrorKind::Refused, format!("the server refused {SAME_IN_A_ROW} records in a row: {code}"))
        }
    };
    let general =
        (verdict != Verdict::Failed).then_some("it isn't about single records: find out what they share");
    let error = Error::of(kind, message).place(|place| {
        place.code = Some(code.0);
        place.digest = Some(digest.to_string());
        place.node = Some(node.name().to_owned());
    });
    match hint(code).or(general) {
        Some(hint) => error.hint(hint).build(),
        None => error.build(),
    }
}

fn hint(code: ResultCode) -> Option<&'static str> {
    match code {
        ResultCode::BATCH_DISABLED => Some("write without batches: --disable-batch-writes"),
        ResultCode::BATCH_TOO_LARGE => Some("lower --batch-size, or raise batch-max-requests on the server"),
        ResultCode::FORBIDDEN => Some(
            "records with a time to live are refused while the namespace has nsup-period 0: set it on the server",
        ),
        ResultCode::OUT_OF_SPACE => {
            Some("free memory or disk on the cluster: its namespace is full or has stopped writes")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thousandth_same_refusal_in_a_row_is_one_too_many() {
        let refusals = Refusals::new(RecordErrors::Ignore);
        let refuse = |times: u64, code| (0..times).map(|_| refusals.judge().refused(code)).last().unwrap();
        assert_eq!(refuse(999, ResultCode::FORBIDDEN), Verdict::Ignored);
        assert_eq!(refuse(1, ResultCode::BIN_NAME), Verdict::Ignored, "another code begins anew");
        assert_eq!(refuse(999, ResultCode::FORBIDDEN), Verdict::Ignored);
        refusals.judge().accepted();
        assert_eq!(refuse(999, ResultCode::FORBIDDEN), Verdict::Ignored);
        assert_eq!(refuse(1, ResultCode::FORBIDDEN), Verdict::IgnoredTooOften);
    }

    #[test]
    fn only_refusals_of_records_are_ignored() {
        for (rule, code, verdict) in [
            (RecordErrors::Ignore, ResultCode::RECORD_TOO_BIG, Verdict::Ignored),
            (RecordErrors::Ignore, ResultCode::OUT_OF_SPACE, Verdict::Failed),
            (RecordErrors::Stop, ResultCode::RECORD_TOO_BIG, Verdict::Failed),
        ] {
            assert_eq!(Refusals::new(rule).judge().refused(code), verdict, "{code}");
        }
    }
}
