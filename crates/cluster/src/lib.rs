//! An asynchronous client of an Aerospike cluster for what backup and restore need, and nothing else.
//!
//! A [`Cluster`] knows the nodes and which of them owns which partition, and keeps itself up to date in the background. A [`Query`] reads partitions and goes on
//! behind the last record after a failure; [`Node::write_batch`] makes one attempt to write rows and says for each what
//! became of it, since only its caller knows what else there is to send. Every wait for the network has a deadline.

mod auth;
mod batch;
mod class;
mod cluster;
mod config;
mod connection;
mod connector;
mod discovery;
mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod inbox;
mod metadata;
mod node;
mod pool;
mod private_key;
mod query;
mod replicas;
mod replies;
mod retry;
mod statement;
mod tls;
mod topology;

pub use auth::Auth;
pub use batch::{Batch, RowInBatch, RowResult, WriteDeadlines};
pub use class::{ResultClass, class};
pub use cluster::Cluster;
pub use config::{Addresses, ClusterConfig, InfoRetry, Seed};
pub use error::{Error, ErrorKind};
pub use metadata::IndexCreation;
pub use node::Node;
pub use query::{LargePermit, LargeRecords, Query, QueryProgress, QuerySpec};
pub use replicas::{Racks, Readers};
pub use replies::{Build, ServerIndex};
pub use tls::{Identity, Tls, TlsConfig, TlsVersions};
pub use topology::PartitionMap;
