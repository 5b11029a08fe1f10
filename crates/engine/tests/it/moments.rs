//! Copies of a directory at the moments at which its backup might have been killed.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::logs;

/// What a backup logs just after it has changed what another run finds.
const MOMENTS: [&str; 2] = ["state saved", "manifest written"];

static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

struct Watched {
    directory: PathBuf,
    copies: Vec<TempDir>,
}

/// From now on each such moment of a backup into `directory` is copied.
pub(crate) fn watch(directory: &Path) {
    logs::listen();
    lock().push(Watched { directory: directory.to_owned(), copies: Vec::new() });
}

/// Ends the watch and returns the copies in their order.
pub(crate) fn copies(directory: &Path) -> Vec<TempDir> {
    let mut watched = lock();
    let index = watched.iter().position(|watched| watched.directory == directory).unwrap();
    watched.swap_remove(index).copies
}

/// Returns a copy of a directory. Its state must not change meanwhile; other files may be renamed.
pub(crate) fn copy(directory: &Path) -> TempDir {
    loop {
        let into = tempfile::tempdir().unwrap();
        let copied = fs::read_dir(directory).unwrap().try_for_each(|entry| {
            let entry = entry?;
            fs::copy(entry.path(), into.path().join(entry.file_name())).map(drop)
        });
        match copied {
            Ok(()) => return into,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn lock() -> std::sync::MutexGuard<'static, Vec<Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies watched directories.
pub(crate) struct Moments;

impl<S: Subscriber> Layer<S> for Moments {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if !MOMENTS.contains(&fields.message.as_str()) {
            return;
        }
        // Copied under the lock: copies are in the order of what happened.
        if let Some(watched) =
            lock().iter_mut().find(|watched| watched.directory == Path::new(&fields.directory))
        {
            let copy = copy(&watched.directory);
            watched.copies.push(copy);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    directory: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "directory" => self.directory = format!("{value:?}"),
            _ => {}
        }
    }
}
