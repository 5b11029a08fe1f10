//! The run of a removal: all files of backups go from a target, and nothing else.

use std::{sync::Arc, time::SystemTime};

use asbackup_storage::Local;

use crate::{
    Error, ErrorKind, blocking, checkpoint,
    job::{JobContext, Outcome},
    naming,
    report::{Place, RemovalReport, Span},
};

/// Runs a removal to its end and says what went.
pub(crate) async fn run(target: Local, started: SystemTime, job: JobContext) -> Outcome<RemovalReport> {
    let (removal, counted) = (target.clone(), job.clone());
    let Removed { names, left, result } = match blocking(move || remove(&removal, &counted)).await {
        Ok(removed) => removed,
        Err(error) => Removed { result: Err(error), ..Removed::default() },
    };
    let path = target.path().display().to_string();
    let report = RemovalReport {
        span: Span::new(started, job.counters.elapsed()),
        target: Place { kind: target.kind(), path, files: names.len() as u64 },
        removed: names,
        left,
    };
    Outcome { report: Some(Arc::new(report)), result }
}

/// What went, and how far that came.
struct Removed {
    names: Vec<String>,
    /// How many files of others are there.
    left: u64,
    result: Result<(), Error>,
}

impl Default for Removed {
    fn default() -> Self {
        Self { names: Vec::new(), left: 0, result: Ok(()) }
    }
}

fn remove(target: &Local, job: &JobContext) -> Removed {
    let mut removed = Removed::default();
    removed.result = removed.remove(target, job);
    removed
}

impl Removed {
    fn remove(&mut self, target: &Local, job: &JobContext) -> Result<(), Error> {
        if !target.is_directory() {
            let message = "only a directory can be emptied of backup files";
            return Err(Error::of(ErrorKind::Config, message).hint("name one with --directory").build());
        }
        let _lock = checkpoint::lock(target)?;
        let names = target.list()?.into_iter().map(|file| file.name);
        let (mut names, others): (Vec<_>, Vec<_>) = names.partition(|name| naming::is_artifact(name));
        self.left = others.len() as u64;
        // As long as the manifest is there, what is left of its set is known to be damaged. Likewise that of a share says
        // that there is more than what is left.
        names.sort_by_key(|name| name == naming::MANIFEST || naming::is_of_share(name));
        for name in names {
            if job.token.is_cancelled() {
                return Err(Error::cancelled());
            }
            target.remove(&name)?;
            self.names.push(name);
        }
        if self.names.is_empty() { Ok(()) } else { Ok(target.sync()?) }
    }
}
