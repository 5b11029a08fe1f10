//! The rules of writing.

use asbackup_codec::wire::{ResultCode, field, info1, info2, info3, op, ttl};
use asbackup_model::particle::{self, INTEGER, NIL, STRING};
use asbackup_testserver::{Expiry, NamespaceConfig, TestServer};

use crate::client::{Client, Request, digest, int, server, store};

const TOUCH: u8 = 11;
const DELETE_ALL: u8 = 14;
/// Far ahead, in seconds since 2010.
const LATER_S: u64 = 4_000_000_000;

#[test]
fn bins_are_merged_in_place_and_new_ones_come_last() {
    let server = server();
    let mut client = Client::connect(&server);
    assert_eq!(client.write(1, &[("a", INTEGER, &int(1)), ("b", INTEGER, &int(2))]).header.generation, 1);
    assert_eq!(client.write(1, &[("c", STRING, b"x"), ("a", INTEGER, &int(9))]).header.generation, 2);
    let bin = |name: &str, particle, value: &[u8]| (name.to_owned(), particle, value.to_vec());
    let expected = [bin("a", INTEGER, &int(9)), bin("b", INTEGER, &int(2)), bin("c", STRING, b"x")];
    assert_eq!(client.read(1).bins, expected);
}

#[test]
fn a_bin_that_is_written_twice_keeps_the_later_value() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("a", INTEGER, &int(1)), ("a", INTEGER, &int(2))]);
    assert_eq!(client.read(1).bins, [("a".to_owned(), INTEGER, int(2).to_vec())]);
}

#[test]
fn nil_deletes_a_bin_and_the_record_with_its_last_bin() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("a", INTEGER, &int(1)), ("b", INTEGER, &int(2))]);
    assert_eq!(client.write(1, &[("a", NIL, b""), ("none", NIL, b"")]).header.generation, 2);
    assert_eq!(client.read(1).names(), ["b"]);
    let gone = client.write(1, &[("b", NIL, b"")]);
    assert_eq!((gone.result(), gone.header.generation), (ResultCode::OK, 0));
    assert_eq!(client.read(1).result(), ResultCode::NOT_FOUND);
    assert_eq!(client.write(1, &[("b", NIL, b"")]).result(), ResultCode::NOT_FOUND);
    assert_eq!(server.store().record_count("test"), 0);
}

/// Writes a bin `new` to a record of generation 7 with the bin `keep`, or to none, and returns the answer and the bins.
fn write_under(existing: bool, info2: u8, info3: u8, generation: u32) -> (ResultCode, Vec<String>) {
    let server = server();
    if existing {
        store(server.store(), digest(1), "demo", 7, 0);
    }
    let mut client = Client::connect(&server);
    let request = Request::write(digest(1), &[("new", INTEGER, &int(1))]).with(|header| {
        header.info2 |= info2;
        header.info3 = info3;
        header.generation = generation;
    });
    let result = client.single(&request).result();
    (result, client.read(1).names().into_iter().map(str::to_owned).collect())
}

#[test]
fn rules_decide_about_an_existing_record() {
    let table = [
        (0, 0, 0, ResultCode::OK, vec!["keep", "new"]),
        (info2::CREATE_ONLY, 0, 0, ResultCode::EXISTS, vec!["keep"]),
        (0, info3::UPDATE_ONLY, 0, ResultCode::OK, vec!["keep", "new"]),
        (0, info3::CREATE_OR_REPLACE, 0, ResultCode::OK, vec!["new"]),
        (0, info3::REPLACE_ONLY, 0, ResultCode::OK, vec!["new"]),
        (info2::GENERATION_EQUAL, 0, 7, ResultCode::OK, vec!["keep", "new"]),
        (info2::GENERATION_EQUAL, 0, 8, ResultCode::GENERATION, vec!["keep"]),
        (info2::GENERATION_GREATER, 0, 8, ResultCode::OK, vec!["keep", "new"]),
        (info2::GENERATION_GREATER, 0, 7, ResultCode::GENERATION, vec!["keep"]),
        (info2::GENERATION_GREATER, info3::CREATE_OR_REPLACE, 6, ResultCode::GENERATION, vec!["keep"]),
        // Both fail; existence is looked at first.
        (info2::GENERATION_GREATER | info2::CREATE_ONLY, 0, 6, ResultCode::EXISTS, vec!["keep"]),
    ];
    for (info2, info3, generation, result, bins) in table {
        let expected = (result, bins.into_iter().map(str::to_owned).collect());
        assert_eq!(write_under(true, info2, info3, generation), expected, "{info2} {info3} {generation}");
    }
}

