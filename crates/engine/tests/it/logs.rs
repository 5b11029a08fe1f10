//! What jobs log, and under which name.

use std::{
    fmt,
    sync::{Mutex, Once, PoisonError},
};

use asbackup::Local;
use tempfile::tempdir;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use crate::{
    moments::Moments,
    setup::{backup_config, client, loaded_server, restore_config, server},
};

/// From now on what is logged comes to the tests: a job logs on threads of its own, which only a subscriber of the whole
/// process reaches.
pub(crate) fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Ids).with(Moments);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Ids of clients and what was logged under them.
static LOGGED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Keeps what is logged within a span that has an id.
struct Ids;

/// The text of one field.
struct Text {
    field: &'static str,
    text: Option<String>,
}

impl Text {
    fn of(field: &'static str) -> Self {
        Self { field, text: None }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.text = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.field {
            self.text = Some(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ids {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "asbackup" || metadata.target().starts_with("asbackup::")
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut name = Text::of("id");
        attributes.record(&mut name);
        context.span(id).unwrap().extensions_mut().insert(name);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Text::of("message");
        event.record(&mut message);
        for span in context.event_scope(event).into_iter().flatten() {
            assert_eq!(span.name(), "job");
            let id = span.extensions().get::<Text>().and_then(|name| name.text.clone()).unwrap();
            let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
            logged.push((id, message.text.clone().unwrap_or_default()));
        }
    }
}

/// Checks that messages, whichever thread they come from, were logged under an id.
#[track_caller]
fn check_logged(id: &str, messages: &[&str]) {
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    for message in messages {
        assert!(logged.iter().any(|(of, text)| of == id && text == message), "{message}: {logged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn id_of_a_client_is_in_all_that_its_jobs_log() {
    listen();
    let (from, into, directory) = (loaded_server(100), server(), tempdir().unwrap());
    let local = Local::directory(directory.path());
    let client_of_source = client(&from).await.with_id("id of a backup");
    client_of_source.backup(backup_config(), local.clone()).wait().await.unwrap();
    // A task says the first, a thread that writes the second, one that publishes the third.
    check_logged("id of a backup", &["backup planned", "file complete", "manifest written"]);
    client(&into).await.with_id("id of a restore").restore(restore_config(), local).wait().await.unwrap();
    check_logged("id of a restore", &["restore planned"]);
}
