//! Layers over each other, and what is said when something is wrong with one.

use std::{ffi::OsString, fs, path::PathBuf};

use clap::Arg;
use tempfile::TempDir;

use super::*;

/// A file for one test.
struct Case {
    directory: TempDir,
}

impl Case {
    fn new(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("c.yaml"), text).unwrap();
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("c.yaml")
    }

    /// Returns the answer of `asbackup`, or the arguments, where `FILE` stands for the file.
    fn backup(&self, line: &str, variables: &[(&str, &str)]) -> Result<Asbackup, String> {
        parse(self.line(line), self.variables(variables)).map_err(|answer| self.text(&answer))
    }

    fn restore(&self, line: &str) -> Result<Asrestore, String> {
        parse(self.line(line), []).map_err(|answer| self.text(&answer))
    }

    fn line(&self, line: &str) -> Vec<OsString> {
        let line = line.replace("FILE", &self.path().display().to_string());
        line.split(' ').map(OsString::from).collect()
    }

    fn variables(&self, variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let file = self.path().display().to_string();
        variables.iter().map(|(name, value)| (name.into(), value.replace("FILE", &file).into())).collect()
    }

    fn text(&self, answer: &Answer) -> String {
        answer.to_string().replace(&self.path().display().to_string(), "FILE")
    }
}

const WHOLE: &str =
    "backup: {namespace: f, directory: f, parallel: 2, file-limit: 3, compact: true, no-udfs: true}";

#[test]
fn later_layers_win() {
    let case = Case::new(WHOLE);
    let variables = [("ASBACKUP_PARALLEL", "4"), ("ASBACKUP_FILE_LIMIT", "5"), ("ASBACKUP_COMPACT", "false")];
    let args = case.backup("asbackup --config FILE -w 6 --no-udfs=false", &variables).unwrap().backup;
    assert_eq!((args.namespace.as_deref(), args.parallel, args.file_limit), (Some("f"), 6, 5));
    assert!(!args.compact && !args.left_out.no_udfs);
    assert_eq!(args.max_retries, 10, "a default");
}

#[test]
fn lists_are_replaced_and_not_joined() {
    let case = Case::new("restore: {directory: f, set-list: [a, b], bin-list: [c, d]}");
    let args = case.restore("asrestore --config FILE --set-list x").unwrap().restore;
    assert_eq!(
        (args.selection.set_list.join("+"), args.selection.bin_list.join("+")),
        ("x".into(), "c+d".into())
    );
}

#[test]
fn variable_names_the_file_and_a_flag_goes_before_it() {
    let case = Case::new(WHOLE);
    let args = case.backup("asbackup", &[("ASBACKUP_CONFIG", "FILE")]).unwrap();
    assert_eq!(args.backup.parallel, 2);
    let args = case.backup("asbackup --config FILE", &[("ASBACKUP_CONFIG", "nowhere")]).unwrap();
    assert_eq!(args.backup.parallel, 2);
}

#[test]
fn empty_file_is_no_request_for_help() {
    let answer = Case::new("").backup("asbackup", &[("ASBACKUP_CONFIG", "FILE")]).unwrap_err();
    assert!(answer.contains("required") && answer.contains("--namespace"), "{answer}");
}

#[test]
fn errors_say_where_the_value_is_from() {
    let case = Case::new("backup:\n  namespace: n\n  parallel: 5000\n");
    let answer = case.backup("asbackup -d d --config FILE", &[]).unwrap_err();
    assert!(answer.contains("1..=1024") && answer.contains("--parallel is from FILE:3:13"), "{answer}");
    let answer = case.backup("asbackup -d d -n n", &[("ASBACKUP_PARALLEL", "x")]).unwrap_err();
    assert!(answer.contains("--parallel is from ASBACKUP_PARALLEL"), "{answer}");
    let answer = case.backup("asbackup -d d -n n -w x", &[]).unwrap_err();
    assert!(answer.contains("--parallel") && !answer.contains("is from"), "{answer}");
}

