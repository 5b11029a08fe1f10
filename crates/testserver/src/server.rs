//! Starting and stopping a server.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use asbackup_model::PartitionId;
use rustls::ServerConfig;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

use crate::fault::Faults;
use crate::namespace::NamespaceConfig;
use crate::node::{Node, Socket, reserve};
use crate::security::{Kept, Security, User};
use crate::store::Store;
use crate::topology::{Availability, Member, Topology};

/// A server that runs on threads of its own until it is dropped. It has one node or several, which share what is stored;
/// each answers for the partitions that it owns.
///
/// Every method that takes the number of a node, from 0, panics if there is none: that is a mistake of the test.
#[derive(Debug)]
pub struct TestServer {
    shared: Arc<Shared>,
    sockets: Mutex<Vec<Option<Socket>>>,
    /// Addresses that are told to clients and lead nowhere.
    _nowhere: Vec<TcpSocket>,
    runtime: Option<Runtime>,
}

/// Which addresses the nodes tell their clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advertised {
    /// Their own; there are no alternate ones.
    Own,
    /// The standard addresses refuse connections; the alternate ones are their own.
    OwnAsAlternate,
    /// Addresses that refuse connections; there are no alternate ones.
    Nowhere,
}

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) faults: Faults,
    pub(crate) security: Security,
    /// What the nodes show to their clients, and the name in their certificates; none without TLS.
    pub(crate) tls: Option<(Arc<ServerConfig>, String)>,
    pub(crate) topology: Topology,
    pub(crate) cluster_name: String,
    pub(crate) build: String,
    pub(crate) frame_bytes: usize,
    pub(crate) started: Instant,
}

/// What a server is going to be.
#[derive(Debug)]
pub struct TestServerBuilder {
    namespaces: Vec<NamespaceConfig>,
    nodes: usize,
    copies: usize,
    racks: Vec<u32>,
    advertised: Advertised,
    address: String,
    cluster_name: String,
    build: String,
    frame_bytes: usize,
    threads: usize,
    users: Vec<User>,
    session_ttl_s: u32,
    tls: Option<(Arc<ServerConfig>, String)>,
}

impl TestServer {
    /// Returns a builder of a server on a free port of the loopback address.
    #[must_use]
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder {
            namespaces: Vec::new(),
            nodes: 1,
            copies: 1,
            racks: Vec::new(),
            advertised: Advertised::Own,
            address: "127.0.0.1:0".to_owned(),
            cluster_name: String::new(),
            build: "8.1.1.2".to_owned(),
            frame_bytes: 1024 * 1024,
            threads: 2,
            users: Vec::new(),
            session_ttl_s: 86_400,
            tls: None,
        }
    }

    /// Returns where the server listens; of several nodes the first.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.node_address(0)
    }

    /// Returns where a node listens.
    #[must_use]
    pub fn node_address(&self, node: usize) -> SocketAddr {
        self.shared.topology.members[node].address
    }

    /// Returns the address that a node tells its clients of.
    #[must_use]
    pub fn advertised_address(&self, node: usize) -> SocketAddr {
        self.shared.topology.members[node].standard
    }

    /// Returns the name of a node.
    #[must_use]
    pub fn node_name(&self, node: usize) -> &str {
        &self.shared.topology.members[node].name
    }

    /// Returns the partitions that a node owns, whether it runs or not.
    #[must_use]
    pub fn partitions_of(&self, node: usize) -> Vec<PartitionId> {
        let now = self.shared.topology.now();
        PartitionId::all().filter(|&partition| now.owns(node, partition)).collect()
    }

    /// Gives partitions to another node. Its former owner answers no more for them, not even in a scan that is under way.
    pub fn move_partitions(&self, partitions: &[PartitionId], to: usize) {
        self.shared.topology.move_partitions(partitions, to);
    }

    /// Makes the owners refuse partitions as unavailable, which they still say to own.
    pub fn make_unavailable(&self, partitions: &[PartitionId]) {
        self.shared.topology.set_availability(partitions, Availability::Unavailable);
    }

    /// Makes the owners answer for partitions again.
    pub fn make_available(&self, partitions: &[PartitionId]) {
        self.shared.topology.set_availability(partitions, Availability::Available);
    }

    /// Stops a node: its connections are cut, new ones are refused, and the other nodes don't know it any more. Nobody
    /// answers for its partitions until it is started or they are given to another node.
    ///
    /// # Errors
    /// If its port can't be kept for it.
    pub fn stop_node(&self, node: usize) -> io::Result<()> {
        let mut sockets = self.sockets();
        match sockets[node].take() {
            Some(Socket::Listening(listening)) => {
                self.shared.topology.set_running(node, false);
                sockets[node] = Some(Socket::Reserved(listening.stop()?));
            }
            other => sockets[node] = other,
        }
        Ok(())
    }

    /// Starts a node that was stopped, at the same address.
    ///
    /// # Errors
    /// If it can't listen there.
    pub fn start_node(&self, node: usize) -> io::Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let mut sockets = self.sockets();
        match sockets[node].take() {
            Some(Socket::Reserved(socket)) => {
                let listener = Node { shared: Arc::clone(&self.shared), number: node };
                sockets[node] = Some(Socket::Listening(listener.listen(socket, runtime.handle())?));
                self.shared.topology.set_running(node, true);
            }
            other => sockets[node] = other,
        }
        Ok(())
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<Option<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the server keeps. It may be read and changed while clients are served.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Returns the rules about what fails.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Returns how often clients have logged in.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.shared.security.logins()
    }

    /// Forgets all sessions, so that clients have to log in again for further connections.
    pub fn end_sessions(&self) {
        self.shared.security.end_sessions();
    }

    /// Moves the server's clock ahead, so that records expire.
    pub fn advance_clock(&self, by: Duration) {
        self.shared.store.clock.advance(by);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A server may be dropped within another runtime, where waiting for its threads isn't allowed; a thread of
            // our own may wait, so that every socket is closed when this returns.
            let ended = thread::spawn(move || runtime.shutdown_timeout(LONGEST_END)).join();
            if ended.is_err() {
                tracing::error!("the server's threads could not be ended");
            }
        }
    }
}

