//! Answers to info commands, in the words of a server CE 8.1. Source: docs/format/wire.md, "Info".

mod cluster;
mod index;
mod namespace;
mod udf;

use asbackup_codec::wire::{ResultCode, info};

use self::cluster::Addresses;
use crate::node::Node;

/// What a connection has said about itself.
#[derive(Debug, Default)]
pub(crate) struct Session {
    has_user_agent: bool,
}

/// Appends a reply for each command of a request.
pub(crate) fn answer(node: &Node, session: &mut Session, body: &[u8], out: &mut Vec<u8>) {
    for command in info::commands(body) {
        out.extend_from_slice(command);
        out.push(b'\t');
        answer_one(node, session, command, out);
        out.push(b'\n');
    }
}

/// Appends the same error for each command of a request.
pub(crate) fn refuse(body: &[u8], code: ResultCode, text: &str, out: &mut Vec<u8>) {
    for command in info::commands(body) {
        put(out, &[command, format!("\tERROR:{}:{text}\n", code.0).as_bytes()]);
    }
}

fn answer_one(node: &Node, session: &mut Session, command: &[u8], out: &mut Vec<u8>) {
    let (name, params) = split_command(command);
    let name = cluster::encrypted_or_not(node, name);
    if let Some(text) = constant(name) {
        return put(out, &[text.as_bytes()]);
    }
    let (store, ownership) = (&node.shared.store, node.ownership());
    match name {
        b"node" => put(out, &[node.member().name.as_bytes()]),
        b"peers-generation" => put(out, &[ownership.peers_generation.to_string().as_bytes()]),
        b"partition-generation" => put(out, &[ownership.partition_generation.to_string().as_bytes()]),
        b"peers-clear-std" => cluster::peers(node, &ownership, Addresses::Standard, out),
        b"peers-clear-alt" => cluster::peers(node, &ownership, Addresses::Alternate, out),
        b"service-clear-std" => put(out, &[cluster::address(node.member(), Addresses::Standard).as_bytes()]),
        b"service-clear-alt" => put(out, &[cluster::address(node.member(), Addresses::Alternate).as_bytes()]),
        b"racks" => cluster::racks(node, out),
        b"cluster-name" => put(out, &[node.shared.cluster_name.as_bytes()]),
        b"cluster-stable" => cluster::stable(params, &ownership, out),
        b"build" | b"version" => put(out, &[node.shared.build.as_bytes()]),
        b"user-agent-set" => user_agent(session, params, out),
        b"statistics" => cluster::statistics(node, &ownership, out),
        b"namespaces" => namespace::names(store, out),
        b"namespace" => namespace::statistics(node, &ownership, params.0, out),
        b"sets" => namespace::sets(node, &ownership, params.0, out),
        b"replicas" => namespace::replicas(node, &ownership, params, out),
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
        b"edition" => "Aerospike Community Edition",
        b"features" => FEATURES,
        b"status" => "ok",
        // Neither a data center to ship to, nor a job that is listed once it is done.
        b"get-config" | b"get-stats" | b"query-show" => "",
        b"peers-tls-std" | b"peers-tls-alt" | b"service-tls-std" | b"service-tls-alt" | b"rack-ids" => {
            "ERROR:25:enterprise only"
        }
        _ => return None,
    })
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

const FEATURES: &str = "batch-any;batch-index;blob-bits;cdt-index;cdt-list;cdt-map;cluster-stable;float;geo;\
    sindex-exists;peers;pipelining;pquery;pscans;query-show;relaxed-sc;replicas;replicas-all;replicas-master;\
    replicas-max;truncate-namespace;udf";
