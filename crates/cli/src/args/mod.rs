//! What the tools can be told: one struct per group of flags. Nothing here knows the engine.

mod backup;
mod complete;
mod connection;
mod envelope;
mod inspect;
mod output;
mod rates;
mod restore;
mod resume;
mod secret_agent;
mod security;
mod selection;
mod value;
mod version;

use std::{
    fmt,
    io::{self, Write},
};

use clap::{Parser, error::ErrorKind};

use crate::exit::Exit;

pub(crate) use backup::Backup;
pub(crate) use complete::Complete;
pub(crate) use connection::Connection;
pub(crate) use envelope::{Cipher, Codec, Compression, Encryption};
pub(crate) use inspect::Inspect;
pub(crate) use output::{Color, LogLevel, Output, ReportFormat};
pub(crate) use rates::Rates;
pub(crate) use restore::{IndexConflict, Restore, State};
pub(crate) use resume::Resume;
pub(crate) use secret_agent::{AgentConnection, SecretAgent};
pub(crate) use security::{AuthMode, Login, TlsFlags};
pub(crate) use selection::{LeftOut, Records, Scope as ScopeFlags};

/// Backs up a namespace of an Aerospike cluster into files.
#[derive(Debug, Parser)]
#[command(
    name = "asbackup",
    version = version::version(),
    disable_help_flag = true,
    arg_required_else_help = true,
    after_help = "Other commands:\n  asbackup inspect PATH      show what a backup holds (asbackup inspect --help)\n  asbackup complete -d PATH  make one backup of the shares in a directory (asbackup complete --help)"
)]
pub(crate) struct Asbackup {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) secret_agent: SecretAgent,
    #[command(flatten)]
    pub(crate) backup: Backup,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Restores a backup into an Aerospike cluster, or checks one without a cluster.
#[derive(Debug, Parser)]
#[command(name = "asrestore", version = version::version(), disable_help_flag = true, arg_required_else_help = true)]
pub(crate) struct Asrestore {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) secret_agent: SecretAgent,
    #[command(flatten)]
    pub(crate) restore: Restore,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is said instead of running.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Help, the version, or what is wrong with the arguments, and where they come from.
    Clap { error: clap::Error, notes: Vec<String> },
    /// What was asked for.
    Text(String),
    /// What is wrong, a line each.
    Wrong(Vec<String>),
}

impl Answer {
    /// Prints it: what was asked for to standard output, what is wrong to standard error.
    pub(crate) fn print(&self) -> Exit {
        let printed = match self {
            Self::Text(text) => write!(io::stdout(), "{text}"),
            Self::Wrong(lines) => lines.iter().try_for_each(|line| writeln!(io::stderr(), "error: {line}")),
            // Not an error for us, and so not for standard error, which is where clap would print it.
            Self::Clap { error, .. }
                if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
            {
                write!(io::stdout(), "{}", error.render())
            }
            Self::Clap { error, notes } => error
                .print()
                .and_then(|()| notes.iter().try_for_each(|note| writeln!(io::stderr(), "{note}"))),
        };
        // Whoever closed the pipe has read enough.
        printed.ok();
        self.exit()
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Text(_) => Exit::Success,
            Self::Wrong(_) => Exit::Usage,
            Self::Clap { error, .. } => match error.kind() {
                ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Success,
                _ => Exit::Usage,
            },
        }
    }
}

