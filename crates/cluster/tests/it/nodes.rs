//! Clusters of several nodes that come, go, and pass partitions on.

use std::time::Duration;

use asbackup_cluster::{Addresses, Cluster, ClusterConfig, ErrorKind, Seed};
use asbackup_model::PartitionId;
use asbackup_testserver::{Advertised, Command, Fault, FaultAction, SampleRecords, TestServer};

use crate::support::{all, read, spec, stored};

fn three(advertised: Advertised) -> TestServer {
    let builder = TestServer::builder().namespace("test").nodes(3).advertised(advertised);
    let server = builder.frame_bytes(4096).start().unwrap();
    server.store().load("test", SampleRecords { count: 2000, record_bytes: 300 });
    server
}

fn seed(server: &TestServer, node: usize) -> Seed {
    let address = server.node_address(node);
    Seed::new(address.ip().to_string(), address.port())
}

/// Returns a configuration that looks for changes all the time.
fn watchful(server: &TestServer) -> ClusterConfig {
    let mut config = ClusterConfig::new([seed(server, 0)]);
    config.refresh_interval = Duration::from_millis(5);
    config
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.nodes().iter().map(|node| node.name().to_owned()).collect()
}

fn owner(cluster: &Cluster, partition: PartitionId) -> Option<String> {
    cluster.partition_map(b"test").owner(partition).map(|node| node.name().to_owned())
}

/// Waits for what the background task will find out.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the cluster should have noticed");
}

#[tokio::test]
async fn all_nodes_are_found_and_read() {
    let server = three(Advertised::Own);
    let cluster = Cluster::connect(ClusterConfig::new([seed(&server, 1)])).await.unwrap();
    assert_eq!(names(&cluster), [0, 1, 2].map(|node| server.node_name(node)));
    for (number, node) in cluster.nodes().iter().enumerate() {
        assert_eq!(cluster.partitions_of(b"test", node), server.partitions_of(number));
    }
    assert_eq!(cluster.object_count(b"test").await.unwrap(), 2000);
    let mut query = cluster.query(spec(), all());
    assert_eq!(read(&mut query).await.unwrap(), stored(&server));
    assert_eq!(query.retries(), 0);
}

#[tokio::test]
async fn a_partition_that_moves_is_noticed_without_being_asked_for() {
    let server = three(Advertised::Own);
    let cluster = Cluster::connect(watchful(&server)).await.unwrap();
    let partition = server.partitions_of(0)[7];
    assert_eq!(owner(&cluster, partition).as_deref(), Some(server.node_name(0)));
    server.move_partitions(&[partition], 2);
    until(|| owner(&cluster, partition).as_deref() == Some(server.node_name(2))).await;
}

#[tokio::test]
async fn nodes_that_go_and_come_are_noticed() {
    let server = three(Advertised::Own);
    let cluster = Cluster::connect(watchful(&server)).await.unwrap();
    let partition = server.partitions_of(1)[0];
    server.stop_node(1).unwrap();
    until(|| cluster.nodes().len() == 2).await;
    assert_eq!(owner(&cluster, partition), None);
    server.start_node(1).unwrap();
    until(|| owner(&cluster, partition).as_deref() == Some(server.node_name(1))).await;
    // Also the seed, by which the cluster was found.
    server.stop_node(0).unwrap();
    until(|| names(&cluster) == [1, 2].map(|node| server.node_name(node))).await;
    server.start_node(0).unwrap();
    until(|| cluster.nodes().len() == 3).await;
}

#[tokio::test]
async fn alternate_addresses_are_those_that_are_asked_for() {
    let server = three(Advertised::OwnAsAlternate);
    let mut config = ClusterConfig::new([seed(&server, 0)]);
    config.addresses = Addresses::Alternate;
    let cluster = Cluster::connect(config.clone()).await.unwrap();
    assert_eq!(read(&mut cluster.query(spec(), all())).await.unwrap(), stored(&server));
    config.addresses = Addresses::Standard;
    let cluster = Cluster::connect(config).await.unwrap();
    assert_eq!(names(&cluster), [server.node_name(0)]);
}

#[tokio::test]
async fn seeds_are_used_where_advertised_addresses_lead_nowhere() {
    let server = three(Advertised::Nowhere);
    let seeds = [0, 1, 2].map(|node| seed(&server, node));
    let cluster = Cluster::connect(ClusterConfig::new(seeds)).await.unwrap();
    assert_eq!(cluster.nodes().len(), 3);
    for (number, node) in cluster.nodes().iter().enumerate() {
        assert_eq!(node.address(), server.node_address(number).to_string());
    }
    assert_eq!(read(&mut cluster.query(spec(), all())).await.unwrap(), stored(&server));
}

#[tokio::test]
async fn a_node_that_does_not_answer_does_not_hold_the_others_up() {
    let server = three(Advertised::Own);
    let mut config = watchful(&server);
    config.info_timeout = Duration::from_secs(3600);
    let cluster = Cluster::connect(config).await.unwrap();
    server.faults().add(Fault::new(Command::Info, FaultAction::HoldAfter(0)).at_node(1).times(u64::MAX));
    let partition = server.partitions_of(0)[0];
    server.move_partitions(&[partition], 2);
    cluster.refresh().await.unwrap();
    assert_eq!(owner(&cluster, partition).as_deref(), Some(server.node_name(2)));
    assert_eq!(cluster.nodes().len(), 3, "a silent node stays as long as others know it");
}

#[tokio::test]
async fn a_cluster_that_is_silent_at_the_beginning_is_given_up_on() {
    let server = three(Advertised::Own);
    server.faults().add(Fault::new(Command::Info, FaultAction::HoldAfter(0)).times(u64::MAX));
    let mut config = ClusterConfig::new([seed(&server, 0)]);
    config.first_timeout = Duration::from_millis(20);
    let error = Cluster::connect(config).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Connect, "the cluster isn't known within 20ms")
    );
}