#[test]
fn conflicts_are_seen_between_layers() {
    let case = Case::new("restore: {directory: f, unique: true}");
    let answer = case.restore("asrestore --config FILE --replace").unwrap_err();
    assert!(
        answer.contains("cannot be used with") && answer.contains("--unique is from FILE:1:33"),
        "{answer}"
    );
    assert!(case.restore("asrestore --config FILE --replace --unique=false").is_ok());
}

#[test]
fn switch_that_is_given_and_taken_back_is_refused() {
    let answer = Case::new(WHOLE).backup("asbackup --config FILE -C --compact=false", &[]).unwrap_err();
    assert_eq!(answer, "--compact is given, and taken back with --compact=false");
    let answer = Case::new(WHOLE).backup("asbackup --config FILE --compact=perhaps", &[]).unwrap_err();
    assert!(answer.contains("perhaps"), "{answer}");
}

#[test]
fn all_findings_are_told_at_once() {
    let case = Case::new("backup: {paralel: 1, compact: 2}");
    let answer = case.backup("asbackup --config FILE", &[("ASBACKUP_ZZZ", "1")]).unwrap_err();
    assert_eq!(answer.lines().count(), 3, "{answer}");
}

#[test]
fn file_of_absctl_with_its_defaults_is_taken() {
    let case = Case::new(include_str!("../../../../testdata/config/absctl.yaml"));
    let args = case.backup("asbackup --config FILE", &[]).unwrap();
    assert_eq!((args.backup.namespace.as_deref(), args.backup.max_retries), (Some("users"), 5));
    let args = case.restore("asrestore --config FILE").unwrap();
    assert_eq!(args.restore.namespace.unwrap().target, "users_copy");
    let answer = case.backup("asbackup config check FILE", &[]).unwrap_err();
    assert_eq!(answer, "FILE: nothing is wrong\n");
}

/// Beginnings of absctl's keys that no flag has yet.
const WITHOUT_FLAG: [&str; 4] = ["aws.s3.", "gcp.storage.", "azure.blob.", "restore.warm-up"];

#[test]
fn each_key_of_absctl_takes_other_values_if_it_has_a_flag() {
    let sample = yaml::parse(include_str!("../../../../testdata/config/absctl.yaml")).unwrap();
    let mut changed = Vec::new();
    change_each("", &sample.value, &mut changed);
    assert!(changed.len() > 100, "{changed:?}");
    for (key, value) in changed {
        let sections = key.matches('.').count();
        let text = format!("{}: {value}{}\n", key.replace('.', ": {"), "}".repeat(sections));
        let answer = Case::new(&text).backup("asbackup config check FILE", &[]).unwrap_err();
        let is_known = !WITHOUT_FLAG.iter().any(|beginning| key.starts_with(beginning));
        let expected = if is_known { "nothing is wrong" } else { "isn't supported yet" };
        assert!(answer.contains(expected), "{text}: {answer}");
    }
}

/// Adds each key below a section, and a value that isn't the one that is given.
fn change_each(section: &str, value: &yaml::Value, changed: &mut Vec<(String, String)>) {
    let yaml::Value::Map(entries) = value else { return };
    for entry in entries {
        let key = if section.is_empty() { entry.key.clone() } else { format!("{section}.{}", entry.key) };
        let other = match &entry.value.value {
            yaml::Value::Map(_) => {
                change_each(&key, &entry.value.value, changed);
                continue;
            }
            yaml::Value::Bool(value) => (!value).to_string(),
            yaml::Value::Text(text) => format!("{:?}", other_text(&key, text)),
            yaml::Value::List(_) => "[x]".to_owned(),
            yaml::Value::Null => "x".to_owned(),
        };
        changed.push((key, other));
    }
}

