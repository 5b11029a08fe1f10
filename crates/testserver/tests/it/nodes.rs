//! Several nodes: who says to own what, who answers for it, and nodes that come and go.

use std::net::TcpStream;

use asbackup_codec::wire::{QueryRequest, ResultCode, info3};
use asbackup_model::PartitionId;
use asbackup_testserver::{Advertised, Command, Fault, FaultAction, TestServer};

use crate::client::{Client, Reply, digest, store};

/// Returns three nodes and a record of partition 5, which the last of them owns.
fn three() -> TestServer {
    let server = TestServer::builder().namespace("test").nodes(3).frame_bytes(1).start().unwrap();
    store(server.store(), digest(1), "demo", 1, 0);
    server
}

fn at(server: &TestServer, node: usize) -> Client {
    Client::connect_to(server.node_address(node))
}

fn five() -> PartitionId {
    PartitionId::new(5).unwrap()
}

fn five_to_ten() -> QueryRequest<'static> {
    let from_start = (5..=10).filter_map(PartitionId::new).collect();
    QueryRequest { namespace: b"test", from_start, ..QueryRequest::default() }
}

/// Returns the partitions that were reported as not there.
fn refused(replies: &[Reply]) -> Vec<u32> {
    let is_refused = |reply: &&Reply| {
        reply.header.info3 & info3::PARTITION_DONE != 0 && reply.result() == ResultCode::UNAVAILABLE
    };
    replies.iter().filter(is_refused).map(|reply| reply.header.generation).collect()
}

#[test]
fn each_node_knows_the_others() {
    let server = three();
    for node in 0..3 {
        let mut client = at(&server, node);
        assert_eq!(client.info("node"), server.node_name(node));
        assert_eq!(client.info("service-clear-std"), server.node_address(node).to_string());
        let others: Vec<String> = (0..3)
            .filter(|&other| other != node)
            .map(|other| format!("[{},,[{}]]", server.node_name(other), server.node_address(other)))
            .collect();
        assert_eq!(client.info("peers-clear-std"), format!("0,3000,[{}]", others.join(",")));
        let key = client.info("cluster-stable:size=3");
        assert_eq!(client.info("cluster-stable:"), key);
        assert!(client.info("cluster-stable:size=2").starts_with("ERROR:"));
        assert!(client.info("namespace/test").contains("effective_replication_factor=1;"));
        assert!(client.info("statistics").contains(&format!("cluster_principal={};", server.node_name(2))));
    }
    let objects = (0..3).map(|node| at(&server, node).info("namespace/test").contains(";objects=1;"));
    assert_eq!(objects.collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(at(&server, 0).info("sets/test"), "");
}

#[test]
fn a_node_answers_for_its_own_partitions_only() {
    let server = three();
    assert_eq!(at(&server, 2).read(1).result(), ResultCode::OK);
    assert_eq!(at(&server, 0).read(1).result(), ResultCode::UNAVAILABLE);
    assert_eq!(at(&server, 0).write(1, &[]).result(), ResultCode::UNAVAILABLE);
    assert_eq!(refused(&at(&server, 2).scan(&five_to_ten())), [6, 7, 9, 10]);
    assert_eq!(server.partitions_of(2).len(), 1365);
}

#[test]
fn a_partition_that_moves_has_a_new_owner_and_regime() {
    let server = three();
    let replicas = at(&server, 0).info("replicas:max=1");
    assert!(replicas.starts_with("test:0,1,"));
    server.move_partitions(&[five()], 0);
    assert_eq!(at(&server, 0).info("partition-generation"), "1");
    assert!(at(&server, 2).info("replicas:max=1").starts_with("test:1,1,"));
    assert_eq!(at(&server, 0).read(1).result(), ResultCode::OK);
    assert_eq!(at(&server, 2).read(1).result(), ResultCode::UNAVAILABLE);
}

#[test]
fn a_partition_that_moves_during_a_scan_is_refused_by_its_former_owner() {
    let server = three();
    // Partition 5 has a record, which fills a frame; partitions 8 and 11 come after it.
    server.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(20)).at_node(2));
    let from_start = [5, 8, 11].into_iter().filter_map(PartitionId::new).collect();
    let mut request = Vec::new();
    QueryRequest { namespace: b"test", from_start, ..QueryRequest::default() }.encode(&mut request);
    let mut client = at(&server, 2);
    client.send(&request);
    while server.faults().held() == 0 {
        std::thread::yield_now();
    }
    server.move_partitions(&[PartitionId::new(11).unwrap()], 1);
    server.faults().release();
    assert_eq!(refused(&client.many(&[])), [11]);
    assert_eq!(server.faults().held(), 0);
}

