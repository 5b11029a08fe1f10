//! The tools as they are run: real processes with real arguments, against the test server where they need one.

mod jobs;
mod options;
mod places;
mod signals;
mod tool;
mod usage;
mod validate;
