//! Inputs to start from, read out of `testdata` so that no copy of it goes stale.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use asbackup_codec::wire::{self, FRAME_BYTES, FrameHeader, FrameKind, QueryRequest, WriteRules};
use asbackup_model::owned::Record;
use asbackup_model::{Digest, PartitionId};

use crate::asb::{self, Entry};

/// Returns the golden files of the text format, the damaged ones too.
pub(crate) fn texts() -> Result<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for folder in ["asb", "asb-negative", "real"] {
        for path in files(folder, ".asb")? {
            texts.push(read(&path)?);
        }
    }
    Ok(texts)
}

/// Returns a manifest, a side file, and the states of a backup and a restore.
pub(crate) fn documents() -> Result<Vec<Vec<u8>>> {
    files("documents", ".json")?.iter().map(|path| read(path)).collect()
}

/// Returns the recorded answers of a server, and those that it would send for the records of the golden files.
pub(crate) fn answers() -> Result<Vec<Vec<u8>>> {
    let mut answers = Vec::new();
    for path in files("wire", ".resp.bin")? {
        answers.push(bodies(&path, FrameKind::Message)?.concat());
    }
    answers.extend(messages(|out, records| {
        records.iter().for_each(|record| wire::encode_record_answer(out, &record.layout().view(&[])));
    })?);
    answers.retain(|answer| !answer.is_empty());
    Ok(answers)
}

/// Returns the recorded requests of a client, its answers, and a batch of the records of each golden file.
pub(crate) fn requests() -> Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for path in files("wire", ".bin")? {
        requests.extend(bodies(&path, FrameKind::Message)?);
    }
    requests.extend(messages(|out, records| {
        let start = wire::begin_batch(out, 1_000);
        for record in records {
            wire::encode_row(out, &record.layout().view(&[]), b"target", WriteRules::default());
        }
        wire::end_batch(out, start, u32::try_from(records.len()).unwrap_or(u32::MAX));
        out.drain(..start + FRAME_BYTES);
    })?);
    requests.push(full_query());
    Ok(requests)
}

/// Returns the recorded info requests and replies, and some of servers that nobody recorded.
pub(crate) fn info() -> Result<Vec<Vec<u8>>> {
    let mut info = Vec::new();
    for path in files("wire", ".bin")? {
        info.extend(bodies(&path, FrameKind::Info)?);
    }
    let recorded: serde_json::Value =
        serde_json::from_slice(&read(&testdata().join("wire/info_replies.json"))?)?;
    let entries = recorded.as_array().context("info_replies.json isn't a list")?;
    info.extend(
        entries.iter().filter_map(|entry| entry["reply"].as_str()).map(|reply| reply.as_bytes().to_vec()),
    );
    info.extend(OTHER_REPLIES.map(<[u8]>::to_vec));
    Ok(info)
}

/// Returns what `encode` makes of the records of each golden file that has any.
fn messages(encode: impl Fn(&mut Vec<u8>, &[Record])) -> Result<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    for text in texts()? {
        let records: Vec<_> =
            asb::read(&[&text]).entries.into_iter().filter_map(Entry::into_record).collect();
        if !records.is_empty() {
            let mut out = Vec::new();
            encode(&mut out, &records);
            messages.push(out);
        }
    }
    Ok(messages)
}

fn full_query() -> Vec<u8> {
    let query = QueryRequest {
        namespace: b"test",
        set: Some(b"demo"),
        bins: vec![b"a", b"b"],
        from_start: PartitionId::all().take(3).collect(),
        after: vec![Digest([7; 20])],
        filter: Some(wire::monitor_set_filter()),
        max_records: 1_000,
        records_per_second: 50,
        socket_timeout_ms: 10_000,
        task_id: 42,
        ..QueryRequest::default()
    };
    let mut frame = Vec::new();
    query.encode(&mut frame);
    frame.split_off(FRAME_BYTES)
}

/// Returns the bodies of the frames of one kind in a recorded stream.
fn bodies(path: &Path, kind: FrameKind) -> Result<Vec<Vec<u8>>> {
    let stream = read(path)?;
    let mut rest = &stream[..];
    let mut bodies = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk() {
        let header = FrameHeader::decode(*head)?;
        let body = behind.split_at_checked(header.body_bytes as usize);
        let (body, next) = body.with_context(|| format!("{} ends within a frame", path.display()))?;
        if header.kind == kind {
            bodies.push(body.to_vec());
        }
        rest = next;
    }
    Ok(bodies)
}

/// Returns the files of a folder of `testdata` whose names end so, in the order of their names.
fn files(folder: &str, end: &str) -> Result<Vec<PathBuf>> {
    let folder = testdata().join(folder);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(end));
    ensure!(!paths.is_empty(), "{} has no files {end}", folder.display());
    paths.sort_unstable();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Lists of several nodes and of older servers. Source: docs/format/wire.md, "Cluster view" and "Index and UDF commands".
const OTHER_REPLIES: [&[u8]; 5] = [
    b"2,4000,[[A,tls,[10.0.0.1,[::1]:3100,h:3200]],[B,,[[fe80::1]]],[C,,[]]]",
    b"ns=test:set=NULL:indexname=a:num_bins=1:bin=b:type=INT SIGNED:indextype=NONE:path=b:state=RW",
    b"ns=test:set=s:indexname=k:bin=m:type=TEXT:indextype=MAPKEYS;ns=test:indexname=s1:set=demo:indextype=set",
    b"filename=a.lua,hash=84,type=LUA;filename=b,hash=x,c=d.lua,hash=85,type=LUA;",
    b"FAIL:4:bad thing: x",
];
