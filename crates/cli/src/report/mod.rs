//! The final report: text for people, one line of JSON for programs, and where each goes.

mod inspect;
mod json;
mod text;
mod unusable;

use std::{
    fs::{self, File},
    io::{self, ErrorKind as IoErrorKind, Write},
    path::Path,
    sync::Arc,
};

use asbackup::ErrorKind;
use serde::Serialize;

use crate::{
    args::{Output, ReportFormat},
    console::Console,
    exit::{Exit, Facts, Ignored, Tally},
    failure::Failure,
    signal::Signal,
};

pub(crate) use json::{Command, Known, Stdout};
pub(crate) use unusable::deliver_unusable;

/// A report of the engine, as far as the tools have to understand it.
pub(crate) trait Summary: Serialize {
    /// Returns what the exit code depends on.
    fn tally(&self) -> Tally;

    /// Returns what happened, as lines for people.
    fn lines(&self) -> Vec<String>;

    /// Returns the path of the state with which the job can be gone on with, if there is one.
    fn state_file(&self) -> Option<&str> {
        None
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended<R> {
    pub(crate) report: Option<Arc<R>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) signal: Option<Signal>,
}

impl<R> Ended<R> {
    /// Returns the end of a command that has no job.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { report: None, failure: Some(failure), signal: None }
    }
}

/// Says how a command ended, in every form that was asked for, and returns its exit.
pub(crate) fn deliver<R: Summary>(
    mut ended: Ended<R>,
    known: &Known,
    output: &Output,
    console: &Console,
) -> Exit {
    let exit = settle(&mut ended, known.ignored);
    let text = text::text(&ended, known.command, exit);
    let json = json::line(&ended, known, exit);
    let beside_data = known.stdout == Stdout::Data && output.report == ReportFormat::Json;
    if beside_data && output.report_file.is_none() {
        // Standard output is taken, and what is on standard error must stay one line.
        console.line(&json);
        return exit;
    }
    show(&ended, &text, &json, output, console);
    let chosen = match output.report {
        ReportFormat::Text => &text,
        ReportFormat::Json => &json,
    };
    let written = match (&output.report_file, output.report) {
        (Some(path), _) if known.is_of_backup(path) => {
            rescue(&text, &json, known, output, console);
            Ok(())
        }
        (Some(path), _) => write_file(path, chosen),
        (None, ReportFormat::Json) => write_stdout(chosen),
        (None, ReportFormat::Text) => Ok(()),
    };
    match written {
        Ok(()) => exit,
        Err(failure) => {
            // The file may be what is wrong with the arguments, which has been said then.
            if exit != Exit::Usage {
                console.message("error", &failure.lines());
            }
            if output.report_file.is_some() {
                rescue(&text, &json, known, output, console);
            }
            if exit == Exit::Success { Exit::Failed } else { exit }
        }
    }
}

/// Prints the report that no file takes, unless people have seen it.
fn rescue(text: &str, json: &str, known: &Known, output: &Output, console: &Console) {
    match output.report {
        // It is lost if standard output is closed as well.
        ReportFormat::Json if known.stdout == Stdout::Report => write_stdout(json).unwrap_or(()),
        ReportFormat::Json => console.line(json),
        ReportFormat::Text if output.quiet => console.line(if output.log_json { json } else { text }),
        ReportFormat::Text => {}
    }
}

/// Shows people how a command ended; `--quiet` leaves only a failure.
fn show<R>(ended: &Ended<R>, text: &str, json: &str, output: &Output, console: &Console) {
    if output.log_json {
        // The log never swallows the report; a failure is in it.
        if !output.quiet || ended.failure.is_some() {
            console.line(json);
        }
        return;
    }
    if !output.quiet {
        console.line(text);
    }
    if let Some(failure) = &ended.failure {
        console.message("error", &failure.lines());
    }
}

/// Returns the exit, and makes a failure of what only the report shows.
fn settle<R: Summary>(ended: &mut Ended<R>, ignored: Ignored) -> Exit {
    let tally = ended.report.as_ref().map_or_else(Tally::default, |report| report.tally());
    if tally.unaccounted != 0 && ended.failure.is_none() {
        let message = format!("{} records are unaccounted for", tally.unaccounted);
        ended.failure = Some(Failure::new(ErrorKind::Internal, message));
    }
    // A job that was over before the signal reached it has done all that was asked.
    let signal = ended.signal.filter(|_| ended.failure.is_some());
    let error = ended.failure.as_ref().map(|failure| failure.kind);
    Exit::of(&Facts { signal, error, tally, ignored })
}

