//! Where entries come from: the scans of a cluster, or the files of a backup.

pub(crate) mod ahead;
pub(crate) mod count;
pub(crate) mod files;
mod input;
pub(crate) mod open;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod selection;
pub(crate) mod share;
pub(crate) mod verify;
