//! Sizes of the pieces that are written and read.

use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::Path,
    process::{Command, Stdio},
};

use asbackup_testserver::{Command as Sent, Fault, FaultAction, SampleRecords, TestServer};

use crate::{
    jobs::at,
    tool::{asbackup, asrestore},
};

const MIB: u64 = 1 << 20;

/// Returns how many bytes come out of a backup whose scan is cut within its fourth MiB: those that were in no buffer then.
fn written_by_cut_backup(
    flags: &str,
    output: &str,
    stream: impl FnOnce(&mut std::process::Child) -> File,
) -> u64 {
    let server = TestServer::builder().namespace("test").start().expect("it starts");
    server.store().load("test", SampleRecords { count: 4000, record_bytes: 1000 });
    server.faults().add(Fault::new(Sent::Query, FaultAction::CutAfter(3_500_000)));
    let line = format!("{} -n test -o {output} --max-retries 0 {flags}", at(&server));
    let mut child =
        asbackup().stderr(Stdio::null()).args(line.split_whitespace()).spawn().expect("it starts");
    let mut bytes = Vec::new();
    stream(&mut child).read_to_end(&mut bytes).expect("it can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    bytes.len() as u64
}

#[test]
fn standard_output_is_written_in_pieces_of_the_buffer() {
    let written = |flags: &str| {
        written_by_cut_backup(flags, "-", |child| {
            let stdout = child.stdout.take().expect("it is piped");
            File::from(std::os::fd::OwnedFd::from(stdout))
        })
    };
    for mib in [1, 2] {
        let bytes = written(&format!("--std-buffer {mib}"));
        assert!(bytes > 0 && bytes.is_multiple_of(mib * MIB), "{bytes} in pieces of {mib} MiB");
    }
    for flags in ["", "--local-buffer-size 1"] {
        let bytes = written(flags);
        assert!(bytes > MIB && !bytes.is_multiple_of(MIB), "{bytes}: {flags:?}");
    }
}

#[test]
fn file_is_written_in_pieces_of_the_buffer() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let written =
        |flags: &str| written_by_cut_backup(flags, pipe.to_str().unwrap(), |_| File::open(&pipe).unwrap());
    let bytes = written("--local-buffer-size 1");
    assert!(bytes > 0 && bytes.is_multiple_of(MIB), "{bytes}");
    let bytes = written("--std-buffer 1");
    assert!(bytes > MIB && !bytes.is_multiple_of(MIB), "{bytes}");
}

/// Returns how much of its standard input a validation has read that fails at the first byte.
fn read_of_damaged(path: &Path, flags: &str) -> u64 {
    let mut file = File::open(path).expect("it is there");
    let stdin = file.try_clone().expect("the offset is shared");
    let line = format!("--validate -i - {flags}");
    let ended = asrestore().stdin(stdin).args(line.split_whitespace()).output().expect("it starts");
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    file.stream_position().expect("it is a file")
}

#[test]
fn standard_input_is_read_in_pieces_of_the_buffer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged");
    fs::write(&path, vec![b'x'; 16 << 20]).unwrap();
    // The thread that reads is two pieces ahead at most.
    let (small, large) = (read_of_damaged(&path, ""), read_of_damaged(&path, "--std-buffer 4"));
    assert!(small <= MIB, "{small}");
    assert!(large >= 4 * MIB && large.is_multiple_of(4 * MIB), "{large}");
}
