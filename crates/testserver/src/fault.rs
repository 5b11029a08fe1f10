//! Failures on request: when this command comes, delay, refuse, cut or answer with an error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asbackup_codec::wire::ResultCode;
use asbackup_model::PartitionId;

/// A kind of command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// An info request.
    Info,
    /// A login or an authentication.
    Security,
    /// A scan.
    Query,
    /// A batch, of reads or of writes.
    Batch,
    /// A single read.
    Read,
    /// A single write or delete.
    Write,
}

/// What happens instead of, or before, the usual answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultAction {
    /// The answer comes later.
    Delay(Duration),
    /// The connection is closed without an answer, and nothing is done.
    Refuse,
    /// What was asked is done, but the connection is closed after this many bytes of the answer.
    CutAfter(usize),
    /// Nothing is done, and this is the answer.
    ErrorCode(ResultCode),
    /// [`Command::Batch`] only: this many rows at the front aren't done and get this answer.
    FailRows {
        /// How many rows.
        rows: u32,
        /// The answer.
        code: ResultCode,
    },
    /// [`Command::Query`] only: these partitions aren't sent and are reported as unavailable.
    Unavailable(Vec<PartitionId>),
}

/// A rule: from the `nth` command of a kind on, and `times` times in all, something fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which commands.
    pub on: Command,
    /// The first one that fails, counted from 1 from when the rule was added.
    pub nth: u64,
    /// What happens.
    pub action: FaultAction,
    /// How many commands one after another fail.
    pub times: u64,
}

impl Fault {
    /// Returns a rule for the next command of a kind, once.
    #[must_use]
    pub fn new(on: Command, action: FaultAction) -> Self {
        Self { on, nth: 1, action, times: 1 }
    }

    /// The first command that fails, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// How many commands one after another fail.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

/// The rules that are in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    /// Spares every command the lock as long as there is no rule.
    armed: AtomicBool,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    seen: u64,
}

impl Faults {
    /// Adds a rule. Of several that apply to a command the oldest is used; all of them count it.
    pub fn add(&self, fault: Fault) {
        self.lock().push(Rule { fault, seen: 0 });
        self.armed.store(true, Ordering::Release);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().clear();
        self.armed.store(false, Ordering::Release);
    }

    /// Counts a command and returns what is to happen to it.
    pub(crate) fn on(&self, command: Command) -> Option<FaultAction> {
        if !self.armed.load(Ordering::Acquire) {
            return None;
        }
        let mut action = None;
        for rule in self.lock().iter_mut().filter(|rule| rule.fault.on == command) {
            rule.seen += 1;
            let first = rule.fault.nth;
            if (first..first.saturating_add(rule.fault.times)).contains(&rule.seen) && action.is_none() {
                action = Some(rule.fault.action.clone());
            }
        }
        action
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(faults: &Faults, commands: &[Command]) -> Vec<bool> {
        commands.iter().map(|&command| faults.on(command).is_some()).collect()
    }

    #[test]
    fn a_rule_counts_commands_of_its_kind_only() {
        let faults = Faults::default();
        faults.add(Fault::new(Command::Batch, FaultAction::Refuse).nth(2).times(2));
        let commands = [Command::Batch, Command::Query, Command::Batch, Command::Batch, Command::Batch];
        assert_eq!(answers(&faults, &commands), [false, false, true, true, false]);
    }

    #[test]
    fn two_rules_count_each_for_itself() {
        let faults = Faults::default();
        faults.add(Fault::new(Command::Info, FaultAction::Refuse));
        faults.add(Fault::new(Command::Info, FaultAction::CutAfter(3)).nth(2));
        assert_eq!(faults.on(Command::Info), Some(FaultAction::Refuse));
        assert_eq!(faults.on(Command::Info), Some(FaultAction::CutAfter(3)));
        assert_eq!(faults.on(Command::Info), None);
    }

    #[test]
    fn cleared_rules_do_nothing() {
        let faults = Faults::default();
        faults.add(Fault::new(Command::Info, FaultAction::Refuse));
        faults.clear();
        assert_eq!(faults.on(Command::Info), None);
    }
}
