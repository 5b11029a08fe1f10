//! Info replies, digests and filters of a server CE 8.1 and the Go client v8.7.
#![allow(clippy::unwrap_used, reason = "a helper of tests that panics has failed, as it should")]

use asbackup_codec::wire::*;
use asbackup_model::{Digest, UserKey};
use serde_json::Value as Json;

use super::wire_replies::{file, recorded};

fn json(name: &str) -> Json {
    serde_json::from_slice(&file(name)).unwrap()
}

fn base64(text: &Json) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text.as_str().unwrap()).unwrap()
}

#[test]
fn each_command_of_a_connect_has_its_reply() {
    let (requests, replies) = (file("connect.req.bin"), file("connect.resp.bin"));
    let (requests, replies) = (recorded(&requests), recorded(&replies));
    assert_eq!(requests.len(), replies.len());
    for ((_, request), (kind, reply)) in requests.into_iter().zip(replies) {
        assert_eq!(kind, FrameKind::Info);
        let asked: Vec<_> = info::commands(request).collect();
        let answered: Vec<_> = info::replies(reply).map(|(command, _)| command).collect();
        assert_eq!(asked, answered);
    }
}

#[test]
fn replies_that_say_error_are_refusals_and_no_others() {
    for entry in json("info_replies.json").as_array().unwrap() {
        let command = entry["command"].as_str().unwrap();
        let reply = entry["reply"].as_str().unwrap();
        let refused = info::check_udf(reply.as_bytes()).is_err();
        assert_eq!(refused, reply.starts_with("ERROR:") || reply.starts_with("error="), "{command}");
        // Only UDF commands say it the second way.
        assert_eq!(info::check(reply.as_bytes()).is_err(), reply.starts_with("ERROR:"), "{command}");
    }
}

#[test]
fn refusals_have_code_and_text() {
    for (reply, code, text, shown) in [
        ("ERROR:201:no index", Some(201), "no index", "no index (201 index not found)"),
        ("ERROR::unknown", None, "unknown", "unknown"),
        ("FAIL:4:bad thing: x", Some(4), "bad thing: x", "bad thing: x (4 parameter)"),
        ("fail:no code", None, "no code", "no code"),
        ("error:25:", Some(25), "", "25 enterprise only"),
        ("ERROR", None, "", "no reason given"),
        ("error=not_found", None, "not_found", "not_found"),
    ] {
        let refusal = info::check_udf(reply.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, code.map(ResultCode), "{reply}");
        assert_eq!(refusal.text, text, "{reply}");
        assert_eq!(refusal.to_string(), shown, "{reply}");
    }
    for reply in ["failed_best_practices=true", "ERROR_LOG", "ns=test:set=ERROR:", "error=x", ""] {
        assert_eq!(info::check(reply.as_bytes()), Ok(reply.as_bytes()));
    }
}

#[test]
fn a_line_without_a_tab_has_an_empty_reply() {
    assert_eq!(
        info::replies(b"a\tb\tc\n\nlost").collect::<Vec<_>>(),
        [(&b"a"[..], &b"b\tc"[..]), (b"lost", b"")]
    );
}

#[test]
fn digests_are_those_of_the_go_client() {
    let digests = json("digests.json");
    let mut compared = 0;
    // An entry without a digest is a key that the Go client refuses.
    for entry in digests.as_array().unwrap().iter().filter(|entry| entry["error"].is_null()) {
        let set = entry["set"].as_str().unwrap();
        let (kind, value) = (entry["key"]["type"].as_str().unwrap(), &entry["key"]["value"]);
        let digest = match kind {
            "int" => digest(set, &UserKey::Integer(value.as_str().unwrap().parse().unwrap())),
            "string" => digest(set, &UserKey::String(value["utf8"].as_str().unwrap().as_bytes())),
            "blob" => digest(set, &UserKey::Bytes(&base64(&value["b64"]))),
            other => panic!("{other}"),
        };
        assert_eq!(digest.to_string(), entry["digest_hex"].as_str().unwrap(), "{entry}");
        assert_eq!(u64::from(digest.partition().number()), entry["partition"].as_u64().unwrap());
        compared += 1;
    }
    assert_eq!(compared, 28);
}

fn digest(set: &str, key: &UserKey<'_>) -> Digest {
    Digest::compute(set.as_bytes(), key)
}

#[test]
fn filters_are_the_go_library_s() {
    let recorded = json("filters.json");
    let ns = |key: &str| recorded[key].as_str().unwrap().parse::<i64>().unwrap();
    let (after, before) =
        (Expression::modified_since(ns("from_ns")), Expression::modified_before(ns("to_ns")));
    let user = Expression::given(&base64(&recorded["user_filter"])).unwrap();
    let between = Expression::all(vec![after.clone(), before.clone()]);
    let cases: [(&str, Vec<Expression>); 7] = [
        ("no_mrt", vec![]),
        ("after", vec![after]),
        ("before", vec![before]),
        ("between", vec![between.clone()]),
        ("no_ttl", vec![Expression::never_expires()]),
        ("user", vec![user.clone()]),
        ("all", vec![user, between, Expression::never_expires()]),
    ];
    let filters = recorded["filters"].as_array().unwrap();
    assert_eq!(filters.len(), cases.len());
    for (name, more) in cases {
        let filter = filters.iter().find(|filter| filter["name"] == name).unwrap();
        let parts = [vec![Expression::not_monitor_set()], more].concat();
        assert_eq!(Expression::all(parts).into_bytes(), base64(&filter["base64"]), "{name}");
    }
}

#[test]
fn codes_are_shown_with_their_number() {
    assert_eq!(ResultCode::RECORD_TOO_BIG.to_string(), "13 record too big");
    assert_eq!(ResultCode::RECORD_TOO_BIG.name(), "record_too_big");
    assert_eq!(ResultCode(199).to_string(), "199 unknown code");
}
