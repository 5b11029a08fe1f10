//! The words of the errors that people see, with their causes. Those of nodes that break the protocol are in `scripted`.

use std::error::Error as _;
use std::time::Duration;

use asbackup_cluster::{Cluster, ClusterConfig, Error, Seed};
use asbackup_codec::wire::ResultCode;
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::support::{all, connect, read, server, spec};

/// Returns an error with its causes, and in place of what differs from run to run what it is.
fn shown(error: &Error, server: &TestServer) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let chain = causes.fold(error.to_string(), |chain, cause| format!("{chain} <- {cause}"));
    let node = error.node().unwrap_or("no node").to_owned();
    chain.replace(&server.address().to_string(), "<address>").replace(&node, "<node>")
}

#[test]
fn addresses_that_cannot_be_used() {
    for (text, expected) in [
        ("", "no host in address \"\""),
        (":3000", "no host in address \":3000\""),
        ("[::1", "no closing bracket in address \"[::1\""),
        ("[::1]3000", "no colon behind the bracket in address \"[::1]3000\""),
        ("host:0", "no port of 1 to 65535 in address \"host:0\""),
    ] {
        assert_eq!(Seed::parse(text, 3000).unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn clusters_that_cannot_be_reached() {
    let error = Cluster::connect(ClusterConfig::new([])).await.unwrap_err();
    assert_eq!(error.to_string(), "no address to connect to");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seed = Seed::new(closed.ip().to_string(), closed.port());
    let error = Cluster::connect(ClusterConfig::new([seed])).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no connection to {closed} (node {closed})"));
    let cause = error.source().unwrap().to_string();
    assert!(cause.starts_with("Connection refused"), "{cause}");
}

/// Reads a server to the end while each query fails so, and returns the error.
async fn query_failure(fault: FaultAction) -> String {
    let server = server(10);
    let cluster = connect(&server).await;
    server.faults().add(Fault::new(Command::Query, fault).times(u64::MAX));
    let mut spec = spec();
    spec.max_retries = 0;
    spec.socket_timeout = Duration::from_millis(20);
    shown(&read(&mut cluster.query(spec, all())).await.unwrap_err(), &server)
}

#[tokio::test]
async fn queries_that_fail() {
    for (fault, expected) in [
        (FaultAction::Refuse, "the server closed the connection (node <node>)"),
        (FaultAction::CutAfter(10), "the server closed the connection (node <node>)"),
        (FaultAction::ErrorCode(ResultCode::PARAMETER), "query refused: 4 parameter (node <node>)"),
        (FaultAction::Delay(Duration::from_secs(600)), "no answer within 20ms (node <node>)"),
        (
            FaultAction::Unavailable(all()[..3].to_vec()),
            "the node refused 3 of its partitions as unavailable (node <node>)",
        ),
    ] {
        assert_eq!(query_failure(fault.clone()).await, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn namespaces_that_are_not_there() {
    let server = server(0);
    let cluster = connect(&server).await;
    let mut nowhere = spec();
    nowhere.namespace = b"nosuch".to_vec();
    let error = read(&mut cluster.query(nowhere, all())).await.unwrap_err();
    assert_eq!(shown(&error, &server), "no namespace nosuch");
    let error = cluster.object_count(b"nosuch").await.unwrap_err();
    assert_eq!(shown(&error, &server), "no namespace nosuch (node <node>)");
    let error = cluster.indexes(b"nosuch").await.unwrap_err();
    // The server says it twice. Source: testdata/wire/info_replies.json.
    let twice = "namespace not found on node;ERROR:20:namespace not found on node (20 namespace)";
    assert_eq!(shown(&error, &server), format!("sindex-list refused (node <node>) <- {twice}"));
}

#[tokio::test]
async fn info_commands_that_are_refused() {
    let server = server(0);
    let cluster = connect(&server).await;
    server.faults().add(Fault::new(Command::Info, FaultAction::ErrorCode(ResultCode::ROLE_VIOLATION)));
    let error = cluster.indexes(b"test").await.unwrap_err();
    assert_eq!(
        shown(&error, &server),
        "sindex-list refused (node <node>) <- injected fault (81 role violation)"
    );
    let broken = UdfModule { name: b"no-extension".to_vec(), content: b"return 1".to_vec() };
    let error = cluster.put_udf(&broken, Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(shown(&error, &server), "udf-put refused (node <node>) <- invalid_filename");
    let error = cluster.wait_for_index(b"test", b"nosuch", Duration::ZERO).await.unwrap_err();
    assert_eq!(shown(&error, &server), "index isn't built after 0ns (node <node>)");
}

#[tokio::test]
async fn names_that_an_info_command_cannot_hold() {
    let server = server(0);
    let cluster = connect(&server).await;
    let index = SecondaryIndex {
        namespace: b"test".to_vec(),
        set: None,
        name: b"a;b".to_vec(),
        kind: IndexKind::Default,
        bin: b"bin".to_vec(),
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
    };
    let error = cluster.create_index(&index).await.unwrap_err();
    assert_eq!(shown(&error, &server), "indexname \"a;b\" holds a separator of info commands");
}
