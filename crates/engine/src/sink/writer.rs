//! One writer of a backup: it fills one file after another, and a file gets its name when it is whole.

use asbackup_model::Block;

use super::{file::BackupFile, file_set::FileSet};
use crate::{Error, job::JobContext, pipeline::Spare};

/// One writer: takes blocks from the queue until it ends. Blocks, so it belongs on a thread of its own.
pub(crate) fn run(
    number: usize,
    files: &FileSet,
    blocks: &async_channel::Receiver<Block>,
    spare: &Spare<Block>,
    job: &JobContext,
) -> Result<(), Error> {
    let mut open: Option<BackupFile> = None;
    while let Ok(mut block) = blocks.recv_blocking() {
        if job.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        let mut file = match open.take() {
            Some(file) => file,
            None => files.record_file(number)?,
        };
        file.write(&mut block, job)?;
        block.clear();
        spare.give(block);
        if files.is_full(&mut file)? {
            files.complete(file, job)?;
        } else {
            open = Some(file);
        }
    }
    if job.token.is_cancelled() {
        return Err(Error::cancelled());
    }
    open.map_or(Ok(()), |file| files.complete(file, job))
}
