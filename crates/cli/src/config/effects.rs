//! Every flag has a test that shows its effect: a list of them, held against clap and against the tests. That its key and
//! its variable do the same is shown for every flag by `every_flag_is_a_key_and_a_variable`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};

use super::{backup_command, flags::flags, restore_command};

/// Tests, and the flags of both tools whose effect they show.
const BOTH: &[(&str, &[&str])] = &[
    ("seeds_take_the_port_that_they_lack", &["host", "port"]),
    ("alternate_addresses_are_used_on_request", &["services-alternate"]),
    ("cluster_that_is_silent_too_long_is_5", &["client-timeout"]),
    (
        "info_flags_have_their_effect_on_both_tools",
        &["info-timeout", "info-max-retries", "info-retry-interval", "info-retry-multiplier"],
    ),
    ("password_comes_from_where_it_is_kept", &["user", "password"]),
    (
        "jobs_run_over_tls_with_each_login",
        &["auth", "tls-enable", "tls-cafile", "tls-capath", "tls-certfile", "tls-keyfile"],
    ),
    ("server_that_is_not_trusted_is_5", &["tls-name", "tls-protocols"]),
    ("client_key_with_a_password_is_used", &["tls-keyfile-password"]),
    ("login_and_idle_timeout_reach_the_cluster", &["client-login-timeout", "client-idle-timeout"]),
    ("secret_agent_knows_user_and_password", &["sa-address", "sa-port", "sa-is-base64"]),
    ("secret_agent_is_reached_over_tls", &["sa-ca-file", "sa-tls-name", "sa-cert-file", "sa-key-file"]),
    ("secret_agent_is_reached_through_a_unix_socket", &["sa-connection-type"]),
    ("secret_agent_that_is_silent_is_2", &["sa-timeout"]),
    ("secret_agent_has_the_encryption_key", &["encrypt", "encryption-key-file", "encryption-key-secret"]),
    ("cipher_and_key_go_together", &["encryption-key-env"]),
    ("report_file_takes_the_json_and_stderr_the_text", &["report-file"]),
    ("backup_goes_through_a_pipe_into_a_restore", &["report"]),
    ("progress_file_takes_lines_of_json", &["progress-file"]),
    ("quiet_prints_only_what_was_asked_for", &["quiet"]),
    ("log_level_counts_alone_and_wins", &["log-level", "verbose"]),
    ("with_json_logs_each_line_of_stderr_is_json", &["log-json"]),
    ("log_file_is_made_and_appended_to", &["log-file"]),
    ("colours_are_used_when_asked_for", &["color"]),
];

/// The same for flags of `asbackup`.
const BACKUP: &[(&str, &[&str])] = &[
    ("estimate_takes_as_many_samples_as_asked_for", &["namespace"]),
    ("estimate_is_what_the_backup_takes", &["estimate", "estimate-samples"]),
    ("target_is_a_directory_a_file_or_standard_output", &["directory", "output-file", "force"]),
    (
        "each_backup_flag_has_its_effect",
        &[
            "compress",
            "compression-level",
            "parallel",
            "parallel-write",
            "file-limit",
            "compact",
            "no-records",
            "no-indexes",
            "no-udfs",
            "remove-files",
            "shard",
            "output-file-prefix",
            "state-interval",
            "socket-timeout",
            "total-timeout",
            "scan-page-size",
            "max-retries",
            "sleep-between-retries",
            "throttle-pause",
            "records-per-second",
            "bandwidth",
        ],
    ),
    (
        "each_flag_has_its_effect",
        &[
            "partition-list",
            "after-digest",
            "node-list",
            "rack-list",
            "prefer-racks",
            "set-list",
            "bin-list",
            "no-bins",
            "modified-after",
            "modified-before",
            "utc",
            "no-ttl-only",
            "filter-exp",
            "max-records",
        ],
    ),
    ("artifacts_are_removed_without_a_namespace_and_others_stay", &["remove-artifacts"]),
    ("standard_output_is_written_in_pieces_of_the_buffer", &["std-buffer"]),
    ("file_is_written_in_pieces_of_the_buffer", &["local-buffer-size"]),
    ("killed_backup_is_gone_on_with", &["continue"]),
    ("state_has_the_name_and_place_that_are_given", &["state-file-dst", "state-dir"]),
    ("without_a_state_nothing_is_left", &["no-resume"]),
];

