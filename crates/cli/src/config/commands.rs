//! The commands about the tools themselves: `config check`, `config show`, `completions`, `man`.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, builder::PossibleValuesParser, value_parser,
};
use clap_complete::Shell;

use super::{check, layers::Layers, show, with_file};
use crate::args::{Answer, Complete, Inspect};

const COMPLETIONS: &str = "completions";
const MAN: &str = "man";
const SETTINGS: &str = "config";
const SHOW: &str = "show";
const PAGE: &str = "page";

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
    let others = beside(&command).into_iter().map(|(name, _)| name);
    let pages: Vec<&str> = [SETTINGS, COMPLETIONS, MAN].into_iter().chain(others).collect();
    let page = Arg::new(PAGE).value_name("COMMAND").value_parser(PossibleValuesParser::new(pages));
    let man = Command::new(MAN)
        .about("Print the man page, of the tool or of one of its commands")
        .arg(page.help("The command"));
    command
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommands([settings, completions, man].map(with_help))
}

/// Returns the commands of a tool that are read apart from it, since they have flags of their own, and their names.
fn beside(tool: &Command) -> Vec<(&'static str, Command)> {
    match tool.get_name() {
        "asbackup" => vec![("inspect", Inspect::command()), ("complete", Complete::command())],
        _ => Vec::new(),
    }
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
    let others = beside(&command).into_iter().map(|(name, other)| with_file(other.name(name)));
    let whole = command.subcommands(others);
    Ok(match matches.subcommand() {
        Some((SETTINGS, matches)) => check::check(tools, &file(matches)),
        Some((COMPLETIONS, matches)) => Answer::Text(completions(whole, matches)),
        Some((_, matches)) => Answer::Text(man(whole, matches.get_one::<String>(PAGE))),
        None => Answer::Text(man(whole, None)),
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

fn man(mut command: Command, name: Option<&String>) -> String {
    // Only then do the commands know the tool's name.
    command.build();
    let named = name.and_then(|name| command.find_subcommand(name)).cloned();
    let mut page = Vec::new();
    clap_mangen::Man::new(named.unwrap_or(command))
        .render(&mut page)
        .expect("writing into memory cannot fail");
    String::from_utf8_lossy(&page).into_owned()
}
