//! Flags of the C tools and of absctl: aliases where the spelling is free, and a hint where it means something else here.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, Error, ErrorKind},
};

/// Long names of the C tools: the tool, or none for both, their name and ours.
const LONG_ALIASES: [(&str, &str, &str); 12] = [
    ("", "set", "set-list"),
    ("", "sa-cafile", "sa-ca-file"),
    ("", "timeout", "info-timeout"),
    ("", "s3-min-part-size", "s3-chunk-size"),
    ("asbackup", "nice", "bandwidth"),
    ("asbackup", "retry-delay", "sleep-between-retries"),
    ("asrestore", "threads", "parallel"),
    ("asrestore", "indexes-last", "apply-metadata-last"),
    ("asrestore", "max-retries", "retry-max-attempts"),
    ("asrestore", "use-services-alternate", "services-alternate"),
    ("asbackup", "use-services-alternate", "services-alternate"),
    ("asbackup", "info-poling-period", "info-polling-period"),
];

/// Letters of the C tools that absctl leaves free.
const SHORT_ALIASES: [(&str, char, &str); 7] = [
    ("asbackup", 'u', "no-udfs"),
    ("asrestore", 'F', "no-udfs"),
    ("asrestore", 't', "parallel"),
    ("asrestore", 'l', "extra-ttl"),
    ("", 'A', "auth"),
    ("", 'y', "encrypt"),
    ("", 'S', "services-alternate"),
];

/// Flags of the C tools that have no counterpart of the same meaning: the tool, or none for both, the flag, what to do.
const GONE: [(&str, &str, &str); 14] = [
    ("", "--machine", "progress for programs goes into a file, as JSON: --progress-file"),
    ("", "-m", "progress for programs goes into a file, as JSON: --progress-file"),
    ("", "--usage", "the help is --help or -Z"),
    ("", "--options", "the help is --help or -Z"),
    ("", "--config-file", "--config names a YAML file; astools.conf isn't read"),
    ("", "--only-config-file", "--config names a YAML file; astools.conf isn't read"),
    ("", "--no-config-file", "no file is read without --config"),
    ("", "--instance", "--config names a YAML file; keep one for each cluster"),
    ("asrestore", "--nice", "its two parts are --bandwidth and --records-per-second"),
    ("asrestore", "--event-loops", "there is nothing to set: leave it out"),
    ("", "--s3-max-async-uploads", "use --s3-upload-concurrency"),
    ("", "--s3-max-async-downloads", "use --parallel"),
    ("", "--s3-connect-timeout", "use --s3-request-timeout"),
    ("", "--tls-cipher-suite", "the cipher suites can't be chosen"),
];

/// The same for absctl.
const GONE_OF_ABSCTL: [(&str, &str, &str); 1] =
    [("asrestore", "--mode", "asrestore tells the formats apart by itself")];

/// Spellings of the C tools' asrestore that are another flag here, as in absctl.
const CHANGED: [(&str, &str, &str); 5] = [
    ("-w", "parallel", "-w is --parallel; --wait of the C tools isn't needed: asrestore always waits"),
    (
        "-L",
        "records-per-second",
        "-L is --records-per-second; --indexes-last of the C tools is --apply-metadata-last",
    ),
    (
        "-N",
        "bandwidth",
        "-N is --bandwidth; the second part of --nice of the C tools is --records-per-second",
    ),
    (
        "--nice",
        "bandwidth",
        "the two parts of --nice of the C tools are --bandwidth and --records-per-second",
    ),
    ("-T", "info-timeout", "-T is --info-timeout, in ms"),
];

