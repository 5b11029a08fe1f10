//! The program `asbackup-testserver`.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn it_prints_its_address_and_ends_cleanly_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_asbackup-testserver"));
        program.args([
            "--address",
            "127.0.0.1:0",
            "--namespace",
            "one",
            "--namespace",
            "two",
            "--load",
            "10",
        ]);
        let mut program =
            program.arg("--cpu-report").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        TcpStream::connect(address.trim_end()).unwrap();
        assert!(Command::new("kill").args([signal, &program.id().to_string()]).status().unwrap().success());
        let output = program.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(output.stderr.starts_with(b"cpu of the serving threads: "));
    }
}
