//! Where log messages go.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Mutex,
};

use asbackup::ErrorKind;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};

use crate::{
    args::{LogLevel, Output},
    console::Console,
    failure::Failure,
};

/// Sends log messages of this process to where the flags say.
pub(crate) fn install(output: &Output, console: &Console) -> Result<(), Failure> {
    match &output.log_file {
        None => set(output, console.has_colors(), console.clone()),
        Some(path) => {
            let file = open(path).map_err(|error| {
                let message = format!("cannot open the log file {}", path.display());
                Failure::usage(message, "name another one with --log-file").because(&error)
            })?;
            set(output, false, Mutex::new(file))
        }
    }
}

fn set<W>(output: &Output, colors: bool, writer: W) -> Result<(), Failure>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = SubscriberBuilder::default()
        .with_max_level(level(output.level()))
        .with_ansi(colors)
        .with_target(false)
        // It would be printed to standard error, which panics if that is what fails. The job is worth more than its log.
        .log_internal_errors(false)
        .with_writer(writer);
    let set = if output.log_json { builder.json().try_init() } else { builder.try_init() };
    set.map_err(|error| Failure::new(ErrorKind::Internal, "cannot log").because(error.as_ref()))
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::options().create(true).append(true).open(path)
}