/// Adds the spellings of the C tools that are free.
pub(super) fn with_aliases(mut command: Command) -> Command {
    let tool = command.get_name().to_owned();
    if tool == "asrestore" {
        command = command.arg(wait());
    }
    for (_, alias, long) in LONG_ALIASES.iter().filter(|(of, ..)| is_of(of, &tool)) {
        let is_taken = command.get_arguments().any(|arg| {
            arg.get_long() == Some(alias) || arg.get_all_aliases().is_some_and(|all| all.contains(alias))
        });
        if !is_taken {
            command =
                command.mut_args(|arg| if arg.get_long() == Some(long) { arg.alias(*alias) } else { arg });
        }
    }
    for (_, alias, long) in SHORT_ALIASES.iter().filter(|(of, ..)| is_of(of, &tool)) {
        let is_taken = command.get_arguments().any(|arg| {
            arg.get_short() == Some(*alias)
                || arg.get_all_short_aliases().is_some_and(|all| all.contains(alias))
        });
        if !is_taken {
            command = command
                .mut_args(|arg| if arg.get_long() == Some(long) { arg.short_alias(*alias) } else { arg });
        }
    }
    command
}

/// Returns the flag of the C tool that asks for what is always done. A count is no setting, so that it is neither a key nor a
/// variable.
fn wait() -> Arg {
    Arg::new("wait").long("wait").hide(true).action(ArgAction::Count)
}

fn is_of(entry: &str, tool: &str) -> bool {
    entry.is_empty() || entry == tool
}

/// Returns what to do where an error may come from the habits of another tool.
pub(super) fn hint(tool: &str, error: &Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() == ErrorKind::UnknownArgument {
        let is_meant = |(of, flag, _): &&(&str, &str, &str)| is_of(of, tool) && flag == name;
        let lists = [("the C tools", GONE.as_slice()), ("absctl", GONE_OF_ABSCTL.as_slice())];
        return lists.into_iter().find_map(|(owner, list)| {
            let (_, flag, hint) = list.iter().find(is_meant)?;
            Some(format!("hint: {flag} is of {owner}; {hint}"))
        });
    }
    let is_given =
        |letter: &str| arguments.iter().any(|argument| argument.to_string_lossy().starts_with(letter));
    let changed = CHANGED.iter().filter(|_| tool == "asrestore").find(|(letter, long, _)| {
        is_given(letter) && name.strip_prefix("--").is_some_and(|name| name.split(' ').next() == Some(long))
    });
    changed.map(|(_, _, hint)| format!("hint: {hint}"))
}

#[cfg(test)]
mod tests {
    use crate::{
        args::{Asbackup, Asrestore},
        config::parse,
    };

    #[test]
    fn spellings_of_the_c_tools_are_taken_where_they_are_free() {
        let line = "asbackup -n a -d b -u --retry-delay 7".split(' ').map(Into::into);
        let args: Asbackup = parse(line, []).unwrap();
        assert!(args.backup.left_out.no_udfs);
        assert_eq!(args.backup.sleep_between_retries.as_millis(), 7);
        let line =
            "asrestore -d a -F -l 5 --indexes-last --threads 3 --max-retries 2".split(' ').map(Into::into);
        let args: Asrestore = parse(line, []).unwrap();
        assert!(args.restore.selection.left_out.no_udfs && args.restore.metadata.apply_metadata_last);
        assert_eq!((args.restore.rules.extra_ttl, args.restore.parallel), (5, Some(3)));
        assert_eq!(args.restore.waits.retry_max_attempts, 2);
        assert!(parse::<Asrestore>("asrestore -d a --wait".split(' ').map(Into::into), []).is_ok());
        let variable = [("ASBACKUP_WAIT".into(), "true".into())];
        assert!(parse::<Asrestore>("asrestore -d a".split(' ').map(Into::into), variable).is_err());
    }

    #[test]
    fn what_means_something_else_here_is_said() {
        for (line, words) in [
            ("asrestore -d a -w", "--wait of the C tools isn't needed"),
            ("asrestore -w in -d a", "--wait of the C tools isn't needed"),
            ("asrestore -d a --nice 1,2", "--bandwidth and --records-per-second"),
            ("asrestore -d a -m x", "--progress-file"),
            (
                "asrestore -d a --machine x",
                "--machine is of the C tools; progress for programs goes into a file",
            ),
            ("asrestore -d a --mode auto", "--mode is of absctl"),
            ("asrestore --config-file x", "astools.conf isn't read"),
        ] {
            let answer = parse::<Asrestore>(line.split(' ').map(Into::into), []).unwrap_err().to_string();
            assert!(answer.contains(words), "{line}: {answer}");
        }
    }
}
