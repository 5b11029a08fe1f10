//! Which partitions a backup reads, and from which nodes.

use asbackup::{BackupConfig, Digest, ErrorKind, NodeSelector, Parallelism, RackId, Scope};
use asbackup_model::{PARTITIONS, PartitionId};
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::selected::{Model, back_up, expected, loaded, refused, restore, selected, stored};
use crate::setup::{files, server};

const RECORDS: u32 = 1_500;

fn three() -> (TestServer, Model) {
    loaded(TestServer::builder().nodes(3), RECORDS)
}

fn in_partitions(text: &str) -> Scope {
    Scope::Partitions(text.parse().unwrap())
}

fn nodes(selectors: &[String]) -> Scope {
    Scope::nodes(selectors.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
}

fn racks(ids: &[u32]) -> Vec<RackId> {
    ids.iter().map(|&id| RackId::new(id).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_partitions_are_read_and_no_others() {
    let (from, model) = three();
    for (text, readers, is_in) in [
        (
            "0-100,200..299,4095",
            1,
            (|id| id < 100 || (200..300).contains(&id) || id == 4095) as fn(u16) -> bool,
        ),
        ("17", 8, |id| id == 17),
        ("0..4095", 64, |_| true),
        ("5,6,7", 2, |id| (5..8).contains(&id)),
    ] {
        let found = selected(&from, |config| {
            config.scope = in_partitions(text);
            config.readers = Parallelism::new(readers).unwrap();
        })
        .await;
        assert_eq!(found, expected(&model, |digest, _| is_in(digest.partition().number())), "{text}");
    }
}

/// Returns the number of partitions from 0 to 4095 as lists: each goes to one of `lists` by chance.
fn shared_out(random: &mut fastrand::Rng, lists: usize) -> Vec<String> {
    let mut shares = vec![Vec::new(); lists];
    for partition in 0..PARTITIONS {
        shares[random.usize(..lists)].push(partition.to_string());
    }
    shares.into_iter().map(|share| share.join(",")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_namespace_that_are_restored_together_are_the_whole() {
    let (from, model) = three();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for lists in [1, 2, 7] {
        let into = server();
        for list in shared_out(&mut random, lists) {
            let directory = tempfile::tempdir().unwrap();
            let readers = Parallelism::new(random.usize(1..=6)).unwrap();
            let change = |config: &mut BackupConfig| {
                config.scope = in_partitions(&list);
                config.readers = readers;
            };
            back_up(&from, directory.path(), change).await.unwrap();
            restore(&into, directory.path()).await;
        }
        assert_eq!(stored(&into), expected(&model, |_, _| true), "{lists} lists, seed {seed}");
    }
}

/// Returns a digest in the middle of a partition that holds several records.
fn middle(model: &Model) -> Digest {
    let in_partition = |id| model.keys().filter(move |digest| digest.partition() == id).collect::<Vec<_>>();
    let full = PartitionId::all().skip(1_000).map(in_partition).find(|digests| digests.len() >= 3).unwrap();
    *full[1]
}

fn base64(digest: &Digest) -> String {
    base64_simd::STANDARD.encode_to_string(digest.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_digest_come_the_rest_of_its_partition_and_all_later_ones() {
    let (from, model) = three();
    let at = middle(&model);
    for readers in [1, 5] {
        let found = selected(&from, |config| {
            config.scope = Scope::AfterDigest(at);
            config.readers = Parallelism::new(readers).unwrap();
        })
        .await;
        let later = |digest: &Digest| digest.partition() > at.partition();
        let rest = |digest: &Digest| digest.partition() == at.partition() && *digest > at;
        assert_eq!(found, expected(&model, |digest, _| later(digest) || rest(digest)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_in_a_list_stands_for_the_rest_of_its_partition() {
    let (from, model) = three();
    let at = middle(&model);
    let list = format!("0..9,{}", base64(&at));
    let found = selected(&from, |config| config.scope = in_partitions(&list)).await;
    let rest = |digest: &Digest| digest.partition() == at.partition() && *digest > at;
    assert_eq!(found, expected(&model, |digest, _| digest.partition().number() < 10 || rest(digest)));
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_nodes_are_read_by_name_and_by_address() {
    let (from, model) = three();
    let of = |nodes: &[usize]| {
        let partitions: Vec<_> = nodes.iter().flat_map(|&node| from.partitions_of(node)).collect();
        expected(&model, |digest, _| partitions.contains(&digest.partition()))
    };
    let name = |node| from.node_name(node).to_owned();
    let address = |node| from.node_address(node).to_string();
    let with_tls = format!("{}:tls-name:{}", from.node_address(2).ip(), from.node_address(2).port());
    for (list, meant) in [
        (vec![name(1)], &[1][..]),
        (vec![name(1).to_lowercase()], &[1]),
        (vec![address(2)], &[2]),
        (vec![with_tls, name(0)], &[0, 2]),
        (vec![name(0), address(1), name(2)], &[0, 1, 2]),
    ] {
        assert_eq!(selected(&from, |config| config.scope = nodes(&list)).await, of(meant), "{list:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_known_by_the_addresses_that_they_tell() {
    let builder = TestServer::builder().nodes(1).advertised(asbackup_testserver::Advertised::Nowhere);
    let (from, model) = loaded(builder, 100);
    let told = from.advertised_address(0).to_string();
    assert_ne!(told, from.address().to_string());
    let found = selected(&from, |config| config.scope = nodes(std::slice::from_ref(&told))).await;
    assert_eq!(found.len(), model.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_cannot_be_meant_are_refused() {
    let (from, _) = three();
    let (name, address) = (from.node_name(1).to_owned(), from.node_address(1).to_string());
    let (message, hint) = refused(&from, |config| config.scope = nodes(&["nosuch".to_owned()])).await;
    assert!(message.starts_with("no node of the cluster is nosuch: there are "), "{message}");
    assert!(message.contains(&format!("{name} at {address}")), "{message}");
    assert_eq!(hint, "change --node-list");
    let same = format!("{name} and {address} are the same node");
    let (message, _) = refused(&from, |config| config.scope = nodes(&[name, address])).await;
    assert_eq!(message, same);
    from.move_partitions(&from.partitions_of(2), 0);
    let name = from.node_name(2).to_owned();
    let (message, _) = refused(&from, |config| config.scope = nodes(&[name])).await;
    assert_eq!(message, "the nodes that are asked for own no partitions");
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_racks_are_those_of_their_nodes() {
    let (from, model) = loaded(TestServer::builder().nodes(3).racks(&[1, 2, 1]), RECORDS);
    let other = from.partitions_of(1);
    for (ids, is_in) in [(&[2][..], [false, true]), (&[1], [true, false]), (&[2, 1], [true, true])] {
        let found = selected(&from, |config| config.scope = Scope::Racks(racks(ids))).await;
        let is_in = |digest: &Digest| is_in[usize::from(other.contains(&digest.partition()))];
        assert_eq!(found, expected(&model, |digest, _| is_in(digest)), "{ids:?}");
    }
    let (message, hint) = refused(&from, |config| config.scope = Scope::Racks(racks(&[1, 7]))).await;
    assert_eq!(
        (message.as_str(), hint),
        ("no node is in rack 7: there are the racks 1, 2", "change --rack-list")
    );
    let (message, hint) = refused(&from, |config| config.preferred_racks = racks(&[7, 8])).await;
    assert_eq!(
        (message.as_str(), hint),
        ("no node is in rack 7: there are the racks 1, 2", "change --prefer-racks")
    );
    let (without, _) = loaded(TestServer::builder(), 1);
    for change in [(|config| config.scope = Scope::Racks(racks(&[1]))) as fn(&mut BackupConfig), |config| {
        config.preferred_racks = racks(&[1])
    }] {
        let (message, hint) = refused(&without, change).await;
        assert_eq!(message, "the cluster has no racks: only Enterprise servers do");
        assert_eq!(hint, "leave out --rack-list and --prefer-racks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_on_a_preferred_rack_are_read_in_place_of_their_owner() {
    // The second copy of what a node owns is on the next one.
    let builder = || TestServer::builder().nodes(3).copies(2).racks(&[1, 2, 3]);
    for (order, unasked) in [(&[2, 3][..], 0), (&[2], 0), (&[3, 1], 1), (&[1, 9], 2)] {
        let (from, model) = loaded(builder(), RECORDS);
        from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).at_node(unasked).times(u64::MAX));
        let directory = tempfile::tempdir().unwrap();
        let prefer = |config: &mut BackupConfig| {
            config.preferred_racks = racks(order);
            config.readers = Parallelism::new(4).unwrap();
        };
        let report = back_up(&from, directory.path(), prefer).await.unwrap();
        assert_eq!(
            (report.records.written, report.errors.retries.len()),
            (u64::from(RECORDS), 0),
            "{order:?}"
        );
        let into = server();
        restore(&into, directory.path()).await;
        assert_eq!(stored(&into), expected(&model, |_, _| true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_read_when_a_preferred_copy_fails() {
    let builder = TestServer::builder().nodes(3).copies(2).racks(&[1, 2, 3]).frame_bytes(4096);
    let (from, model) = loaded(builder, RECORDS);
    // Node 1 reads what node 0 owns, until it fails in the middle.
    from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(20_000)).at_node(1));
    let directory = tempfile::tempdir().unwrap();
    let report =
        back_up(&from, directory.path(), |config| config.preferred_racks = racks(&[2])).await.unwrap();
    assert_eq!(report.records.written, u64::from(RECORDS), "each record once");
    assert_eq!(report.errors.retries, [("scan", 1)].into());
    let into = server();
    restore(&into, directory.path()).await;
    assert_eq!(stored(&into), expected(&model, |_, _| true));
}

#[tokio::test(flavor = "multi_thread")]
async fn preferred_racks_and_listed_owners_exclude_each_other() {
    let (from, _) = loaded(TestServer::builder(), 1);
    for scope in [Scope::Racks(racks(&[1])), Scope::Nodes(vec![NodeSelector::Name("a".to_owned())])] {
        let (message, _) = refused(&from, |config| {
            config.scope = scope;
            config.preferred_racks = racks(&[1]);
        })
        .await;
        assert_eq!(
            message,
            "partitions of listed nodes or racks are read from these, not from preferred racks"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_says_which_part_was_read() {
    let (from, _) = loaded(TestServer::builder().nodes(2).racks(&[1, 2]), 100);
    let name = from.node_name(1).to_owned();
    let digest = Digest([0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let odd: Vec<String> = (1..PARTITIONS).step_by(2).map(|id| id.to_string()).collect();
    for (scope, shown, partitions) in [
        (Scope::AfterDigest(digest), serde_json::json!({"after_digest": base64(&digest)}), "2048..4095"),
        (nodes(std::slice::from_ref(&name)), serde_json::json!({"nodes": [name]}), &odd.join(",")),
        (Scope::Racks(racks(&[2])), serde_json::json!({"racks": [2]}), &odd.join(",")),
        (
            in_partitions(&format!("1-2,{}", base64(&digest))),
            serde_json::json!({"partitions": format!("1..2,{}", base64(&digest))}),
            "1..2,2048",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        back_up(&from, directory.path(), |config| config.scope = scope).await.unwrap();
        let manifest: serde_json::Value =
            serde_json::from_slice(&files(directory.path())["asbackup.manifest.json"]).unwrap();
        assert_eq!(manifest["selection"]["scope"], shown);
        assert_eq!(manifest["partitions"], partitions);
        restore(&server(), directory.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_without_an_owner_are_refused_only_if_they_are_wanted() {
    let (from, model) = three();
    let lost = from.partitions_of(1);
    from.stop_node(1).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let error = back_up(&from, directory.path(), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().ends_with(r#" of 4096 partitions of "test" have an owner"#), "{error}");
    let others: Vec<String> =
        PartitionId::all().filter(|id| !lost.contains(id)).map(|id| id.to_string()).collect();
    let found = selected(&from, |config| config.scope = in_partitions(&others.join(","))).await;
    assert_eq!(found, expected(&model, |digest, _| !lost.contains(&digest.partition())));
}
