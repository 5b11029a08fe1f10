//! A file that is being written.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use super::remove_if_there;
use crate::{Action, Error, faults::Faults};

/// A file that is being written. Dropping it before it is complete or settled removes what was written.
#[derive(Debug)]
pub struct Upload {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) naming: Naming,
    /// What was taken, also what is in the buffer.
    pub(super) bytes: u64,
    pub(super) buffer: WriteBuffer,
    pub(super) faults: Faults,
}

/// What waits until it is a piece.
#[derive(Debug)]
pub(super) struct WriteBuffer {
    /// The size of a piece; 0: there is no buffer.
    pub(super) bytes: usize,
    pub(super) pending: Vec<u8>,
}

/// What the name of an upload needs yet.
#[derive(Debug)]
pub(super) enum Naming {
    /// The file is given this one when it is complete; until then it goes when it is dropped.
    Later(PathBuf),
    /// The same, but it stays when it is dropped.
    Settled(PathBuf),
    /// Nothing.
    Done,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    /// If they, or those before them, can't be written, for instance because the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.buffer.bytes == 0 {
            self.write_out(bytes)?;
        } else {
            self.write_pieces(bytes)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn write_pieces(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = self.buffer.bytes - self.buffer.pending.len();
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.buffer.pending.extend_from_slice(taken);
            bytes = rest;
            if self.buffer.pending.len() == self.buffer.bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is in the buffer.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.pending.is_empty() {
            return Ok(());
        }
        let mut piece = std::mem::take(&mut self.buffer.pending);
        self.write_out(&piece)?;
        piece.clear();
        self.buffer.pending = piece;
        Ok(())
    }

    fn write_out(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.faults.step().and_then(|()| self.file.write_all(bytes));
        written.map_err(Error::new(Action::Write, &self.path))
    }

    /// Returns how many bytes were appended.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what is left, makes the bytes durable and gives the file its name.
    ///
    /// # Errors
    /// If any of it fails; the file is removed then, unless it was settled before.
    pub fn complete(mut self) -> Result<(), Error> {
        self.flush()?;
        let (Naming::Later(name) | Naming::Settled(name)) = &self.naming else { return Ok(()) };
        self.faults
            .step()
            .and_then(|()| self.file.sync_data())
            .and_then(|()| fs::rename(&self.path, name))
            .map_err(Error::new(Action::Complete, name))?;
        self.naming = Naming::Done;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if matches!(self.naming, Naming::Later(_)) && self.faults.step().is_ok() {
            // The error that led here is the one to report; a `.part` file that stays is never taken for a backup.
            let _ = remove_if_there(&self.path);
        }
    }
}
