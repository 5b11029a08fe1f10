//! The text format of backup files.
