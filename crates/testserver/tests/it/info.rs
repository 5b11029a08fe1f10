//! Info commands.

use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
use asbackup_testserver::TestServer;

use crate::client::{Client, digest, server, store};

fn index(name: &str, set: Option<&str>) -> SecondaryIndex {
    SecondaryIndex {
        namespace: b"test".to_vec(),
        set: set.map(|set| set.as_bytes().to_vec()),
        name: name.as_bytes().to_vec(),
        kind: IndexKind::Default,
        bin: b"i".to_vec(),
        indexed: IndexedType::Numeric,
        context: None,
        expression: None,
    }
}

/// Replies that depend on what the recorded server held or was: covered by tests of their own, where they matter.
const NOT_COMPARED: [&str; 9] = [
    "service-clear-std",
    "sets/test",
    "namespace/test",
    "statistics",
    "query-show",
    "sindex-stat:namespace=test;indexname=ix_num",
    // What this server leaves out: settings, and a look at the Lua.
    "set-config:context=xdr;dc=x;action=create",
    "set-config:context=namespace;namespace=test;disable-mrt-writes=true",
    "udf-put:filename=bad.lua;content=ZnVuY3Rpb24gCg==;content-len=16;udf-type=LUA;",
];

#[test]
fn replies_are_those_of_a_real_server() {
    let server = server();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire/info_replies.json");
    let recorded: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut client = Client::connect(&server);
    let context = "indextype=list;bin=l;type=string;context=lBAAIqIDaw==";
    for definition in [
        "set=demo;indexname=ix_num;bin=i;type=numeric",
        &format!("indexname=ix_ctx;{context}"),
        "set=demo;indexname=ix_exp;exp=k1ECo2FnZQ==;type=numeric",
        "set=rs;indexname=rep1;bin=b;type=string",
    ] {
        assert_eq!(client.info(&format!("sindex-create:namespace=test;{definition}")), "ok");
    }
    let content = b"function f(r)\n return 1\nend\n".to_vec();
    server.store().add_udf(UdfModule { name: b"spec_m.lua".to_vec(), content });
    let mut compared = 0;
    for entry in recorded.as_array().unwrap() {
        let command = entry["command"].as_str().unwrap();
        if !NOT_COMPARED.contains(&command) {
            assert_eq!(client.info(command), entry["reply"].as_str().unwrap(), "{command}");
            compared += 1;
        }
    }
    assert!(compared > 25);
}

#[test]
fn several_commands_are_answered_in_order() {
    let server = server();
    let mut client = Client::connect(&server);
    client.send(b"\x02\x01\0\0\0\0\0\x0cbuild\nstatus");
    assert_eq!(client.frame().unwrap().1, b"build\t8.1.1.2\nstatus\tok\n");
}

#[test]
fn addresses_and_names_are_the_server_s_own() {
    let builder = TestServer::builder().namespace("one").namespace("two").cluster_name("blue");
    let server = builder.start().unwrap();
    let mut client = Client::connect(&server);
    assert_eq!(client.info("service-clear-std"), server.address().to_string());
    assert_eq!(client.info("cluster-name"), "blue");
    assert_eq!(client.info("namespaces"), "one;two");
    let replicas = client.info("replicas:max=1");
    let (one, two) = replicas.split_once(';').unwrap();
    assert!(one.starts_with("one:0,1,/////") && two.starts_with("two:0,1,/////"));
}

#[test]
fn a_user_agent_is_set_once_per_connection() {
    let server = server();
    let mut client = Client::connect(&server);
    assert_eq!(client.info("user-agent-set:value="), "ERROR:4:missing 'value'");
    assert_eq!(client.info("user-agent-set:value=eA=="), "ok");
    assert_eq!(client.info("user-agent-set:value=eA=="), "ERROR:4:already set");
    assert_eq!(Client::connect(&server).info("user-agent-set:value=eA=="), "ok");
}

