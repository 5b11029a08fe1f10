//! Connecting, namespaces, secondary indexes and UDF modules.

use std::time::Duration;

use asbackup_cluster::{Cluster, ClusterConfig, ErrorKind, IndexCreation, InfoRetry, Seed, ServerIndex};
use asbackup_codec::wire::ResultCode;
use asbackup_model::{IndexKind, IndexedType, PartitionId, SecondaryIndex, UdfModule};
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords, TestServer};

use crate::support::{connect, server};

const LONGEST: Duration = Duration::from_secs(10);

fn index(name: &str, kind: IndexKind, context: Option<&str>) -> SecondaryIndex {
    SecondaryIndex {
        namespace: b"test".to_vec(),
        set: Some(b"demo".to_vec()),
        name: name.into(),
        kind,
        bin: b"number".to_vec(),
        indexed: IndexedType::Numeric,
        context: context.map(Into::into),
        expression: None,
    }
}

#[tokio::test]
async fn records_of_sets_are_counted_once_for_each_copy() {
    let server = TestServer::builder().namespace("test").nodes(3).copies(2).start().unwrap();
    server.store().load("test", SampleRecords { count: 100, record_bytes: 300 });
    let cluster = connect(&server).await;
    let mut set = Vec::new();
    server.store().for_each_record("test", |record| set = record.set.unwrap_or_default().to_vec());
    assert_eq!(cluster.object_count(b"test").await.unwrap(), 100);
    assert_eq!(cluster.object_count_in(b"test", &[&set, b"nowhere"]).await.unwrap(), 100);
    assert_eq!(cluster.object_count_in(b"test", &[b"nowhere"]).await.unwrap(), 0);
}

#[tokio::test]
async fn info_commands_are_sent_again_as_often_as_asked() {
    let server = server(10);
    let address = server.address();
    for (failures, max_retries, ends_well) in [(0, 0, true), (1, 0, false), (3, 3, true), (4, 3, false)] {
        let mut config = ClusterConfig::new([Seed::new(address.ip().to_string(), address.port())]);
        config.refresh_interval = Duration::from_secs(3600);
        config.info_retry = InfoRetry { max_retries, first_pause: Duration::ZERO, multiplier: 2.0 };
        let cluster = Cluster::connect(config).await.unwrap();
        server.faults().clear();
        server.faults().add(Fault::new(Command::Info, FaultAction::Refuse).times(failures));
        assert_eq!(cluster.has_namespace(b"test").await.is_ok(), ends_well, "{failures} failures");
        server.faults().clear();
        server.faults().add(Fault::new(Command::Info, FaultAction::Refuse).times(failures));
        assert_eq!(cluster.object_count(b"test").await.is_ok(), ends_well, "{failures} failures of one node");
        server.faults().clear();
    }
}

