//! The commands about the tools themselves: `config check`, `config show`, `completions`, `man`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, value_parser};
use clap_complete::Shell;

use super::{check, layers::Layers, show};
use crate::args::Answer;

const COMPLETIONS: &str = "completions";
const MAN: &str = "man";
const SETTINGS: &str = "config";
const SHOW: &str = "show";

/// Adds the commands to a tool.
pub(super) fn add(command: Command) -> Command {
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf));
    let check = Command::new("check")
        .about("Check a file, for both tools, and print all that is wrong with it")
        .arg(file.help("YAML file"));
    let show = Command::new(SHOW)
        .about("Print the value of each flag as YAML, and where it comes from; takes all flags");
    let settings = Command::new(SETTINGS)
        .about("Check a configuration file, or show what is configured")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands([with_help(check), with_help(show)]);
    let shell =
        Arg::new("shell").required(true).value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"]));
    let completions =
        Command::new(COMPLETIONS).about("Print the completions for a shell").arg(shell.help("The shell"));
    let man = Command::new(MAN).about("Print the man page");
    command
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommands([settings, completions, man].map(with_help))
}

/// Gives a command the help flag of the tools, whose `-h` is the host.
fn with_help(command: Command) -> Command {
    let help = Arg::new("help").short('Z').long("help").action(ArgAction::HelpShort).help("Print this help");
    command.disable_help_flag(true).arg(help)
}

/// Returns whether the arguments, the program's name first, are one of these commands.
pub(super) fn is_ours(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|word| [COMPLETIONS, MAN, SETTINGS].iter().any(|name| word == name))
}

/// Runs one of these commands, and returns what it prints.
///
/// # Errors
///
/// What is wrong with the arguments.
pub(super) fn run(
    command: Command,
    tools: &[Command; 2],
    mut arguments: Vec<OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Answer, Answer> {
    if let [_, first, second, ..] = arguments.as_slice()
        && first == SETTINGS
        && second == SHOW
        && !arguments.iter().skip(3).any(|word| word == "--help" || word == "-Z")
    {
        arguments.drain(1..3);
        return show::show(&Layers::read(command, tools, arguments, variables)?);
    }
    let matches = command.clone().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some((SETTINGS, matches)) => check::check(tools, &file(matches)),
        Some((COMPLETIONS, matches)) => Answer::Text(completions(command, matches)),
        _ => Answer::Text(man(command)),
    })
}

fn file(matches: &ArgMatches) -> PathBuf {
    let file = matches.subcommand().and_then(|(_, matches)| matches.get_one::<PathBuf>("file"));
    file.cloned().unwrap_or_default()
}

fn completions(mut command: Command, matches: &ArgMatches) -> String {
    let shell = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => Shell::Bash,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn man(command: Command) -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).expect("writing into memory cannot fail");
    String::from_utf8_lossy(&page).into_owned()
}
