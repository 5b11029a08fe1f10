//! The derivation of keys, held against the vectors of docs/format/key.md.

use std::fs;

use asbackup_codec::envelope::{DerivedKey, KeyError};
use base64_simd::STANDARD;
use proptest::prelude::*;
use serde_json::Value;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys");

fn file(name: &str) -> Vec<u8> {
    fs::read(format!("{DIR}/{name}")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the DER of the test key in PKCS#8, and in PKCS#1.
fn ders() -> [Vec<u8>; 2] {
    ["a_rsa_pkcs8.pem", "a_rsa_pkcs1.pem"].map(|name| {
        let text = String::from_utf8(file(name)).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode_to_vec(body).unwrap()
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode_to_string(der))
}

fn of_der(der: &[u8]) -> Result<String, KeyError> {
    DerivedKey::from_text(STANDARD.encode_to_string(der).as_bytes()).map(|key| hex(&key.aes256()))
}

const KEY: &str = "fe3adbb90f0c637e9178f437b1d31080298452ccb727fe2449cfb6d7887f915d";

#[test]
fn key_files_of_both_forms_give_the_same_key() {
    for name in ["a_rsa_pkcs8.pem", "a_rsa_pkcs1.pem"] {
        let key = DerivedKey::from_pem_file(&file(name)).unwrap();
        assert_eq!(
            (hex(&key.aes256()), hex(&key.aes128())),
            (KEY.to_owned(), KEY[..32].to_owned()),
            "{name}"
        );
    }
}

#[test]
fn texts_give_what_the_peer_makes_of_them() {
    let vectors: Vec<Value> = serde_json::from_slice(&file("a_env_forms.json")).unwrap();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let key = DerivedKey::from_text(vector["value"].as_str().unwrap().as_bytes());
        let expected = match name {
            "broken_base64" => Err(KeyError::InvalidBase64),
            "der_of_ec_key" => Err(KeyError::NotRsa),
            "empty" => Err(KeyError::Empty),
            _ => Ok(vector["aes256_key_hex"].as_str().unwrap().to_owned()),
        };
        assert_eq!(key.map(|key| hex(&key.aes256())), expected, "{name}");
    }
}

#[test]
fn first_block_of_a_file_counts_whatever_stands_around_it() {
    let key = String::from_utf8(file("a_rsa_pkcs1.pem")).unwrap().replace('\n', "\r\n");
    let around = format!("a note\r\n{key}{}tail", pem("CERTIFICATE", b"x"));
    assert_eq!(hex(&DerivedKey::from_pem_file(around.as_bytes()).unwrap().aes256()), KEY);
}

#[test]
fn what_is_no_plain_rsa_key_in_pem_is_refused_by_name() {
    let [pkcs8, _] = ders();
    let label = |label: &str| label.to_owned();
    let cases = [
        (" \n".to_owned(), KeyError::Empty),
        ("not PEM".to_owned(), KeyError::NoPem),
        ("-----BEGIN PRIVATE KEY".to_owned(), KeyError::NoPem),
        (format!("-----BEGIN {}-----", "A".repeat(65)), KeyError::NoPem),
        ("-----BEGIN PRIVATE\nKEY-----".to_owned(), KeyError::NoPem),
        (
            "-----BEGIN PRIVATE KEY-----\nMII".to_owned(),
            KeyError::UnfinishedPem { label: label("PRIVATE KEY") },
        ),
        (pem("CERTIFICATE", &pkcs8), KeyError::OtherPem { label: label("CERTIFICATE") }),
        (pem("PUBLIC KEY", &pkcs8), KeyError::OtherPem { label: label("PUBLIC KEY") }),
        (pem("OPENSSH PRIVATE KEY", &pkcs8), KeyError::OtherPem { label: label("OPENSSH PRIVATE KEY") }),
        (pem("ENCRYPTED PRIVATE KEY", &pkcs8), KeyError::Encrypted),
        (
            pem("RSA PRIVATE KEY", b"").replace("-----\n\n", "-----\nProc-Type: 4,ENCRYPTED\n"),
            KeyError::Encrypted,
        ),
        (pem("EC PRIVATE KEY", &pkcs8), KeyError::NotRsa),
        (pem("PRIVATE KEY", &pkcs8).replace("MII", "M#I"), KeyError::InvalidBase64),
        (pem("PRIVATE KEY", b""), KeyError::Damaged { at: 0 }),
    ];
    for (content, expected) in cases {
        assert_eq!(DerivedKey::from_pem_file(content.as_bytes()).map(|_| ()), Err(expected), "{content}");
    }
}

#[test]
fn keys_of_other_algorithms_and_with_more_primes_are_refused() {
    let [mut pkcs8, mut pkcs1] = ders();
    // The last byte of the object identifier 1.2.840.113549.1.1.1; 10 is that of RSA-PSS.
    pkcs8[19] = 10;
    assert_eq!(of_der(&pkcs8), Err(KeyError::NotRsa));
    assert_eq!(pkcs1[4..7], [2, 1, 0]);
    pkcs1[6] = 1;
    assert_eq!(of_der(&pkcs1), Err(KeyError::MultiPrime));
    pkcs1[6] = 2;
    assert_eq!(of_der(&pkcs1), Err(KeyError::Damaged { at: 7 }));
}

#[test]
fn der_that_is_cut_longer_or_spelled_otherwise_is_damaged() {
    for der in ders() {
        for cut in 0..der.len() {
            let error = of_der(&der[..cut]).unwrap_err();
            assert!(matches!(error, KeyError::Damaged { .. } | KeyError::Empty), "{cut}: {error:?}");
        }
        let longer = [&der[..], &[0]].concat();
        assert_eq!(of_der(&longer), Err(KeyError::Damaged { at: der.len() }));
    }
    for der in [
        &[0x30, 0x81, 3, 2, 1, 0][..],   // a length in a longer form than needed
        &[0x30, 0x82, 0, 3, 2, 1, 0],    // the same
        &[0x30, 0x83, 0, 0, 3, 2, 1, 0], // a length beyond 64 KiB
        &[0x30, 4, 2, 2, 0, 0],          // a number with a needless byte
        &[0x30, 3, 2, 1, 0x80],          // a negative number
        &[0x30, 2, 2, 0],                // a number without bytes
        &[0x30, 3, 2, 1, 0],             // no number behind the version
        &[0x31, 3, 2, 1, 0],             // a set
    ] {
        assert!(matches!(of_der(der), Err(KeyError::Damaged { .. })), "{der:02x?}");
    }
}

#[test]
fn keys_are_not_shown() {
    let key = DerivedKey::from_pem_file(&file("a_rsa_pkcs1.pem")).unwrap();
    assert_eq!(format!("{key:?}"), "DerivedKey(hidden)");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..100), at in 0..1190_usize, byte: u8) {
        let _ = DerivedKey::from_text(&input);
        let _ = DerivedKey::from_pem_file(&input);
        let _ = of_der(&input);
        let [_, mut changed] = ders();
        changed[at] = byte;
        let _ = of_der(&changed);
        let mut text = file("a_rsa_pkcs8.pem");
        text[at] = byte;
        let _ = DerivedKey::from_pem_file(&text);
    }
}
