//! Names of what lies beside the data of one share of a backup. Source: docs/format/files.md, "Shares".

use std::fmt;

use crate::config::Shard;

/// What lies beside the data of one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShareFile {
    /// Its manifest.
    Manifest,
    /// Its state.
    State,
    /// What says that it was begun, and keeps other jobs away.
    Lock,
    /// The state of its restore.
    RestoreState,
    /// What keeps other jobs away from its restore.
    RestoreLock,
}

impl ShareFile {
    const ALL: [Self; 5] = [Self::Manifest, Self::State, Self::Lock, Self::RestoreState, Self::RestoreLock];

    /// Returns its name.
    pub(crate) fn name(self, shard: Shard) -> String {
        let (before, after) = self.ends();
        format!("{before}{}{after}", Middle(shard))
    }

    /// Returns what a file is by its name, complete or not, and which share's.
    pub(crate) fn of(name: &str) -> Option<(Self, Shard)> {
        let name = name.strip_suffix(".part").unwrap_or(name);
        Self::ALL.into_iter().find_map(|kind| {
            let (before, after) = kind.ends();
            let middle = name.strip_prefix(before)?.strip_suffix(after)?;
            let (index, of) = middle.split_once("-of-")?;
            let shard = format!("{index}/{of}").parse().ok()?;
            // Other spellings of a number aren't ours.
            (kind.name(shard) == name).then_some((kind, shard))
        })
    }

    /// Returns whether it belongs to a backup, and not to a restore.
    pub(crate) fn is_of_backup(self) -> bool {
        matches!(self, Self::Manifest | Self::State | Self::Lock)
    }

    fn ends(self) -> (&'static str, &'static str) {
        match self {
            Self::Manifest => ("asbackup.manifest.", ".json"),
            Self::State => ("asbackup.state.", ".json"),
            Self::Lock => ("asbackup.share.", ".lock"),
            Self::RestoreState => ("asbackup.restore.state.", ".json"),
            Self::RestoreLock => ("asbackup.restore.", ".lock"),
        }
    }
}

struct Middle(Shard);

impl fmt::Display for Middle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-of-{}", self.0.index(), self.0.of())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_and_which_share() {
        let shard = Shard::new(2, 3).unwrap();
        for (kind, name) in [
            (ShareFile::Manifest, "asbackup.manifest.2-of-3.json"),
            (ShareFile::State, "asbackup.state.2-of-3.json"),
            (ShareFile::Lock, "asbackup.share.2-of-3.lock"),
            (ShareFile::RestoreState, "asbackup.restore.state.2-of-3.json"),
            (ShareFile::RestoreLock, "asbackup.restore.2-of-3.lock"),
        ] {
            assert_eq!(kind.name(shard), name);
            assert_eq!(ShareFile::of(name), Some((kind, shard)));
            assert_eq!(ShareFile::of(&format!("{name}.part")), Some((kind, shard)));
        }
        for name in [
            "asbackup.manifest.json",
            "asbackup.state.json",
            "asbackup.manifest.4-of-3.json",
            "asbackup.manifest.02-of-3.json",
            "asbackup.manifest.2-of-3.json.old",
            "0_test_2.asb",
        ] {
            assert_eq!(ShareFile::of(name), None, "{name}");
        }
    }
}
