//! Every golden file against its entry in testdata/asb/manifest.json. Origin: testdata/ORIGIN.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use asbackup_codec::Step;
use asbackup_codec::asb::{self, Decoder, FileOrder, Spelling, Version};
use asbackup_model::arbitrary::{OwnedKey, OwnedValue, Record};
use asbackup_model::{
    BytesType, Digest, IndexKind, IndexedType, RecordLayout, SecondaryIndex, UdfModule, VoidTime,
};
use serde_json::Value as Json;

use crate::asb_text::{Token, decode, decode_pieces, encode};

#[test]
fn every_vector_is_decoded_as_expected() {
    let mut passed = BTreeMap::new();
    for vector in vectors() {
        match vector.expectation() {
            Expectation::Tokens(tokens) => vector.check_tokens(&tokens),
            Expectation::OneNan => vector.check_one_nan(),
            Expectation::Refused => vector.check_refused(),
        }
        *passed.entry((vector.folder(), vector.text_of("origin"))).or_insert(0) += 1;
    }
    for ((folder, origin), count) in &passed {
        println!("vectors passed: {count:3} of {folder} ({origin})");
    }
    assert_eq!(passed.values().sum::<i32>(), 151, "the manifest lists 151 files");
}

#[test]
fn every_file_of_the_peer_is_encoded_to_the_same_bytes() {
    let mut equal = 0;
    for vector in vectors().filter(|vector| vector.text_of("origin") == "encoder") {
        let decoded = decode(&vector.text);
        let spelling = if vector.manifest["params"]["compact"] == Json::Bool(true) {
            Spelling::Compact
        } else {
            Spelling::Base64
        };
        let mut encoded = vector.encode_header(&decoded.namespace.expect("the peer writes a namespace"));
        encoded.extend(encode(&decoded.tokens, spelling));
        assert_eq!(encoded.escape_ascii().to_string(), vector.text.escape_ascii().to_string(), "{vector}");
        equal += 1;
    }
    println!("files of the peer encoded to the same bytes: {equal}");
    assert_eq!(equal, 40, "the manifest lists 40 files of the peer");
}

#[test]
fn every_vector_decodes_again_after_encoding() {
    for vector in vectors() {
        let Expectation::Tokens(expected) = vector.expectation() else { continue };
        let tokens = decode(&vector.text).tokens;
        for spelling in [Spelling::Base64, Spelling::Compact] {
            let mut text = b"Version 3.1\n".to_vec();
            text.extend(encode(&tokens, spelling));
            assert_eq!(sorted(decode(&text).tokens), sorted(expected.clone()), "{vector}, {spelling:?}");
        }
    }
}

#[test]
fn every_split_gives_the_same_result() {
    for vector in vectors() {
        let whole = decode(&vector.text);
        for split in 0..=vector.text.len() {
            let (head, tail) = vector.text.split_at(split);
            assert_eq!(decode_pieces(&[head, tail]), whole, "{vector}, split at byte {split}");
        }
        let bytes: Vec<&[u8]> = vector.text.chunks(1).collect();
        assert_eq!(decode_pieces(&bytes), whole, "{vector}, byte by byte");
    }
}

#[test]
fn every_cut_within_an_entry_is_refused() {
    for vector in vectors() {
        check_cuts(&vector.text, &vector.to_string());
    }
}

/// Files of whole directories, which the peer wrote with its own writer of files.
#[test]
fn files_of_directories_are_encoded_to_the_same_bytes_and_no_cut_is_taken() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/dirs"));
    let mut entries = 0;
    let directories = fs::read_dir(folder).unwrap().map(|directory| directory.unwrap().path());
    // What is compressed and encrypted is read in the tests of the engine.
    for directory in directories.filter(|path| !path.ends_with("a_zstd_aes128_limit")) {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read(&path).unwrap();
            check_cuts(&text, &path.display().to_string());
            let decoded = decode(&text);
            assert_eq!(decoded.end, Ok(()), "{}", path.display());
            entries += decoded.tokens.len();
            let encoded = encode(&decoded.tokens, Spelling::Base64);
            assert!(text.ends_with(&encoded), "{}", path.display());
        }
    }
    assert_eq!(entries, 4 * 102, "each directory has 100 records, an index and a UDF module");
}

/// Cuts a text at each byte, and checks that it may end behind an entry only.
#[track_caller]
fn check_cuts(text: &[u8], name: &str) {
    let ends = entry_ends(text);
    for cut in 0..=ends.last().copied().unwrap_or(0) {
        let outcome = decode(&text[..cut]);
        let is_end = ends.contains(&cut);
        assert_eq!(outcome.end.is_ok(), is_end, "{name}, cut at byte {cut}: {outcome:?}");
    }
}