#[test]
fn records_are_counted_by_namespace_and_set() {
    let server = server();
    store(server.store(), digest(1), "one", 1, 0);
    store(server.store(), digest(2), "one", 1, 0);
    store(server.store(), digest(3), "", 1, 0);
    server.store().add_index(index("ix", Some("one")));
    let mut client = Client::connect(&server);
    let namespace = client.info("namespace/test");
    assert!(namespace.contains(";effective_replication_factor=1;objects=3;"), "{namespace}");
    for command in ["sets", "sets/test"] {
        let sets = client.info(command);
        assert!(sets.starts_with("ns=test:set=one:objects=2:"), "{sets}");
        assert!(
            sets.contains(":sindexes=1:") && sets.ends_with(";") && sets.matches(';').count() == 1,
            "{sets}"
        );
    }
    let statistics = client.info("statistics");
    assert!(statistics.contains(";cluster_key=6CED0D884C81;") && statistics.contains(";objects=3;"));
}

#[test]
fn truncation_takes_a_set_or_all_up_to_a_time() {
    let server = server();
    let fill = || {
        store(server.store(), digest(1), "one", 1, 0);
        store(server.store(), digest(2), "two", 1, 0);
    };
    fill();
    let mut client = Client::connect(&server);
    let mut left = |command: &str| {
        assert_eq!(client.info(command), "ok", "{command}");
        server.store().record_count("test")
    };
    assert_eq!(left("truncate:namespace=test;set=one;lut=1"), 2);
    assert_eq!(left("truncate:namespace=test;set=one"), 1);
    assert_eq!(left("truncate-namespace:namespace=test"), 0);
    fill();
    assert_eq!(left(&format!("truncate-namespace:namespace=test;lut={}", u64::MAX)), 0);
    assert_eq!(client.info("truncate:namespace=no;set=x"), "ERROR:20:namespace not found on node");
    assert_eq!(client.info("truncate:namespace=test;set=x;lut=soon"), "ERROR:4:bad 'lut'");
}

#[test]
fn indexes_are_made_listed_and_dropped() {
    let server = server();
    let mut client = Client::connect(&server);
    let create = "sindex-create:ns=test;set=s;indexname=old;indextype=mapkeys;indexdata=b,STRING";
    assert_eq!(client.info(create), "ok");
    assert_eq!(client.info(create), "ok");
    let set_index = "sindex-create:namespace=test;set=s;indexname=whole;indextype=set";
    assert_eq!(client.info(set_index), "ok");
    let expected = SecondaryIndex {
        kind: IndexKind::MapKeys,
        indexed: IndexedType::String,
        bin: b"b".to_vec(),
        ..index("old", Some("s"))
    };
    assert_eq!(server.store().indexes("test"), [expected]);
    let item =
        "ns=test:indexname=old:set=s:bin=b:type=string:indextype=mapkeys:context=null:exp=null:state=RW";
    let list = client.info("sindex-list:namespace=test;b64=true");
    assert_eq!(list, format!("{item};ns=test:indexname=whole:set=s:indextype=set:state=RW"));
    assert!(client.info("sindex-stat:namespace=test;indexname=old").contains(";load_pct=100;"));
    assert_eq!(client.info("sindex-delete:namespace=test;indexname=old"), "ok");
    assert_eq!(client.info("sindex-exists:namespace=test;indexname=old"), "false");
    assert_eq!(client.info("sindex-delete:namespace=test"), "ERROR:4:missing 'indexname'");
    server.store().add_set_index("test", "whole", "other");
    assert_eq!(client.info("sindex-list"), "ns=test:indexname=whole:set=other:indextype=set:state=RW");
}

