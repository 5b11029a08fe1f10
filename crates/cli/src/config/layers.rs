//! All layers together.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{
    ArgMatches, Command,
    error::{ContextKind, ContextValue, Error},
};

use super::{
    compat, environment, file,
    flags::{Flag, MASK, Secrecy, flags},
    line::Line,
    setting::{Finding, Setting},
};
use crate::args::Answer;

/// All layers together.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) command: Command,
    pub(super) flags: Vec<Flag>,
    pub(super) line: Line,
    /// What the file and the environment say and no later layer decides.
    pub(super) settings: Vec<Setting>,
    /// The file that was read.
    file: Option<PathBuf>,
}

impl Layers {
    /// Reads all layers for `command`. Keys and variables that only others of the `tools` have are left alone.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file and the environment; help and the version, if they are asked for.
    pub(super) fn read(
        command: Command,
        tools: &[Command; 2],
        arguments: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Answer> {
        let (own, foreign) = (flags(&command), tools.each_ref().map(flags).concat());
        let line = Line::read(&command, &own, arguments).map_err(Answer::from)?;
        if let Some(long) = line.contradiction(&own) {
            return Err(Answer::Wrong(vec![format!(
                "--{long} is given, and taken back with --{long}=false"
            )]));
        }
        let environment = environment::read(variables, &own, &foreign);
        let path = line.file().or_else(|| environment.file.map(PathBuf::from));
        let file = path.as_deref().map(|path| file::read(path, &own, &foreign)).unwrap_or_default();
        let findings: Vec<&Finding> = file.findings.iter().chain(&environment.findings).collect();
        if !findings.is_empty() {
            return Err(Answer::Wrong(findings.into_iter().map(ToString::to_string).collect()));
        }
        let is_decided =
            |setting: &Setting| environment.settings.iter().any(|other| other.flag.id == setting.flag.id);
        let mut settings = file.settings;
        settings.retain(|setting| !is_decided(setting));
        settings.extend(environment.settings);
        settings.retain(|setting| !line.decides(&setting.flag));
        Ok(Self { command, flags: own, line, settings, file: path })
    }

    /// Returns what clap makes of all layers.
    ///
    /// # Errors
    ///
    /// What clap says, and where each value that it speaks of comes from.
    pub(super) fn matches(&self) -> Result<ArgMatches, Answer> {
        self.command.clone().try_get_matches_from(self.arguments()).map_err(|error| self.explain(error))
    }

    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![self.line.program.clone()];
        // Without it an empty file would count as no arguments at all, which asks for help and is a success.
        let named = if self.line.file().is_none() { self.file.as_deref() } else { None };
        arguments.extend(named.map(config_argument));
        arguments.extend(self.settings.iter().flat_map(Setting::arguments).map(OsString::from));
        arguments.extend(self.line.arguments.iter().cloned());
        arguments
    }

    /// Adds to what clap says where the values come from, and takes secrets out.
    pub(super) fn explain(&self, error: Error) -> Answer {
        let mentioned = mentioned(&error);
        let is_mentioned = |flag: &&Flag| mentioned.contains(&flag.long);
        let settings = self.settings.iter().filter(|setting| mentioned.contains(&setting.flag.long));
        let mut notes: Vec<String> =
            settings.map(|setting| format!("--{} is from {}", setting.flag.long, setting.origin)).collect();
        notes.extend(compat::hint(self.command.get_name(), &error, &self.line.arguments));
        let secret = self.flags.iter().filter(is_mentioned).find(|flag| flag.secrecy == Secrecy::Secret);
        match secret {
            Some(flag) => Answer::Wrong([vec![self.hidden(flag, &error)], notes].concat()),
            None => Answer::Clap { error, notes },
        }
    }

    /// Returns the message of an error without the values of a secret flag.
    fn hidden(&self, flag: &Flag, error: &Error) -> String {
        let mut text = summary(error);
        let on_line = self.line.matches.get_raw(&flag.id).into_iter().flatten();
        let in_settings = self.settings.iter().filter(|setting| setting.flag.id == flag.id);
        let mut secrets: Vec<String> = on_line.map(|value| value.to_string_lossy().into_owned()).collect();
        secrets.extend(in_settings.flat_map(Setting::values).cloned());
        if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
            secrets.push(value.clone());
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.iter().for_each(|secret| text = text.replace(secret.as_str(), MASK));
        text
    }
}

fn config_argument(path: &Path) -> OsString {
    let mut argument = OsString::from("--config=");
    argument.push(path);
    argument
}

/// Returns what clap says as one line, without the usage.
pub(super) fn summary(error: &Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

/// Returns the long names of the flags that an error speaks of.
fn mentioned(error: &Error) -> Vec<String> {
    let kinds = [ContextKind::InvalidArg, ContextKind::PriorArg];
    let values = kinds.into_iter().filter_map(|kind| error.get(kind));
    let texts = values.flat_map(|value| match value {
        ContextValue::String(text) => vec![text.clone()],
        ContextValue::Strings(texts) => texts.clone(),
        _ => Vec::new(),
    });
    texts.filter_map(|text| long_name(&text)).collect()
}

/// Returns the name in `--name <VALUE>` or `--name=<VALUE>`.
fn long_name(text: &str) -> Option<String> {
    let name = text.strip_prefix("--")?;
    let end = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    name.get(..end.unwrap_or(name.len())).map(str::to_owned)
}