impl From<clap::Error> for Answer {
    fn from(error: clap::Error) -> Self {
        Self::Clap { error, notes: Vec::new() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clap { error, notes } => write!(f, "{error}{}", notes.join("\n")),
            Self::Text(text) => f.write_str(text),
            Self::Wrong(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::*;
    use crate::config;

    const BACKUP: &str = "asbackup -n test -d out";
    const RESTORE: &str = "asrestore -d in";

    fn parse_line<A: Parser>(line: &str) -> Result<A, Answer> {
        config::parse(line.split(' ').map(OsString::from), [])
    }

    /// Checks that a line is refused with exit code 2, and that all of `words` are in the message.
    #[track_caller]
    fn check_refused<A: Parser + std::fmt::Debug>(line: &str, words: &[&str]) {
        let answer = parse_line::<A>(line).expect_err(line);
        let message = answer.to_string();
        assert_eq!(answer.exit().code(), 2, "{line}: {message}");
        for word in words {
            assert!(message.contains(word), "{line}: {word:?} isn't in {message}");
        }
    }

    #[test]
    fn commands_are_consistent() {
        Asbackup::command().debug_assert();
        Asrestore::command().debug_assert();
    }

    #[test]
    fn short_flags_are_those_of_absctl() {
        let line = "asbackup -h a:1,b -h [::1]:7 -p 4000 -n ns -d dir -w 8 -F 10 -C -r -v";
        let args: Asbackup = parse_line(line).unwrap();
        assert_eq!(args.connection.host, ["a:1", "b", "[::1]:7"]);
        assert_eq!((args.connection.port, args.backup.parallel, args.backup.file_limit), (4000, 8, 10));
        assert!(args.backup.compact && args.backup.remove_files && args.output.verbose);
        let args: Asbackup = parse_line("asbackup -n ns -d dir -c").unwrap();
        assert_eq!((args.backup.resume.go_on.is_some(), args.backup.resume.state_name()), (true, None));
        for name in ["-c x", "--continue x", "--state-file-dst x"] {
            let args: Asbackup = parse_line(&format!("asbackup -n ns -d dir {name}")).unwrap();
            assert_eq!(args.backup.resume.state_name().map(String::as_str), Some("x"));
        }
        let args: Asbackup = parse_line("asbackup -n ns -d dir -R -I").unwrap();
        assert!(args.backup.left_out.no_records && args.backup.left_out.no_indexes);
        let args: Asrestore = parse_line("asrestore -d in -s a,b -B c -R -I").unwrap();
        let selection = args.restore.selection;
        assert_eq!((selection.set_list.join("+"), selection.bin_list.join("+")), ("a+b".into(), "c".into()));
        assert!(selection.left_out.no_records && selection.left_out.no_indexes);
        let args: Asrestore = parse_line("asrestore -h a -p 1 -n x,y -i file -w 3 -g -r -v").unwrap();
        assert_eq!(args.restore.namespace.unwrap().to_string(), "x,y");
        let file = args.restore.input.input_file.unwrap();
        assert_eq!((file.to_str(), args.restore.parallel), (Some("file"), Some(3)));
        assert!(args.restore.rules.no_generation && args.restore.rules.replace);
        let args: Asbackup = parse_line("asbackup -n ns -o - -F 1").unwrap();
        assert_eq!(args.backup.destination.path().to_str(), Some("-"));
        let args: Asbackup = parse_line("asbackup -n ns -d dir -q night").unwrap();
        assert_eq!(args.backup.output_file_prefix.as_deref(), Some("night"));
        assert!(parse_line::<Asrestore>("asrestore -d in -u").unwrap().restore.rules.unique);
    }

    #[test]
    fn bad_backup_flags_are_refused_by_name() {
        for (flags, words) in [
            ("--sideways", &["--sideways"][..]),
            ("-p 0", &["--port", "1..=65535"]),
            ("-p 65536", &["--port", "1..=65535"]),
            ("-w 0", &["--parallel", "1..=1024"]),
            ("-w 1025", &["--parallel", "1..=1024"]),
            ("-F -1", &["-1"]),
            ("-F many", &["--file-limit"]),
            ("--client-timeout 0", &["--client-timeout", "from 1 to 4294967295"]),
            ("--socket-timeout -1", &["-1"]),
            ("--max-retries x", &["--max-retries"]),
            ("--sleep-between-retries 4294967296", &["--sleep-between-retries", "from 0 to"]),
            ("--report yaml", &["--report", "text, json"]),
            ("--log-level loud", &["--log-level", "debug, info, warn, error"]),
            ("--color blue", &["--color", "auto, always, never"]),
            ("-c -r", &["--continue", "--remove-files"]),
            ("--shard 1/2 -r", &["--shard", "--remove-files"]),
            ("--shard 1/2 --remove-artifacts", &["--shard", "--remove-artifacts"]),
            ("--continue --state-file-dst x", &["--continue", "--state-file-dst"]),
            ("--continue --no-resume", &["--continue", "--no-resume"]),
            ("--state-file-dst x --no-resume", &["--state-file-dst", "--no-resume"]),
            ("--state-dir x --no-resume", &["--state-dir", "--no-resume"]),
            ("--state-interval 1 --no-resume", &["--state-interval", "--no-resume"]),
            ("stray", &["stray"]),
            ("-o file", &["--output-file"]),
            ("--force", &["--force", "--directory"]),
            ("--remove-artifacts -r", &["--remove-artifacts", "--remove-files"]),
            ("-z gzip", &["--compress", "NONE, ZSTD"]),
            ("--compression-level high", &["--compression-level"]),
            ("-y rot13", &["--encrypt", "NONE, AES128, AES256"]),
            (
                "--encryption-key-file a --encryption-key-env b",
                &["--encryption-key-file", "--encryption-key-env"],
            ),
            (
                "--encryption-key-file a --encryption-key-secret b",
                &["--encryption-key-file", "--encryption-key-secret"],
            ),
            (
                "--encryption-key-env a --encryption-key-secret b",
                &["--encryption-key-env", "--encryption-key-secret"],
            ),
        ] {
            check_refused::<Asbackup>(&format!("{BACKUP} {flags}"), words);
        }
        check_refused::<Asbackup>("asbackup -n test", &["--directory", "--output-file"]);
        for (flags, words) in [
            ("-r", ["--remove-files", "--output-file"]),
            ("--shard 1/2", ["--shard", "--output-file"]),
            ("-q x", ["--output-file-prefix", "--output-file"]),
            ("--remove-artifacts", ["--remove-artifacts", "--output-file"]),
        ] {
            check_refused::<Asbackup>(&format!("asbackup -n test -o file {flags}"), &words);
        }
        check_refused::<Asbackup>("asbackup -d out", &["--namespace"]);
        check_refused::<Asbackup>("asbackup -n test --estimate -d out", &["--estimate", "--directory"]);
        check_refused::<Asbackup>("asbackup -n test --estimate --shard 1/2", &["--estimate", "--shard"]);
        check_refused::<Asbackup>("asbackup -n test --estimate -r", &["--estimate", "--remove-files"]);
        check_refused::<Asbackup>("asbackup -n test -d out --estimate-samples 7", &["--estimate"]);
        check_refused::<Asbackup>("asbackup -n test -e --estimate-samples 0", &["--estimate-samples"]);
        check_refused::<Asbackup>(&format!("{BACKUP} -L -1"), &["-1"]);
        check_refused::<Asrestore>(&format!("{RESTORE} --nice 5,1000"), &["--bandwidth"]);
    }

    #[test]
    fn bad_restore_flags_are_refused_by_name() {
        for (flags, words) in [
            ("-u -r", &["--unique", "--replace"][..]),
            ("-i file", &["--input-file"]),
            ("--directory-list a", &["--directory-list"]),
            ("--parent-directory p", &["--parent-directory"]),
            ("-n a,b,c", &["--namespace", "3 names"]),
            ("-n a,", &["--namespace", "a name is empty"]),
            ("--batch-size 0", &["--batch-size", "from 1 to 65535"]),
            ("--max-async-batches 65536", &["--max-async-batches", "from 1 to 65535"]),
            ("--total-timeout -5", &["-5"]),
            ("--retry-base-interval x", &["--retry-base-interval", "from 0 to"]),
            ("--retry-scale-factor 1ms", &["--retry-scale-factor", "microseconds"]),
            (
                "--retry-scale-factor 1 --retry-base-interval 1",
                &["--retry-scale-factor", "--retry-base-interval"],
            ),
            ("--retry-multiplier 0.5", &["--retry-multiplier", "from 1 to 100"]),
            ("--retry-multiplier NaN", &["--retry-multiplier", "from 1 to 100"]),
            ("--retry-max-attempts -1", &["-1"]),
            ("-w 2000", &["--parallel", "1..=1024"]),
            ("--extra-ttl -1", &["-1"]),
            ("--extra-ttl 1h", &["--extra-ttl"]),
            ("--index-conflict merge", &["--index-conflict", "keep, replace, fail"]),
            ("--fail-if-ignored", &["--ignore-record-error", "--dead-letter"]),
            ("--set-list", &["--set-list"]),
            ("--verify-first --validate", &["--verify-first", "--validate"]),
            ("--dry-run --dead-letter x", &["--dry-run", "--dead-letter"]),
            ("--dry-run --validate", &["--dry-run", "--validate"]),
            ("--dry-run --continue", &["--dry-run", "--continue"]),
            ("--continue --no-resume", &["--continue", "--no-resume"]),
            ("--continue --validate", &["--continue", "--validate"]),
            ("--state-dir x --no-resume", &["--state-dir", "--no-resume"]),
            ("--state-interval 1 --no-resume", &["--state-interval", "--no-resume"]),
        ] {
            check_refused::<Asrestore>(&format!("{RESTORE} {flags}"), words);
        }
        check_refused::<Asrestore>("asrestore -i in --shard 1/2", &["--shard", "--input-file"]);
        check_refused::<Asrestore>("asrestore -d in --validate --shard 1/2", &["--shard", "--validate"]);
        check_refused::<Asrestore>("asrestore -i in --continue", &["--continue", "--input-file"]);
        check_refused::<Asrestore>("asrestore -n test", &["--directory", "--input-file"]);
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in ["asbackup", "asbackup help", "asbackup -Z", "asbackup --help", "asbackup -V"] {
            let answer = parse_line::<Asbackup>(line).unwrap_err();
            assert_eq!(answer.exit(), Exit::Success, "{line}");
        }
        let version = parse_line::<Asrestore>("asrestore --version").unwrap_err();
        assert_eq!(version.to_string(), format!("asrestore {}\n", version::version()));
    }

    #[test]
    fn log_level_counts_alone_and_wins() {
        for (flags, level) in [
            ("--report text", LogLevel::Info),
            ("-v", LogLevel::Debug),
            ("--quiet", LogLevel::Warn),
            ("--quiet -v", LogLevel::Debug),
            ("-v --log-level error", LogLevel::Error),
            ("--log-level debug", LogLevel::Debug),
        ] {
            let args: Asbackup = parse_line(&format!("{BACKUP} {flags}")).unwrap();
            assert_eq!(args.output.level(), level, "{flags}");
        }
    }
}
