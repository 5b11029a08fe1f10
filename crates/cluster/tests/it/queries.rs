//! Reading partitions, with failures.

use std::{collections::BTreeSet, future::ready, num::NonZeroUsize, ops::ControlFlow};

use asbackup_cluster::{ErrorKind, LargeRecords, QueryProgress};
use asbackup_codec::wire::{Content, ResultCode};
use asbackup_model::PartitionId;
use asbackup_testserver::{Command, Fault, FaultAction, SampleRecords};

use crate::support::{all, connect, read, server, spec, stored};

#[tokio::test]
async fn all_partitions_give_all_records() {
    let server = server(2000);
    let cluster = connect(&server).await;
    let mut query = cluster.query(spec(), all());
    assert_eq!(read(&mut query).await.unwrap(), stored(&server));
    assert_eq!(query.retries(), 0);
    assert!(PartitionId::all().all(|partition| query.is_done(partition)));
    assert_eq!(query.next(|_| panic!("a record after the end")).await.unwrap(), QueryProgress::Finished);
}

#[tokio::test]
async fn some_partitions_give_their_records() {
    let server = server(2000);
    let cluster = connect(&server).await;
    let half: Vec<_> = PartitionId::all().filter(|partition| partition.number() < 2048).collect();
    let digests = read(&mut cluster.query(spec(), half)).await.unwrap();
    let expected = stored(&server).into_iter().filter(|digest| digest.partition().number() < 2048).collect();
    assert_eq!(digests, expected);
    assert!(read(&mut cluster.query(spec(), Vec::new())).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_more_records_come_at_once_than_allowed() {
    let server = server(500);
    server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(50_000)));
    let cluster = connect(&server).await;
    let mut spec = spec();
    spec.records_at_once = NonZeroUsize::new(3);
    let (mut query, mut digests, mut progress) = (cluster.query(spec, all()), BTreeSet::new(), None);
    while progress != Some(QueryProgress::Finished) {
        let before = digests.len();
        let next = query.next(|record| {
            assert!(digests.insert(record.digest), "{} twice", record.digest);
            ControlFlow::Continue(())
        });
        progress = Some(next.await.unwrap());
        assert!(digests.len() - before <= 3);
    }
    assert_eq!((digests, query.retries()), (stored(&server), 1));
}

#[tokio::test]
async fn a_query_resumes_behind_a_record() {
    let server = server(2000);
    let cluster = connect(&server).await;
    let expected = stored(&server);
    let first = *expected.first().unwrap();
    let partition = first.partition();
    let mut query = cluster.query(spec(), vec![partition]);
    query.resume_after(first);
    let rest =
        expected.into_iter().filter(|digest| digest.partition() == partition && *digest != first).collect();
    assert_eq!(read(&mut query).await.unwrap(), rest);
    assert_eq!(query.cursor(partition), Some(rest.last().copied().unwrap_or(first)));
}

#[tokio::test]
async fn selected_content_is_what_comes() {
    let server = server(3);
    let cluster = connect(&server).await;
    for (content, bins, expected) in
        [(Content::Metadata, vec![], vec![]), (Content::Bins, vec![b"name".to_vec()], vec![b"name".to_vec()])]
    {
        let mut spec = spec();
        (spec.content, spec.bins) = (content, bins);
        let mut query = cluster.query(spec, all());
        let mut records = 0;
        while query
            .next(|record| {
                records += 1;
                assert_eq!(record.bins.iter().map(|bin| bin.name.to_vec()).collect::<Vec<_>>(), expected);
                ControlFlow::Continue(())
            })
            .await
            .unwrap()
            == QueryProgress::More
        {}
        assert_eq!(records, 3);
    }
}

#[tokio::test]
async fn a_bound_ends_the_query_and_leaves_cursors() {
    let server = server(500);
    let cluster = connect(&server).await;
    let mut spec = spec();
    spec.max_records = 7;
    let mut query = cluster.query(spec, all());
    assert_eq!(read(&mut query).await.unwrap().len(), 7);
}

#[tokio::test]
async fn no_record_is_lost_or_comes_twice_wherever_the_connection_breaks() {
    let server = server(300);
    let cluster = connect(&server).await;
    let expected = stored(&server);
    for cut in [0, 1, 7, 8, 9, 29, 30, 31, 409, 4096, 4200, 4500, 50_000, 100_000] {
        server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(cut)));
        let mut query = cluster.query(spec(), all());
        assert_eq!(read(&mut query).await.unwrap(), expected, "cut after {cut} bytes");
        assert_eq!(query.retries(), 1, "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn failures_count_since_the_last_record() {
    let server = server(300);
    let cluster = connect(&server).await;
    // Each attempt gets some records further, so that any number of them may fail.
    server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(3000)).times(20));
    let mut spec = spec();
    spec.max_retries = 1;
    let mut query = cluster.query(spec.clone(), all());
    assert_eq!(read(&mut query).await.unwrap(), stored(&server));
    assert_eq!(query.retries(), 20);

    server.faults().add(Fault::new(Command::Query, FaultAction::CutAfter(0)).times(2));
    let error = read(&mut cluster.query(spec, all())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.node(), Some(cluster.nodes()[0].name()));
}

