//! Failures on request: when this command comes, delay, refuse, cut or answer with an error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asbackup_codec::wire::ResultCode;
use asbackup_model::PartitionId;
use tokio::sync::watch;

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
    /// What was asked is done, but the answer stops after this many bytes until [`Faults::release`].
    HoldAfter(usize),
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
    /// The node that it is about; none: all of them, whose commands are counted together.
    pub node: Option<usize>,
}

impl Fault {
    /// Returns a rule for the next command of a kind, once.
    #[must_use]
    pub fn new(on: Command, action: FaultAction) -> Self {
        Self { on, nth: 1, action, times: 1, node: None }
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

    /// The node that it is about, from 0. The commands of other nodes aren't counted.
    #[must_use]
    pub fn at_node(mut self, node: usize) -> Self {
        self.node = Some(node);
        self
    }
}

impl Fault {
    fn is_about(&self, command: Command, node: usize) -> bool {
        self.on == command && self.node.is_none_or(|about| about == node)
    }
}

/// Counts an answer as held for as long as it is one, also if its connection ends meanwhile.
struct Held<'a>(&'a AtomicU64);

impl<'a> Held<'a> {
    fn begin(held: &'a AtomicU64) -> Self {
        held.fetch_add(1, Ordering::AcqRel);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The rules that are in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    /// Spares every command the lock as long as there is no rule.
    armed: AtomicBool,
    /// How many answers are held.
    held: AtomicU64,
    releases: watch::Sender<u64>,
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

    /// Returns how many answers are held at the moment.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Lets all answers go on that are held at the moment.
    pub fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    /// Waits for the next release.
    pub(crate) async fn hold(&self) {
        let mut releases = self.releases.subscribe();
        let _held = Held::begin(&self.held);
        // It can't fail while the sender is borrowed.
        let _ = releases.changed().await;
    }

    /// Counts a command of a node and returns what is to happen to it.
    pub(crate) fn on(&self, command: Command, node: usize) -> Option<FaultAction> {
        if !self.armed.load(Ordering::Acquire) {
            return None;
        }
        let mut action = None;
        for rule in self.lock().iter_mut().filter(|rule| rule.fault.is_about(command, node)) {
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
        commands.iter().map(|&command| faults.on(command, 0).is_some()).collect()
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
        assert_eq!(faults.on(Command::Info, 0), Some(FaultAction::Refuse));
        assert_eq!(faults.on(Command::Info, 0), Some(FaultAction::CutAfter(3)));
        assert_eq!(faults.on(Command::Info, 0), None);
    }

    #[test]
    fn a_rule_about_a_node_leaves_the_others_alone() {
        let faults = Faults::default();
        faults.add(Fault::new(Command::Info, FaultAction::Refuse).at_node(1));
        assert_eq!(faults.on(Command::Info, 0), None);
        assert_eq!(faults.on(Command::Info, 1), Some(FaultAction::Refuse));
    }

    #[test]
    fn cleared_rules_do_nothing() {
        let faults = Faults::default();
        faults.add(Fault::new(Command::Info, FaultAction::Refuse));
        faults.clear();
        assert_eq!(faults.on(Command::Info, 0), None);
    }
}
