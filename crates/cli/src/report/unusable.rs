//! The report of a command whose arguments can't be read: all that is known of them is what they look like.

use std::{ffi::OsString, path::Path};

use asbackup::ErrorKind;
use serde::Serialize;

use super::{Command, Ended, Known, Summary, json, json::has_backup_name, write_file, write_stdout};
use crate::{
    exit::{Exit, Tally},
    failure::Failure,
};

/// Reports that the arguments can't be read, as JSON if that is asked for among them.
pub(crate) fn deliver_unusable(arguments: &[OsString], command: Command, message: &str) {
    if value_of(arguments, "--report").is_none_or(|format| format != "json") {
        return;
    }
    let line = line(arguments, command, message);
    let file = value_of(arguments, "--report-file");
    let file = file.filter(|path| !has_backup_name(Path::new(path)));
    if file.is_some_and(|path| write_file(Path::new(&path), &line).is_ok()) {
        return;
    }
    if has_data(arguments) {
        #[expect(clippy::print_stderr, reason = "there is no console yet")]
        {
            eprintln!("{line}");
        }
    } else {
        // The message was printed, and the exit code says the rest.
        write_stdout(&line).ok();
    }
}

fn line(arguments: &[OsString], command: Command, message: &str) -> String {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let command = match command {
        Command::Restore if has("--validate") => Command::Validate,
        Command::Backup if has("--remove-artifacts") => Command::RemoveArtifacts,
        command => command,
    };
    let message = message.trim().trim_start_matches("error: ");
    let ended = Ended::<Nothing>::failed(Failure::new(ErrorKind::Config, message));
    json::line(&ended, &Known::unknown(command), Exit::Usage)
}

/// Returns the last value of a flag, in either of its forms.
fn value_of(arguments: &[OsString], flag: &str) -> Option<OsString> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let behind = arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone());
    let within = arguments
        .iter()
        .filter_map(|argument| text(argument).strip_prefix(flag)?.strip_prefix('=').map(OsString::from));
    behind.chain(within).last()
}

/// Returns whether standard output seems to be meant for a backup.
fn has_data(arguments: &[OsString]) -> bool {
    value_of(arguments, "-o").or_else(|| value_of(arguments, "--output-file")).is_some_and(|path| path == "-")
}

/// What a command did that never began.
#[derive(Debug, Serialize)]
enum Nothing {}

impl Summary for Nothing {
    fn tally(&self) -> Tally {
        Tally::default()
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn values_are_found_in_both_forms() {
        let value = |line: &str| value_of(&arguments(line), "--report");
        assert_eq!(value("asbackup --report json -n x"), Some("json".into()));
        assert_eq!(value("asbackup --report=json"), Some("json".into()));
        assert_eq!(value("asbackup --report-file json"), None);
        assert_eq!(value("asbackup --report"), None);
        assert!(has_data(&arguments("asbackup -o -")) && has_data(&arguments("asbackup --output-file=-")));
        assert!(!has_data(&arguments("asbackup -o x")));
    }

    #[test]
    fn line_says_what_is_wrong() {
        let line = line(&arguments("asrestore --validate"), Command::Restore, "error: no such flag\n");
        assert!(line.starts_with(r#"{"version":1,"command":"validate","outcome":"failed","exit_code":2,"#));
        assert!(line.contains(r#""error":{"kind":"Config","message":"no such flag","causes":[]"#), "{line}");
    }
}
