//! Answers to info commands, in the words of a server CE 8.1. Source: docs/format/wire.md, "Info".

mod index;
mod namespace;
mod udf;

use asbackup_codec::wire::{ResultCode, info};

use crate::server::Shared;

/// What a connection has said about itself.
#[derive(Debug, Default)]
pub(crate) struct Session {
    has_user_agent: bool,
}

/// Appends a reply for each command of a request.
pub(crate) fn answer(shared: &Shared, session: &mut Session, body: &[u8], out: &mut Vec<u8>) {
    for command in info::commands(body) {
        out.extend_from_slice(command);
        out.push(b'\t');
        answer_one(shared, session, command, out);
        out.push(b'\n');
    }
}

/// Appends the same error for each command of a request.
pub(crate) fn refuse(body: &[u8], code: ResultCode, out: &mut Vec<u8>) {
    for command in info::commands(body) {
        put(out, &[command, format!("\tERROR:{}:injected fault\n", code.0).as_bytes()]);
    }
}

fn answer_one(shared: &Shared, session: &mut Session, command: &[u8], out: &mut Vec<u8>) {
    let (name, params) = split_command(command);
    if let Some(text) = constant(name) {
        return put(out, &[text.as_bytes()]);
    }
    let store = &shared.store;
    match name {
        b"service-clear-std" => put(out, &[shared.address.to_string().as_bytes()]),
        b"cluster-name" => put(out, &[shared.cluster_name.as_bytes()]),
        b"cluster-stable" => cluster_stable(params, out),
        b"user-agent-set" => user_agent(session, params, out),
        b"statistics" => statistics(shared, out),
        b"namespaces" => namespace::names(store, out),
        b"namespace" => namespace::statistics(store, shared, params.0, out),
        b"sets" => namespace::sets(store, params.0, out),
        b"replicas" => namespace::replicas(store, out),
        b"truncate" | b"truncate-namespace" => namespace::truncate_records(store, params, out),
        b"sindex-list" => index::list(store, params, out),
        b"sindex-create" => index::create(store, params, out),
        b"sindex-delete" => index::delete(store, params, out),
        b"sindex-stat" => index::stat(store, params, out),
        b"sindex-exists" => index::exists(store, params, out),
        b"udf-list" => udf::list(store, out),
        b"udf-get" => udf::content(store, params, out),
        b"udf-put" => udf::put_module(store, params, out),
        b"udf-remove" => udf::remove(store, params, out),
        _ => error(out, ResultCode::PARAMETER, "unrecognized command"),
    }
}

/// Returns the reply that is always the same.
fn constant(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"build" | b"version" => BUILD,
        b"edition" => "Aerospike Community Edition",
        b"features" => FEATURES,
        b"node" => NODE,
        b"status" => "ok",
        b"partition-generation" | b"peers-generation" => "0",
        b"peers-clear-std" | b"peers-clear-alt" => "0,3000,[]",
        // Neither another address, nor a data center to ship to, nor a job that is listed once it is done.
        b"service-clear-alt" | b"get-config" | b"get-stats" | b"query-show" => "",
        b"peers-tls-std" | b"peers-tls-alt" | b"service-tls-std" | b"service-tls-alt" | b"racks"
        | b"rack-ids" => "ERROR:25:enterprise only",
        _ => return None,
    })
}

fn cluster_stable(params: Params<'_>, out: &mut Vec<u8>) {
    match params.value("size") {
        None | Some(b"1") => put(out, &[CLUSTER_KEY.as_bytes()]),
        Some(_) => error(out, ResultCode::CLUSTER_KEY_MISMATCH, "cluster not specified size"),
    }
}

fn user_agent(session: &mut Session, params: Params<'_>, out: &mut Vec<u8>) {
    if session.has_user_agent {
        return error(out, ResultCode::PARAMETER, "already set");
    }
    if params.required("value", out).is_some() {
        session.has_user_agent = true;
        put(out, &[b"ok"]);
    }
}

fn statistics(shared: &Shared, out: &mut Vec<u8>) {
    let objects: u64 = shared.store.namespaces().iter().map(crate::namespace::Namespace::record_count).sum();
    let uptime_s = shared.started.elapsed().as_secs();
    let text = format!(
        "failed_best_practices=false;cluster_size=1;cluster_key={CLUSTER_KEY};cluster_generation=1;\
         cluster_principal={NODE};cluster_integrity=true;cluster_is_member=true;uptime={uptime_s};objects={objects};\
         tombstones=0;paxos_principal={NODE};migrate_allowed=true;migrate_partitions_remaining=0"
    );
    put(out, &[text.as_bytes()]);
}

/// What stands behind the name of a command.
#[derive(Debug, Clone, Copy)]
struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    fn value(self, key: &str) -> Option<&'a [u8]> {
        self.0
            .split(|&byte| byte == b';')
            .find_map(|pair| pair.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
    }

    /// Returns a value, or says that it is missing.
    fn required(self, key: &str, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let value = self.value(key).filter(|value| !value.is_empty());
        if value.is_none() {
            error(out, ResultCode::PARAMETER, &format!("missing '{key}'"));
        }
        value
    }

    /// Returns the namespace that is meant; older clients call it `ns`.
    fn namespace(self) -> Option<&'a [u8]> {
        self.value("namespace").or_else(|| self.value("ns"))
    }
}

/// Splits `name`, `name:params` and `name/argument`.
fn split_command(command: &[u8]) -> (&[u8], Params<'_>) {
    match command.iter().position(|&byte| byte == b':' || byte == b'/') {
        Some(at) => (&command[..at], Params(&command[at + 1..])),
        None => (command, Params(&[])),
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn error(out: &mut Vec<u8>, code: ResultCode, text: &str) {
    put(out, &[format!("ERROR:{}:{text}", code.0).as_bytes()]);
}

const BUILD: &str = "8.1.1.2";
const NODE: &str = "80E901000000FC02";
const CLUSTER_KEY: &str = "6CED0D884C81";
const FEATURES: &str = "batch-any;batch-index;blob-bits;cdt-index;cdt-list;cdt-map;cluster-stable;float;geo;\
    sindex-exists;peers;pipelining;pquery;pscans;query-show;relaxed-sc;replicas;replicas-all;replicas-master;\
    replicas-max;truncate-namespace;udf";
