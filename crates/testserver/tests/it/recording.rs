//! Requests that the Go client sent to a server CE 8.1, and that server's answers.

use asbackup_codec::Step;
use asbackup_codec::wire::{Answer, decode_answer};
use asbackup_model::{Digest, RecordLayout};
use asbackup_testserver::TestServer;

use crate::client::{Client, server, store};

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/wire/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn hex(text: &str) -> Digest {
    let byte = |at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    Digest(std::array::from_fn(byte))
}

/// Sends a recorded request and compares the answer byte by byte.
#[track_caller]
fn replay(server: &TestServer, name: &str) {
    let expected = file(&format!("{name}.resp.bin"));
    let mut client = Client::connect(server);
    client.send(&file(&format!("{name}.req.bin")));
    assert_eq!(client.bytes(expected.len()), expected, "{name}");
}

/// Stores the records of a recorded scan.
fn store_answer(server: &TestServer, name: &str) {
    let bytes = file(&format!("{name}.resp.bin"));
    let mut body = &bytes[8..];
    let mut layout = RecordLayout::new();
    while let Step::Done { value: Answer::Record, used } = decode_answer(body, &mut layout) {
        server.store().put(&layout.view(body));
        body = &body[used..];
    }
}

/// Digests of the records in which the recordings write.
const PLAIN: &str = "cf5a1365effa4dc53333f2166d103358f8711096";
const USER: &str = "03161f352c8ab85448952c896ecdaa122b3c4e71";
const POLICY: &str = "ff31c926fbef445648ce63ca72a698a5473425c1";

#[test]
fn the_go_client_connects() {
    replay(&server(), "connect");
}

#[test]
fn single_writes_are_answered_alike() {
    // With the generation that the record had before.
    let writes = [
        ("put_float", 0),
        ("put_string", 1),
        ("put_nil", 4),
        ("put_geo", 5),
        ("put_hll", 6),
        ("put_list", 7),
    ];
    for (name, generation) in writes {
        let server = server();
        if generation > 0 {
            store(server.store(), hex(PLAIN), "demo", generation, 0);
        }
        replay(&server, name);
    }
    replay(&server(), "put_int");
}

#[test]
fn an_older_generation_is_refused_alike() {
    for name in ["put_policy_gt_update", "put_policy_gt_updateonly", "put_policy_gt_replaceonly"] {
        let server = server();
        let mut expected = file(&format!("{name}.resp.bin"));
        // The recorded void time will be in the past one day.
        let later_s = 4_000_000_000_u32;
        expected[18..22].copy_from_slice(&later_s.to_be_bytes());
        store(server.store(), hex(POLICY), "demo", 4, u64::from(later_s));
        let mut client = Client::connect(&server);
        client.send(&file(&format!("{name}.req.bin")));
        assert_eq!(client.bytes(expected.len()), expected, "{name}");
    }
}

#[test]
fn batches_are_answered_alike() {
    let server = server();
    store(server.store(), hex(USER), "demo", 2, 0);
    replay(&server, "batch_one");
    store(server.store(), hex(USER), "demo", 1, 0);
    store(server.store(), hex(PLAIN), "demo", 8, 0);
    replay(&server, "batch_two");
}

#[test]
fn scans_are_answered_alike() {
    for name in ["scan_one_partition", "scan_max_records"] {
        let server = server();
        store_answer(&server, name);
        if name == "scan_max_records" {
            // One more than the maximum, and the void time of one is in the past one day.
            store(server.store(), Digest([0xff; 20]), "demo", 1, 0);
        }
        replay(&server, name);
    }
}

#[test]
fn indexes_and_modules_are_answered_alike() {
    let server = server();
    replay(&server, "udf_put");
    store(server.store(), hex(USER), "demo", 1, 0);
    for name in ["sindex_plain", "sindex_expr"] {
        let mut client = Client::connect(&server);
        client.send(&file(&format!("{name}.req.bin")));
        let recorded = file(&format!("{name}.resp.bin"));
        let first = u32::from_be_bytes([recorded[4], recorded[5], recorded[6], recorded[7]]) as usize;
        assert_eq!(client.frame().unwrap().1, recorded[8..8 + first]);
        // The figures differ; what the client waits for doesn't.
        let statistics = String::from_utf8(client.frame().unwrap().1).unwrap();
        assert!(statistics.contains(";load_pct=100;"), "{statistics}");
    }
    replay(&server, "sindex_again");
}
