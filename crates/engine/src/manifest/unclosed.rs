//! Shares of a backup that nobody has made one backup of yet, by the names of what lies beside their data.

use std::{collections::BTreeMap, fmt};

use crate::{
    config::Shard,
    naming::{self, ShareFile},
};

/// The shares of a backup, as far as they are there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclosed {
    /// How many there are to be.
    pub(crate) of: u16,
    /// Those that are complete.
    pub(crate) complete: Vec<Shard>,
    /// Those that were begun, and aren't complete.
    pub(crate) begun: Vec<Shard>,
    /// Those of which nothing is there.
    pub(crate) missing: Vec<Shard>,
}

impl Unclosed {
    /// Returns the shares that files of these names are of; several if they are of several counts.
    pub(crate) fn find<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let mut found: BTreeMap<u16, BTreeMap<Shard, bool>> = BTreeMap::new();
        for name in names.into_iter().filter(|name| naming::is_of_share(name)) {
            let Some((kind, shard)) = ShareFile::of(name) else { continue };
            let is_complete = kind == ShareFile::Manifest && !naming::is_unfinished(name);
            *found.entry(shard.of()).or_default().entry(shard).or_default() |= is_complete;
        }
        found.into_iter().map(|(of, shares)| Self::sort(of, &shares)).collect()
    }

    fn sort(of: u16, shares: &BTreeMap<Shard, bool>) -> Self {
        let such =
            |what: Option<bool>| Shard::all(of).filter(|shard| shares.get(shard).copied() == what).collect();
        Self { of, complete: such(Some(true)), begun: such(Some(false)), missing: such(None) }
    }

    /// Returns whether all are complete.
    pub(crate) fn is_ready(&self) -> bool {
        self.complete.len() == usize::from(self.of)
    }
}

/// `of 9 shares 1..3,5 are complete, 4 are begun, 6..9 are missing`
impl fmt::Display for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} shares", self.of)?;
        let mut separator = " ";
        for (shares, what) in [
            (&self.complete, "complete"),
            (&self.begun, "begun, but not complete"),
            (&self.missing, "missing"),
        ] {
            if !shares.is_empty() {
                write!(
                    f,
                    "{separator}{} {} {what}",
                    runs(shares),
                    if shares.len() == 1 { "is" } else { "are" }
                )?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

fn runs(shares: &[Shard]) -> String {
    let by_run = shares.chunk_by(|one, next| one.index() + 1 == next.index());
    let texts = by_run.map(|run| match run {
        [one] => one.index().to_string(),
        run => format!("{}..{}", run[0].index(), run[run.len() - 1].index()),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_by_what_lies_beside_their_data() {
        let names = [
            "0_test_1.asb",
            "asbackup.manifest.1-of-9.json",
            "asbackup.manifest.2-of-9.json",
            "asbackup.state.2-of-9.json",
            "asbackup.manifest.3-of-9.json",
            "asbackup.manifest.5-of-9.json.part",
            "asbackup.share.6-of-9.lock",
            "asbackup.restore.state.7-of-9.json",
        ];
        let found = Unclosed::find(names);
        assert_eq!(found.len(), 1);
        assert!(!found[0].is_ready());
        let expected = "of 9 shares 1..3 are complete, 5..6 are begun, but not complete, 4,7..9 are missing";
        assert_eq!(found[0].to_string(), expected);
        let ready = Unclosed::find(["asbackup.manifest.1-of-1.json"]);
        assert!(ready[0].is_ready());
        assert_eq!(ready[0].to_string(), "of 1 shares 1 is complete");
        assert_eq!(Unclosed::find(["asbackup.manifest.1-of-2.json", "asbackup.state.1-of-3.json"]).len(), 2);
        assert_eq!(
            Unclosed::find(["0_test_1.asb", "asbackup.state.json", "asbackup.restore.1-of-2.lock"]),
            []
        );
    }
}
