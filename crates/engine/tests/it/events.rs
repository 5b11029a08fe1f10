//! What a job tells as it happens.

use std::{num::NonZeroU32, time::Duration};

use asbackup::{
    Client, Cluster, ClusterConfig, ErrorKind, Event, Events, ExistingFiles, Job, Local, Phase, Sampling,
    Seed, ValidateConfig, Verification, validate,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::setup::{
    NAMESPACE, back_up, backup_config, client, data_files, loaded_server, restore_config, server,
};

const RECORDS: u64 = 500;

/// Waits for the end of a job and returns all that it told.
async fn told<R: Send + Sync + 'static>(job: Job<R>) -> Vec<Event> {
    job.wait().await.unwrap();
    rest(job.events()).await
}

async fn rest(mut events: Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event);
    }
    all
}

fn phases(events: &[Event]) -> Vec<Phase> {
    let phase = |event: &Event| match event {
        Event::Phase { phase, .. } => Some(*phase),
        _ => None,
    };
    events.iter().filter_map(phase).collect()
}

/// Returns the names of files that were opened, and name, size and records of those that are complete.
fn file_events(events: &[Event]) -> (Vec<String>, Vec<(String, u64, u64)>) {
    let (mut opened, mut complete) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::FileOpened { name, .. } => opened.push(name.clone()),
            Event::FileComplete { name, bytes, records, .. } => {
                complete.push((name.clone(), *bytes, *records));
            }
            _ => {}
        }
    }
    (opened, complete)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_phases_are_told_in_order() {
    let (from, directory) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    let place = || Local::directory(directory.path());
    let backup = told(client(&from).await.backup(backup_config(), place())).await;
    assert_eq!(phases(&backup), [Phase::Metadata, Phase::Records, Phase::Publishing]);
    let (opened, complete) = file_events(&backup);
    let stored = data_files(directory.path());
    assert_eq!(opened, complete.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>());
    for (name, bytes, _) in &complete {
        assert_eq!(stored[name].len() as u64, *bytes, "{name}");
    }
    assert_eq!(complete.iter().map(|(.., records)| records).sum::<u64>(), RECORDS);

    let mut config = restore_config();
    config.verification = Verification::First;
    let restore = told(client(&server()).await.restore(config, place())).await;
    assert_eq!(phases(&restore), [Phase::Verifying, Phase::Metadata, Phase::Records]);
    assert_eq!(file_events(&restore), (opened, complete.clone()));

    let validation = told(validate(ValidateConfig::new(), place())).await;
    assert_eq!(phases(&validation), [Phase::Verifying]);
    let (_, mut read) = file_events(&validation);
    read.sort();
    assert!(complete.iter().all(|file| read.contains(file)), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_file_is_opened_and_never_complete() {
    let (from, directory) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    back_up(&from, directory.path()).await;
    let damaged = data_files(directory.path()).into_keys().find(|name| name.starts_with("0_")).unwrap();
    let path = directory.path().join(&damaged);
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 1]).unwrap();
    let (opened, complete) =
        file_events(&told(validate(ValidateConfig::new(), Local::directory(directory.path()))).await);
    assert!(opened.contains(&damaged) && complete.iter().all(|(name, ..)| *name != damaged));
}

#[tokio::test(flavor = "multi_thread")]
async fn estimate_tells_its_phases() {
    let mut sampling = Sampling::default();
    sampling.samples = NonZeroU32::new(100).unwrap();
    let server = loaded_server(RECORDS);
    let events = told(client(&server).await.estimate(backup_config(), sampling)).await;
    assert_eq!(phases(&events), [Phase::Counting, Phase::Sampling]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_told_with_their_reason() {
    let (from, directory) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    from.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(5_000)).times(2));
    let job = client(&from).await.backup(backup_config(), Local::directory(directory.path()));
    job.wait().await.unwrap();
    let scans: Vec<_> = rest(job.events()).await.into_iter().filter(is_retry).collect();
    let counts: u64 = scans.iter().map(count).sum();
    assert_eq!((counts, job.progress().retries), (2, 2), "{scans:?}");

    let into = server();
    let overload = FaultAction::FailRows { rows: 3, code: ResultCode::TIMEOUT };
    into.faults().add(Fault::new(Command::Batch, overload));
    let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    let writes: Vec<_> = rest(job.events()).await.into_iter().filter(is_retry).collect();
    assert_eq!(writes.iter().map(count).sum::<u64>(), 3, "{writes:?}");
    let Event::Retry { reason, .. } = &writes[0] else { panic!("{writes:?}") };
    assert_eq!(report.errors.retries[reason], 3);
}