fn other_text(key: &str, text: &str) -> String {
    match key {
        "app.log-level" => "warn".to_owned(),
        "cluster.auth" => "EXTERNAL".to_owned(),
        "cluster.tls.protocols" => "+TLSv1.3".to_owned(),
        "compression.compress" => "ZSTD".to_owned(),
        "encryption.encrypt" => "AES256".to_owned(),
        "secret-agent.connection-type" => "UNIX".to_owned(),
        _ => text.parse::<u64>().map_or_else(|_| format!("{text}x"), |number| (number + 1).to_string()),
    }
}

#[test]
fn check_tells_all_findings_of_both_tools_in_order() {
    let case = Case::new("restore: {parallel: x}\nbackup: {paralel: 1, parallel: 0}\ncluster: {port: 0}\n");
    for answer in [
        case.backup("asbackup config check FILE", &[]).unwrap_err(),
        case.restore("asrestore config check FILE").unwrap_err(),
    ] {
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!(lines.len(), 4, "{answer}");
        assert!(lines[0].starts_with("FILE:1:21: restore.parallel: invalid value 'x'"), "{answer}");
        assert_eq!(lines[1], "FILE:2:10: backup.paralel is unknown; is backup.parallel meant?");
        assert!(lines[3].starts_with("FILE:3:17: cluster.port: "), "{answer}");
    }
    let case = Case::new("restore: {unique: true, replace: true}");
    let answer = case.restore("asrestore config check FILE").unwrap_err();
    assert!(answer.starts_with("FILE: ") && answer.contains("cannot be used with"), "{answer}");
}

#[test]
fn shown_values_say_where_they_are_from() {
    let case = Case::new("backup:\n  namespace: a\"b\n  parallel: 2\n  compact: true\n");
    let line = "asbackup config show --config FILE -F 9 --compact=false -h a,b";
    let shown = case.backup(line, &[("ASBACKUP_PARALLEL", "4"), ("ASBACKUP_QUIET", "true")]).unwrap_err();
    for expected in [
        "  seeds: [\"a\", \"b\"]  # flag\n",
        "  namespace: \"a\\\"b\"  # FILE:2:14\n",
        "  directory: \"\"  # not set\n",
        "  parallel: 4  # ASBACKUP_PARALLEL\n",
        "  file-limit: 9  # flag\n",
        "  compact: false  # flag\n",
        "  max-retries: 10  # default\n",
        "  quiet: true  # ASBACKUP_QUIET\n",
        "  verbose: false  # default\n",
    ] {
        assert!(shown.contains(expected), "{expected:?} isn't in {shown}");
    }
}

