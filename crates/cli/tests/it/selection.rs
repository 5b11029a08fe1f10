//! What the flags of `asbackup` that select records do, from the flag to the report.

use serde_json::json;

use crate::jobs::{RECORDS, back_up, server};

#[test]
fn flags_that_select_leave_a_part() {
    let server = server();
    let mut set = String::new();
    server.store().for_each_record("test", |record| {
        set = String::from_utf8(record.set.unwrap_or_default().to_vec()).unwrap();
    });
    let in_half = {
        let mut count = 0;
        server.store().for_each_record("test", |record| {
            count += u64::from(record.digest.partition().number() < 2048);
        });
        count
    };
    let node = server.node_name(0);
    for (flags, written) in [
        ("-X 0-2048".to_owned(), in_half),
        ("-X 0..999 -X 1000+1048".to_owned(), in_half),
        ("-X 2048..4095".to_owned(), RECORDS - in_half),
        (format!("-l {node} -w 3"), RECORDS),
        (format!("-l {}", server.address()), RECORDS),
        ("-M 10 --scan-page-size 3".to_owned(), 10),
        ("--set nowhere".to_owned(), 0),
        (format!("-s nowhere,{set}"), RECORDS),
        ("-B nosuch".to_owned(), 0),
        ("-x".to_owned(), RECORDS),
        ("-a -1h".to_owned(), RECORDS),
        ("-b -1h".to_owned(), 0),
        ("-a 2020-01-01 -b 2020-01-02_12:00:00 --utc".to_owned(), 0),
        ("--no-ttl-only --total-timeout 60000".to_owned(), RECORDS),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let report = back_up(&server, &format!("--report json {flags}"), dir.path()).expect(0).report();
        let records = &report["records"];
        assert_eq!((&records["written"], &records["read"]), (&json!(written), &json!(written)), "{flags}");
        assert_eq!(records["unaccounted"], 0);
    }
}

#[test]
fn resolved_times_are_logged() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let flags = "--log-level info --modified-after 2020-01-01_01:02:03 --utc --modified-before @1700000000";
    let ran = crate::tool::run(
        crate::tool::asbackup(),
        &format!("{} -n test -d {{}} {flags}", crate::jobs::at(&server)),
        dir.path(),
    );
    ran.expect(0).says(&["2020-01-01T01:02:03Z", "2023-11-14T22:13:20Z"]);
}

#[test]
fn selections_that_cannot_be_are_2() {
    let server = server();
    for (flags, words) in [
        ("-M 10 -w 2", &["can't be shared by 2 scans", "--parallel 1"][..]),
        ("-X 4095-2", &["the last one is 4095", "--partition-list"]),
        ("-X 1 -D AA==", &["--after-digest", "--partition-list"]),
        ("-l nosuch", &["no node of the cluster is nosuch", "--node-list"]),
        ("--rack-list 1", &["only Enterprise servers do", "--rack-list"]),
        ("--prefer-racks 1", &["only Enterprise servers do", "--prefer-racks"]),
        ("-s <ERO~MRT", &["the server's own", "--set-list"]),
        ("-a nonsense", &["RFC 3339", "--modified-after"]),
        ("-f nonsense!", &["is no base64", "--filter-exp"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        back_up(&server, flags, dir.path()).expect(2).says(words);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