#[test]
fn rules_decide_about_a_missing_record() {
    let table = [
        (0, 0, 0, ResultCode::OK),
        (info2::CREATE_ONLY, 0, 0, ResultCode::OK),
        (0, info3::UPDATE_ONLY, 0, ResultCode::NOT_FOUND),
        (0, info3::CREATE_OR_REPLACE, 0, ResultCode::OK),
        (0, info3::REPLACE_ONLY, 0, ResultCode::NOT_FOUND),
        (info2::GENERATION_EQUAL, 0, 0, ResultCode::OK),
        (info2::GENERATION_EQUAL, 0, 1, ResultCode::GENERATION),
        (info2::GENERATION_GREATER, 0, 1, ResultCode::OK),
        (info2::GENERATION_GREATER, 0, 0, ResultCode::GENERATION),
    ];
    for (info2, info3, generation, result) in table {
        let written = write_under(false, info2, info3, generation);
        assert_eq!(written.0, result, "{info2} {info3} {generation}");
        assert_eq!(written.1.is_empty(), result != ResultCode::OK);
    }
}

#[test]
fn a_failure_tells_generation_and_void_time_of_the_record() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, LATER_S);
    let request = Request::write(digest(1), &[("a", INTEGER, &int(1))]).with(|header| {
        header.info2 |= info2::GENERATION_EQUAL;
    });
    let header = Client::connect(&server).single(&request).header;
    assert_eq!((header.generation, header.ttl), (7, u32::try_from(LATER_S).unwrap()));
}

#[test]
fn generation_wraps_at_16_bits_and_leaves_out_0() {
    let server = server();
    store(server.store(), digest(1), "demo", u16::MAX, 0);
    assert_eq!(Client::connect(&server).write(1, &[("a", INTEGER, &int(1))]).header.generation, 1);
}

/// Writes with a TTL to a record that expires at [`LATER_S`], or to none, and returns code and void time.
fn write_with_ttl(config: NamespaceConfig, existing: bool, ttl_s: u32) -> (ResultCode, u32) {
    let server = TestServer::builder().namespace(config).start().unwrap();
    if existing {
        store(server.store(), digest(1), "demo", 1, LATER_S);
    }
    let request = Request::write(digest(1), &[("a", INTEGER, &int(1))]).with(|header| header.ttl = ttl_s);
    let reply = Client::connect(&server).single(&request);
    (reply.result(), reply.header.ttl)
}

#[test]
fn ttl_becomes_a_void_time() {
    let never = NamespaceConfig::new("test");
    assert_eq!(write_with_ttl(never.clone(), true, ttl::NAMESPACE_DEFAULT), (ResultCode::OK, 0));
    assert_eq!(write_with_ttl(never.clone(), true, ttl::NEVER), (ResultCode::OK, 0));
    assert_eq!(write_with_ttl(never.clone(), true, ttl::KEEP).1, u32::try_from(LATER_S).unwrap());
    assert_eq!(write_with_ttl(never.clone(), false, ttl::KEEP), (ResultCode::OK, 0));
    let (result, hour) = write_with_ttl(never, false, 3600);
    let mut config = NamespaceConfig::new("test");
    config.default_ttl_s = 7200;
    let (_, two_hours) = write_with_ttl(config, false, ttl::NAMESPACE_DEFAULT);
    assert_eq!(result, ResultCode::OK);
    assert!((3600..3700).contains(&(two_hours - hour)), "{two_hours} {hour}");
}