#[test]
fn what_is_shown_is_a_file_with_the_same_values() {
    let shown = |case: &Case, line: &str| case.restore(line).unwrap_err();
    let values = |text: &str| {
        text.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let first = shown(
        &Case::new(""),
        "asrestore config show -n 007,b -d in -s x,y -u --retry-multiplier 1.5 -h [::1]:2",
    );
    let again = shown(&Case::new(&first), "asrestore config show --config FILE");
    assert_eq!(values(&first), values(&again));
}

#[test]
fn show_refuses_what_a_run_would() {
    let answer = Case::new(WHOLE).backup("asbackup config show --config FILE -w 0", &[]).unwrap_err();
    assert!(answer.contains("--parallel"), "{answer}");
}

/// Returns the layers of a tool with a password of four digits.
fn with_password(line: &[&str], variables: &[(&str, &str)]) -> Result<Layers, Answer> {
    let digits = |text: &str| text.parse::<u16>().map_err(|_| format!("{text} isn't a number"));
    let password = Arg::new("test-password").long("test-password").value_parser(digits);
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let line = line.iter().map(OsString::from);
    Layers::read(backup_command().arg(password), &[backup_command(), restore_command()], line, variables)
}

#[test]
fn secrets_are_never_printed() {
    let shown = show::show(&with_password(&["asbackup", "--test-password", "1234"], &[]).unwrap()).unwrap();
    assert!(shown.to_string().contains("test-password: \"***\"  # flag"), "{shown}");
    let variables = [("ASBACKUP_TEST_PASSWORD", "hunter2")];
    for layers in [
        with_password(&["asbackup", "--test-password=hunter2"], &[]),
        with_password(&["asbackup"], &variables),
    ] {
        let answer = layers.unwrap().matches().unwrap_err().to_string();
        assert!(answer.contains("*** isn't a number") && !answer.contains("hunter2"), "{answer}");
    }
}

#[test]
fn completions_and_man_pages_know_all_flags() {
    let case = Case::new("");
    for shell in ["bash", "zsh", "fish"] {
        let script = case.backup(&format!("asbackup completions {shell}"), &[]).unwrap_err();
        let script_of_restore = case.restore(&format!("asrestore completions {shell}")).unwrap_err();
        assert!(script.contains("remove-files") && script_of_restore.contains("index-conflict"), "{shell}");
    }
    assert!(case.backup("asbackup completions tcsh", &[]).unwrap_err().contains("bash"));
    let page = case.restore("asrestore man").unwrap_err();
    assert!(page.starts_with(".ie") && page.contains("index\\-conflict"), "{page}");
}

#[test]
fn completions_and_man_pages_know_the_commands_with_flags_of_their_own() {
    let case = Case::new("");
    for (shell, words) in [
        ("bash", ["asbackup__subcmd__inspect)", "asbackup__subcmd__complete)"]),
        ("zsh", ["_asbackup__subcmd__inspect_commands()", "_asbackup__subcmd__complete_commands()"]),
        ("fish", ["__fish_asbackup_using_subcommand inspect", "__fish_asbackup_using_subcommand complete"]),
    ] {
        let script = case.backup(&format!("asbackup completions {shell}"), &[]).unwrap_err();
        for word in words {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = case.backup("asbackup man", &[]).unwrap_err();
    assert!(page.contains("asbackup\\-inspect(1)") && page.contains("asbackup\\-complete(1)"), "{page}");
    for (command, flag) in [("inspect", "report\\-file"), ("complete", "directory"), ("config", "check")] {
        let page = case.backup(&format!("asbackup man {command}"), &[]).unwrap_err();
        assert!(page.contains(&format!("asbackup {command}")) && page.contains(flag), "{page}");
    }
    assert!(case.restore("asrestore man inspect").unwrap_err().contains("invalid value"));
}

#[test]
fn command_beside_the_tools_takes_what_it_has_of_the_layers() {
    #[derive(Debug, Parser)]
    #[command(name = "asbackup look")]
    struct Look {
        path: PathBuf,
        #[arg(long, help_heading = "Output")]
        quiet: bool,
    }

    let case = Case::new("app: {quiet: true, verbose: true}\nbackup: {namespace: n}\n");
    let variables = case.variables(&[("ASBACKUP_CONFIG", "FILE"), ("ASBACKUP_PARALLEL", "3")]);
    let look: Look = parse(case.line("asbackup config"), variables).unwrap();
    assert!(look.quiet && look.path.to_str() == Some("config"));
}

#[test]
fn defaults_of_a_file_conflict_with_nothing() {
    #[derive(Debug, Parser)]
    #[command(name = "asbackup look")]
    struct Look {
        #[arg(long)]
        estimate: bool,
        #[arg(long, default_value_t = 10, requires = "estimate")]
        samples: u32,
        #[arg(long = "continue", conflicts_with = "estimate")]
        go_on: Option<Option<String>>,
    }

    let with_file = |text: &str, variables: &[(&str, &str)]| -> Result<Look, Answer> {
        let case = Case::new(text);
        parse(case.line("look --config FILE"), case.variables(variables))
    };
    assert_eq!(with_file("backup: {samples: 10}", &[]).unwrap().samples, 10);
    assert!(with_file("backup: {samples: 11}", &[]).is_err());
    let over = with_file("backup: {samples: 11, continue: true}", &[("ASBACKUP_SAMPLES", "10")]).unwrap();
    assert_eq!((over.samples, over.go_on, over.estimate), (10, Some(None), false));
    let named = with_file("backup: {continue: x}", &[]).unwrap();
    assert_eq!(named.go_on, Some(Some("x".to_owned())));
}