#[tokio::test]
async fn unavailable_partitions_are_asked_for_again() {
    let server = server(2000);
    let cluster = connect(&server).await;
    let gone: Vec<_> = PartitionId::all().take(100).collect();
    server.faults().add(Fault::new(Command::Query, FaultAction::Unavailable(gone.clone())).times(2));
    let mut query = cluster.query(spec(), all());
    assert_eq!(read(&mut query).await.unwrap(), stored(&server));
    assert_eq!(query.retries(), 2);

    server.faults().add(Fault::new(Command::Query, FaultAction::Unavailable(gone)).times(2));
    let mut spec = spec();
    spec.max_retries = 1;
    let mut query = cluster.query(spec, all());
    let error = read(&mut query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ResultCode::UNAVAILABLE));
    assert!(!query.is_done(PartitionId::new(99).unwrap()) && query.is_done(PartitionId::new(100).unwrap()));
}

#[tokio::test]
async fn codes_that_pass_are_tried_again() {
    let server = server(50);
    let cluster = connect(&server).await;
    // 22 first means that there are too many scans.
    for code in
        [ResultCode::TIMEOUT, ResultCode::UNAVAILABLE, ResultCode::QUERY_ABORTED, ResultCode::FORBIDDEN]
    {
        server.faults().add(Fault::new(Command::Query, FaultAction::ErrorCode(code)));
        let mut query = cluster.query(spec(), all());
        assert_eq!(read(&mut query).await.unwrap(), stored(&server), "{code}");
        assert_eq!(query.retries(), 1, "{code}");
        assert_eq!(query.throttled(), u64::from(code == ResultCode::FORBIDDEN), "{code}");
    }
}

#[tokio::test]
async fn other_codes_end_the_query() {
    let server = server(50);
    let cluster = connect(&server).await;
    for (code, kind) in [
        (ResultCode::PARAMETER, ErrorKind::Server(ResultCode::PARAMETER)),
        (ResultCode::NAMESPACE, ErrorKind::Namespace),
    ] {
        server.faults().add(Fault::new(Command::Query, FaultAction::ErrorCode(code)));
        let error = read(&mut cluster.query(spec(), all())).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false));
    }
    let mut elsewhere = spec();
    elsewhere.namespace = b"nosuch".to_vec();
    let error = read(&mut cluster.query(elsewhere, all())).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Namespace, "no namespace nosuch"));
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    let server = server(50);
    let cluster = connect(&server).await;
    let mut spec = spec();
    spec.socket_timeout = std::time::Duration::from_millis(20);
    spec.max_retries = 0;
    server.faults().add(Fault::new(Command::Query, FaultAction::Delay(std::time::Duration::from_secs(60))));
    let error = read(&mut cluster.query(spec, all())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn failures_give_connections_back() {
    let server = server(50);
    // Two connections at most.
    let cluster = connect(&server).await;
    for _ in 0..5 {
        server.faults().add(Fault::new(Command::Query, FaultAction::Refuse));
        assert_eq!(read(&mut cluster.query(spec(), all())).await.unwrap().len(), 50);
    }
}

#[tokio::test]
async fn what_follows_the_record_that_broke_off_comes_next_time() {
    let server = server(300);
    let cluster = connect(&server).await;
    let mut query = cluster.query(spec(), all());
    let mut digests = BTreeSet::new();
    loop {
        let mut handed_on = 0;
        let next = query.next(|record| {
            handed_on += 1;
            assert!(digests.insert(record.digest), "{} twice", record.digest);
            ControlFlow::Break(())
        });
        let progress = next.await.unwrap();
        assert!(handed_on <= 1, "{handed_on}");
        if progress == QueryProgress::Finished {
            break;
        }
    }
    assert_eq!(digests, stored(&server));
}

#[tokio::test]
async fn a_large_record_takes_a_permit_until_it_is_given_back() {
    let server = server(0);
    server.store().load("test", SampleRecords { count: 3, record_bytes: 700_000 });
    let cluster = connect(&server).await;
    let large_records = LargeRecords::new(1);
    let mut spec = spec();
    spec.large_records = large_records.clone();
    let mut query = cluster.query(spec, all());
    for _ in 0..3 {
        let mut read = 0;
        while read == 0 {
            let next = query.next(|_| {
                read += 1;
                ControlFlow::Break(())
            });
            next.await.unwrap();
        }
        let permit = query.take_permit();
        tokio::select! {
            biased;
            _ = large_records.permit() => panic!("a second permit"),
            () = ready(()) => {}
        }
        drop(permit);
        large_records.permit().await;
    }
    assert!(query.take_permit().is_none());
}
