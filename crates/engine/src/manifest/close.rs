//! One manifest out of those of all shares of a backup. Source: docs/format/manifest.md, "Shares".

use std::collections::BTreeMap;

use super::{
    document::{Manifest, Totals},
    error::DocumentError,
    shares::{AllShards, ClosedShare, Shards},
};
use crate::{config::Shard, naming};

/// Returns the manifest of the whole, given those of all shares in their order.
///
/// # Errors
/// What in them contradicts each other.
pub(crate) fn close(shares: &[(Shard, Manifest)]) -> Result<Manifest, DocumentError> {
    let Some((share, first)) = shares.first() else {
        return Err(DocumentError::Contradiction { what: "there are no shares".to_owned() });
    };
    let mut whole = Manifest {
        run: None,
        files: Vec::new(),
        totals: Totals { records: 0, indexes: 0, udfs: 0, bytes: 0, inexact: BTreeMap::new() },
        shards: None,
        seal: String::new(),
        ..first.clone()
    };
    let mut closed = Vec::new();
    for (shard, share) in shares {
        whole.add(share);
        closed.push(ClosedShare {
            share: shard.index(),
            run: share.run.clone(),
            started: share.started.clone(),
            finished: share.finished.clone(),
            partitions: share.partitions,
        });
    }
    whole.files.sort_by_key(|file| naming::number(&file.name));
    whole.shards = Some(Shards::All(AllShards { of: share.of(), shares: closed }));
    whole.check()?;
    Ok(whole)
}

impl Manifest {
    /// Adds what a share holds. Times are all of the same form, so that their order is that of their texts.
    fn add(&mut self, share: &Self) {
        self.started = self.started.clone().min(share.started.clone());
        self.finished = self.finished.clone().max(share.finished.clone());
        self.partitions |= share.partitions;
        self.files.extend(share.files.iter().cloned());
        let Totals { records, indexes, udfs, bytes, inexact } = &share.totals;
        self.totals.records += records;
        self.totals.indexes += indexes;
        self.totals.udfs += udfs;
        self.totals.bytes += bytes;
        inexact
            .iter()
            .for_each(|(kind, count)| *self.totals.inexact.entry(kind.clone()).or_default() += count);
    }

    /// Returns what of another share's manifest isn't as in this one, though it should be, if anything is.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let same_envelope = self.envelope.encryption == other.envelope.encryption
            && self.is_compressed() == other.is_compressed();
        let differences = [
            (self.namespace != other.namespace, "namespace"),
            (!same_envelope, "compression or encryption"),
            (self.cluster.name != other.cluster.name, "cluster"),
            (self.fingerprint != other.fingerprint, "options"),
        ];
        differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }

    /// Returns the shares that it was made of, if it was.
    pub(crate) fn all_shards(&self) -> Option<&AllShards> {
        match &self.shards {
            Some(Shards::All(shares)) => Some(shares),
            Some(Shards::One(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use asbackup_model::PartitionSet;

    use super::*;
    use crate::manifest::{document::tests::manifest, shares::Shards};

    /// Returns the manifest of a share of two, with one file.
    fn share(index: u16) -> (Shard, Manifest) {
        let shard = Shard::new(index, 2).unwrap();
        let mut share = manifest();
        share.shards = Some(Shards::One(shard.into()));
        share.partitions = shard.part_of(&share.partitions);
        share.files.truncate(1);
        let file = &mut share.files[0];
        (file.name, file.records, file.partitions) = (format!("0_users_{index}.asb"), 10, share.partitions);
        let (bytes, indexes, udfs) = (file.bytes, file.indexes, file.udfs);
        share.totals = Totals { records: 10, indexes, udfs, bytes, inexact: share.totals.inexact };
        share.started = format!("2026-01-01T00:00:0{}Z", 3 - index);
        share.check().unwrap();
        (shard, share)
    }

    #[test]
    fn whole_has_all_files_and_sums() {
        let whole = close(&[share(1), share(2)]).unwrap();
        assert_eq!(whole.counts(), [20, 4, 2, 40]);
        assert_eq!(whole.totals.inexact["nan_payload"], 2);
        assert_eq!(whole.partitions, PartitionSet::ALL);
        let names: Vec<_> = whole.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["0_users_1.asb", "0_users_2.asb"]);
        assert_eq!((whole.started.as_str(), &whole.run), ("2026-01-01T00:00:01Z", &None));
        assert_eq!(whole.all_shards().unwrap().shares.len(), 2);
    }

    /// Checks that a share whose manifest says that isn't believed.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Manifest), expected: &str) {
        let (_, mut manifest) = share(2);
        change(&mut manifest);
        let error = manifest.check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn share_holds_its_own_partitions_and_files_alone() {
        let all = || PartitionSet::ALL;
        check(
            |share| share.partitions = all(),
            "share 2/2 has the partitions 2048..4095, but those that are done are 0..4095",
        );
        check(|share| share.partitions = "2048..4094".parse().unwrap(), "those that are done are 2048..4094");
        check(|share| share.files[0].partitions = all(), "of partitions that aren't those of share 2/2");
        check(|share| share.files[0].name = "0_users_3.asb".to_owned(), "has no number of share 2/2");
        check(|share| share.files[0].name = "users.asb".to_owned(), "has no number of share 2/2");
        check(
            |share| share.shards = serde_json::from_str(r#"{"share": 3, "of": 2}"#).unwrap(),
            r#""3/2" is no share"#,
        );
    }

    #[test]
    fn shares_that_lack_one_or_overlap_make_no_whole() {
        for shares in [vec![share(1)], vec![share(2)], vec![share(1), share(1)], vec![]] {
            let error = close(&shares).unwrap_err();
            assert!(matches!(error, DocumentError::Contradiction { .. }), "{error}");
        }
        let shards: Shards = serde_json::from_str(r#"{"of": 2, "shares": []}"#).unwrap();
        let (_, mut whole) = share(1);
        whole.shards = Some(shards);
        assert!(whole.check().unwrap_err().to_string().contains("aren't 1 to 2"));
    }

    #[test]
    fn difference_is_named() {
        let (_, one) = share(1);
        let named = |change: fn(&mut Manifest)| {
            let (_, mut other) = share(2);
            change(&mut other);
            one.difference(&other)
        };
        assert_eq!(named(|_| {}), None);
        assert_eq!(named(|other| other.fingerprint = "01".to_owned()), Some("options"));
        assert_eq!(named(|other| other.namespace = "other".to_owned()), Some("namespace"));
        assert_eq!(named(|other| other.cluster.name = None), Some("cluster"));
        assert_eq!(
            named(|other| other.envelope.compression = Some("zstd:1".to_owned())),
            Some("compression or encryption")
        );
        assert_eq!(
            named(|other| other.envelope.encryption = Some("aes128".to_owned())),
            Some("compression or encryption")
        );
    }
}
