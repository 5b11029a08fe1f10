//! Nodes that say what they are told to: clusters of several, and answers that no server gives.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asbackup_cluster::{Cluster, ClusterConfig, ErrorKind, Seed};
use asbackup_codec::Step;
use asbackup_codec::wire::{
    FRAME_BYTES, FrameHeader, FrameKind, Message, MessageHeader, QueryRequest, ResultCode, begin_frame,
    encode_record_answer, end_frame, info, info3,
};
use asbackup_model::{Digest, PartitionId, RecordLayout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{read, spec};

/// What a node says, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    /// Replies to info commands.
    replies: Vec<(&'static str, String)>,
    /// Answers to queries, each the body of a frame; one per query.
    answers: VecDeque<Vec<u8>>,
    /// Partitions and digests of each query.
    queries: Vec<(Vec<PartitionId>, Vec<Digest>)>,
    connections: u64,
    /// How often it was asked whether anything has changed.
    polls: u64,
}

/// Nodes in tasks of the test's runtime; they end with it.
#[derive(Default)]
struct Nodes {
    tasks: JoinSet<()>,
}

impl Nodes {
    fn listen() -> (TcpListener, Seed) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        (listener, Seed::new(address.ip().to_string(), address.port()))
    }

    fn start(&mut self, listener: TcpListener, script: Arc<Mutex<Script>>) {
        self.tasks.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                script.lock().unwrap().connections += 1;
                clients.spawn(serve(stream, Arc::clone(&script)));
            }
        });
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut head = [0; FRAME_BYTES];
    while stream.read_exact(&mut head).await.is_ok() {
        let header = FrameHeader::decode(head).unwrap();
        let mut body = vec![0; header.body_bytes as usize];
        stream.read_exact(&mut body).await.unwrap();
        let answer = answer(header.kind, &body, &mut script.lock().unwrap());
        stream.write_all(&answer).await.unwrap();
    }
}

fn answer(kind: FrameKind, body: &[u8], script: &mut Script) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin_frame(&mut out, kind);
    if kind == FrameKind::Info {
        for command in info::commands(body) {
            script.polls += u64::from(command == b"peers-generation");
            let reply = script.replies.iter().find(|(name, _)| name.as_bytes() == command);
            let reply = reply.map_or("ERROR:4:unrecognized command", |(_, reply)| reply);
            out.extend_from_slice(&[command, b"\t", reply.as_bytes(), b"\n"].concat());
        }
    } else {
        let Step::Done { value, .. } = Message::decode(body) else { panic!("no message") };
        let query = QueryRequest::decode(&value).unwrap();
        script.queries.push((query.from_start, query.after));
        out.extend_from_slice(
            &script.answers.pop_front().unwrap_or_else(|| marker(info3::LAST, ResultCode::OK, 0)),
        );
    }
    end_frame(&mut out, start);
    out
}

fn marker(info3: u8, result: ResultCode, generation: u32) -> Vec<u8> {
    MessageHeader { info3, result, generation, ..MessageHeader::default() }.encode().to_vec()
}

fn record(digest: Digest) -> Vec<u8> {
    let mut layout = RecordLayout::new();
    layout.digest = digest;
    let mut out = Vec::new();
    encode_record_answer(&mut out, &layout.view(&[]));
    out
}

/// Returns a digest of that partition.
fn digest(partition: u16, rest: u8) -> Digest {
    let mut digest = [rest; 20];
    digest[..2].copy_from_slice(&partition.to_le_bytes());
    Digest(digest)
}

fn partition(number: u16) -> PartitionId {
    PartitionId::new(number).unwrap()
}

/// Returns the script of a node that owns what `owns` says, and knows these peers.
fn script(name: &str, peers: &str, owns: impl Fn(u16) -> bool) -> Arc<Mutex<Script>> {
    Arc::new(Mutex::new(Script {
        replies: vec![
            ("node", name.to_owned()),
            ("build", "6.4.0.1".to_owned()),
            ("cluster-name", "null".to_owned()),
            ("peers-clear-std", format!("1,3000,[{peers}]")),
            ("replicas:max=1", replicas(0, owns)),
        ],
        ..Script::default()
    }))
}