/// Checks that nothing that is written about a job takes the place of what it is about.
pub(crate) fn check_outputs(output: &Output, known: &Known) -> Result<(), Failure> {
    let outputs = [
        ("--report-file", &output.report_file),
        ("--progress-file", &output.progress_file),
        ("--log-file", &output.log_file),
    ];
    for (flag, path) in outputs {
        if let Some(path) = path.as_deref().filter(|path| known.is_of_backup(path)) {
            let message = format!("{flag} {} would write into a file of a backup", path.display());
            return Err(Failure::usage(message, "give it another name"));
        }
    }
    Ok(())
}

/// Checks that the file of the report can be written. It leaves nothing behind: the directory of a backup may have to be
/// empty, and it may not be there yet.
pub(crate) fn check_file(output: &Output, known: &Known) -> Result<(), Failure> {
    let Some(path) = &output.report_file else { return Ok(()) };
    let checked = match File::create_new(path) {
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => check_existing(path),
        Err(error) if error.kind() == IoErrorKind::NotFound && known.makes(path) => Ok(()),
        Err(error) => Err(error),
    };
    checked.map_err(|error| {
        let message = format!("cannot write the report to {}", path.display());
        Failure::usage(message, "name another file with --report-file").because(&error)
    })
}

fn check_existing(path: &Path) -> io::Result<()> {
    let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    // Whoever reads a pipe would take its opening, and the end of it, for the report.
    if is_special { Ok(()) } else { File::options().append(true).open(path).map(drop) }
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, format!("{text}\n")).map_err(|error| {
        let message = format!("cannot write the report to {}", path.display());
        Failure::new(ErrorKind::Storage, message).because(&error)
    })
}

fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| {
        Failure::new(ErrorKind::Storage, "cannot write the report to standard output").because(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of nothing but what the exit code depends on.
    #[derive(Debug, Serialize)]
    struct Fake {
        unaccounted: i64,
    }

    impl Summary for Fake {
        fn tally(&self) -> Tally {
            Tally { unaccounted: self.unaccounted, ..Tally::default() }
        }

        fn lines(&self) -> Vec<String> {
            vec![format!("  unaccounted {}", self.unaccounted)]
        }
    }

    fn ended(unaccounted: i64) -> Ended<Fake> {
        Ended { report: Some(Arc::new(Fake { unaccounted })), failure: None, signal: None }
    }

    fn known() -> Known {
        Known::new(Command::Backup, "test".to_owned(), &asbackup::Local::directory("out"))
    }

    #[test]
    fn unaccounted_records_are_a_bug_that_is_said() {
        let mut ended = ended(-3);
        assert_eq!(settle(&mut ended, Ignored::Pass).code(), 1);
        let lines = ended.failure.unwrap().lines();
        assert_eq!(lines[0], "-3 records are unaccounted for");
        assert!(lines[1].contains("this is a bug"), "{lines:?}");
    }

    #[test]
    fn signal_after_the_last_record_changes_nothing() {
        let mut whole = Ended { signal: Some(Signal::Interrupt), ..ended(0) };
        assert_eq!(settle(&mut whole, Ignored::Pass), Exit::Success);
        let mut cut = Ended { failure: Some(Failure::cancelled("over")), ..whole };
        assert_eq!(settle(&mut cut, Ignored::Pass).code(), 130);
    }

    #[test]
    fn json_holds_the_fields_of_the_report() {
        let line = json::line(&ended(0), &known(), Exit::Success);
        let expected = r#"{"version":1,"command":"backup","outcome":"complete","exit_code":0,"unaccounted":0,"state_file":null,"error":null}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn json_without_a_job_holds_what_is_known() {
        let failed = Ended::<Fake>::failed(Failure::new(ErrorKind::Connect, "no"));
        let line = json::line(&failed, &known(), Exit::Unreachable);
        let times = r#"{"version":1,"command":"backup","outcome":"failed","exit_code":5,"started":"2"#;
        assert!(line.starts_with(times), "{line}");
        let rest = r#","namespace":"test","target":{"kind":"local","path":"out"},"state_file":null,"error":{"kind":"Connect","message":"no","causes":[],"hint":"check --host and --port"}}"#;
        assert!(line.ends_with(rest), "{line}");
    }

    #[test]
    fn text_has_a_headline_with_or_without_a_job() {
        assert_eq!(
            text::text(&ended(0), Command::Restore, Exit::Success),
            "restore complete\n  unaccounted 0"
        );
        let failed = Ended::<Fake>::failed(Failure::new(ErrorKind::Connect, "no"));
        assert_eq!(text::text(&failed, Command::Backup, Exit::Unreachable), "backup failed");
    }
}
