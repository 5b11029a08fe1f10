//! Signals to running tools.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use asbackup_testserver::{Command as ServerCommand, Fault, FaultAction};

use crate::{
    jobs::{at, server},
    tool::{asbackup, asrestore},
};

/// Far longer than any test: only a signal ends what waits for it.
const FOREVER: Duration = Duration::from_secs(3600);

/// A tool that runs.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command, arguments: &str, path: &Path) -> Self {
        let path = path.to_str().expect("paths of tests are UTF-8");
        command.args(arguments.split_whitespace().map(|word| word.replace("{}", path)));
        let mut child = command.spawn().expect("the tool can be run");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, stderr }
    }

    /// Waits for a line of standard error that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let bytes = self.stderr.read_line(&mut line).expect("standard error is text");
            assert!(bytes > 0, "the tool ended without saying {text:?}");
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill can be run");
        assert!(status.success());
    }

    /// Waits for the end, and returns the exit code and the rest of standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("standard error is text");
        (self.child.wait().expect("it can be waited for").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test leaves the tool running; one that has ended can't be killed, which is fine.
        self.child.kill().ok();
    }
}

#[track_caller]
fn check_backup_ends_in_order(signal: &str, code: i32) {
    let (server, dir) = (server(), tempfile::tempdir().expect("a directory can be made"));
    server.faults().add(Fault::new(ServerCommand::Query, FaultAction::Delay(FOREVER)).times(100));
    let mut tool = Running::start(asbackup(), &format!("{} -n test -d {{}}", at(&server)), dir.path());
    // The metadata file is complete, so that there is something to undo, but no record that is worth another run.
    tool.wait_for("file complete");
    tool.signal(signal);
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(code), "{rest}");
    assert!(rest.contains("stopping") && rest.contains("backup cancelled"), "{rest}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn backup_that_is_interrupted_before_its_first_record_is_130_and_leaves_nothing() {
    check_backup_ends_in_order("-INT", 130);
}

#[test]
fn backup_that_is_terminated_before_its_first_record_is_143_and_leaves_nothing() {
    check_backup_ends_in_order("-TERM", 143);
}

#[test]
fn interrupted_restore_is_130() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let mut backup = Running::start(asbackup(), &format!("{} -n test -d {{}}", at(&server)), dir.path());
    backup.wait_for("backup complete");
    assert_eq!(backup.end().0, Some(0));
    server.faults().add(Fault::new(ServerCommand::Batch, FaultAction::Delay(FOREVER)).times(100));
    let mut tool = Running::start(asrestore(), &format!("{} -n test,copy -d {{}}", at(&server)), dir.path());
    tool.wait_for("restore planned");
    tool.signal("-INT");
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(130), "{rest}");
    assert!(rest.contains("restore cancelled"), "{rest}");
}

#[test]
fn signal_while_connecting_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tool = Running::start(asbackup(), &format!("-h {address} -n test -d {{}}/out"), dir.path());
    let _silent = listener.accept().unwrap();
    tool.signal("-INT");
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(130), "{rest}");
    assert!(rest.contains("error: ended before the job began"), "{rest}");
}

/// A restore that reads a stream, which stays open and silent.
#[track_caller]
fn check_silent_stream_ends(mut command: Command, input: &str, signal: &str, code: i32) {
    let (server, dir) = (server(), tempfile::tempdir().expect("a directory can be made"));
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
    command.stdin(Stdio::piped());
    let mut tool = Running::start(command, &format!("{} -n test -i {input}", at(&server)), &pipe);
    tool.wait_for("restore planned");
    tool.signal(signal);
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(code), "{rest}");
    assert!(rest.contains("stopping") && rest.contains("restore cancelled"), "{rest}");
}

#[test]
fn restore_of_a_silent_standard_input_is_ended_by_one_signal() {
    check_silent_stream_ends(asrestore(), "-", "-INT", 130);
    check_silent_stream_ends(asrestore(), "-", "-TERM", 143);
}

#[test]
fn restore_of_a_pipe_that_nobody_opens_is_ended_by_one_signal() {
    check_silent_stream_ends(asrestore(), "{}", "-INT", 130);
}

#[test]
fn restore_of_a_stream_that_falls_silent_is_ended_by_one_signal() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let mut command = asrestore();
    command.stdin(Stdio::piped());
    let mut tool = Running::start(command, &format!("{} -n copy -i -", at(&server)), dir.path());
    tool.wait_for("restore planned");
    let stdin = tool.child.stdin.as_mut().unwrap();
    stdin.write_all(b"Version 3.1\n# namespace copy\n# first-file\n+ n copy\n+ d AAAA").unwrap();
    tool.signal("-INT");
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(130), "{rest}");
}

#[test]
fn second_signal_ends_at_once() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut tool = Running::start(asbackup(), &format!("{} -n test -o {{}}", at(&server)), &pipe);
    // Some of the first block is read, and then no more: the job waits for the rest, and can't end.
    let mut reader = fs::File::open(&pipe).unwrap();
    reader.read_exact(&mut [0; 8 << 10]).unwrap();
    tool.signal("-INT");
    tool.wait_for("stopping");
    tool.signal("-TERM");
    let (ended, rest) = tool.end();
    assert_eq!(ended, Some(143), "{rest}");
    assert!(rest.contains("error: ended at once"), "{rest}");
}

#[test]
fn backup_into_a_pipe_that_nobody_reads_ends_with_the_first_signal() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let pipe = dir.path().join("pipe.asb");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Without a reader it can't even be opened; with one that takes nothing it is full at once.
    for reader in [None, Some(())] {
        let line = format!("{} -n test -o {{}}/pipe.asb", at(&server));
        let mut tool = Running::start(asbackup(), &line, dir.path());
        let reader = reader.map(|()| fs::File::open(&pipe).unwrap());
        tool.wait_for("backup planned");
        tool.signal("-TERM");
        let (code, last) = tool.end();
        assert_eq!(code, Some(143), "{last}");
        drop(reader);
    }
}
