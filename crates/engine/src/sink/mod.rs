//! What makes blocks durable: files, or a cluster.

pub(crate) mod backoff;
pub(crate) mod cluster;
pub(crate) mod count;
pub(crate) mod dead_letters;
mod durable;
pub(crate) mod file;
pub(crate) mod file_set;
pub(crate) mod frames;
pub(crate) mod metadata;
pub(crate) mod refusal;
mod set_index;
mod write;
pub(crate) mod writer;
