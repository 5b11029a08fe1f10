//! One writer of a backup: it fills one file after another, and a file gets its name when it is whole.

use std::time::Instant;

use super::{file::BackupFile, file_set::FileSet};
use crate::{Error, checkpoint::Advance, job::JobContext, pipeline::Returns, source::scan::Filled};

/// One writer: takes blocks from its queue until that ends. Blocks, so it belongs on a thread of its own.
pub(crate) struct Writer<'a> {
    pub(crate) number: usize,
    pub(crate) files: &'a FileSet,
    pub(crate) job: &'a JobContext,
    /// The file that the next block goes into.
    pub(crate) open: Option<BackupFile>,
}

impl Writer<'_> {
    /// Writes all blocks. However this ends, what was written is durable then.
    pub(crate) fn run(
        mut self,
        blocks: &async_channel::Receiver<Filled>,
        returns: &Returns,
    ) -> Result<(), Error> {
        let mut advance = Advance::default();
        match self.write_all(blocks, returns, &mut advance) {
            Ok(()) => match self.open {
                Some(file) => self.files.complete(file, &advance, self.job),
                None => self.files.checkpoint().advanced(&advance),
            },
            Err(error) => {
                self.save_rest(&advance);
                Err(error)
            }
        }
    }

    fn write_all(
        &mut self,
        blocks: &async_channel::Receiver<Filled>,
        returns: &Returns,
        advance: &mut Advance,
    ) -> Result<(), Error> {
        let mut saved = Instant::now();
        while let Ok(mut filled) = blocks.recv_blocking() {
            if self.job.token.is_cancelled() {
                return Err(Error::cancelled());
            }
            self.write(&mut filled, advance)?;
            // Text that is to be compressed comes back from there.
            if filled.block.bytes.capacity() > 0 {
                returns.give(filled.block.bytes);
            }
            drop(filled.large);
            if self.files.checkpoint().is_due(saved) {
                self.settle(advance)?;
                saved = Instant::now();
            }
        }
        if self.job.token.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    fn write(&mut self, filled: &mut Filled, advance: &mut Advance) -> Result<(), Error> {
        if filled.block.bytes.is_empty() {
            advance.add(&filled.block);
            return Ok(());
        }
        // A file that can't be written to has bytes that are in no account: it isn't settled again.
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.files.record_file(self.number, self.job)?,
        };
        let written = file.write(filled, self.job).and_then(|()| self.files.is_full(&mut file, self.job));
        let Ok(is_full) = written else {
            *advance = Advance::default();
            return written.map(drop);
        };
        advance.add(&filled.block);
        if is_full {
            return self.files.complete(file, &std::mem::take(advance), self.job);
        }
        self.open = Some(file);
        Ok(())
    }

    fn settle(&mut self, advance: &mut Advance) -> Result<(), Error> {
        let advance = std::mem::take(advance);
        // As above: a file that can't be settled is let go.
        let Some(mut file) = self.open.take() else { return self.files.checkpoint().advanced(&advance) };
        self.files.settle(&mut file, &advance, self.job)?;
        self.open = Some(file);
        Ok(())
    }

    /// Saves what a run has written that is about to fail.
    fn save_rest(&mut self, advance: &Advance) {
        let Some(file) = self.open.as_mut().filter(|_| self.files.checkpoint().is_on()) else { return };
        if let Err(error) = self.files.settle(file, advance, self.job) {
            // The failure that led here is the one to report; the state holds what was saved before.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot save the last progress of a failed backup"
            );
        }
    }
}
