//! What lies in a directory beside one share of a backup: files of other shares don't count, as long as all of them can
//! become one backup.

use std::collections::BTreeMap;

use asbackup_codec::envelope::AesKey;
use asbackup_storage::Local;

use super::{document::State, start::check_options};
use crate::{
    Error, ErrorKind,
    config::{BackupConfig, Shard},
    manifest::{self, Manifest},
    naming::{self, ShareFile},
};

/// Returns those of `names` that aren't of other shares: all that this share has to answer for.
///
/// # Errors
/// If these can't become one backup with this share.
pub(super) fn own_names(
    shard: Shard,
    (config, key): (&BackupConfig, Option<&AesKey>),
    target: &Local,
    names: Vec<String>,
) -> Result<Vec<String>, Error> {
    if names.iter().any(|name| name == naming::MANIFEST) {
        let message = format!("{} holds a backup that is complete", target.path().display());
        return Err(Error::of(ErrorKind::Config, message).hint("choose another directory").build());
    }
    if let Some(other) = of_backup(&names).map(|(_, other)| other).find(|other| other.of() != shard.of()) {
        return Err(other_count(shard, other, target));
    }
    let (own, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_own(name, shard));
    check_others((config, key), target, &others)?;
    let sign = ShareFile::Lock.name(shard);
    let mut own: Vec<_> = own.into_iter().filter(|name| *name != sign).collect();
    // What no share vouches for may be a backup of another tool.
    if !others.is_empty() && !is_vouched_for(shard, &others, target)? {
        own.extend(others);
    }
    Ok(own)
}

/// Returns whether there is a sign of another share. A share that ended while the directory was listed may have shown none:
/// its state and its lock were gone, and its manifest was not there yet. So it is listed once more.
fn is_vouched_for(shard: Shard, others: &[String], target: &Local) -> Result<bool, Error> {
    if of_backup(others).next().is_some() {
        return Ok(true);
    }
    let names: Vec<String> = target.list()?.into_iter().map(|file| file.name).collect();
    Ok(of_backup(&names).any(|(_, other)| other != shard))
}

/// Returns the kind and the share of each file that lies beside the data of one.
fn of_backup(names: &[String]) -> impl Iterator<Item = (ShareFile, Shard)> {
    names.iter().filter_map(|name| ShareFile::of(name)).filter(|(kind, _)| kind.is_of_backup())
}

fn is_own(name: &str, shard: Shard) -> bool {
    let whole = name.strip_suffix(".part").unwrap_or(name);
    if let Some((kind, other)) = ShareFile::of(name) {
        return other == shard || !kind.is_of_backup();
    }
    if whole == naming::SIDE_FILE {
        return shard.is_first();
    }
    // A side file with a number is none of a share.
    let number = naming::number(whole).filter(|_| naming::is_data(whole));
    number.is_none_or(|number| number == 0 || shard.has_number(number))
}

/// Checks that other shares were begun with the same options, as far as they can be read: better now than at the end.
fn check_others(
    (config, key): (&BackupConfig, Option<&AesKey>),
    target: &Local,
    others: &[String],
) -> Result<(), Error> {
    let mut documents = BTreeMap::new();
    for name in others.iter().filter(|name| !name.ends_with(".part")) {
        if let Some((kind @ (ShareFile::Manifest | ShareFile::State), other)) = ShareFile::of(name) {
            documents.insert(other, (kind, name));
        }
    }
    for (other, (kind, name)) in documents {
        // One that went away just now is that of a share that has ended.
        let Ok(Ok(bytes)) = manifest::read(target, name) else { continue };
        match kind {
            ShareFile::State => {
                let Ok(state) = State::decode_names(&bytes) else { continue };
                check_options(&state.options, &manifest::options(config, key), &format!("share {other}"))?;
            }
            _ => check_manifest((config, key), other, name, &bytes)?,
        }
    }
    Ok(())
}

fn check_manifest(
    (config, key): (&BackupConfig, Option<&AesKey>),
    other: Shard,
    name: &str,
    bytes: &[u8],
) -> Result<(), Error> {
    let Ok(manifest) = Manifest::decode_unchecked(bytes) else { return Ok(()) };
    if manifest.fingerprint() == manifest::fingerprint(config, key) {
        return Ok(());
    }
    let message = format!(
        "share {other} of the backup was made with other options, so that this one can't be of the same"
    );
    Err(Error::of(ErrorKind::Config, message)
        .place(|place| place.file = Some(name.to_owned()))
        .hint("give all shares the same options and key, times as points in time and not as ages, or choose another directory")
        .build())
}

fn other_count(shard: Shard, other: Shard, target: &Local) -> Error {
    let (path, of) = (target.path().display(), other.of());
    let message = format!("{path} holds a backup in {of} shares, and {shard} is none of them");
    Error::of(ErrorKind::Config, message)
        .hint("give all shares the same count, or choose another directory")
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_shares_are_told_by_number_and_name() {
        let own = |name| is_own(name, Shard::new(2, 3).unwrap());
        for name in [
            "0_test_2.asb",
            "7_test_5.asb.part",
            "metadata_test_8.asb",
            "[test]_00000.asb",
            "nightly.asb",
            "notes.txt",
            "asbackup.state.json",
            "asbackup.extra.1.json",
            "asbackup.state.2-of-3.json.part",
            "asbackup.restore.state.1-of-3.json",
        ] {
            assert!(own(name), "{name}");
        }
        for name in [
            "0_test_1.asb",
            "0_test_3.asb.part",
            "metadata_test_1.asb",
            "asbackup.extra.json",
            "asbackup.manifest.1-of-3.json",
            "asbackup.state.3-of-3.json.part",
            "asbackup.share.1-of-3.lock",
        ] {
            assert!(!own(name), "{name}");
        }
        assert!(is_own("asbackup.extra.json", Shard::new(1, 3).unwrap()));
    }
}