#[tokio::test]
async fn info_commands_that_are_refused_are_not_sent_again() {
    let server = server(10);
    let cluster = connect(&server).await;
    // It would take seconds, and there is a second answer.
    let refusal = FaultAction::ErrorCode(ResultCode::ENTERPRISE_ONLY);
    server.faults().add(Fault::new(Command::Info, refusal));
    let error = cluster.object_count(b"test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ResultCode::ENTERPRISE_ONLY));
}

#[tokio::test]
async fn racks_are_those_of_the_namespace() {
    let builder = TestServer::builder().namespace("other").namespace("test").nodes(3);
    let server = builder.racks(&[7, 2, 7]).start().unwrap();
    let cluster = connect(&server).await;
    let racks = cluster.racks(b"test").await.unwrap();
    assert_eq!(racks.ids().collect::<Vec<_>>(), [2, 7]);
    let nodes = cluster.nodes();
    assert_eq!(nodes.iter().map(|node| racks.contains(7, node)).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(cluster.racks(b"nosuch").await.unwrap().ids().count(), 0);
}

#[tokio::test]
async fn a_cluster_knows_its_nodes() {
    let server = server(10);
    let cluster = connect(&server).await;
    let nodes = cluster.nodes();
    assert_eq!((nodes.len(), nodes[0].address()), (1, server.address().to_string().as_str()));
    assert_eq!(cluster.name(), Some("c1"));
    assert!(cluster.build().0[0] >= 6);
    assert_eq!(cluster.partitions_of(b"test", &nodes[0]).len(), 4096);
    assert_eq!(cluster.partition_map(b"test").owner(PartitionId::new(0).unwrap()), Some(&nodes[0]));
    assert_eq!(cluster.partition_map(b"nosuch").owner(PartitionId::new(0).unwrap()), None);
    cluster.refresh().await.unwrap();
    assert_eq!(cluster.nodes(), nodes);
}

#[tokio::test]
async fn the_next_seed_is_tried() {
    let server = server(0);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seeds = [closed, server.address()].map(|address| Seed::new(address.ip().to_string(), address.port()));
    assert!(Cluster::connect(ClusterConfig::new(seeds.clone())).await.is_ok());
    let error = Cluster::connect(ClusterConfig::new(seeds[..1].to_vec())).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connect, true));
    let error = Cluster::connect(ClusterConfig::new([])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
}

#[tokio::test]
async fn a_namespace_has_a_count() {
    let server = server(10);
    let cluster = connect(&server).await;
    assert!(cluster.has_namespace(b"test").await.unwrap());
    assert!(!cluster.has_namespace(b"tes").await.unwrap());
    assert_eq!(cluster.object_count(b"test").await.unwrap(), 10);
    assert_eq!(cluster.object_count(b"nosuch").await.unwrap_err().kind(), ErrorKind::Namespace);
}

#[tokio::test]
async fn indexes_are_listed_as_they_were_created() {
    let server = server(0);
    let cluster = connect(&server).await;
    let plain = index("plain", IndexKind::Default, None);
    let list = index("list", IndexKind::ListElements, Some("lBAAIqIDaw=="));
    let expression = SecondaryIndex {
        bin: b"null".to_vec(),
        expression: Some(b"k1ECo2FnZQ==".to_vec()),
        ..index("expression", IndexKind::Default, None)
    };
    for index in [&plain, &list, &expression] {
        assert_eq!(cluster.create_index(index).await.unwrap(), IndexCreation::Created);
        cluster.wait_for_index(b"test", &index.name, LONGEST).await.unwrap();
        assert_eq!(cluster.create_index(index).await.unwrap(), IndexCreation::Same);
    }
    server.store().add_set_index("test", "s1", "demo");
    let set = ServerIndex::Set { namespace: b"test".to_vec(), set: b"demo".to_vec(), name: b"s1".to_vec() };
    let listed = cluster.indexes(b"test").await.unwrap();
    assert_eq!(listed.len(), 4);
    for expected in [plain, list, expression].map(ServerIndex::Secondary).into_iter().chain([set]) {
        assert!(listed.contains(&expected), "{expected:?}");
    }
    let other = index("plain", IndexKind::MapKeys, None);
    assert_eq!(cluster.create_index(&other).await.unwrap(), IndexCreation::Conflict);
    assert_eq!(
        cluster.create_index(&index("s1", IndexKind::Default, None)).await.unwrap(),
        IndexCreation::Conflict
    );
    assert_eq!(cluster.indexes(b"nosuch").await.unwrap_err().kind(), ErrorKind::Namespace);
}

#[tokio::test]
async fn an_index_that_never_comes_is_not_waited_for_forever() {
    let server = server(0);
    let cluster = connect(&server).await;
    let error = cluster.wait_for_index(b"test", b"nosuch", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn udf_modules_are_listed_as_they_were_stored() {
    let server = server(0);
    let cluster = connect(&server).await;
    assert!(cluster.udfs().await.unwrap().is_empty());
    let module = UdfModule { name: b"a,hash=b.lua".to_vec(), content: b"-- \xff\nreturn 1".to_vec() };
    cluster.put_udf(&module, LONGEST).await.unwrap();
    assert_eq!(cluster.udfs().await.unwrap(), [module]);
    let broken = UdfModule { name: b"no-extension".to_vec(), content: b"return 1".to_vec() };
    assert_eq!(cluster.put_udf(&broken, LONGEST).await.unwrap_err().kind(), ErrorKind::Info);
}

#[tokio::test]
async fn a_refused_info_command_says_why() {
    let server = server(0);
    let cluster = connect(&server).await;
    server.faults().add(Fault::new(Command::Info, FaultAction::ErrorCode(ResultCode::ROLE_VIOLATION)));
    let error = cluster.indexes(b"test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ResultCode::ROLE_VIOLATION));
    assert!(error.to_string().starts_with("sindex-list refused (node "), "{error}");
}

#[tokio::test]
async fn a_dropped_index_is_gone_and_may_be_missing() {
    let server = server(0);
    let cluster = connect(&server).await;
    server.store().add_index(index("ix", IndexKind::Default, None));
    server.store().add_index(index("other", IndexKind::Default, None));
    server.store().add_set_index("test", "of_set", "demo");
    for name in [&b"ix"[..], b"of_set", b"ix"] {
        cluster.drop_index(b"test", name, LONGEST).await.unwrap();
    }
    let left: Vec<_> = server.store().indexes("test").into_iter().map(|index| index.name).collect();
    assert_eq!(left, [b"other"]);
    assert_eq!(cluster.indexes(b"test").await.unwrap().len(), 1);
    let error = cluster.drop_index(b"nosuch", b"ix", LONGEST).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Namespace);
}

#[tokio::test]
async fn an_index_over_a_set_is_created_once() {
    let server = TestServer::builder().namespace("test").server_build("8.1.2.0").start().unwrap();
    let cluster = connect(&server).await;
    assert!(cluster.knows_set_indexes());
    let create = async |name: &[u8], set: &[u8]| cluster.create_set_index(b"test", name, set).await.unwrap();
    assert_eq!(create(b"whole", b"demo").await, IndexCreation::Created);
    cluster.wait_for_index(b"test", b"whole", LONGEST).await.unwrap();
    assert_eq!(create(b"whole", b"demo").await, IndexCreation::Same);
    assert_eq!(create(b"whole", b"other").await, IndexCreation::Conflict);
    server.store().add_index(index("ix", IndexKind::Default, None));
    assert_eq!(create(b"ix", b"demo").await, IndexCreation::Conflict);
    assert_eq!(server.store().set_indexes("test"), [(b"whole".to_vec(), b"demo".to_vec())]);

    let older = TestServer::builder().namespace("test").server_build("8.1.1.9").start().unwrap();
    assert!(!connect(&older).await.knows_set_indexes());
}
