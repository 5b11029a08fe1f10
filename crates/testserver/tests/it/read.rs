//! Reads of one record.

use asbackup_codec::wire::{ResultCode, info1, info2, op};
use asbackup_model::particle::{INTEGER, NIL};

use crate::client::{Client, Request, digest, int, server};

fn reading(info1: u8) -> Request {
    Request::read(digest(1)).with(|header| header.info1 = info1)
}

#[test]
fn bins_are_sent_as_asked() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("a", INTEGER, &int(1)), ("b", INTEGER, &int(2))]);
    assert_eq!(client.single(&reading(info1::READ | info1::ALL_BINS)).names(), ["a", "b"]);
    let metadata = client.single(&reading(info1::READ | info1::NO_BIN_DATA));
    assert_eq!(
        (metadata.result(), metadata.header.generation, metadata.names().len()),
        (ResultCode::OK, 1, 0)
    );
    let selected = reading(info1::READ).op(op::READ, "none").op(op::READ, "b");
    assert_eq!(client.single(&selected).names(), ["b"]);
    let all_ops = client.single(&selected.with(|header| header.info2 = info2::RESPOND_ALL_OPS));
    assert_eq!(all_ops.bins[0], ("none".to_owned(), NIL, Vec::new()));
    assert_eq!(all_ops.names(), ["none", "b"]);
}

#[test]
fn impossible_reads_are_refused() {
    let server = server();
    let mut client = Client::connect(&server);
    assert_eq!(client.read(1).result(), ResultCode::NOT_FOUND);
    client.write(1, &[("a", INTEGER, &int(1))]);
    assert_eq!(client.single(&reading(info1::READ)).result(), ResultCode::PARAMETER);
    let list_op = 3;
    assert_eq!(client.single(&reading(info1::READ).op(list_op, "a")).result(), ResultCode::PARAMETER);
}
