//! Info commands about namespaces, sets and partitions.

use std::collections::BTreeMap;

use asbackup_codec::wire::ResultCode;
use asbackup_model::{PARTITIONS, PartitionId};

use super::{Params, error, put};
use crate::namespace::{Expiry, Namespace};
use crate::node::Node;
use crate::store::{self, Store};
use crate::stored::Stored;
use crate::topology::Ownership;

pub(super) fn names(store: &Store, out: &mut Vec<u8>) {
    let names: Vec<&[u8]> = store.namespaces().iter().map(Namespace::name).collect();
    put(out, &[&names.join(&b';')]);
}

/// Appends the part of the statistics that clients look at.
pub(super) fn statistics(node: &Node, ownership: &Ownership, name: &[u8], out: &mut Vec<u8>) {
    let Some(namespace) = node.shared.store.namespace(name) else {
        return put(out, &[b"type=unknown"]);
    };
    let objects = namespace.record_count_of(|id| ownership.place(node.number, id).is_some());
    let owned = namespace.record_count_of(|id| ownership.owns(node.number, id));
    let (copies, others) = (ownership.copies, objects - owned);
    let config = &namespace.config;
    let (size, unavailable) = (ownership.running_nodes().count(), ownership.unavailable_partitions());
    let now_s = node.shared.store.clock.now().void_time_s();
    let nsup_period_s = if config.expiry == Expiry::Allowed { 60 } else { 0 };
    let text = format!(
        "ns_cluster_size={size};effective_replication_factor={copies};objects={objects};tombstones=0;master_objects={owned};\
         master_tombstones=0;prole_objects={others};non_replica_objects=0;dead_partitions=0;unavailable_partitions={unavailable};\
         stop_writes=false;hwm_breached=false;current_time={now_s};migrate_tx_partitions_remaining=0;\
         migrate_rx_partitions_remaining=0;allow-ttl-without-nsup=false;default-ttl={};max-record-size={};\
         nsup-period={nsup_period_s};replication-factor={copies};strong-consistency=false;storage-engine=memory",
        config.default_ttl_s, config.max_record_bytes,
    );
    put(out, &[text.as_bytes()]);
}

/// Appends the sets of one namespace, or of all without a name.
pub(super) fn sets(node: &Node, ownership: &Ownership, name: &[u8], out: &mut Vec<u8>) {
    let store = &node.shared.store;
    if name.is_empty() {
        return store.namespaces().iter().for_each(|namespace| sets_of(node, ownership, namespace, out));
    }
    match store.namespace(name) {
        Some(namespace) => sets_of(node, ownership, namespace, out),
        None => put(out, &[b"ns_type=unknown"]),
    }
}

fn sets_of(node: &Node, ownership: &Ownership, namespace: &Namespace, out: &mut Vec<u8>) {
    let store = &node.shared.store;
    let mut sets: BTreeMap<Vec<u8>, (u64, usize)> = BTreeMap::new();
    for id in PartitionId::all().filter(|&id| ownership.place(node.number, id).is_some()) {
        for record in namespace.partition(id).values() {
            let Some(set) = Stored(&record.message).set(namespace.name()) else { continue };
            if !sets.contains_key(set) {
                sets.insert(set.to_vec(), (0, 0));
            }
            if let Some((objects, bytes)) = sets.get_mut(set) {
                *objects += 1;
                *bytes += record.message.len();
            }
        }
    }
    for (set, (objects, bytes)) in sets {
        let indexes =
            store.indexes(namespace.name()).iter().filter(|index| index.set.as_ref() == Some(&set)).count();
        let counts = format!(
            ":objects={objects}:tombstones=0:data_used_bytes={bytes}:truncate_lut=0:sindexes={indexes}"
        );
        put(out, &[b"ns=", namespace.name(), b":set=", &set, counts.as_bytes(), SET_SETTINGS.as_bytes()]);
    }
}

/// Appends which partitions of every namespace the node owns, and of which it has the first, second and so on of the other
/// copies; `max=N` asks for the first N of these lists.
pub(super) fn replicas(node: &Node, ownership: &Ownership, params: Params<'_>, out: &mut Vec<u8>) {
    let most = params.value("max").and_then(|text| str::from_utf8(text).ok()?.parse().ok());
    let columns = most.unwrap_or(usize::MAX).min(ownership.copies);
    let mut bitmaps = vec![[0_u8; PARTITIONS as usize / 8]; columns];
    for id in PartitionId::all() {
        if let Some(bitmap) = ownership.place(node.number, id).and_then(|place| bitmaps.get_mut(place)) {
            bitmap[id.index() >> 3] |= 0x80 >> (id.index() & 7);
        }
    }
    let bitmaps: Vec<String> =
        bitmaps.iter().map(|bitmap| base64_simd::STANDARD.encode_to_string(bitmap)).collect();
    let text = format!(":{},{columns},{}", ownership.regime, bitmaps.join(","));
    for (number, namespace) in node.shared.store.namespaces().iter().enumerate() {
        let separator: &[u8] = if number == 0 { b"" } else { b";" };
        put(out, &[separator, namespace.name(), text.as_bytes()]);
    }
}

pub(super) fn truncate_records(store: &Store, params: Params<'_>, out: &mut Vec<u8>) {
    let Some(namespace) = params.namespace().and_then(|name| store.namespace(name)) else {
        return error(out, ResultCode::NAMESPACE, "namespace not found on node");
    };
    let before_ns = match params.value("lut").map(|text| str::from_utf8(text).map(str::parse)) {
        None => u64::MAX,
        Some(Ok(Ok(lut_ns))) => lut_ns,
        Some(_) => return error(out, ResultCode::PARAMETER, "bad 'lut'"),
    };
    store::truncate(namespace, params.value("set"), before_ns);
    put(out, &[b"ok"]);
}

const SET_SETTINGS: &str = ":index_populating=false:truncating=false:default-read-touch-ttl-pct=0:default-ttl=0:\
    disable-eviction=false:enable-index=false:stop-writes-count=0:stop-writes-size=0;";
