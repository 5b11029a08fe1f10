//! Standard error: whole lines, and below them, on a terminal, one live line.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::args::{Color, Output};

/// Standard error. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    /// The live line; it draws nothing where there is none.
    live: ProgressBar,
    colors: bool,
}

impl Console {
    /// Returns the console as the flags want it.
    pub(crate) fn new(output: &Output) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal && !output.quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let live = ProgressBar::with_draw_target(None, target);
        live.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is valid"));
        let colors = match output.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && env::var_os("NO_COLOR").is_none(),
        };
        Self { live, colors }
    }

    /// Returns whether there is a live line.
    pub(crate) fn is_live(&self) -> bool {
        !self.live.is_hidden()
    }

    /// Returns whether colours are wanted.
    pub(crate) fn has_colors(&self) -> bool {
        self.colors
    }

    /// Changes the live line.
    pub(crate) fn show(&self, text: String) {
        self.live.set_message(text);
    }

    /// Removes the live line for good.
    pub(crate) fn clear(&self) {
        self.live.finish_and_clear();
    }

    /// Writes a line, above the live one.
    pub(crate) fn line(&self, text: &str) {
        // Nobody is left to be told that standard error is closed.
        self.live.suspend(|| writeln!(io::stderr().lock(), "{text}")).ok();
    }

    /// Writes the lines of a message behind a label, which is coloured if colours are wanted.
    pub(crate) fn message(&self, label: &str, lines: &[String]) {
        let [first, rest @ ..] = lines else { return };
        let (bold, plain) = if self.colors { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        self.line(&format!("{bold}{label}:{plain} {first}"));
        rest.iter().for_each(|line| self.line(line));
    }
}

/// Writes what is logged above the live line.
impl<'a> MakeWriter<'a> for Console {
    type Writer = ConsoleWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        ConsoleWriter(self)
    }
}

/// Writes above the live line.
#[derive(Debug)]
pub(crate) struct ConsoleWriter<'a>(&'a Console);

impl Write for ConsoleWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.live.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