fn replicas(regime: u32, owns: impl Fn(u16) -> bool) -> String {
    let byte = |at: u16| (0..8).filter(|bit| owns(at * 8 + bit)).fold(0, |byte, bit| byte | 0x80 >> bit);
    let bitmap: Vec<u8> = (0..512).map(byte).collect();
    format!("test:{regime},1,{}", base64_simd::STANDARD.encode_to_string(bitmap))
}

#[tokio::test]
async fn each_owner_is_asked_for_what_it_owns() {
    let mut nodes = Nodes::default();
    let ((listener_a, seed_a), (listener_b, seed_b)) = (Nodes::listen(), Nodes::listen());
    // The first address of B leads to A.
    let a = script("A", &format!("[B,,[{seed_a},{seed_b}]]"), |partition| partition < 10);
    let b = script("B", &format!("[A,,[{seed_a}]]"), |partition| partition >= 10);
    a.lock()
        .unwrap()
        .answers
        .push_back([record(digest(3, 1)), marker(info3::LAST, ResultCode::OK, 0)].concat());
    nodes.start(listener_a, Arc::clone(&a));
    nodes.start(listener_b, Arc::clone(&b));
    let cluster = Cluster::connect(ClusterConfig::new([seed_a])).await.unwrap();
    let names: Vec<_> = cluster.nodes().iter().map(|node| node.name().to_owned()).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!((cluster.name(), cluster.build().to_string().as_str()), (None, "6.4.0"));
    assert_eq!(cluster.partitions_of(b"test", &cluster.nodes()[1]).len(), 4086);

    let mut query = cluster.query(spec(), vec![partition(3), partition(9), partition(10)]);
    assert_eq!(read(&mut query).await.unwrap().len(), 1);
    assert_eq!(a.lock().unwrap().queries, [(vec![partition(3), partition(9)], vec![])]);
    assert_eq!(b.lock().unwrap().queries, [(vec![partition(10)], vec![])]);
}

#[tokio::test]
async fn a_partition_that_moved_is_read_on_from_its_new_owner() {
    let mut nodes = Nodes::default();
    let ((listener_a, seed_a), (listener_b, seed_b)) = (Nodes::listen(), Nodes::listen());
    let a = script("A", &format!("[B,,[{seed_b}]]"), |_| true);
    let b = script("B", &format!("[A,,[{seed_a}]]"), |_| false);
    nodes.start(listener_a, Arc::clone(&a));
    nodes.start(listener_b, Arc::clone(&b));
    let cluster = Cluster::connect(ClusterConfig::new([seed_a])).await.unwrap();
    let unavailable = marker(info3::PARTITION_DONE, ResultCode::UNAVAILABLE, 3);
    let end = marker(info3::LAST, ResultCode::OK, 0);
    a.lock()
        .unwrap()
        .answers
        .push_back([record(digest(3, 1)), record(digest(4, 1)), unavailable, end].concat());
    // Partition 3 moves while A is asked.
    b.lock().unwrap().replies[4].1 = replicas(1, |partition| partition == 3);

    let mut query = cluster.query(spec(), vec![partition(3), partition(4)]);
    assert_eq!(read(&mut query).await.unwrap().len(), 2);
    assert_eq!(query.retries(), 1);
    assert_eq!(b.lock().unwrap().queries, [(vec![], vec![digest(3, 1)])]);
    assert_eq!(a.lock().unwrap().queries.len(), 1);
}

/// Asks for partition 3 of a node that answers so once, and returns the error.
async fn failure(answer: Vec<u8>, max_retries: u32) -> asbackup_cluster::Error {
    let mut nodes = Nodes::default();
    let (listener, seed) = Nodes::listen();
    let script = script("A", "", |_| true);
    script.lock().unwrap().answers.push_back(answer);
    nodes.start(listener, script);
    let cluster = Cluster::connect(ClusterConfig::new([seed])).await.unwrap();
    let mut spec = spec();
    spec.max_retries = max_retries;
    read(&mut cluster.query(spec, vec![partition(3)])).await.unwrap_err()
}