#[test]
fn partitions_may_be_unavailable_for_a_while() {
    let server = three();
    server.make_unavailable(&[five()]);
    assert_eq!(at(&server, 2).read(1).result(), ResultCode::UNAVAILABLE);
    assert!(at(&server, 1).info("namespace/test").contains(";unavailable_partitions=1;"));
    server.make_available(&[five()]);
    assert_eq!(at(&server, 2).read(1).result(), ResultCode::OK);
}

#[test]
fn a_node_that_is_stopped_comes_back_at_its_address() {
    let server = three();
    let mut client = at(&server, 2);
    assert_eq!(client.read(1).result(), ResultCode::OK);
    server.stop_node(2).unwrap();
    assert_eq!(client.rest(), b"");
    assert!(TcpStream::connect(server.node_address(2)).is_err());
    let peers = at(&server, 0).info("peers-clear-std");
    assert!(peers.starts_with("1,3000,[") && !peers.contains(server.node_name(2)), "{peers}");
    assert_eq!(at(&server, 0).info("cluster-stable:size=2"), "6CED0D884C82");

    server.start_node(2).unwrap();
    assert_eq!(at(&server, 2).read(1).result(), ResultCode::OK);
    assert!(at(&server, 0).info("peers-clear-std").contains(server.node_name(2)));
}

#[test]
fn advertised_addresses_may_lead_nowhere() {
    for (advertised, has_alternate) in [(Advertised::OwnAsAlternate, true), (Advertised::Nowhere, false)] {
        let server = TestServer::builder().namespace("test").nodes(2).advertised(advertised).start().unwrap();
        let mut client = at(&server, 0);
        assert!(TcpStream::connect(client.info("service-clear-std")).is_err());
        let own = [server.node_address(0), server.node_address(1)].map(|address| address.to_string());
        assert!(!client.info("peers-clear-std").contains(&own[1]));
        assert_eq!(client.info("service-clear-alt"), if has_alternate { &own[0] } else { "" });
        assert_eq!(client.info("peers-clear-alt").contains(&own[1]), has_alternate);
    }
}

#[test]
fn a_node_with_a_copy_answers_scans_and_no_writes() {
    let builder = TestServer::builder().namespace("test").nodes(3).copies(2).racks(&[1, 2]);
    let server = builder.start().unwrap();
    assert!(at(&server, 0).info("replicas:max=1").starts_with("test:0,1,"));
    assert!(at(&server, 0).info("replicas").starts_with("test:0,2,"));
    assert!(at(&server, 0).info("namespace/test").contains("effective_replication_factor=2;"));
    let name = |node| server.node_name(node);
    let racks = format!("ns=test:rack_0={}:rack_1={}:rack_2={}", name(2), name(0), name(1));
    assert_eq!(at(&server, 1).info("racks:"), racks);
    // Node 2 owns partition 5, and node 0 comes next.
    assert_eq!(refused(&at(&server, 0).scan(&five_to_ten())), [7, 10]);
    assert_eq!(at(&server, 0).write(1, &[]).result(), ResultCode::UNAVAILABLE);
}
