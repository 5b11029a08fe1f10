//! What is printed, and where.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// What is printed, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Form of the final report: text on standard error, or one line of JSON on standard output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,

    /// Write the report into this file; the text goes to standard error as well
    #[arg(long, value_name = "PATH")]
    pub(crate) report_file: Option<PathBuf>,

    /// Append the progress to this file, as one JSON object a second and one at the end
    #[arg(long, value_name = "PATH")]
    pub(crate) progress_file: Option<PathBuf>,

    /// Print neither progress nor the text report, and of the logs only warnings and errors
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Log more: the same as --log-level debug
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Least important messages that are logged; default: info
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,

    /// Log, and tell the progress, as one JSON object a line
    #[arg(long)]
    pub(crate) log_json: bool,

    /// Append the log to this file, not to standard error
    #[arg(long, value_name = "PATH")]
    pub(crate) log_file: Option<PathBuf>,

    /// Colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,

    /// Print this help
    #[arg(short = 'Z', long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

/// The form of the final report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What each request does.
    Debug,
    /// What the job does.
    Info,
    /// What a person should look at.
    Warn,
    /// Why the job fails.
    Error,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Output {
    /// Returns the least important level that is logged.
    pub(crate) fn level(&self) -> LogLevel {
        match self.log_level {
            Some(level) => level,
            None if self.verbose => LogLevel::Debug,
            None if self.quiet => LogLevel::Warn,
            None => LogLevel::Info,
        }
    }
}