fn is_retry(event: &Event) -> bool {
    matches!(event, Event::Retry { .. })
}

fn count(event: &Event) -> u64 {
    let Event::Retry { count, .. } = event else { return 0 };
    *count
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_an_overloaded_server_are_told() {
    let (from, directory) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    let mut config = backup_config();
    config.throttle_pause = Duration::from_millis(1);
    let busy = FaultAction::ErrorCode(ResultCode::FORBIDDEN);
    from.faults().add(Fault::new(Command::Query, busy).times(3));
    let backup = told(client(&from).await.backup(config, Local::directory(directory.path()))).await;
    assert_eq!(backup.iter().filter(|event| **event == Event::Throttled).count(), 3);
    let into = server();
    let overload = FaultAction::ErrorCode(ResultCode::DEVICE_OVERLOAD);
    into.faults().add(Fault::new(Command::Batch, overload).times(u64::MAX));
    let mut config = restore_config();
    config.retry.max_retries = 20;
    let job = client(&into).await.restore(config, Local::directory(directory.path()));
    let mut events = job.events();
    while events.next().await.expect("the job goes on") != Event::Throttled {}
    into.faults().clear();
    let waits = job.wait().await.unwrap().errors.throttle_waits;
    let told = rest(events).await.into_iter().filter(|event| *event == Event::Throttled).count();
    assert_eq!(told as u64 + 1, waits);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_those_of_the_report() {
    let (from, directory) = (loaded_server(RECORDS), tempfile::tempdir().unwrap());
    back_up(&from, directory.path()).await;
    let mut config = backup_config();
    config.existing = ExistingFiles::Continue;
    let job = client(&from).await.backup(config, Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    let warnings: Vec<_> = rest(job.events())
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Warning { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings, report.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_go_and_come_back_are_told() {
    let from = TestServer::builder().namespace(NAMESPACE).nodes(3).start().unwrap();
    asbackup_demo::sample::load_records(from.store(), NAMESPACE, RECORDS, crate::setup::now());
    let seed = Seed::parse(&from.address().to_string(), 3000).unwrap();
    let mut config = ClusterConfig::new([seed]);
    config.refresh_interval = Duration::from_millis(10);
    let client = Client::new(Cluster::connect(config).await.unwrap());
    // Scans wait, so that the job lasts until a node has gone and come.
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(1000)).times(100));
    let directory = tempfile::tempdir().unwrap();
    let job = client.backup(backup_config(), Local::directory(directory.path()));
    let mut events = job.events();
    while !events.next().await.is_some_and(|event| is_records(&event)) {}
    from.stop_node(2).unwrap();
    let lost = node_event(&mut events).await;
    from.start_node(2).unwrap();
    let joined = node_event(&mut events).await;
    let (Event::NodeLost { node: lost, .. }, Event::NodeJoined { node: joined, .. }) = (&lost, &joined)
    else {
        panic!("{lost:?}, {joined:?}")
    };
    assert_eq!(lost, joined);
    job.cancel();
    assert_eq!(job.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    rest(events).await;
}

fn is_records(event: &Event) -> bool {
    matches!(event, Event::Phase { phase: Phase::Records, .. })
}

async fn node_event(events: &mut Events) -> Event {
    loop {
        let event = events.next().await.expect("the job lasts");
        if matches!(event, Event::NodeLost { .. } | Event::NodeJoined { .. }) {
            return event;
        }
    }
}

#[test]
fn blocking_events_end_with_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let job = asbackup::blocking::validate(ValidateConfig::new(), Local::directory(directory.path()));
    let job = job.unwrap();
    let told: Vec<Event> = job.events().collect();
    assert_eq!((phases(&told), told.len()), (vec![Phase::Verifying], 1));
    assert!(job.wait().is_err(), "there is nothing to validate");
}