/// Returns where the entries of a text end, up to the first that is damaged.
fn entry_ends(text: &[u8]) -> Vec<usize> {
    let mut decoder = Decoder::new();
    let mut layout = RecordLayout::new();
    let mut ends = Vec::new();
    let mut at = 0;
    while let Step::Done { used, .. } = decoder.decode(&text[at..], &mut layout) {
        at += used;
        ends.push(at);
        assert_eq!(decoder.position().byte, at as u64);
        let lines = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(decoder.position().line, 1 + lines);
    }
    ends
}

/// A golden file and its entry in the manifest.
struct Vector {
    manifest: Json,
    text: Vec<u8>,
}

/// What our decoder must make of a file.
enum Expectation {
    Tokens(Vec<Token>),
    /// A file that the manifest lists as malformed, but that we take.
    OneNan,
    Refused,
}

fn vectors() -> impl Iterator<Item = Vector> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"));
    let manifest = fs::read(folder.join("asb/manifest.json")).unwrap();
    let mut manifest: Json = serde_json::from_slice(&manifest).unwrap();
    let vectors = manifest["vectors"].take();
    vectors.as_array().unwrap().clone().into_iter().map(move |manifest| {
        let text = fs::read(folder.join(manifest["file"].as_str().unwrap())).unwrap();
        assert_eq!(Some(text.len() as u64), manifest["size"].as_u64());
        Vector { manifest, text }
    })
}

impl Vector {
    fn text_of(&self, field: &str) -> String {
        self.manifest[field].as_str().unwrap_or_default().to_owned()
    }

    fn folder(&self) -> String {
        self.text_of("file").split('/').next().unwrap().to_owned()
    }

    /// What the peer makes of the file, unless the entry says that ours must differ.
    fn expectation(&self) -> Expectation {
        let ours = self.text_of("ours");
        if ours.starts_with("refuse") {
            return Expectation::Refused;
        }
        if ours.starts_with("accept") {
            return Expectation::OneNan;
        }
        let Some(tokens) = self.manifest["expected"]["tokens"].as_array() else {
            return Expectation::Refused;
        };
        let mut tokens: Vec<Token> = tokens.iter().map(token).collect();
        if let Some((_, particle)) = ours.split_once("particle ") {
            tokens.iter_mut().for_each(|token| restore_language(token, particle.parse().unwrap()));
        }
        Expectation::Tokens(tokens)
    }

    fn check_tokens(&self, expected: &[Token]) {
        let outcome = decode(&self.text);
        assert_eq!(outcome.end, Ok(()), "{self}");
        assert_eq!(sorted(outcome.tokens), sorted(expected.to_vec()), "{self}");
    }

    fn check_one_nan(&self) {
        let outcome = decode(&self.text);
        assert_eq!(outcome.end, Ok(()), "{self}");
        let [Token::Record(record)] = &outcome.tokens[..] else { panic!("{self}: not one record") };
        assert_eq!(record.bins, [(b"v".to_vec(), OwnedValue::Float((-f64::NAN).to_bits()))], "{self}");
    }

    fn check_refused(&self) {
        let outcome = decode(&self.text);
        let error = outcome.end.expect_err(&format!("{self} is malformed"));
        println!("{self}: {error}");
        let line_ends_before =
            |byte: u64| self.text.iter().zip(0..byte).filter(|(found, _)| **found == b'\n').count() as u64;
        assert_eq!(error.position().line, 1 + line_ends_before(error.position().byte), "{self}");
        // The peer counts the entries that it read before.
        let before = self.manifest["go"]["tokens_before"].as_u64().unwrap_or(0);
        assert_eq!(outcome.tokens.len() as u64, before, "{self}");
    }

    fn encode_header(&self, namespace: &[u8]) -> Vec<u8> {
        let version = if self.text.starts_with(b"Version 3.2\n") { Version::V32 } else { Version::V31 };
        let first = b"# first-file\n";
        let is_first = self.text.windows(first.len()).any(|window| window == first);
        let mut header = Vec::new();
        let order = if is_first { FileOrder::First } else { FileOrder::Later };
        asb::encode_header(&mut header, version, namespace, order);
        header
    }
}

impl std::fmt::Display for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text_of("file"), self.text_of("desc"))
    }
}

fn token(json: &Json) -> Token {
    match json["token"].as_str().unwrap() {
        "record" => Token::Record(record(json)),
        "sindex" => Token::Index(index(json)),
        "udf" => Token::Udf(UdfModule { name: bytes(&json["name"]), content: bytes(&json["content"]) }),
        other => panic!("unknown token {other}"),
    }
}

