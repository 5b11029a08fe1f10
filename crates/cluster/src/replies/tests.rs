use asbackup_codec::wire::{FRAME_BYTES, FrameHeader, info};

use super::*;

#[test]
fn racks_of_one_namespace_are_found() {
    let reply = b"ns=a:rack_1=N1,N2;ns=test:rack_2=N1:RACK_10=N2,N3";
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let expected = [(2, names(&["N1"])), (10, names(&["N2", "N3"]))].into();
    assert_eq!(racks(reply, b"test").unwrap(), Racks(expected));
    assert_eq!(racks(b"ns=test", b"test").unwrap(), Racks::default());
    assert!(racks(b"ns=test:what", b"test").is_err());
}

#[test]
fn copies_have_a_place() {
    let bitmap = |partition: usize| {
        let mut bitmap = [0_u8; 512];
        bitmap[partition >> 3] |= 0x80 >> (partition & 7);
        base64_simd::STANDARD.encode_to_string(bitmap)
    };
    let reply = format!("a:0,1,{};test:3,2,{},{}", bitmap(1), bitmap(4), bitmap(9));
    let held = replicas(reply.as_bytes(), b"test").unwrap().unwrap();
    let column = |id| held.column(PartitionId::new(id).unwrap());
    assert_eq!((column(4), column(9), column(1)), (Some(0), Some(1), None));
    assert_eq!(replicas(reply.as_bytes(), b"nosuch").unwrap(), None);
    assert!(replicas(b"test:3,2,AAAA", b"test").is_err());
}

/// Returns the replies to a command among those that a server CE 8.1 sent when a client connected.
fn recorded(command: &[u8]) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire/connect.resp.bin");
    let stream = std::fs::read(path).unwrap();
    let mut rest = &stream[..];
    while let Some((head, body)) = rest.split_first_chunk::<FRAME_BYTES>() {
        let (body, next) = body.split_at(FrameHeader::decode(*head).unwrap().body_bytes as usize);
        if let Some((_, reply)) = info::replies(body).find(|(echo, _)| *echo == command) {
            return reply.to_vec();
        }
        rest = next;
    }
    panic!("not recorded")
}

#[test]
fn one_node_has_no_peers_and_every_partition() {
    assert_eq!(peers(&recorded(b"peers-clear-std")).unwrap(), []);
    assert_eq!(Build::parse(&recorded(b"build")).unwrap(), Build([8, 1, 1]));
    let masters = masters(&recorded(b"replicas")).unwrap();
    let [Masters { namespace, regime, .. }] = &masters[..] else { panic!("not one namespace") };
    assert_eq!((&namespace[..], *regime), (&b"test"[..], 0));
    assert!((0..4096).all(|partition| masters[0].contains(partition)));
    assert!(!masters[0].contains(4096));
}

#[test]
fn the_first_bit_of_a_bitmap_is_the_lowest_partition() {
    let mut bitmap = vec![0; 512];
    (bitmap[0], bitmap[511]) = (0x80, 0x01);
    let text = base64_simd::STANDARD.encode_to_string(&bitmap);
    let reply = format!("a:0,2,{text},{text};b:c:7,1,{text};");
    let masters = masters(reply.as_bytes()).unwrap();
    assert_eq!((&masters[1].namespace[..], masters[1].regime), (&b"b:c"[..], 7));
    let owned: Vec<_> = (0..4096).filter(|&partition| masters[1].contains(partition)).collect();
    assert_eq!(owned, [0, 4095]);
}

#[test]
fn damaged_replicas_are_refused() {
    for reply in ["test", "test:x,1,AA==", "test:0,1", "test:0,1,AA==", "test:0,1,!"] {
        assert_eq!(masters(reply.as_bytes()).unwrap_err().kind(), ErrorKind::Damaged, "{reply}");
    }
}

#[test]
fn peers_have_names_and_addresses() {
    let seed = |host: &str, port| Seed::new(host, port);
    let named = |host, port| Seed { tls_name: Some("tls".into()), ..seed(host, port) };
    let peer = |name: &str, addresses| Peer { name: name.into(), addresses };
    for (reply, expected) in [
        ("0,3000,[]", vec![]),
        ("12,,[[A,,[h]]]", vec![peer("A", vec![seed("h", 3000)])]),
        (
            "2,4000,[[A,tls,[10.0.0.1,[::1]:3100,h:3200]],[B,,[[fe80::1]]],[C,,[]]]",
            vec![
                peer("A", vec![named("10.0.0.1", 4000), named("::1", 3100), named("h", 3200)]),
                peer("B", vec![seed("fe80::1", 4000)]),
                peer("C", vec![]),
            ],
        ),
    ] {
        assert_eq!(peers(reply.as_bytes()).unwrap(), expected, "{reply}");
    }
    for reply in ["", "0,3000", "0,x,[]", "0,3000,[", "0,3000,[[A]]", "0,3000,[[A,,[h]", "0,3000,[x]"] {
        assert_eq!(peers(reply.as_bytes()).unwrap_err().kind(), ErrorKind::Damaged, "{reply}");
    }
}

