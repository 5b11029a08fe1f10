//! Info commands about the nodes and how they stand together. Source: docs/format/wire.md, "Cluster view".

use std::collections::BTreeMap;

use asbackup_codec::wire::ResultCode;

use super::{Params, error, put};
use crate::namespace::Namespace;
use crate::node::Node;
use crate::topology::{Member, Ownership};

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Addresses {
    Standard,
    Alternate,
}

/// Returns the command for the addresses that nodes have: with TLS the encrypted ones, without the others.
pub(super) fn encrypted_or_not<'a>(node: &Node, command: &'a [u8]) -> &'a [u8] {
    match command {
        b"peers-tls-std" if node.shared.tls.is_some() => b"peers-clear-std",
        b"peers-tls-alt" if node.shared.tls.is_some() => b"peers-clear-alt",
        b"service-tls-std" if node.shared.tls.is_some() => b"service-clear-std",
        b"service-tls-alt" if node.shared.tls.is_some() => b"service-clear-alt",
        b"peers-clear-std" | b"peers-clear-alt" | b"service-clear-std" | b"service-clear-alt"
            if node.shared.tls.is_some() =>
        {
            b"peers-of-no-kind"
        }
        _ => command,
    }
}

/// Returns the address of a node; nothing if it has none of that kind.
pub(super) fn address(member: &Member, addresses: Addresses) -> String {
    match addresses {
        Addresses::Standard => member.standard.to_string(),
        Addresses::Alternate => member.alternate.map_or_else(String::new, |address| address.to_string()),
    }
}

/// Appends the other nodes that run.
pub(super) fn peers(node: &Node, ownership: &Ownership, addresses: Addresses, out: &mut Vec<u8>) {
    let tls_name = node.shared.tls.as_ref().map_or("", |(_, name)| name);
    let peer = |number: usize| {
        let member = &node.shared.topology.members[number];
        format!("[{},{tls_name},[{}]]", member.name, address(member, addresses))
    };
    let others = ownership.running_nodes().filter(|&number| number != node.number);
    let others: Vec<String> = others.map(peer).collect();
    let text = format!("{},3000,[{}]", ownership.peers_generation, others.join(","));
    put(out, &[text.as_bytes()]);
}

/// Appends the racks of each namespace, and the nodes in them. Source: docs/format/wire.md, "Racks".
pub(super) fn racks(node: &Node, out: &mut Vec<u8>) {
    let mut racks: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for member in &node.shared.topology.members {
        let Some(rack) = member.rack else {
            return error(out, ResultCode::ENTERPRISE_ONLY, "enterprise only");
        };
        racks.entry(rack).or_default().push(&member.name);
    }
    let racks: Vec<String> =
        racks.iter().map(|(rack, nodes)| format!(":rack_{rack}={}", nodes.join(","))).collect();
    for (number, namespace) in node.shared.store.namespaces().iter().enumerate() {
        let separator: &[u8] = if number == 0 { b"" } else { b";" };
        put(out, &[separator, b"ns=", namespace.name(), racks.concat().as_bytes()]);
    }
}

pub(super) fn stable(params: Params<'_>, ownership: &Ownership, out: &mut Vec<u8>) {
    let size = ownership.running_nodes().count().to_string();
    match params.value("size") {
        Some(expected) if expected != size.as_bytes() => {
            error(out, ResultCode::CLUSTER_KEY_MISMATCH, "cluster not specified size");
        }
        _ => put(out, &[key(ownership).as_bytes()]),
    }
}

pub(super) fn statistics(node: &Node, ownership: &Ownership, out: &mut Vec<u8>) {
    let shared = &node.shared;
    let count =
        |namespace: &Namespace| namespace.record_count_of(|id| ownership.place(node.number, id).is_some());
    let objects: u64 = shared.store.namespaces().iter().map(count).sum();
    let size = ownership.running_nodes().count();
    // The node with the highest name leads.
    let principal = ownership.running_nodes().map(|number| &shared.topology.members[number].name).max();
    let principal = principal.map_or("0", String::as_str);
    let (key, uptime_s) = (key(ownership), shared.started.elapsed().as_secs());
    let text = format!(
        "failed_best_practices=false;cluster_size={size};cluster_key={key};cluster_generation=1;\
         cluster_principal={principal};cluster_integrity=true;cluster_is_member=true;uptime={uptime_s};objects={objects};\
         tombstones=0;paxos_principal={principal};migrate_allowed=true;migrate_partitions_remaining=0"
    );
    put(out, &[text.as_bytes()]);
}

/// Returns what all nodes of a cluster agree on, another one each time that nodes come or go.
fn key(ownership: &Ownership) -> String {
    format!("{:X}", FIRST_CLUSTER_KEY + ownership.peers_generation)
}

const FIRST_CLUSTER_KEY: u64 = 0x6CED_0D88_4C81;
