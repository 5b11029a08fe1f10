//! Starting and stopping a server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::connection;
use crate::fault::Faults;
use crate::namespace::NamespaceConfig;
use crate::store::Store;

/// A server that runs on threads of its own until it is dropped.
#[derive(Debug)]
pub struct TestServer {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) faults: Faults,
    pub(crate) address: SocketAddr,
    pub(crate) cluster_name: String,
    pub(crate) frame_bytes: usize,
    pub(crate) started: Instant,
}

/// What a server is going to be.
#[derive(Debug)]
pub struct TestServerBuilder {
    namespaces: Vec<NamespaceConfig>,
    address: String,
    cluster_name: String,
    frame_bytes: usize,
    threads: usize,
}

impl TestServer {
    /// Returns a builder of a server on a free port of the loopback address.
    #[must_use]
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder {
            namespaces: Vec::new(),
            address: "127.0.0.1:0".to_owned(),
            cluster_name: String::new(),
            frame_bytes: 1024 * 1024,
            threads: 2,
        }
    }

    /// Returns where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
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

    /// Where to listen; port 0 takes a free one.
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

    /// Starts the server. It listens when this returns.
    ///
    /// # Errors
    /// If the address can't be listened on, or no thread can be started.
    pub fn start(self) -> io::Result<TestServer> {
        let listener = TcpListener::bind(&self.address)?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            store: Arc::new(Store::new(self.namespaces)),
            faults: Faults::default(),
            address: listener.local_addr()?,
            cluster_name: self.cluster_name,
            frame_bytes: self.frame_bytes,
            started: Instant::now(),
        });
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(self.threads).thread_name(THREAD_NAME).enable_all().build()?;
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(TestServer { shared, runtime: Some(runtime) })
    }
}

/// Takes clients until the runtime ends.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "can't listen"),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        if let Err(error) = connection::serve(stream, shared).await {
                            tracing::debug!(%client, %error, "connection ended");
                        }
                    });
                }
                Err(error) => tracing::warn!(%error, "a client could not be accepted"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// The name of the threads that serve clients, by which their CPU time can be told from that of others.
pub(crate) const THREAD_NAME: &str = "testserver";
