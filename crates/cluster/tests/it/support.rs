//! Servers with records, and clients of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use asbackup_cluster::{Cluster, ClusterConfig, Error, Query, QueryProgress, QuerySpec, Seed};
use asbackup_model::{Digest, PartitionId};
use asbackup_testserver::{SampleRecords, TestServer};

/// Starts a server with that many records in `test`. Its frames are small, so that an answer has many.
pub(crate) fn server(records: u64) -> TestServer {
    let server =
        TestServer::builder().namespace("test").cluster_name("c1").frame_bytes(4096).start().unwrap();
    server.store().load("test", SampleRecords { count: records, record_bytes: 400 });
    server
}

pub(crate) async fn connect(server: &TestServer) -> Cluster {
    let address = server.address();
    let seed = Seed::new(address.ip().to_string(), address.port());
    let mut config = ClusterConfig::new([seed]);
    config.connections_per_node = 2;
    // What these tests ask must not mix with what is asked in the background.
    config.refresh_interval = Duration::from_secs(3600);
    Cluster::connect(config).await.unwrap()
}

/// Returns a query that doesn't wait long between attempts.
pub(crate) fn spec() -> QuerySpec {
    let mut spec = QuerySpec::new("test");
    spec.first_pause = Duration::from_millis(1);
    spec.throttle_pause = Duration::from_millis(1);
    spec
}

pub(crate) fn all() -> Vec<PartitionId> {
    PartitionId::all().collect()
}

/// Reads a query to its end, and checks that no record comes twice.
pub(crate) async fn read(query: &mut Query) -> Result<BTreeSet<Digest>, Error> {
    let mut digests = BTreeSet::new();
    loop {
        let next = query.next(|record| {
            assert!(digests.insert(record.digest), "{} twice", record.digest);
            ControlFlow::Continue(())
        });
        let progress = next.await?;
        if progress == QueryProgress::Finished {
            return Ok(digests);
        }
    }
}

pub(crate) fn stored(server: &TestServer) -> BTreeSet<Digest> {
    let mut digests = BTreeSet::new();
    server.store().for_each_record("test", |record| {
        digests.insert(record.digest);
    });
    digests
}