#[test]
fn ttl_over_ten_years_is_refused() {
    let ten_years_s = 10 * 365 * 24 * 3600;
    let config = NamespaceConfig::new("test");
    assert_eq!(write_with_ttl(config.clone(), false, ten_years_s).0, ResultCode::OK);
    assert_eq!(write_with_ttl(config, false, ten_years_s + 1).0, ResultCode::PARAMETER);
}

#[test]
fn ttl_is_refused_where_nothing_expires() {
    let mut config = NamespaceConfig::new("test");
    config.expiry = Expiry::Refused;
    assert_eq!(write_with_ttl(config.clone(), false, 60).0, ResultCode::FORBIDDEN);
    assert_eq!(write_with_ttl(config, false, ttl::NEVER).0, ResultCode::OK);
}

#[test]
fn an_expired_record_counts_as_missing() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, 100);
    let mut client = Client::connect(&server);
    assert_eq!(client.read(1).result(), ResultCode::NOT_FOUND);
    assert_eq!(client.single(&Request::delete(digest(1))).result(), ResultCode::NOT_FOUND);
    assert_eq!(client.write(1, &[("a", INTEGER, &int(1))]).header.generation, 1);
    assert_eq!(client.read(1).names(), ["a"]);
}

#[test]
fn touch_renews_a_record_that_is_there() {
    let server = server();
    let mut client = Client::connect(&server);
    let touch = Request::write(digest(1), &[]).op(TOUCH, "");
    assert_eq!(client.single(&touch).result(), ResultCode::NOT_FOUND);
    client.write(1, &[("a", INTEGER, &int(1))]);
    assert_eq!(client.single(&touch.with(|header| header.ttl = 60)).header.generation, 2);
    let renewed = client.read(1);
    assert!(renewed.header.ttl > 0 && renewed.names() == ["a"]);
}

#[test]
fn delete_removes_a_record_of_the_right_generation() {
    let server = server();
    store(server.store(), digest(1), "demo", 7, 0);
    let mut client = Client::connect(&server);
    let delete = |generation| {
        Request::delete(digest(1)).with(|header| {
            header.info2 |= info2::GENERATION_EQUAL;
            header.generation = generation;
        })
    };
    assert_eq!(client.single(&delete(6)).result(), ResultCode::GENERATION);
    assert_eq!(client.single(&delete(7)).result(), ResultCode::OK);
    assert_eq!(client.single(&delete(7)).result(), ResultCode::NOT_FOUND);
    assert_eq!(server.store().record_count("test"), 0);
}

#[test]
fn a_user_key_is_stored_once_and_must_not_differ() {
    let server = server();
    let mut client = Client::connect(&server);
    let bins: &[(&str, u8, &[u8])] = &[("a", INTEGER, &int(1))];
    client.write(1, bins);
    let with_key = |key: &[u8]| Request::write(digest(1), bins).field(field::USER_KEY, key);
    assert_eq!(client.single(&with_key(b"\x03one")).result(), ResultCode::OK);
    assert_eq!(client.write(1, bins).result(), ResultCode::OK);
    assert_eq!(client.single(&with_key(b"\x03two")).result(), ResultCode::KEY_MISMATCH);
    let read = Request::read(digest(1)).field(field::USER_KEY, b"\x03two");
    assert_eq!(client.single(&read).result(), ResultCode::KEY_MISMATCH);
    let delete = Request::delete(digest(1)).field(field::USER_KEY, b"\x03two");
    assert_eq!(client.single(&delete).result(), ResultCode::KEY_MISMATCH);
    let mut keys = Vec::new();
    server.store().for_each_record("test", |record| {
        keys.push((format!("{:?}", record.key.unwrap()), record.set.map(<[u8]>::to_vec), record.generation));
    });
    let expected = format!("{:?}", asbackup_model::UserKey::String(b"one"));
    assert_eq!(keys, [(expected, Some(b"demo".to_vec()), 3)]);
}

