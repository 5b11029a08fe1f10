//! The command line as the highest layer.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use super::flags::{CONFIG, Flag, Takes};

/// The command line of a user.
#[derive(Debug)]
pub(super) struct Line {
    /// The program's name.
    pub(super) program: OsString,
    /// The other arguments, without those that take a switch back.
    pub(super) arguments: Vec<OsString>,
    /// What clap makes of them, as far as it gets.
    pub(super) matches: ArgMatches,
    /// Switches that are taken back with `--flag=false`, by their names in clap.
    off: BTreeSet<String>,
}

impl Line {
    /// Reads a command line, the program's name first. What is wrong with it is left for the parse of all layers.
    ///
    /// # Errors
    ///
    /// The answer, if help or the version is asked for.
    pub(super) fn read(
        command: &Command,
        flags: &[Flag],
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut given = arguments.into_iter();
        let program = given.next().unwrap_or_else(|| command.get_name().into());
        let (mut arguments, mut off) = (Vec::new(), BTreeSet::new());
        for argument in given {
            match switch(command, flags, &argument) {
                Some((long, "true")) => arguments.push(format!("--{long}").into()),
                Some((_, "false")) => {
                    let name = argument.to_string_lossy();
                    off.extend(find(command, &name).map(|arg| arg.get_id().to_string()));
                }
                _ => arguments.push(argument),
            }
        }
        let lenient = command.clone().ignore_errors(true);
        let matches = lenient.try_get_matches_from(std::iter::once(&program).chain(&arguments))?;
        Ok(Self { program, arguments, matches, off })
    }

    /// Returns whether the line says something about a flag.
    pub(super) fn decides(&self, flag: &Flag) -> bool {
        self.gives(&flag.id) || self.off.contains(&flag.id)
    }

    /// Returns whether a flag is on the line.
    pub(super) fn gives(&self, id: &str) -> bool {
        self.matches.value_source(id) == Some(ValueSource::CommandLine)
    }

    /// Returns the file that the line names.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.matches.get_one(CONFIG).cloned()
    }

    /// Returns a switch that the line both gives and takes back.
    pub(super) fn contradiction<'a>(&self, flags: &'a [Flag]) -> Option<&'a str> {
        let both = |flag: &&Flag| self.off.contains(&flag.id) && self.gives(&flag.id);
        flags.iter().find(both).map(|flag| flag.long.as_str())
    }
}

/// Returns the long name and the value of an argument `--switch=value`.
fn switch<'a>(command: &Command, flags: &[Flag], argument: &'a OsString) -> Option<(String, &'a str)> {
    let text = argument.to_str()?;
    let (_, value) = text.split_once('=')?;
    let id = find(command, text)?.get_id().to_string();
    let flag = flags.iter().find(|flag| flag.id == id && flag.takes == Takes::Nothing)?;
    Some((flag.long.clone(), value))
}

/// Returns what an argument `--name=value` is to clap.
fn find<'a>(command: &'a Command, argument: &str) -> Option<&'a Arg> {
    let (name, _) = argument.strip_prefix("--")?.split_once('=')?;
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}
