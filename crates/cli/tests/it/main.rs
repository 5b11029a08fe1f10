//! The tools as they are run: real processes with real arguments, against the test server where they need one.

mod buffers;
mod config;
mod damage;
mod jobs;
mod options;
mod places;
mod resume;
mod resume_backup;
mod security;
mod selection;
mod shards;
mod signals;
mod tool;
mod usage;
mod validate;
