//! An Aerospike-compatible server inside the process, for tests and demos.
//!
//! It speaks the real protocol over TCP, keeps everything in memory, and fails on request. It answers what backup and
//! restore ask for: info commands, single commands, batches and scans by partition; queries by secondary index, UDF
//! calls and operations on lists and maps it refuses. It has one node or several, which tests stop, start and move
//! partitions between. It never uses the client of this workspace, so that a mistake there can't hide here.
//!
//! ```
//! use asbackup_testserver::{Command, Fault, FaultAction, TestServer};
//!
//! let server = TestServer::builder().namespace("test").start()?;
//! server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(100)));
//! assert_eq!(server.store().record_count("test"), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod certificates;
mod clock;
mod connection;
mod fault;
mod filter;
mod info;
pub mod measure;
mod message;
mod namespace;
mod node;
mod particle;
mod query;
mod sample;
mod security;
mod server;
mod store;
mod stored;
mod topology;
mod transact;
mod write;

pub use certificates::{Certificates, Clients, Signed};
pub use fault::{Command, Fault, FaultAction, Faults};
pub use namespace::{Expiry, NamespaceConfig};
pub use sample::SampleRecords;
pub use server::{Advertised, TestServer, TestServerBuilder};
pub use store::Store;
