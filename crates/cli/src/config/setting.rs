//! What a file or a variable says about one flag.

use std::{fmt, path::PathBuf};

use super::{flags::Flag, yaml::Place};

/// What a file or a variable says about one flag.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) flag: Flag,
    pub(super) given: Given,
    pub(super) origin: Origin,
}

/// What a flag is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// It isn't given, whatever a lower layer says.
    Off,
    /// It is given without a value.
    On,
    /// It is given with values, one at least.
    Values(Vec<String>),
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File { path: PathBuf, place: Place },
    Variable(String),
}

/// What is wrong with a file or a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) origin: Origin,
    pub(super) message: String,
}

impl Setting {
    /// Returns the arguments that say the same. What is the default anyway needs none: as an argument it could conflict with
    /// others, while absctl's files spell out every default.
    pub(super) fn arguments(&self) -> Vec<String> {
        let long = &self.flag.long;
        if !self.values().is_empty() && self.values() == self.flag.default {
            return Vec::new();
        }
        match (&self.given, self.flag.delimiter) {
            (Given::Off, _) => Vec::new(),
            (Given::On, _) => vec![format!("--{long}")],
            (Given::Values(values), Some(delimiter)) => {
                vec![format!("--{long}={}", values.join(delimiter.encode_utf8(&mut [0; 4])))]
            }
            (Given::Values(values), None) => values.iter().map(|value| format!("--{long}={value}")).collect(),
        }
    }

    /// Returns its values.
    pub(super) fn values(&self) -> &[String] {
        match &self.given {
            Given::Values(values) => values,
            Given::Off | Given::On => &[],
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, place } if *place == Place::default() => write!(f, "{}", path.display()),
            Self::File { path, place } => {
                write!(f, "{}:{}:{}", path.display(), place.line, place.column)
            }
            Self::Variable(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}
