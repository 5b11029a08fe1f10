//! Runs in which the restore is killed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use asbackup_testserver::TestServer;
use fastrand::Rng;
use serde_json::Value;

use super::Tally;
use super::backup::keep_if_failed;
use super::check;
use super::scenario::{Scenario, Selection, backup_attempt, moment, restore_attempt};
use super::stage::{self, Place, Stage, check_equal};
use super::tool::{self, End};
use crate::process;

/// Kills a restore and goes on with it.
pub(crate) fn run(stage: &Stage, scenario: &Scenario, tally: &mut Tally) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let result = play(stage, scenario, folder.path(), tally);
    keep_if_failed(folder, result)
}

fn play(stage: &Stage, scenario: &Scenario, folder: &Path, tally: &mut Tally) -> Result<()> {
    let random = &mut scenario.random();
    let place = Place::new(scenario, folder, "backup");
    let source = stage.source(scenario);
    let mut backup = stage.backup(source, scenario.envelope, &place.directory);
    process::json_line(backup.args(backup_attempt(random))).context("backup")?;
    let killed = Killed { stage, scenario, place: &place, target: stage::empty(scenario.nodes)? };
    let report = killed.play(tally, random)?;

    let everything = stage::records(source);
    let read = check::records_read(&report)?;
    ensure!(read == everything, "{read} of {everything} records read: {report}");
    check::check_whole(stage, scenario.envelope, &place, everything)?;
    if scenario.selection == Selection::All {
        return check_equal(source, &killed.target);
    }
    check_equal(&stage.selected(scenario.selection)?, &killed.target)
}

/// A restore that is killed again and again.
struct Killed<'a> {
    stage: &'a Stage,
    scenario: &'a Scenario,
    place: &'a Place,
    target: TestServer,
}

impl Killed<'_> {
    /// Returns the report of the attempt that ended well.
    fn play(&self, tally: &mut Tally, random: &mut Rng) -> Result<Value> {
        let elsewhere = stage::empty(self.scenario.nodes)?;
        let length = tool::time(&mut self.command(&elsewhere, random)).context("undisturbed")?;
        tally.undisturbed += length;
        drop(elsewhere);
        let mut begin: &[&str] = &[];
        for _ in 0..self.scenario.kills {
            let mut command = self.command(&self.target, random);
            tally.kills += 1;
            match tool::kill_after(command.args(begin), moment(random, length))? {
                End::Killed => tally.hits += 1,
                End::Before(report) => return Ok(report),
            }
            // Beginning anew is allowed too: what is there already is answered as such.
            begin = if random.u8(0..8) == 0 { &[] } else { &["--continue"] };
            tally.resumes += 1;
            tally.with_state += u64::from(self.place.states.join(STATE).exists());
        }
        process::json_line(self.command(&self.target, random).args(begin))
    }

    fn command(&self, target: &TestServer, random: &mut Rng) -> Command {
        let mut command = self.stage.restore(target, self.scenario.envelope, &self.place.directory);
        command
            .args(self.place.state_flags())
            .args(self.scenario.selection.flags())
            .args(&self.scenario.flags)
            .args(restore_attempt(random));
        command
    }
}

const STATE: &str = "asbackup.restore.state.json";