#[test]
fn impossible_indexes_are_refused() {
    let table = [
        ("indexname=x;bin=b", "both 'indexdata' and 'type' are missing"),
        ("indexname=x;indexdata=b,numeric;type=numeric", "both 'indexdata' and 'type' are specified"),
        ("indexname=x;indexdata=b", "'indexdata' missing bin type"),
        (
            "indexname=x;indexdata=b,x",
            "bad 'indexdata' bin type - must be one of 'numeric', 'string', 'blob', 'geo2dsphere'",
        ),
        (
            "indexname=x;bin=b;type=x",
            "bad 'type' - must be one of 'numeric', 'string', 'blob', 'geo2dsphere'",
        ),
        ("indexname=x;type=numeric", "both 'bin' and 'exp' are missing"),
        ("indexname=x;bin=b;exp=aa==;type=numeric", "both 'bin' and 'exp' are specified"),
        ("indexname=x;context=aa==;exp=aa==;type=numeric", "both 'context' and 'exp' are specified"),
        ("bin=b;type=numeric", "missing 'indexname'"),
        ("indexname=x;indextype=set", "missing 'set'"),
        (
            "indexname=x;bin=b;type=geo2dsphere;indextype=mapkeys",
            "bad 'indexdata' bin type for 'indextype' 'mapkeys' - must be one of 'numeric', 'string', 'blob'",
        ),
    ];
    let server = server();
    let mut client = Client::connect(&server);
    for (definition, text) in table {
        let reply = client.info(&format!("sindex-create:namespace=test;{definition}"));
        assert_eq!(reply, format!("ERROR:4:{text}"), "{definition}");
    }
    let elsewhere = client.info("sindex-create:namespace=no;indexname=x;bin=b;type=numeric");
    assert_eq!(elsewhere, "ERROR:4:namespace not found");
    assert_eq!(client.info("sindex-create:indexname=x"), "ERROR:4:missing 'namespace'");
}

#[test]
fn there_are_at_most_256_indexes() {
    let server = server();
    let mut client = Client::connect(&server);
    for number in 0..256 {
        server.store().add_index(index(&format!("ix{number}"), None));
    }
    let reply = client.info("sindex-create:namespace=test;indexname=x;bin=b;type=numeric");
    assert_eq!(reply, "ERROR:206:already at sindex definition limit");
}

#[test]
fn udf_modules_are_put_read_and_removed() {
    let server = server();
    let mut client = Client::connect(&server);
    assert_eq!(client.info("udf-list"), "");
    let put = "udf-put:filename=a.lua;content=LS0K;content-len=4;udf-type=LUA;";
    assert_eq!(client.info(put), "ok");
    assert_eq!(server.store().udfs(), [UdfModule { name: b"a.lua".to_vec(), content: b"--\n".to_vec() }]);
    assert_eq!(client.info("udf-get:filename=a.lua"), "type=LUA;content=LS0K;");
    assert_eq!(client.info("udf-remove:filename=a.lua;"), "ok");
    assert_eq!(client.info("udf-remove:filename=a.lua;"), "ok");
    assert_eq!(client.info("udf-get:filename=a.lua"), "error=not_found");
    assert_eq!(client.info("udf-get:"), "error=invalid_filename");
    assert_eq!(client.info("udf-remove:"), "error=invalid_filename");
}

#[test]
fn impossible_udf_modules_are_refused() {
    let long = "A".repeat(1_398_104);
    let table = [
        ("content=LS0K;content-len=4".to_owned(), "invalid_filename"),
        ("filename=lua;content=LS0K;content-len=4".to_owned(), "invalid_filename"),
        ("filename=.lua;content=LS0K;content-len=4".to_owned(), "invalid_filename"),
        ("filename=a.;content=LS0K;content-len=4".to_owned(), "invalid_filename"),
        (format!("filename={}.lua;content=LS0K;content-len=4", "n".repeat(124)), "invalid_filename"),
        ("filename=a.lua;content=LS0K".to_owned(), "invalid_content_len"),
        ("filename=a.lua;content=LS0;content-len=3".to_owned(), "invalid_content_len"),
        ("filename=a.lua;content=LS0K;content-len=8".to_owned(), "invalid_content"),
        ("filename=a.lua;content=LS0K;content-len=4;udf-type=C".to_owned(), "invalid_udf_type"),
        ("filename=a.lua;content=L$0K;content-len=4".to_owned(), "invalid_base64_content"),
        ("filename=a.lua;content=;content-len=0".to_owned(), "invalid_base64_content"),
        (format!("filename=a.lua;content={long};content-len={}", long.len()), "invalid_udf_content_len,>1M"),
    ];
    let server = server();
    let mut client = Client::connect(&server);
    for (params, word) in table {
        let reply = client.info(&format!("udf-put:{params};"));
        assert_eq!(reply, format!("error={word}"), "{:.60}", params);
    }
    let most = &long[4..];
    let reply = client.info(&format!("udf-put:filename=a.lua;content={most};content-len={};", most.len()));
    assert_eq!(reply, "ok");
}
