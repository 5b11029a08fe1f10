//! Runs in which the backup is killed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use asbackup_testserver::TestServer;
use fastrand::Rng;
use tempfile::TempDir;

use super::Tally;
use super::check;
use super::scenario::{Scenario, backup_attempt, moment};
use super::stage::{self, Place, Stage, check_equal};
use super::tool::{self, End};
use crate::process;

/// Kills a backup, goes on with it, and restores what has become of it.
pub(crate) fn run(stage: &Stage, scenario: &Scenario, tally: &mut Tally) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let killed = Killed::begin(stage, scenario, folder.path())?;
    keep_if_failed(folder, killed.play(tally))
}

/// Keeps the files of a run that failed.
pub(super) fn keep_if_failed(folder: TempDir, result: Result<()>) -> Result<()> {
    result.map_err(|error| {
        let place = folder.keep();
        error.context(format!("its files are in {}", place.display()))
    })
}

/// A backup that is killed again and again.
struct Killed<'a> {
    stage: &'a Stage,
    scenario: &'a Scenario,
    /// For the undisturbed backup.
    beside: Place,
    killed: Place,
    expected: TestServer,
    /// The backup that was there before: its run and its number of records.
    earlier: Option<(Option<String>, u64)>,
}

/// One of several jobs that make a backup.
#[derive(Debug, Clone, Copy)]
struct Share {
    number: u16,
    of: u16,
}

impl Share {
    fn state(self) -> String {
        format!("asbackup.state.{}-of-{}.json", self.number, self.of)
    }
}

impl<'a> Killed<'a> {
    fn begin(stage: &'a Stage, scenario: &'a Scenario, folder: &Path) -> Result<Self> {
        let place = |name| Place::new(scenario, folder, name);
        let (beside, killed) = (place("undisturbed"), place("killed"));
        let earlier = match stage.earlier(scenario, &killed.directory) {
            Some(mut backup) => {
                let report = process::json_line(&mut backup).context("the earlier backup")?;
                Some((check::run_of_manifest(&killed.directory)?, check::count(&report, "/records/written")?))
            }
            None => None,
        };
        let expected = stage.selected(scenario.selection)?;
        Ok(Self { stage, scenario, beside, killed, expected, earlier })
    }

    fn play(&self, tally: &mut Tally) -> Result<()> {
        let random = &mut self.scenario.random();
        let length = tool::time(&mut self.command(&self.beside, None, random)).context("undisturbed")?;
        tally.undisturbed += length;
        let of = self.scenario.shares;
        let jobs = (1..=of).map(|number| (of > 1).then_some(Share { number, of }));
        let mut read = 0;
        for share in jobs {
            read += self.back_up(share, length / u32::from(of), random, tally)?;
        }
        if of > 1 {
            self.close(random, tally)?;
        }
        self.check_end(read)
    }

    /// Backs up, as often as it takes, and returns how many records were read in all.
    fn back_up(
        &self,
        share: Option<Share>,
        length: Duration,
        random: &mut Rng,
        tally: &mut Tally,
    ) -> Result<u64> {
        let state = self.killed.states.join(share.map_or_else(|| STATE.to_owned(), Share::state));
        let mut begin = self.anew();
        for _ in 0..self.scenario.kills {
            let mut command = self.command(&self.killed, share, random);
            tally.kills += 1;
            match tool::kill_after(command.args(begin), moment(random, length))? {
                End::Killed => tally.hits += 1,
                End::Before(report) => return check::records_read(&report),
            }
            self.check_between()?;
            begin = match share {
                None => self.go_on(&state, random)?,
                Some(_) => &["--continue"],
            };
            tally.resumes += 1;
            tally.with_state += u64::from(state.exists());
        }
        let mut command = self.command(&self.killed, share, random);
        check::records_read(&process::json_line(command.args(begin))?)
    }

    /// Makes one backup of the shares, which may be killed too.
    fn close(&self, random: &mut Rng, tally: &mut Tally) -> Result<()> {
        let complete = || self.stage.complete(self.scenario.envelope, &self.killed.directory);
        tally.kills += 1;
        if let End::Killed = tool::kill_after(&mut complete(), moment(random, LONGEST_CLOSE))? {
            tally.hits += 1;
            self.check_between()?;
            process::json_line(&mut complete()).context("complete")?;
        }
        Ok(())
    }

    fn command(&self, place: &Place, share: Option<Share>, random: &mut Rng) -> Command {
        let source = self.stage.source(self.scenario);
        let mut command = self.stage.backup(source, self.scenario.envelope, &place.directory);
        command.args(place.state_flags());
        command.args(self.scenario.selection.flags()).args(&self.scenario.flags).args(backup_attempt(random));
        if let Some(Share { number, of }) = share {
            command.arg("--shard").arg(format!("{number}/{of}"));
        }
        command
    }

    /// Returns the flags of a new backup.
    fn anew(&self) -> &'static [&'static str] {
        if self.earlier.is_some() { &["--remove-files"] } else { &[] }
    }

    /// Returns the flags that go on with a killed backup. Before it had a state, the backup that it was to take the place of
    /// isn't touched, and would be taken for what was asked for.
    fn go_on(&self, state: &Path, random: &mut Rng) -> Result<&'static [&'static str]> {
        let run = check::run_of_manifest(&self.killed.directory)?;
        let is_untouched = self.earlier.as_ref().is_some_and(|(earlier, _)| *earlier == run);
        let anew = random.u8(0..8) == 0;
        Ok(if anew || (is_untouched && !state.exists()) { &["--remove-files"] } else { &["--continue"] })
    }

    /// What passes for whole is whole: the earlier backup or the new one. The earlier one is there until the new one is.
    fn check_between(&self) -> Result<()> {
        let found = check::records_of_whole(self.stage, self.scenario.envelope, &self.killed.directory)?;
        let new = stage::records(&self.expected);
        let earlier = self.earlier.as_ref().map(|(_, records)| *records);
        ensure!(
            found == earlier || found == Some(new),
            "a killed backup passes with {found:?} records, not {earlier:?} or {new}"
        );
        Ok(())
    }

    fn check_end(&self, read: u64) -> Result<()> {
        let records = stage::records(&self.expected);
        ensure!(read == records, "{read} of {records} records read");
        let envelope = self.scenario.envelope;
        check::check_whole(self.stage, envelope, &self.killed, records)?;
        let restored = stage::empty(self.scenario.nodes)?;
        let mut restore = self.stage.restore(&restored, envelope, &self.killed.directory);
        process::json_line(&mut restore).context("restore")?;
        check_equal(&self.expected, &restored)
    }
}

const STATE: &str = "asbackup.state.json";

/// Making one backup of shares hardly takes longer.
const LONGEST_CLOSE: Duration = Duration::from_millis(30);
