//! What a test sees of the server besides its answers.

use std::net::TcpStream;

use asbackup_model::{PartitionId, VoidTime};
use asbackup_testserver::{NamespaceConfig, SampleRecords, TestServer};

use crate::client::{Client, digest, server, store};

#[test]
fn a_stored_record_is_as_it_was() {
    let server = server();
    store(server.store(), digest(2), "demo", 9, 77);
    store(server.store(), digest(1), "", 3, 0);
    let mut seen = Vec::new();
    server.store().for_each_record("test", |record| {
        let bins: Vec<String> = record.bins.iter().map(|bin| format!("{:?}", bin.value)).collect();
        seen.push((record.digest, record.set.map(<[u8]>::to_vec), record.generation, record.void_time, bins));
    });
    let bins = vec!["Integer(1)".to_owned()];
    let first = (digest(1), None, 3, VoidTime::NEVER, bins.clone());
    let second = (digest(2), Some(b"demo".to_vec()), 9, VoidTime(77), bins);
    assert_eq!(seen, [first, second]);
    server.store().truncate("test");
    assert_eq!(server.store().record_count(b"test"), 0);
}

#[test]
fn sample_records_have_the_size_that_is_asked_for() {
    let server = server();
    server.store().load("test", SampleRecords { count: 100, record_bytes: 400 });
    let mut client = Client::connect(&server);
    let request = asbackup_codec::wire::QueryRequest {
        namespace: b"test",
        from_start: PartitionId::all().collect(),
        ..Default::default()
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    client.send(&bytes);
    let mut total = 0;
    loop {
        match client.frame().unwrap().1.len() {
            22 => break,
            body_bytes => total += body_bytes,
        }
    }
    assert_eq!(total, 100 * 400);
}

#[test]
#[should_panic(expected = "the server has no namespace elsewhere")]
fn an_unknown_namespace_is_a_mistake_of_the_test() {
    server().store().record_count("elsewhere");
}

#[test]
fn a_dropped_server_lets_go_of_its_clients() {
    let server = TestServer::builder().namespace(NamespaceConfig::new("test")).threads(1).start().unwrap();
    let address = server.address();
    let mut client = Client::connect(&server);
    assert_eq!(client.info("status"), "ok");
    drop(server);
    assert_eq!(client.rest(), b"");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_an_error() {
    let server = server();
    let error = TestServer::builder().address(server.address().to_string()).start().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