/// The same for flags of `asrestore`.
const RESTORE: &[(&str, &[&str])] = &[
    ("source_is_a_directory_or_a_file", &["directory", "input-file"]),
    ("directories_are_those_of_the_list_within_the_parent", &["directory-list", "parent-directory"]),
    ("several_directories_are_restored_and_validated", &["validate"]),
    ("backups_below_a_directory_are_restored_and_validated", &["recursive"]),
    ("files_are_read_by_all_cpus_unless_told_otherwise", &["parallel"]),
    ("standard_input_is_read_in_pieces_of_the_buffer", &["std-buffer"]),
    ("ignored_records_are_0_with_a_warning_and_3_if_asked", &["fail-if-ignored"]),
    ("pause_of_the_c_tool_is_in_microseconds", &["retry-scale-factor"]),
    (
        "each_restore_flag_has_its_effect",
        &[
            "namespace",
            "shard",
            "compress",
            "batch-size",
            "max-async-batches",
            "disable-batch-writes",
            "set-list",
            "bin-list",
            "no-records",
            "no-indexes",
            "no-udfs",
            "extra-ttl",
            "ignore-record-error",
            "dead-letter",
            "apply-metadata-last",
            "index-conflict",
            "no-generation",
            "unique",
            "replace",
            "socket-timeout",
            "total-timeout",
            "retry-base-interval",
            "retry-multiplier",
            "retry-max-attempts",
            "records-per-second",
            "bandwidth",
            "require-manifest",
            "allow-extra",
            "verify-first",
            "dry-run",
            "continue",
            "state-dir",
            "state-interval",
            "no-resume",
        ],
    ),
];

#[test]
fn every_flag_has_a_test_that_shows_its_effect() {
    let tests = tests();
    for (command, own) in [(backup_command(), BACKUP), (restore_command(), RESTORE)] {
        let mut left: BTreeSet<String> = flags(&command).into_iter().map(|flag| flag.long).collect();
        for (test, longs) in BOTH.iter().chain(own) {
            let body = tests.get(*test);
            let body = body.unwrap_or_else(|| panic!("there is no test {test}, which a list here names"));
            for long in *longs {
                let arg = arg(&command, long);
                assert!(names(arg).iter().any(|name| mentions(body, name)), "{test} has no --{long} in it");
                left.remove(*long);
            }
        }
        let tool = command.get_name();
        assert!(left.is_empty(), "{tool}: name the tests that show the effect of these flags here: {left:?}");
    }
}

fn arg<'a>(command: &'a Command, long: &str) -> &'a Arg {
    let found = command.get_arguments().find(|arg| arg.get_long() == Some(long));
    found.unwrap_or_else(|| panic!("{} has no --{long}, which a list here names", command.get_name()))
}

/// Returns how a flag can be written.
fn names(arg: &Arg) -> Vec<String> {
    let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
    let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
    let longs = longs.into_iter().map(|long| format!("--{long}"));
    longs.chain(shorts.into_iter().map(|short| format!("-{short}"))).collect()
}

/// Returns whether a text has a flag in it that isn't the beginning or end of another.
fn mentions(text: &str, flag: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    text.match_indices(flag).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + flag.len()..]);
        !before.ends_with(is_part) && !behind.starts_with(is_part)
    })
}

/// Returns what stands in each test of this crate, by its name.
fn tests() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeMap::new();
    for path in [sources(&root.join("src")), sources(&root.join("tests"))].concat() {
        let text = fs::read_to_string(path).unwrap();
        for test in text.split("#[test]").skip(1) {
            let name = test.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            tests.extend(name.map(|(name, body)| (name.to_owned(), body.to_owned())));
        }
    }
    tests
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = directories.iter().flat_map(|directory| sources(directory));
    // The lists above are no proof of themselves.
    files.into_iter().filter(|path| !path.ends_with("config/effects.rs")).chain(below).collect()
}
