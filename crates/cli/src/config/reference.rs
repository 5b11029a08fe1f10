//! The reference of all flags in docs/cli.md, and the table of docs/migration.md: both are held against clap.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::PathBuf};

use clap::{Arg, Command};

use super::{
    backup_command,
    flags::{CONFIG, Flag, flags, variable},
    restore_command,
};

/// Rewrites the documents if it is set.
const BLESS: &str = "BLESS";

#[test]
fn reference_in_the_docs_is_that_of_clap() {
    let mut text = read("cli.md");
    for command in [backup_command(), restore_command()] {
        let (begin, end) = (
            format!("<!-- begin {} -->\n", command.get_name()),
            format!("<!-- end {} -->", command.get_name()),
        );
        let from = text.find(&begin).expect("docs/cli.md has the marker") + begin.len();
        let to = text.find(&end).expect("docs/cli.md has the marker");
        text.replace_range(from..to, &table(&command));
    }
    check("cli.md", &text);
}

#[test]
fn migration_tells_which_flags_there_are() {
    let (backup, restore) = (longs(backup_command()), longs(restore_command()));
    let both: BTreeSet<String> = backup.intersection(&restore).cloned().collect();
    let mut known = &both;
    let mut text = String::new();
    for line in read("migration.md").lines() {
        match line.strip_prefix("## ") {
            Some("asbackup") => known = &backup,
            Some("asrestore") => known = &restore,
            Some(_) => known = &both,
            None => {}
        }
        writeln!(text, "{}", marked(line, known)).unwrap();
    }
    check("migration.md", &text);
}

/// Returns a row of the table whose column `Here` says of each flag that doesn't exist that it doesn't.
fn marked(line: &str, known: &BTreeSet<String>) -> String {
    let mut cells: Vec<String> = line.split('|').map(str::to_owned).collect();
    // A row begins and ends with a bar: | C tools | absctl | here | difference |
    if cells.len() == 6 {
        let plain = cells[3].replace(NOT_YET, "");
        let flags = plain.split('`').skip(1).step_by(2).filter_map(|name| name.strip_prefix("--"));
        cells[3] = flags.fold(plain.clone(), |cell, long| {
            let name = format!("`--{long}`");
            if known.contains(long) { cell } else { cell.replace(&name, &format!("{name}{NOT_YET}")) }
        });
    }
    cells.join("|")
}

const NOT_YET: &str = " (not yet)";

/// Returns the long names of all flags, also of those that clap adds when it builds a command.
fn longs(mut command: Command) -> BTreeSet<String> {
    command.build();
    command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect()
}

fn table(command: &Command) -> String {
    let mut text = "| Flag | Value | Default | Key | Variable | Meaning |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    let flags = flags(command);
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let flag = flags.iter().find(|flag| *arg.get_id() == flag.id);
        writeln!(text, "{}", row(arg, flag)).unwrap();
    }
    text
}

fn row(arg: &Arg, flag: Option<&Flag>) -> String {
    let long = arg.get_long().expect("each argument has a long name");
    let mut names: Vec<String> = arg.get_short().map(|letter| format!("`-{letter}`")).into_iter().collect();
    names.push(format!("`--{long}`"));
    let also =
        arg.get_all_short_aliases().unwrap_or_default().into_iter().map(|letter| format!("`-{letter}`"));
    let also =
        also.chain(arg.get_all_aliases().unwrap_or_default().into_iter().map(|name| format!("`--{name}`")));
    let also: Vec<String> = also.collect();
    if !also.is_empty() {
        names.push(format!("also {}", also.join(", ")));
    }
    let (key, variable) = match flag {
        Some(flag) => (format!("`{}`", flag.key), format!("`{}`", flag.variable())),
        None if long == CONFIG => (String::new(), format!("`{}`", variable(CONFIG))),
        None => Default::default(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| {} | {} | {} | {key} | {variable} | {help} |", names.join(", "), value(arg), default(arg))
}

fn value(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return possible.iter().map(|value| format!("`{}`", value.get_name())).collect::<Vec<_>>().join(", ");
    }
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ")
}

fn default(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    let defaults = defaults.collect::<Vec<_>>().join(",");
    if defaults.is_empty() && arg.is_required_set() { "required".to_owned() } else { defaults }
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", name].iter().collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

#[track_caller]
fn check(name: &str, expected: &str) {
    if env::var_os(BLESS).is_some() {
        fs::write(path(name), expected).unwrap();
    }
    let is_current = read(name) == expected;
    assert!(is_current, "docs/{name} is stale: {BLESS}=1 cargo test -p asbackup-cli --lib rewrites it");
}
