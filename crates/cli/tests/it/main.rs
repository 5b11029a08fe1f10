//! The tools as they are run: real processes with real arguments, against the test server where they need one.

mod config;
mod jobs;
mod options;
mod security;
mod signals;
mod tool;
mod usage;
mod validate;