#[test]
fn impossible_writes_are_refused() {
    let bin: &[(&str, u8, &[u8])] = &[("a", INTEGER, &int(1))];
    let write = |bins: &[(&str, u8, &[u8])]| Request::write(digest(1), bins);
    let replace = |request: Request| request.with(|header| header.info3 = info3::CREATE_OR_REPLACE);
    let mut elsewhere = write(bin);
    elsewhere.fields[0].1 = b"nowhere".to_vec();
    let mut long_set = write(bin);
    long_set.fields[1].1 = vec![b's'; 64];
    let table = [
        ("no op", write(&[]), ResultCode::PARAMETER),
        ("name of 16 bytes", write(&[("0123456789abcdef", INTEGER, &int(1))]), ResultCode::BIN_NAME),
        ("name with a zero byte", write(&[("a\0", INTEGER, &int(1))]), ResultCode::BIN_NAME),
        ("nil in a replacement", replace(write(&[("a", NIL, b"")])), ResultCode::PARAMETER),
        ("touch in a replacement", replace(write(bin).op(TOUCH, "")), ResultCode::PARAMETER),
        ("read op in a mere write", write(bin).op(op::READ, "a"), ResultCode::PARAMETER),
        ("unknown op", write(bin).op(99, "a"), ResultCode::PARAMETER),
        ("unknown namespace", elsewhere, ResultCode::NAMESPACE),
        ("set name of 64 bytes", long_set, ResultCode::PARAMETER),
        ("filter", write(bin).field(field::FILTER, b"\x93"), ResultCode::PARAMETER),
        ("record over 1 MiB", write(&[("a", particle::BLOB, &vec![0; 1 << 20])]), ResultCode::RECORD_TOO_BIG),
    ];
    let server = server();
    let mut client = Client::connect(&server);
    for (what, request, result) in table {
        assert_eq!(client.single(&request).result(), result, "{what}");
    }
    assert_eq!(server.store().record_count("test"), 0);
}

#[test]
fn names_of_15_and_of_0_bytes_are_bins() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("0123456789abcde", INTEGER, &int(1)), ("", INTEGER, &int(2))]);
    assert_eq!(client.read(1).names(), ["0123456789abcde", ""]);
}

#[test]
fn operations_answer_in_order() {
    let server = server();
    let mut client = Client::connect(&server);
    client.write(1, &[("a", INTEGER, &int(1)), ("b", INTEGER, &int(2))]);
    let mut request = Request::write(digest(1), &[]).op(DELETE_ALL, "");
    request.ops.push((op::WRITE, INTEGER, "c".to_owned(), int(3).to_vec()));
    let request = request.op(op::READ, "a").op(op::READ, "c");
    let quiet = request.clone().with(|header| header.info1 = info1::READ);
    assert_eq!(client.single(&quiet).names(), ["c"]);
    let all = request.with(|header| {
        header.info1 = info1::READ;
        header.info2 |= info2::RESPOND_ALL_OPS;
    });
    let reply = client.single(&all);
    assert_eq!(reply.names(), ["", "c", "a", "c"]);
    assert_eq!(reply.bins.iter().map(|bin| bin.1).collect::<Vec<u8>>(), [NIL, NIL, NIL, INTEGER]);
    let read_all = Request::write(digest(1), &[("d", INTEGER, &int(4))]).op(op::READ, "");
    let read_all = read_all.with(|header| header.info1 = info1::READ | info1::ALL_BINS);
    assert_eq!(client.single(&read_all).names(), ["c", "d"]);
}
