//! What happens in a job, as it happens: a bounded log that readers follow.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use asbackup_cluster::Cluster;
use tokio::sync::watch;

use crate::job::JobContext;

/// Something that happened in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A part of the work has begun; an earlier one may come again.
    #[non_exhaustive]
    Phase {
        /// Which one.
        phase: Phase,
    },
    /// A file was begun, or opened.
    #[non_exhaustive]
    FileOpened {
        /// Its name within the backup.
        name: String,
    },
    /// A file has its final name (backup), or was read to its end and is as it should be (restore, validate).
    #[non_exhaustive]
    FileComplete {
        /// Its name within the backup.
        name: String,
        /// Its stored size.
        bytes: u64,
        /// Records in it.
        records: u64,
    },
    /// Something failed in passing and is tried again: a scan of a backup, or records of a restore.
    #[non_exhaustive]
    Retry {
        /// Why, by the names of the report's `retries`.
        reason: &'static str,
        /// How many scans or records.
        count: u64,
    },
    /// The job waits because the server is overloaded or has too many scans.
    Throttled,
    /// Something that the report will warn of.
    #[non_exhaustive]
    Warning {
        /// A sentence.
        message: String,
    },
    /// A node has left the cluster, or no longer answers.
    #[non_exhaustive]
    NodeLost {
        /// Its name.
        node: String,
    },
    /// A node is there that wasn't, for the first time or again.
    #[non_exhaustive]
    NodeJoined {
        /// Its name.
        node: String,
    },
    /// The reader was slow: the oldest events that it hadn't read are gone.
    #[non_exhaustive]
    Missed {
        /// How many.
        count: u64,
    },
}

/// A part of a job's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Files are checked before, or instead of, a restore.
    Verifying,
    /// Indexes and UDF modules are moved.
    Metadata,
    /// Records are moved.
    Records,
    /// The backup is given its manifest.
    Publishing,
    /// An estimate counts the records.
    Counting,
    /// An estimate reads a sample of them.
    Sampling,
}

/// The events of one job, from the first one on that is still kept; see [`Job::events`](crate::Job::events).
#[derive(Debug)]
pub struct Events {
    log: watch::Receiver<Kept>,
    /// The number of the next one, from 0.
    next: u64,
}

impl Events {
    pub(crate) fn new(log: watch::Receiver<Kept>) -> Self {
        Self { log, next: 0 }
    }

    /// Waits for the next event. None: the job has ended, and all events were read.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        let next = self.next;
        // Fails if the job has ended without another event.
        let kept = self.log.wait_for(|kept| kept.end() > next).await.ok()?;
        let missed = kept.first.saturating_sub(next);
        if missed > 0 {
            self.next += missed;
            return Some(Event::Missed { count: missed });
        }
        let event = kept.events.get(usize::try_from(next - kept.first).ok()?).cloned();
        self.next += 1;
        event
    }
}

/// Where a job tells its events. Nobody who reads them holds it up.
#[derive(Debug, Clone)]
pub(crate) struct EventLog(Arc<watch::Sender<Kept>>);

/// The events that are kept for readers, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The number of the first of them.
    first: u64,
    events: VecDeque<Event>,
}

impl EventLog {
    pub(crate) fn new() -> (Self, watch::Receiver<Kept>) {
        let (sender, receiver) = watch::channel(Kept::default());
        (Self(Arc::new(sender)), receiver)
    }

    pub(crate) fn tell(&self, event: Event) {
        self.0.send_modify(|kept| kept.push(event));
    }
}

impl Kept {
    fn push(&mut self, event: Event) {
        if self.events.len() == MOST_KEPT {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
    }

    /// Returns the number of the event that will come next.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

/// Events that are kept: those of some hundred files, in some hundred KiB.
const MOST_KEPT: usize = 1024;

/// Tells of nodes that come and go.
pub(crate) async fn watch_nodes(cluster: &Cluster, job: &JobContext) -> Infallible {
    let mut known = cluster.node_names();
    loop {
        let names = cluster.nodes_changed(&known).await;
        for node in known.difference(&names).cloned() {
            job.events.tell(Event::NodeLost { node });
        }
        for node in names.difference(&known).cloned() {
            job.events.tell(Event::NodeJoined { node });
        }
        known = names;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(count: u64) -> Event {
        Event::Retry { reason: "scan", count }
    }

    #[tokio::test]
    async fn slow_reader_is_told_how_many_events_are_gone() {
        let (log, receiver) = EventLog::new();
        let mut events = Events::new(receiver);
        log.tell(retry(0));
        assert_eq!(events.next().await, Some(retry(0)));
        let told = MOST_KEPT as u64 + 5;
        (1..=told).for_each(|count| log.tell(retry(count)));
        assert_eq!(events.next().await, Some(Event::Missed { count: 5 }));
        for count in 6..=told {
            assert_eq!(events.next().await, Some(retry(count)));
        }
        drop(log);
        assert_eq!(events.next().await, None);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn events_before_a_reader_and_before_the_end_are_read() {
        let (log, receiver) = EventLog::new();
        log.tell(retry(1));
        let (mut one, mut other) = (Events::new(receiver.clone()), Events::new(receiver));
        log.tell(Event::Throttled);
        drop(log);
        for events in [&mut one, &mut other] {
            assert_eq!(events.next().await, Some(retry(1)));
            assert_eq!(events.next().await, Some(Event::Throttled));
            assert_eq!(events.next().await, None);
        }
    }
}
