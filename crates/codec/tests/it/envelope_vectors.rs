//! Every golden file of testdata/framing against its entry in the manifest there. Origin: testdata/ORIGIN.md.

use std::{fs, path::PathBuf};

use asbackup_codec::envelope::{
    AesCtr, AesKey, BLOCK_BYTES, Decompressed, Decompressor, DerivedKey, Layer, ZstdError,
};
use base64_simd::STANDARD;
use serde_json::Value as Json;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn vectors() -> Vec<Json> {
    let manifest: Json = serde_json::from_slice(&read("framing/manifest.json")).unwrap();
    manifest["vectors"].as_array().unwrap().clone()
}

fn key(vector: &Json) -> Option<AesKey> {
    let derived = || DerivedKey::from_pem_file(&read("keys/a_rsa_pkcs1.pem")).unwrap();
    match vector["params"]["encryption"].as_str() {
        Some("AES128") => Some(AesKey::Aes128(derived().aes128())),
        Some("AES256") => Some(AesKey::Aes256(derived().aes256())),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}

/// What a file has to become, if its manifest says it.
fn plain(vector: &Json) -> Vec<u8> {
    let params = &vector["params"];
    if let Some(text) = params["plain_b64"].as_str() {
        return STANDARD.decode_to_vec(text).unwrap();
    }
    match params["plain_prefix_of"].as_str() {
        Some(file) => read(file)[..usize::try_from(params["plain_len"].as_u64().unwrap()).unwrap()].to_vec(),
        None => read(params["plain_file"].as_str().unwrap_or("framing/a_plain.asb")),
    }
}

fn decrypt(key: &AesKey, stored: &[u8]) -> Vec<u8> {
    let (first, rest) = stored.split_first_chunk::<BLOCK_BYTES>().unwrap();
    let mut text = rest.to_vec();
    AesCtr::open(key, *first).apply(&mut text);
    text
}

fn decompress(frames: &[u8]) -> Result<Vec<u8>, ZstdError> {
    let (mut decompressor, mut at, mut text) = (Decompressor::new(), 0, Vec::new());
    let mut output = [0; 1000];
    loop {
        let Decompressed { used, written } = decompressor.decompress(&frames[at..], &mut output)?;
        at += used;
        text.extend_from_slice(&output[..written]);
        if (used, written) == (0, 0) {
            return decompressor.finish().map(|()| text);
        }
    }
}

#[test]
fn every_vector_becomes_its_plain_text() {
    let vectors = vectors();
    for vector in &vectors {
        let name = vector["file"].as_str().unwrap();
        let mut bytes = read(name);
        if let Some(key) = key(vector) {
            assert_eq!(Layer::of(&bytes), Layer::Unknown, "{name}");
            bytes = decrypt(&key, &bytes);
        }
        if vector["params"]["compression"] == "ZSTD" {
            assert_eq!(Layer::of(&bytes), Layer::Compressed, "{name}");
            bytes = decompress(&bytes).unwrap();
        }
        assert_eq!(Layer::of(&bytes), Layer::Text, "{name}");
        assert!(bytes == plain(vector), "{name}");
    }
    assert_eq!(vectors.len(), 18, "the manifest lists 18 files");
}

#[test]
fn encrypting_with_the_same_counter_gives_the_same_file() {
    let mut same = 0;
    for vector in vectors() {
        let Some(counter) = vector["params"]["counter_hex"].as_str() else { continue };
        let counter = u128::from_str_radix(counter, 16).unwrap().to_be_bytes();
        let (mut cipher, first) = AesCtr::create(&key(&vector).unwrap(), counter);
        let mut data = plain(&vector);
        cipher.apply(&mut data);
        let name = vector["file"].as_str().unwrap();
        assert!([&first[..], &data].concat() == read(name), "{name}");
        same += 1;
    }
    assert_eq!(same, 3, "the manifest lists 3 counters");
}

#[test]
fn every_cut_of_a_compressed_vector_is_found() {
    let whole = read("framing/a_zstd_two_frames.asb");
    let cuts: Vec<usize> = (1..whole.len()).filter(|&cut| decompress(&whole[..cut]).is_ok()).collect();
    assert_eq!(cuts.len(), 1, "only the cut between the frames looks like an end: {cuts:?}");
    let whole = read("framing/a_zstd_level3.asb");
    assert!((1..whole.len()).all(|cut| decompress(&whole[..cut]) == Err(ZstdError::Cut)));
}
