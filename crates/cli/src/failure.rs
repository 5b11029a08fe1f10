//! Why a command failed, in the form in which it is printed and reported.

use std::{error::Error as StdError, io, iter};

use asbackup::{ClusterError, Error, ErrorKind, ErrorPlace};
use serde::Serialize;

/// Why a command failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    #[serde(flatten)]
    /// Boxed, so that results stay small.
    place: Box<ErrorPlace>,
}

impl Failure {
    /// Returns a failure without causes and without a place.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (causes, place) = (Vec::new(), Box::default());
        Self { kind, message: message.into(), causes, hint: hint(kind), place }
    }

    /// Returns the failure of something that was asked for and can't work.
    pub(crate) fn usage(message: impl Into<String>, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..Self::new(ErrorKind::Config, message) }
    }

    /// Adds an error and all that is behind it.
    pub(crate) fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        self.causes.extend(chain(error));
        self.hint = hint_of_cause(error).or(self.hint);
        self
    }

    /// Returns the failure of several things that were asked for and can't work.
    fn of_all(failures: &[Self]) -> Self {
        let causes = failures.iter().map(Self::in_one_line).collect();
        Self { causes, ..Self::new(ErrorKind::Config, format!("{} arguments can't be used", failures.len())) }
    }

    fn in_one_line(&self) -> String {
        let causes = self.causes.iter().map(String::as_str);
        let parts = iter::once(self.message.as_str()).chain(causes).chain(self.hint);
        parts.collect::<Vec<_>>().join("; ")
    }

    /// Returns the failure of a connection that never was.
    pub(crate) fn connect(error: &ClusterError) -> Self {
        let kind = if error.is_of_login() { ErrorKind::Auth } else { ErrorKind::Connect };
        let mut failure = Self::new(kind, "cannot connect to the cluster").because(error);
        failure.place.node = error.node().map(str::to_owned);
        if error.reason() == "tls" {
            failure.hint = Some("check --tls-cafile, --tls-name and --tls-protocols");
        }
        failure
    }

    /// Returns the failure of a command that a signal ended.
    pub(crate) fn cancelled(message: &str) -> Self {
        Self::new(ErrorKind::Cancelled, message)
    }

    /// Returns it for people: the chain, one line per cause, the place, and what may help.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.message.clone()];
        lines.extend(self.causes.iter().map(|cause| format!("  because: {cause}")));
        let ErrorPlace { file, line, byte, node, digest, code, .. } = self.place.as_ref();
        let unsaid = |name: &&String| !lines.iter().any(|line| line.contains(name.as_str()));
        let parts = [
            file.as_ref().map(|file| format!("file {file}")),
            line.map(|line| format!("line {line}")),
            byte.map(|byte| format!("byte {byte}")),
            node.as_ref().filter(unsaid).map(|node| format!("node {node}")),
            digest.as_ref().filter(unsaid).map(|digest| format!("digest {digest}")),
            code.map(|code| format!("code {code}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            lines.push(format!("  at: {}", parts.join(", ")));
        }
        lines.extend(self.hint.map(|hint| format!("hint: {hint}")));
        lines
    }
}

/// All that is wrong with the arguments, which are told at once.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<Failure>);

impl Failures {
    /// Puts a value into its place, or keeps why there is none.
    pub(crate) fn set<T>(&mut self, place: &mut T, value: Result<T, Failure>) {
        match value {
            Ok(value) => *place = value,
            Err(failure) => self.0.push(failure),
        }
    }

    /// Keeps what a check found.
    pub(crate) fn check(&mut self, checked: Result<(), Failure>) {
        self.0.extend(checked.err());
    }

    /// Returns what was made of the arguments, if nothing is wrong with them.
    pub(crate) fn or<T>(self, made: T) -> Result<T, Failure> {
        match self.0.as_slice() {
            [] => Ok(made),
            [one] => Err(one.clone()),
            several => Err(Failure::of_all(several)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let causes = error.source().map(|source| chain(source).collect()).unwrap_or_default();
        Self {
            kind: error.kind(),
            message: error.to_string(),
            causes,
            hint: hint_of_cause(&error).or(error.hint()).or_else(|| hint(error.kind())),
            place: Box::new(error.place().clone()),
        }
    }
}

/// Returns what helps against most errors of a kind, for those that have no hint of their own.
fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Connect => Some("check --host and --port"),
        ErrorKind::Auth => Some("check --user, --password and --auth"),
        ErrorKind::Scan => Some("raise --max-retries or --socket-timeout if the cluster is only slow"),
        ErrorKind::Storage => Some("check the path, its permissions and the free space"),
        ErrorKind::Internal => Some("this is a bug: please report it, with the log of --verbose"),
        _ => None,
    }
}

/// Returns what helps against a cause that may lie behind failures of every kind.
fn hint_of_cause(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let causes = iter::successors(Some(error), |error| StdError::source(*error));
    let codes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    codes.filter(|code| TOO_MANY_OPEN_FILES.contains(code)).map(|_| HINT_OPEN_FILES).next()
}

/// EMFILE and ENFILE: of the process, and of the whole system.
const TOO_MANY_OPEN_FILES: [i32; 2] = [24, 23];
const HINT_OPEN_FILES: &str = "raise the limit of open files (ulimit -n), or lower --parallel";

fn chain(error: &(dyn StdError + 'static)) -> impl Iterator<Item = String> {
    iter::successors(Some(error), |error| StdError::source(*error)).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn damage() -> Failure {
        let mut place = ErrorPlace::default();
        (place.file, place.line, place.byte) = (Some("0_test_1.asb".to_owned()), Some(3), Some(77));
        Failure { place: Box::new(place), ..Failure::new(ErrorKind::Format, "a file is damaged") }
    }

    #[test]
    fn lines_are_the_chain_the_place_and_the_hint() {
        let failure = Failure::usage("cannot work", "try --other").because(&io::Error::other("the cause"));
        assert_eq!(failure.lines(), ["cannot work", "  because: the cause", "hint: try --other"]);
        assert_eq!(damage().lines(), ["a file is damaged", "  at: file 0_test_1.asb, line 3, byte 77"]);
    }

    #[test]
    fn too_many_open_files_have_a_hint_of_their_own() {
        let cause = io::Error::from_raw_os_error(24);
        let failure = Failure::new(ErrorKind::Connect, "cannot connect").because(&cause);
        assert!(failure.lines().last().unwrap().contains("ulimit -n"), "{:?}", failure.lines());
        let other = Failure::new(ErrorKind::Connect, "cannot connect").because(&io::Error::other("x"));
        assert!(other.lines().last().unwrap().contains("--host"));
    }

    #[test]
    fn node_is_not_said_twice() {
        let mut failure = Failure::new(ErrorKind::Write, "BB9 is gone");
        failure.place.node = Some("BB9".to_owned());
        assert_eq!(failure.lines(), ["BB9 is gone"]);
        failure.message = "a node is gone".to_owned();
        assert_eq!(failure.lines(), ["a node is gone", "  at: node BB9"]);
    }

    #[test]
    fn json_has_only_what_is_known() {
        let json = serde_json::to_string(&damage()).unwrap();
        let expected = r#"{"kind":"Format","message":"a file is damaged","causes":[],"file":"0_test_1.asb","line":3,"byte":77}"#;
        assert_eq!(json, expected);
    }
}