fn record(json: &Json) -> Record {
    let digest = json["digest_hex"].as_str().unwrap();
    let digest: Vec<u8> =
        (0..20).map(|i| u8::from_str_radix(&digest[2 * i..2 * i + 2], 16).unwrap()).collect();
    let digest = Digest(digest.try_into().unwrap());
    assert_eq!(Some(u64::from(digest.partition().number())), json["partition"].as_u64());
    Record {
        namespace: bytes(&json["namespace"]),
        set: Some(bytes(&json["set"])).filter(|set| !set.is_empty()),
        digest,
        key: Some(&json["key"]).filter(|key| !key.is_null()).map(key),
        generation: json["generation"].as_u64().unwrap().try_into().unwrap(),
        void_time: VoidTime(json["void_time"].as_u64().unwrap()),
        bins: json["bins"].as_array().unwrap().iter().map(|bin| (bytes(&bin["name"]), value(bin))).collect(),
    }
}

fn key(json: &Json) -> OwnedKey {
    match value(json) {
        OwnedValue::Integer(value) => OwnedKey::Integer(value),
        OwnedValue::Float(bits) => OwnedKey::Float(bits),
        OwnedValue::String(bytes) => OwnedKey::String(bytes),
        OwnedValue::Bytes(BytesType::Blob, bytes) => OwnedKey::Bytes(bytes),
        other => panic!("no key: {other:?}"),
    }
}

fn value(json: &Json) -> OwnedValue {
    let value = &json["value"];
    match json["type"].as_str().unwrap() {
        "nil" => OwnedValue::Nil,
        "bool" => OwnedValue::Bool(value.as_bool().unwrap()),
        "int" => OwnedValue::Integer(value.as_str().unwrap().parse().unwrap()),
        "float" => OwnedValue::Float(float_bits(value)),
        "string" => OwnedValue::String(bytes(value)),
        "geojson" => OwnedValue::GeoJson(bytes(value)),
        "blob" => OwnedValue::Bytes(BytesType::Blob, bytes(value)),
        "hll" => OwnedValue::Bytes(BytesType::Hll, bytes(value)),
        "map" => OwnedValue::Bytes(BytesType::Map, bytes(value)),
        "list" => OwnedValue::Bytes(BytesType::List, bytes(value)),
        other => panic!("unknown type {other}"),
    }
}

fn float_bits(json: &Json) -> u64 {
    match json["bits_hex"].as_str() {
        Some(bits) => u64::from_str_radix(bits, 16).unwrap(),
        None => {
            assert_eq!(json["class"], "nan");
            f64::NAN.to_bits()
        }
    }
}

fn index(json: &Json) -> SecondaryIndex {
    let text =
        |field: &str| Some(json[field].as_str().unwrap().as_bytes().to_vec()).filter(|text| !text.is_empty());
    SecondaryIndex {
        namespace: bytes(&json["namespace"]),
        set: Some(bytes(&json["set"])).filter(|set| !set.is_empty()),
        name: bytes(&json["name"]),
        kind: match json["index_type"].as_str().unwrap() {
            "N" => IndexKind::Default,
            "L" => IndexKind::ListElements,
            "K" => IndexKind::MapKeys,
            "V" => IndexKind::MapValues,
            other => panic!("unknown index type {other}"),
        },
        bin: bytes(&json["bin"]),
        indexed: match json["bin_type"].as_str().unwrap() {
            "N" => IndexedType::Numeric,
            "S" => IndexedType::String,
            "G" => IndexedType::Geo2dSphere,
            "B" => IndexedType::Blob,
            other => panic!("unknown bin type {other}"),
        },
        context: text("context_b64"),
        expression: text("expression_b64"),
    }
}

fn bytes(json: &Json) -> Vec<u8> {
    let bytes = match json["utf8"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => base64_simd::STANDARD.decode_to_vec(json["b64"].as_str().unwrap()).unwrap(),
    };
    assert_eq!(Some(bytes.len() as u64), json["len"].as_u64());
    bytes
}

/// Gives the blobs of a record the particle type that the peer loses.
fn restore_language(token: &mut Token, particle: u8) {
    let languages = [BytesType::Java, BytesType::CSharp, BytesType::Ruby, BytesType::Php];
    let language = languages.into_iter().find(|kind| kind.particle() == particle).unwrap();
    let Token::Record(record) = token else { panic!("not a record") };
    for (_, value) in &mut record.bins {
        let OwnedValue::Bytes(kind, _) = value else { panic!("not a blob") };
        *kind = language;
    }
}

/// Brings what has no order in the manifest, or isn't told apart there, into one form.
fn sorted(mut tokens: Vec<Token>) -> Vec<Token> {
    for token in &mut tokens {
        if let Token::Record(record) = token {
            record.bins.sort_by(|(a, _), (b, _)| a.cmp(b));
            record.set.take_if(|set| set.is_empty());
        }
    }
    tokens
}