#[tokio::test]
async fn damage_is_placed_by_node_partition_and_record() {
    let error = failure([record(digest(3, 7)), vec![99]].concat(), 0).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Damaged, true));
    let place = format!("behind record {} of partition 3 (node A)", digest(3, 7));
    assert_eq!(error.to_string(), format!("damaged answer, {place}"));
}

#[tokio::test]
async fn records_that_were_not_asked_for_are_damage() {
    let error = failure(record(digest(5, 7)), 0).await;
    assert_eq!(error.to_string(), "record of partition 5, which was not asked for (node A)");
}

#[tokio::test]
async fn too_many_scans_is_what_only_the_first_answer_says() {
    let error = failure([record(digest(3, 7)), marker(0, ResultCode::FORBIDDEN, 0)].concat(), 1).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Server(ResultCode::FORBIDDEN), false));
}

#[tokio::test]
async fn old_servers_are_refused() {
    let mut nodes = Nodes::default();
    let (listener, seed) = Nodes::listen();
    let script = script("A", "", |_| true);
    script.lock().unwrap().replies[1].1 = "4.8.0.1".to_owned();
    nodes.start(listener, script);
    let error = Cluster::connect(ClusterConfig::new([seed])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version);
}

#[tokio::test]
async fn partitions_without_an_owner_are_waited_for() {
    let mut nodes = Nodes::default();
    let (listener, seed) = Nodes::listen();
    let script = script("A", "", |_| false);
    nodes.start(listener, Arc::clone(&script));
    let cluster = Cluster::connect(ClusterConfig::new([seed])).await.unwrap();
    let mut none = spec();
    none.max_retries = 0;
    let error = read(&mut cluster.query(none, vec![partition(3)])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::NoOwner, "no node owns the 1 partitions that are left")
    );

    script.lock().unwrap().replies[4].1 = replicas(0, |_| true);
    let mut query = cluster.query(spec(), vec![partition(3)]);
    assert!(read(&mut query).await.unwrap().is_empty());
    assert_eq!(query.retries(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_whole_answer() {
    let mut nodes = Nodes::default();
    let (listener, seed) = Nodes::listen();
    let script = script("A", "", |_| true);
    nodes.start(listener, Arc::clone(&script));
    let cluster = Cluster::connect(ClusterConfig::new([seed])).await.unwrap();
    read(&mut cluster.query(spec(), vec![partition(3)])).await.unwrap();
    let connections = script.lock().unwrap().connections;
    for _ in 0..3 {
        read(&mut cluster.query(spec(), vec![partition(3)])).await.unwrap();
        cluster.refresh().await.unwrap();
    }
    let script = script.lock().unwrap();
    assert_eq!((script.queries.len(), script.connections), (4, connections));
}

#[tokio::test]
async fn replicas_are_fetched_when_their_generation_changes() {
    let mut nodes = Nodes::default();
    let (listener, seed) = Nodes::listen();
    let script = script("A", "", |_| true);
    script.lock().unwrap().replies.push(("partition-generation", "1".to_owned()));
    nodes.start(listener, Arc::clone(&script));
    let mut config = ClusterConfig::new([seed]);
    config.refresh_interval = Duration::from_millis(1);
    let cluster = Cluster::connect(config).await.unwrap();
    let owned = || cluster.partitions_of(b"test", &cluster.nodes()[0]).len();
    script.lock().unwrap().replies[4].1 = replicas(1, |partition| partition < 7);
    let polls = script.lock().unwrap().polls;
    while script.lock().unwrap().polls < polls + 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(owned(), 4096, "nothing is fetched while the generation stays");
    script.lock().unwrap().replies.last_mut().unwrap().1 = "2".to_owned();
    while owned() != 7 {
        tokio::task::yield_now().await;
    }
}
