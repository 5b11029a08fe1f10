//! Logins and authentications.

use asbackup_codec::wire::{AUTHENTICATE, FRAME_BYTES, LOGIN, ResultCode, Rule, SecurityMessage, credential};
use serde_json::Value;

const PASSWORDS: &str = include_str!("../../../../testdata/wire/passwords.json");

#[test]
fn credentials_are_those_of_the_go_client() {
    let vectors: Vec<Value> = serde_json::from_str(PASSWORDS).unwrap();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let password = vector["password"].as_str().unwrap();
        let expected = vector["credential"].as_str().unwrap();
        assert_eq!(credential(password.as_bytes()).as_deref(), Some(expected), "{password:?}");
    }
    assert_eq!(credential(b"a\0b"), None);
}

fn login() -> SecurityMessage<'static> {
    SecurityMessage {
        command: LOGIN,
        user: Some(b"u"),
        credential: Some(b"$2a"),
        clear_password: Some(b"pw"),
        ..SecurityMessage::default()
    }
}

fn body(message: &SecurityMessage<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out.split_off(FRAME_BYTES)
}

#[test]
fn bytes_are_those_of_the_protocol() {
    let mut out = Vec::new();
    login().encode(&mut out);
    let expected = [
        &[2, 2, 0, 0, 0, 0, 0, 37, 0, 0, 20, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        b"\0\0\0\x02\x00u\0\0\0\x04\x03$2a\0\0\0\x03\x04pw",
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn what_was_encoded_is_decoded() {
    let reply = SecurityMessage { token: Some(b"token"), ttl_s: Some(86400), ..SecurityMessage::default() };
    let token = SecurityMessage {
        command: AUTHENTICATE,
        user: Some(b""),
        token: Some(b"t"),
        result: ResultCode::EXPIRED_SESSION.0,
        ..SecurityMessage::default()
    };
    for message in [login(), reply, token] {
        assert!(SecurityMessage::decode(&body(&message)).unwrap() == message, "{message:?}");
    }
    assert_eq!(token.code(), ResultCode::EXPIRED_SESSION);
}

#[test]
fn damage_is_found_and_other_fields_are_skipped() {
    let whole = body(&login());
    for cut in 0..whole.len() {
        let error = SecurityMessage::decode(&whole[..cut]).unwrap_err();
        assert_eq!((error.rule(), error.at()), (Rule::SecurityTruncated, cut));
    }
    let with_field = |field: &[u8]| {
        let mut body = vec![0; 16];
        body[3] = 1;
        [&body, field].concat()
    };
    let rule = |field: &[u8]| SecurityMessage::decode(&with_field(field)).map_err(|error| error.rule()).err();
    assert_eq!(rule(&[0, 0, 0, 0, 5]), Some(Rule::EmptyField));
    assert_eq!(rule(&[0, 0, 0, 3, 6, 1, 1]), Some(Rule::FieldBytes { kind: 6, bytes: 2 }));
    assert_eq!(rule(&[0, 0, 0, 2, 99, 1]), None);
    assert_eq!(rule(&[255, 255, 255, 255, 5]), Some(Rule::MessageBytes));
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{:?}", login()), "SecurityMessage { command: 20, result: 0, .. }");
}
