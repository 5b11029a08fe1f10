//! `config check`: all that is wrong with a file.

use std::path::Path;

use clap::{Command, error::ErrorKind};

use super::{
    file,
    flags::{MASK, Secrecy, flags},
    layers::summary,
    setting::{Finding, Origin, Setting},
    yaml::Place,
};
use crate::args::Answer;

/// Checks a file for all tools that it may serve.
pub(super) fn check(tools: &[Command; 2], path: &Path) -> Answer {
    let [one, other] = tools;
    let mut findings = [findings(one, other, path), findings(other, one, path)].concat();
    findings.sort_by_key(|finding| (place(finding).line, place(finding).column, finding.message.clone()));
    // What both tools have is found twice.
    findings.dedup();
    if findings.is_empty() {
        return Answer::Text(format!("{}: nothing is wrong\n", path.display()));
    }
    Answer::Wrong(findings.iter().map(ToString::to_string).collect())
}

fn place(finding: &Finding) -> Place {
    match &finding.origin {
        Origin::File { place, .. } => *place,
        Origin::Variable(_) => Place::default(),
    }
}

fn findings(tool: &Command, foreign: &Command, path: &Path) -> Vec<Finding> {
    let file = file::read(path, &flags(tool), &flags(foreign));
    let mut findings = file.findings;
    let single = file.settings.iter().filter_map(|setting| {
        let message = refusal(tool, setting.arguments())?;
        Some(Finding { origin: setting.origin.clone(), message: hidden(setting, message) })
    });
    let single: Vec<Finding> = single.collect();
    if single.is_empty() {
        let origin = Origin::File { path: path.to_owned(), place: Place::default() };
        let all = file.settings.iter().flat_map(Setting::arguments).collect();
        findings.extend(refusal(tool, all).map(|message| Finding { origin, message }));
    }
    findings.extend(single);
    findings
}

/// Returns why clap refuses arguments. What is missing may still be given as flags, and is no reason.
fn refusal(tool: &Command, arguments: Vec<String>) -> Option<String> {
    let program = tool.get_name().to_owned();
    let error = tool.clone().try_get_matches_from(std::iter::once(program).chain(arguments)).err()?;
    match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => None,
        _ => Some(summary(&error)),
    }
}

fn hidden(setting: &Setting, message: String) -> String {
    let message = match setting.flag.secrecy {
        Secrecy::Open => message,
        Secrecy::Secret => setting.values().iter().fold(message, |text, value| text.replace(value, MASK)),
    };
    format!("{}: {message}", setting.flag.key)
}
