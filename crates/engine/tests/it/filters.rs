//! Which records a backup reads, and what of them, held against a model that the test works out by itself.

use std::{
    num::NonZeroU64,
    time::{Duration, SystemTime},
};

use asbackup::{BackupConfig, BinSelection, ErrorKind, Lifetime, Local, Modified, Names, Parallelism, Scope};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{Command, Fault, FaultAction, TestServer};

use crate::selected::{Known, LATER, back_up, expected, loaded, refused, selected};
use crate::setup::{client, data_files, files, restore_config, server};

const RECORDS: u32 = 600;

/// A change of the configuration, and the records that it leaves.
type Case = (&'static str, fn(&mut BackupConfig), fn(&Known) -> bool);

fn names(names: &[&str]) -> Option<Names> {
    Some(Names::new(names.iter().copied()).unwrap())
}

/// Returns a time between the first half of the records and the second one.
fn between() -> Option<SystemTime> {
    Some(SystemTime::now() + LATER / 2)
}

/// "age > 64", of testdata/wire/filters.json.
const OVER_64: &str = "kwOTUQKjYWdlQA==";

const CASES: [Case; 12] = [
    ("nothing", |_| {}, |_| true),
    ("one set", |config| config.sets = names(&["one"]), |known| known.set == Some("one")),
    (
        "two sets",
        |config| config.sets = names(&["one", "MY_ERROR_SET"]),
        |known| matches!(known.set, Some("one" | "MY_ERROR_SET")),
    ),
    ("a set that nobody has", |config| config.sets = names(&["nowhere"]), |_| false),
    ("after", |config| config.modified = Modified::new(between(), None).unwrap(), |known| known.is_late),
    ("before", |config| config.modified = Modified::new(None, between()).unwrap(), |known| !known.is_late),
    (
        "a span",
        |config| {
            let from = SystemTime::now() - Duration::from_secs(500);
            config.modified = Modified::new(Some(from), between()).unwrap();
        },
        |known| !known.is_late,
    ),
    (
        "a span without records",
        |config| {
            let until = between().map(|time| time + Duration::from_secs(1));
            config.modified = Modified::new(between(), until).unwrap();
        },
        |_| false,
    ),
    ("no TTL", |config| config.lifetime = Lifetime::Unlimited, |known| !known.expires),
    ("an expression", |config| config.filter = OVER_64.parse().ok(), |known| known.age > 64),
    ("pages", |config| config.page_records = NonZeroU64::new(7), |_| true),
    (
        "all at once",
        |config| {
            config.sets = names(&["one", "two"]);
            config.filter = OVER_64.parse().ok();
            config.modified = Modified::new(between(), None).unwrap();
            config.lifetime = Lifetime::Unlimited;
            config.page_records = NonZeroU64::new(3);
        },
        |known| matches!(known.set, Some("one" | "two")) && known.age > 64 && known.is_late && !known.expires,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_leaves_the_records_that_it_says() {
    for (nodes, readers) in [(1, 1), (3, 5)] {
        let (from, model) = loaded(TestServer::builder().nodes(nodes), RECORDS);
        for (name, change, is_in) in CASES {
            let found = selected(&from, |config| {
                change(config);
                config.readers = Parallelism::new(readers).unwrap();
            })
            .await;
            assert_eq!(found, expected(&model, |_, known| is_in(known)), "{name}, {nodes} nodes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_bins_are_backed_up() {
    let (from, model) = loaded(TestServer::builder(), 100);
    let only = |list: &[&str]| BinSelection::Only(names(list).unwrap());
    let found = selected(&from, |config| config.bins = only(&["name", "other"])).await;
    let mut with_name = expected(&model, |_, known| known.bins.contains(&"name"));
    assert!(with_name.len() < model.len());
    with_name.values_mut().for_each(|bins| bins.retain(|bin| bin == "name"));
    assert_eq!(found, with_name);
    assert_eq!(
        selected(&from, |config| config.bins = only(&["name", "age"])).await,
        expected(&model, |_, _| true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_bins_are_keys_that_a_restore_counts_and_leaves_out() {
    let (from, _) = loaded(TestServer::builder(), 100);
    let directory = tempfile::tempdir().unwrap();
    let report = back_up(&from, directory.path(), |config| config.bins = BinSelection::None).await.unwrap();
    assert_eq!(report.records.written, 100);
    let text = data_files(directory.path()).into_values().collect::<Vec<_>>().concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().filter(|line| *line == "+ b 0").count(), 100);
    assert!(!text.lines().any(|line| line.starts_with("- ")), "{text}");
    let into = server();
    let job = client(&into).await.restore(restore_config(), Local::directory(directory.path()));
    let report = job.wait().await.unwrap();
    assert_eq!((report.records.skipped.get("bins"), report.records.unaccounted), (Some(&100), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn number_of_records_is_bounded() {
    for nodes in [1, 3] {
        let (from, model) = loaded(TestServer::builder().nodes(nodes), 100);
        for (most, page, found) in [(1, 0, 1), (37, 0, 37), (37, 10, 37), (99, 0, 99), (200, 0, 100)] {
            let selected = selected(&from, |config| {
                config.max_records = NonZeroU64::new(most);
                config.page_records = NonZeroU64::new(page);
            })
            .await;
            assert_eq!(selected.len(), found, "{most} of {nodes} nodes");
            assert!(selected.keys().all(|digest| model.contains_key(digest)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_one_request() {
    for (nth, retries) in [(10, 1), (11, 0)] {
        let (from, _) = loaded(TestServer::builder(), 95);
        from.faults().add(Fault::new(Command::Query, FaultAction::Refuse).nth(nth));
        let directory = tempfile::tempdir().unwrap();
        let paged = |config: &mut BackupConfig| config.page_records = NonZeroU64::new(10);
        let report = back_up(&from, directory.path(), paged).await.unwrap();
        assert_eq!(report.records.written, 95);
        assert_eq!(report.errors.retries.values().sum::<u64>(), retries, "10 requests for 95 records");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_end_when_their_time_is_over() {
    let (from, _) = loaded(TestServer::builder().frame_bytes(512), 100);
    from.faults().add(Fault::new(Command::Query, FaultAction::HoldAfter(1_000)));
    let directory = tempfile::tempdir().unwrap();
    let longest = |config: &mut BackupConfig| config.total_timeout = Some(Duration::from_millis(50));
    let error = back_up(&from, directory.path(), longest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Scan);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the scan isn't finished within 50ms");
    assert!(files(directory.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_says_what_was_selected() {
    let (from, _) = loaded(TestServer::builder(), 100);
    let directory = tempfile::tempdir().unwrap();
    let after = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000);
    let change = |config: &mut BackupConfig| {
        config.scope = Scope::Partitions("10..20,4000".parse().unwrap());
        config.sets = names(&["two", "one"]);
        config.bins = BinSelection::Only(names(&["age"]).unwrap());
        config.modified = Modified::new(Some(after), None).unwrap();
        config.lifetime = Lifetime::Unlimited;
        config.filter = OVER_64.parse().ok();
        config.max_records = NonZeroU64::new(1_000);
    };
    back_up(&from, directory.path(), change).await.unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&files(directory.path())["asbackup.manifest.json"]).unwrap();
    assert_eq!(
        manifest["selection"],
        serde_json::json!({
            "scope": {"partitions": "10..20,4000"}, "sets": ["one", "two"], "bins": ["age"], "filter": OVER_64,
            "no_ttl_only": true, "max_records": 1000, "no_bins": false, "no_records": false, "no_indexes": false,
            "no_udfs": false
        })
    );
    assert_eq!(manifest["modified"], serde_json::json!({"after": "1970-01-01T00:00:01.5Z", "before": null}));
    assert_eq!(manifest["partitions"], "10..20,4000");
}

#[tokio::test(flavor = "multi_thread")]
async fn estimate_of_the_total_follows_sets_partitions_and_bound() {
    let (from, _) = loaded(TestServer::builder().nodes(3).copies(2), 400);
    for (change, expected) in [
        ((|_| {}) as fn(&mut BackupConfig), 401),
        (|config| config.sets = names(&["one", "MY_ERROR_SET"]), 200),
        (|config| config.sets = names(&["nowhere"]), 0),
        (|config| config.scope = Scope::Partitions("0-1024".parse().unwrap()), 100),
        (|config| config.max_records = NonZeroU64::new(5), 5),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let report = back_up(&from, directory.path(), change).await.unwrap();
        assert_eq!(report.records.estimated_total, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn estimate_of_the_total_counts_what_the_server_filters() {
    let (from, _) = loaded(TestServer::builder().nodes(3).copies(2), 400);
    let never = |config: &mut BackupConfig| {
        let after = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        config.modified = Modified::new(Some(after), None).unwrap();
    };
    for (change, is_any_read) in [
        ((|config| config.lifetime = Lifetime::Unlimited) as fn(&mut BackupConfig), true),
        (|config| config.filter = OVER_64.parse().ok(), true),
        (never, false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let of_some = |config: &mut BackupConfig| {
            change(config);
            config.scope = Scope::Partitions("0-1024".parse().unwrap());
        };
        let records = back_up(&from, directory.path(), of_some).await.unwrap().records.clone();
        assert_eq!((records.estimated_total, records.read > 0), (records.read, is_any_read));
    }
    // The job doesn't need to know.
    from.faults().add(Fault::new(Command::Query, FaultAction::ErrorCode(ResultCode::PARAMETER)));
    let directory = tempfile::tempdir().unwrap();
    let unlimited = |config: &mut BackupConfig| config.lifetime = Lifetime::Unlimited;
    let report = back_up(&from, directory.path(), unlimited).await.unwrap();
    assert_eq!((report.records.estimated_total, report.records.read > 0), (0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_that_contradict_themselves_are_refused() {
    let (from, _) = loaded(TestServer::builder(), 1);
    let refusal = refused(&from, |config| {
        config.max_records = NonZeroU64::new(1);
        config.readers = Parallelism::new(2).unwrap();
    });
    let expected = ("a number of records can't be shared by 2 scans", "use --max-records with --parallel 1");
    assert_eq!(refusal.await, (expected.0.to_owned(), expected.1));
    let (message, hint) = refused(&from, |config| config.sets = names(&["one", "<ERO~MRT"])).await;
    assert_eq!(
        (message.as_str(), hint),
        (r#"the set "<ERO~MRT" is the server's own and isn't backed up"#, "change --set-list")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_the_server_does_not_know_ends_the_backup() {
    let (from, _) = loaded(TestServer::builder(), 1);
    let directory = tempfile::tempdir().unwrap();
    let unknown = |config: &mut BackupConfig| config.filter = "kgcB".parse().ok();
    let error = back_up(&from, directory.path(), unknown).await.unwrap_err();
    assert_eq!((error.kind(), error.place().code), (ErrorKind::Scan, None));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("query refused: 4 parameter"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_know_no_filters_are_sent_none() {
    let (from, model) = loaded(TestServer::builder().server_build("5.1.0.3"), 100);
    let directory = tempfile::tempdir().unwrap();
    let report = back_up(&from, directory.path(), |_| {}).await.unwrap();
    assert_eq!((report.records.written, report.records.unaccounted), (100, 0));
    assert_eq!(report.records.skipped, [("monitor_set", 1)].into(), "it is left out here");
    let one = selected(&from, |config| config.sets = names(&["one"])).await;
    assert_eq!(one, expected(&model, |_, known| known.set == Some("one")));
    for (name, change, _) in CASES {
        if ["two sets", "after", "before", "no TTL", "an expression"].contains(&name) {
            let (message, hint) = refused(&from, change).await;
            assert_eq!(message, "server 5.1.0 knows no filters, which come with 5.2", "{name}");
            assert!(hint.contains("--filter-exp"));
        }
    }
}
