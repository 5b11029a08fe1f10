//! Exit codes: one table, and which of several reasons wins.

use std::process::ExitCode;

use asbackup::ErrorKind;

use crate::signal::Signal;

/// How a command ended. Source: docs/cli.md, "Exit codes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all that was asked for is done.
    Success,
    /// 1: the job failed while it ran.
    Failed,
    /// 2: the arguments can't work, which was found before a byte moved.
    Usage,
    /// 3: records, indexes or UDFs were refused.
    Refused,
    /// 4: a file isn't a valid backup.
    Damaged,
    /// 5: the cluster or the storage could not be reached, before a byte moved.
    Unreachable,
    /// 130 or 143: a signal ended the job.
    Signalled(Signal),
}

/// All that the exit code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// The signal that ended the job.
    pub(crate) signal: Option<Signal>,
    /// Why the job failed.
    pub(crate) error: Option<ErrorKind>,
    /// What the report says.
    pub(crate) tally: Tally,
    /// What the user says about ignored records.
    pub(crate) ignored: Ignored,
}

/// Whether records that were refused and left out, as asked, are a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ignored {
    /// They aren't.
    #[default]
    Pass,
    /// They are like any others that were refused.
    Fail,
}

/// What of a report the exit code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Records of which nobody knows what became: a mistake of ours.
    pub(crate) unaccounted: i64,
    /// Records, indexes and UDFs that were refused.
    pub(crate) refused: u64,
    /// Records that were refused and left out, as asked.
    pub(crate) ignored: u64,
    /// What a validation found.
    pub(crate) findings: usize,
    /// Whether anything was read.
    pub(crate) moved: bool,
}

impl Exit {
    /// Returns the exit; of several reasons the first wins in the order of this function.
    pub(crate) fn of(facts: &Facts) -> Self {
        let Facts { signal, error, tally, ignored } = facts;
        let code = error.map(|kind| Self::of_error(kind, tally.moved));
        match signal {
            Some(signal) => Self::Signalled(*signal),
            None if tally.unaccounted != 0 => Self::Failed,
            None if tally.findings > 0 => Self::Damaged,
            None => match code {
                Some(code) => code,
                None if tally.refused > 0 => Self::Refused,
                None if tally.ignored > 0 && *ignored == Ignored::Fail => Self::Refused,
                None => Self::Success,
            },
        }
    }

    fn of_error(kind: ErrorKind, moved: bool) -> Self {
        match kind {
            ErrorKind::Config | ErrorKind::Secret | ErrorKind::State => Self::Usage,
            ErrorKind::Connect | ErrorKind::Auth => Self::Unreachable,
            ErrorKind::Storage if !moved => Self::Unreachable,
            ErrorKind::Format | ErrorKind::Integrity => Self::Damaged,
            ErrorKind::Refused => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// Returns the code that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Damaged => 4,
            Self::Unreachable => 5,
            Self::Signalled(Signal::Interrupt) => 130,
            Self::Signalled(Signal::Terminate) => 143,
        }
    }

    /// Returns the outcome as the report names it.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Success => "complete",
            Self::Refused => "partial",
            Self::Damaged => "damaged",
            Self::Failed | Self::Usage | Self::Unreachable => "failed",
            Self::Signalled(_) => "cancelled",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(facts: Facts, code: u8, outcome: &str) {
        let exit = Exit::of(&facts);
        assert_eq!((exit.code(), exit.outcome()), (code, outcome));
    }

    fn failed(kind: ErrorKind) -> Facts {
        Facts { error: Some(kind), ..Facts::default() }
    }

    fn tally(unaccounted: i64, refused: u64, findings: usize) -> Facts {
        Facts { tally: Tally { unaccounted, refused, findings, ignored: 0, moved: true }, ..Facts::default() }
    }

    #[test]
    fn success_is_0() {
        check(Facts::default(), 0, "complete");
    }

    #[test]
    fn failure_while_running_is_1() {
        for kind in [ErrorKind::Scan, ErrorKind::Write, ErrorKind::Storage, ErrorKind::Internal] {
            let tally = Tally { moved: true, ..Tally::default() };
            check(Facts { tally, ..failed(kind) }, 1, "failed");
        }
    }

    #[test]
    fn unaccounted_records_are_1_in_both_directions() {
        check(tally(1, 0, 0), 1, "failed");
        check(tally(-1, 0, 0), 1, "failed");
    }

    #[test]
    fn bad_configuration_is_2() {
        check(failed(ErrorKind::Config), 2, "failed");
    }

    #[test]
    fn refused_is_3_whether_the_job_went_on_or_not() {
        check(failed(ErrorKind::Refused), 3, "partial");
        check(tally(0, 1, 0), 3, "partial");
    }

    #[test]
    fn ignored_records_are_0_unless_they_are_to_be_3() {
        let mut facts = Facts { tally: Tally { ignored: 1, ..Tally::default() }, ..Facts::default() };
        check(facts, 0, "complete");
        facts.ignored = Ignored::Fail;
        check(facts, 3, "partial");
    }

    #[test]
    fn damage_is_4_in_a_restore_and_in_a_validation() {
        check(failed(ErrorKind::Format), 4, "damaged");
        check(failed(ErrorKind::Integrity), 4, "damaged");
        check(tally(0, 0, 1), 4, "damaged");
    }

    #[test]
    fn unreachable_cluster_or_storage_is_5() {
        check(failed(ErrorKind::Connect), 5, "failed");
        check(failed(ErrorKind::Storage), 5, "failed");
    }

    #[test]
    fn signals_are_130_and_143() {
        for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
            let facts = Facts { signal: Some(signal), ..failed(ErrorKind::Cancelled) };
            check(facts, code, "cancelled");
        }
    }

    /// Each row adds a reason that wins over all rows before it.
    #[test]
    fn first_reason_of_the_table_wins() {
        let mut facts = tally(0, 7, 0);
        check(facts, 3, "partial");
        for (kind, code) in [(ErrorKind::Write, 1), (ErrorKind::Connect, 5), (ErrorKind::Config, 2)] {
            facts.error = Some(kind);
            assert_eq!(Exit::of(&facts).code(), code);
        }
        facts.tally.findings = 1;
        check(facts, 4, "damaged");
        facts.tally.unaccounted = 1;
        check(facts, 1, "failed");
        facts.signal = Some(Signal::Interrupt);
        check(facts, 130, "cancelled");
    }
}
