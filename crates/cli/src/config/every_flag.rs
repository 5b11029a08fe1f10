//! Every flag can be given by its key in a file and by its variable, with the same effect.

use std::fs;

use clap::{ArgMatches, Command, error::ErrorKind};
use tempfile::TempDir;

use super::{
    backup_command,
    flags::{CONFIG, Flag, Takes, flags},
    layers::Layers,
    restore_command,
};

/// Values of flags that take none of `CANDIDATES`.
const SAMPLES: [(&str, &str); 0] = [];

/// Values of which most flags take one.
const CANDIDATES: [&str; 8] = ["7", "1.5", "name", "a,b", "true", "2020-01-01", "127.0.0.1:3000", "/tmp"];

#[test]
fn every_flag_is_a_key_and_a_variable() {
    let directory = TempDir::new().unwrap();
    let tools = [backup_command(), restore_command()];
    for command in &tools {
        for flag in flags(command) {
            let value = sample(command, &flag);
            let line = match &value {
                Some(value) => format!("--{}={value}", flag.long),
                None => format!("--{}", flag.long),
            };
            let path = directory.path().join("config.yaml");
            fs::write(&path, yaml(&flag, value.as_deref())).unwrap();
            let file = format!("--{CONFIG}={}", path.display());
            let variable = (flag.variable(), value.unwrap_or_else(|| "true".to_owned()));
            let read = |arguments: &[String], variables: &[(String, String)]| {
                let arguments =
                    [&[command.get_name().to_owned()], arguments].concat().into_iter().map(Into::into);
                let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
                raw(&Layers::read(command.clone(), &tools, arguments, variables).unwrap())
            };
            let expected = read(&[line], &[]);
            assert_eq!(read(&[file], &[]), expected, "{}: by key", flag.long);
            assert_eq!(read(&[], &[variable]), expected, "{}: by variable", flag.long);
            assert_ne!(read(&[], &[]), expected, "{}: the sample is the default", flag.long);
        }
    }
}

/// Returns a value that a flag takes and that isn't its default; none for one that takes none.
fn sample(command: &Command, flag: &Flag) -> Option<String> {
    if flag.takes == Takes::Nothing {
        return None;
    }
    let arg = command.get_arguments().find(|arg| *arg.get_id() == flag.id).unwrap();
    if let Some((_, value)) = SAMPLES.iter().find(|(long, _)| *long == flag.long) {
        return Some((*value).to_owned());
    }
    let possible = arg.get_possible_values();
    let candidates = possible.iter().map(|value| value.get_name()).chain(CANDIDATES);
    let is_taken = |value: &&str| {
        let line = [command.get_name().to_owned(), format!("--{}={value}", flag.long)];
        let refusal = command.clone().try_get_matches_from(line).err().map(|error| error.kind());
        let is_default = arg.get_default_values().iter().any(|default| default == *value);
        matches!(refusal, None | Some(ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict))
            && !is_default
    };
    let found = candidates.into_iter().find(is_taken).map(str::to_owned);
    assert!(
        found.is_some(),
        "--{0} is new and takes no common value: add (\"{0}\", \"a value that it takes\") to SAMPLES in {1}",
        flag.long,
        file!()
    );
    found
}

fn yaml(flag: &Flag, value: Option<&str>) -> String {
    let value = value.map_or_else(|| "true".to_owned(), |value| format!("{value:?}"));
    let depth = flag.key.matches('.').count();
    format!("{}: {value}{}\n", flag.key.replace('.', ": {"), "}".repeat(depth))
}

/// Returns the values of all flags as clap splits them.
fn raw(layers: &Layers) -> Vec<(String, Vec<String>)> {
    let lenient = layers.command.clone().ignore_errors(true);
    let matches = lenient.try_get_matches_from(layers.arguments()).unwrap();
    layers.flags.iter().map(|flag| (flag.long.clone(), values(&matches, &flag.id))).collect()
}

fn values(matches: &ArgMatches, id: &str) -> Vec<String> {
    let values = matches.get_raw(id).into_iter().flatten();
    let mut values: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
    values.push(format!("{:?}", matches.value_source(id)));
    values
}
