//! One node: the socket that it listens on, and taking clients from it until the node is stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use asbackup_model::PartitionId;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection;
use crate::server::Shared;
use crate::topology::{Member, Ownership};

/// A node as its connections see it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: usize,
}

/// Whether a node listens. A stopped one holds on to its port, so that nothing else can take it meanwhile.
#[derive(Debug)]
pub(crate) enum Socket {
    Listening(Listening),
    Reserved(TcpSocket),
}

/// The way to end a node.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: oneshot::Sender<()>,
    stopped: mpsc::Receiver<io::Result<TcpSocket>>,
}

impl Node {
    pub(crate) fn member(&self) -> &Member {
        &self.shared.topology.members[self.number]
    }

    pub(crate) fn ownership(&self) -> Arc<Ownership> {
        self.shared.topology.now()
    }

    pub(crate) fn serves(&self, partition: PartitionId) -> bool {
        self.ownership().serves(self.number, partition)
    }

    /// Begins to take clients from a socket.
    pub(crate) fn listen(self, socket: TcpSocket, runtime: &Handle) -> io::Result<Listening> {
        let _context = runtime.enter();
        let listener = socket.listen(BACKLOG)?;
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let address = self.member().address;
            accept(listener, self, stopping).await;
            // Nobody waits when the whole server ends.
            let _ = ended.send(reserve(address));
        });
        Ok(Listening { stop, stopped })
    }
}

impl Listening {
    /// Closes the socket and all connections, and returns when that is done.
    pub(crate) fn stop(self) -> io::Result<TcpSocket> {
        // The receiver is gone only if the task has ended, which the next line says.
        let _ = self.stop.send(());
        self.stopped.recv().map_err(io::Error::other)?
    }
}

/// Takes a port without listening on it: who connects is refused.
pub(crate) fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections that were just closed may still hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes clients until the node is stopped, and closes all connections then.
async fn accept(listener: TcpListener, node: Node, mut stopping: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopping => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    let node = node.clone();
                    connections.spawn(async move {
                        if let Err(error) = connection::accept(stream, &node).await {
                            tracing::debug!(%client, %error, "connection ended");
                        }
                    });
                }
                Err(error) => tracing::warn!(%error, "a client could not be accepted"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

const BACKLOG: u32 = 1024;
