//! Where the values of flags come from: defaults, then a file, then the environment, then the command line, of which the
//! later wins.
//!
//! A file and the environment become arguments that stand before those of the user, and an argument that a later layer gives
//! too is left out. So clap parses and checks every value, wherever it comes from, and sees conflicts between layers.

mod absctl;
mod check;
mod commands;
mod compat;
mod environment;
mod file;
mod flags;
mod layers;
mod line;
mod setting;
mod show;
mod yaml;

#[cfg(test)]
mod effects;
#[cfg(test)]
mod every_flag;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, Command, CommandFactory, Parser, value_parser};

use crate::args::{Answer, Asbackup, Asrestore};

use self::{flags::CONFIG, layers::Layers};

/// Returns what the arguments, whose first is the program's name, say together with a file and the environment.
///
/// # Errors
///
/// What is to be printed instead of running.
pub(crate) fn parse<A: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<A, Answer> {
    let tools = [backup_command(), restore_command()];
    let tool = A::command();
    let is_tool = tools.iter().any(|known| known.get_name() == tool.get_name());
    let command = if is_tool { with_configuration(tool) } else { with_file(tool) };
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [_, word] = arguments.as_mut_slice()
        && word == "help"
    {
        *word = "--help".into();
    }
    if is_tool && commands::is_ours(&arguments) {
        return Err(commands::run(command, &tools, arguments, variables).unwrap_or_else(|answer| answer));
    }
    let layers = Layers::read(command, &tools, arguments, variables)?;
    let matches = layers.matches()?;
    A::from_arg_matches(&matches).map_err(|error| layers.explain(error))
}

/// Returns `asbackup` as clap knows it.
fn backup_command() -> Command {
    with_configuration(Asbackup::command())
}

/// Returns `asrestore` as clap knows it.
fn restore_command() -> Command {
    with_configuration(Asrestore::command())
}

/// Adds all that this module deals with to a tool.
fn with_configuration(command: Command) -> Command {
    commands::add(compat::with_aliases(with_file(command)))
}

fn with_file(command: Command) -> Command {
    let file = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help_heading("Configuration")
        .help("YAML file with values of flags; the environment and the flags themselves go before it");
    command.arg(file)
}
