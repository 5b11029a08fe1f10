//! Every kind of value, key, name, index and module comes back.

use std::collections::BTreeMap;

use asbackup::{Local, Spelling};
use asbackup_demo::{
    awkward::{self, Labels, Stopper},
    compare::{Entry, Side, each_difference},
};
use asbackup_testserver::TestServer;

use crate::setup::{NAMESPACE, backup_config, client, now, restore_config, server};

#[tokio::test(flavor = "multi_thread")]
async fn awkward_data_comes_back_but_for_records_without_bins() {
    for spelling in [Spelling::Base64, Spelling::Compact] {
        let (from, into) = (server(), server());
        let mut labels = awkward::load(from.store(), NAMESPACE, now());
        Stopper::ALL.into_iter().for_each(|stopper| stopper.add(from.store(), NAMESPACE, &mut labels));
        let directory = tempfile::tempdir().unwrap();

        let mut config = backup_config();
        config.spelling = spelling;
        let job = client(&from).await.backup(config, Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!(report.records.written, labels.records.len() as u64);
        assert_eq!(report.inexact.get("nan_payload"), Some(&2), "{:?}", report.inexact);
        assert_eq!(report.udfs.written, labels.udfs.len() as u64);
        // The index over a set lies in the side file.
        assert_eq!(report.indexes.written, labels.indexes.len() as u64 + 1);

        let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
        let report = job.wait().await.unwrap();
        assert_eq!(report.records.inserted, labels.records.len() as u64 - 1);
        assert_eq!((report.records.skipped.get("bins"), report.records.unaccounted), (Some(&1), 0));
        assert_eq!(
            report.warnings,
            ["index of_a_set over set awkward was not created: server 8.1.1 knows none such"]
        );
        assert_eq!(lost(&labels, &from, &into), [(("no bins", "is missing"), 1)].into());
    }
}

/// Returns how many entries differ, by kind and by what became of them.
fn lost(
    labels: &Labels,
    from: &TestServer,
    into: &TestServer,
) -> BTreeMap<(&'static str, &'static str), u64> {
    let mut lost = BTreeMap::new();
    let side = |server| Side { store: TestServer::store(server), namespace: NAMESPACE };
    each_difference(side(from), side(into), |entry, what| {
        let kind = match entry {
            Entry::Record(digest) => labels.records[&digest],
            Entry::Index(name) => labels.indexes[name],
            Entry::Udf(name) => labels.udfs[name],
        };
        *lost.entry((kind, what)).or_default() += 1;
    });
    lost
}