/// How long a dropped server may take to let go of its clients.
const LONGEST_END: Duration = Duration::from_secs(10);

impl TestServerBuilder {
    /// Adds a namespace: a name, or settings.
    #[must_use]
    pub fn namespace(mut self, config: impl Into<NamespaceConfig>) -> Self {
        self.namespaces.push(config.into());
        self
    }

    /// The number of nodes, 1 to 8. Default 1. Each owns every n-th partition at first.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        assert!(NODES.contains(&nodes), "a server has 1 to 8 nodes");
        self.nodes = nodes;
        self
    }

    /// How many nodes have a copy of each partition, 1 to 8: its owner and the nodes that come next. Those answer scans of it
    /// too. Default 1; more than there are nodes is as many as there are.
    #[must_use]
    pub fn copies(mut self, copies: usize) -> Self {
        assert!(NODES.contains(&copies), "a partition has 1 to 8 copies");
        self.copies = copies;
        self
    }

    /// The rack of each node, in their order; nodes beyond the end are in rack 0. Default: the server knows no racks, like a
    /// Community one.
    #[must_use]
    pub fn racks(mut self, racks: &[u32]) -> Self {
        self.racks = racks.to_vec();
        self
    }

    /// Which addresses the nodes tell their clients. Default: their own.
    #[must_use]
    pub fn advertised(mut self, advertised: Advertised) -> Self {
        self.advertised = advertised;
        self
    }

    /// Where the first node listens; port 0 takes a free one, as the other nodes do.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// The name of the cluster. Default: none.
    #[must_use]
    pub fn cluster_name(mut self, name: impl Into<String>) -> Self {
        self.cluster_name = name.into();
        self
    }

    /// The version that the server says it is; it behaves alike whatever that is. Default: 8.1.1.2.
    #[must_use]
    pub fn server_build(mut self, build: impl Into<String>) -> Self {
        self.build = build.into();
        self
    }

    /// The size from which a frame of records is sent; its last record may go beyond it. Default 1 MiB.
    #[must_use]
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }

    /// How many threads serve clients. Default 2.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Adds a user whose password the server keeps. With users each client has to log in. Default: none.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push(User { name: name.to_owned(), password: password.to_owned(), kept: Kept::Here });
        self
    }

    /// Adds a user whose password somebody else keeps, so that the server needs the password itself.
    #[must_use]
    pub fn external_user(mut self, name: &str, password: &str) -> Self {
        self.users.push(User { name: name.to_owned(), password: password.to_owned(), kept: Kept::Elsewhere });
        self
    }

    /// For how many seconds clients are told that a session is good. Default: a day.
    #[must_use]
    pub fn session_ttl_s(mut self, seconds: u32) -> Self {
        self.session_ttl_s = seconds;
        self
    }

    /// Makes the nodes take encrypted connections only. They tell each other's clients this name for their certificates.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>, name: &str) -> Self {
        self.tls = Some((config, name.to_owned()));
        self
    }

    /// Starts the server. It listens when this returns.
    ///
    /// # Errors
    /// If the address can't be listened on, or no thread can be started.
    pub fn start(self) -> io::Result<TestServer> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(self.threads).thread_name(THREAD_NAME).enable_all().build()?;
        let first = self.address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (mut members, mut listening, mut nowhere) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..self.nodes {
            let port = if number == 0 { first.port() } else { 0 };
            let socket = reserve(SocketAddr::new(first.ip(), port))?;
            members.push(self.member(number, socket.local_addr()?, &mut nowhere)?);
            listening.push(socket);
        }
        let shared = Arc::new(Shared {
            store: Arc::new(Store::new(self.namespaces)),
            faults: Faults::default(),
            security: Security::new(self.users, self.session_ttl_s),
            tls: self.tls,
            topology: Topology::new(members, self.copies.min(self.nodes)),
            cluster_name: self.cluster_name,
            build: self.build,
            frame_bytes: self.frame_bytes,
            started: Instant::now(),
        });
        let mut sockets = Vec::new();
        for (number, socket) in listening.into_iter().enumerate() {
            let node = Node { shared: Arc::clone(&shared), number };
            sockets.push(Some(Socket::Listening(node.listen(socket, runtime.handle())?)));
        }
        Ok(TestServer { shared, sockets: Mutex::new(sockets), _nowhere: nowhere, runtime: Some(runtime) })
    }

    fn member(&self, number: usize, own: SocketAddr, nowhere: &mut Vec<TcpSocket>) -> io::Result<Member> {
        let standard = if self.advertised == Advertised::Own {
            own
        } else {
            let socket = reserve(SocketAddr::new(own.ip(), 0))?;
            let address = socket.local_addr()?;
            nowhere.push(socket);
            address
        };
        let alternate = (self.advertised == Advertised::OwnAsAlternate).then_some(own);
        let name = format!("80E9010000{number:02X}FC02");
        let rack = (!self.racks.is_empty()).then(|| self.racks.get(number).copied().unwrap_or_default());
        Ok(Member { name, address: own, standard, alternate, rack })
    }
}

const NODES: RangeInclusive<usize> = 1..=8;

/// The name of the threads that serve clients, by which their CPU time can be told from that of others.
pub(crate) const THREAD_NAME: &str = "testserver";