#[test]
fn versions_have_three_numbers() {
    assert_eq!(Build::parse(b"6.0.0-rc1").unwrap(), Build([6, 0, 0]));
    assert_eq!(Build::parse(b"8.1.1.2").unwrap().to_string(), "8.1.1");
    for text in [&b""[..], b"8.1", b"x.1.1"] {
        assert_eq!(Build::parse(text).unwrap_err().kind(), ErrorKind::Damaged);
    }
}

fn secondary(
    set: Option<&str>,
    name: &str,
    kind: IndexKind,
    bin: &str,
    indexed: IndexedType,
) -> SecondaryIndex {
    SecondaryIndex {
        namespace: b"test".to_vec(),
        set: set.map(|set| set.into()),
        name: name.into(),
        kind,
        bin: bin.into(),
        indexed,
        context: None,
        expression: None,
    }
}

#[test]
fn indexes_of_a_server_8_1() {
    let reply = "ns=test:indexname=ix_num:set=demo:bin=i:type=numeric:indextype=default:context=null:exp=null:state=RW;\
         ns=test:indexname=ix_ctx:set=null:bin=l:type=string:indextype=list:context=lBAAIqIDaw==:exp=null:state=ERROR;\
         ns=test:indexname=ix_exp:set=demo:bin=null:type=numeric:indextype=default:context=null:exp=k1ECo2FnZQ==:state=RW";
    let mut context = secondary(None, "ix_ctx", IndexKind::ListElements, "l", IndexedType::String);
    context.context = Some(b"lBAAIqIDaw==".to_vec());
    let mut expression = secondary(Some("demo"), "ix_exp", IndexKind::Default, "null", IndexedType::Numeric);
    expression.expression = Some(b"k1ECo2FnZQ==".to_vec());
    let plain = secondary(Some("demo"), "ix_num", IndexKind::Default, "i", IndexedType::Numeric);
    assert_eq!(indexes(reply.as_bytes()), [plain, context, expression].map(ServerIndex::Secondary));
}

#[test]
fn indexes_of_older_servers() {
    let reply = "ns=test:set=NULL:indexname=a:num_bins=1:bin=b:type=INT SIGNED:indextype=NONE:path=b:state=RW;\
                 ns=test:set=s:indexname=k:bin=m:type=TEXT:indextype=MAPKEYS:state=RW;\
                 ns=test:set=s:indexname=v:bin=m:type=GEOJSON:indextype=MAPVALUES;";
    let expected = [
        secondary(None, "a", IndexKind::Default, "b", IndexedType::Numeric),
        secondary(Some("s"), "k", IndexKind::MapKeys, "m", IndexedType::String),
        secondary(Some("s"), "v", IndexKind::MapValues, "m", IndexedType::Geo2dSphere),
    ];
    assert_eq!(indexes(reply.as_bytes()), expected.map(ServerIndex::Secondary));
}

#[test]
fn empty_parts_of_an_index_are_none() {
    let reply = "ns=test:indexname=a:set=:bin=b:type=numeric:indextype=default:context=:exp=:state=RW";
    let plain = secondary(None, "a", IndexKind::Default, "b", IndexedType::Numeric);
    assert_eq!(indexes(reply.as_bytes()), [ServerIndex::Secondary(plain)]);
}

#[test]
fn set_indexes_and_unknown_kinds_are_told_apart() {
    let set = "ns=test:indexname=s1:set=demo:indextype=set";
    let (kind, type_, no_bin) = (
        "ns=test:indexname=x:set=demo:bin=b:type=numeric:indextype=tree",
        "ns=test:indexname=x:set=demo:bin=b:type=vector:indextype=default",
        "ns=test:indexname=x:set=demo:type=numeric:indextype=default",
    );
    let reply = [set, kind, type_, no_bin].join(";");
    let unknown = |item: &str| ServerIndex::Unknown(item.into());
    let set = ServerIndex::Set { namespace: b"test".to_vec(), set: b"demo".to_vec(), name: b"s1".to_vec() };
    assert_eq!(indexes(reply.as_bytes()), [set, unknown(kind), unknown(type_), unknown(no_bin)]);
    assert_eq!(indexes(b""), []);
}

#[test]
fn names_of_udf_modules_may_hold_separators() {
    let reply = b"filename=a.lua,hash=84,type=LUA;filename=b,hash=x,c=d.lua,hash=85,type=LUA;";
    assert_eq!(udf_names(reply).unwrap(), [&b"a.lua"[..], b"b,hash=x,c=d.lua"]);
    assert_eq!(udf_names(b"").unwrap(), [] as [&[u8]; 0]);
    assert_eq!(udf_names(b"name=a,hash=b").unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn statistics_are_found_by_their_whole_name() {
    let reply = b"non_objects=1;objects=318;master_objects=2;effective_replication_factor=1";
    assert_eq!(statistic(reply, "objects"), Some(318));
    assert_eq!(statistic(reply, "effective_replication_factor"), Some(1));
    assert_eq!(statistic(reply, "prole_objects"), None);
}
