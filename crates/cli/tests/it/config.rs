//! Files and variables, as the tools really get them.

use std::fs;

use crate::tool::{asbackup, asrestore, run};

#[test]
fn variables_of_the_process_and_a_file_count() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    fs::write(&file, "backup: {namespace: n, parallel: 2}\n").unwrap();
    let mut tool = asbackup();
    tool.env("ASBACKUP_CONFIG", &file).env("ASBACKUP_FILE_LIMIT", "7");
    let shown = run(tool, "config show", dir.path()).expect(0).stdout;
    for expected in ["namespace: \"n\"  # ", "parallel: 2  # ", "file-limit: 7  # ASBACKUP_FILE_LIMIT"] {
        assert!(shown.contains(expected), "{expected:?} isn't in {shown}");
    }
}

#[test]
fn bad_file_is_2_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.yaml"), "backup:\n  paralel: 2\n").unwrap();
    for line in ["--config {}/c.yaml -d {}/out", "config check {}/c.yaml"] {
        let ran = run(asrestore(), line, dir.path()).expect(2);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
        ran.says(&["error: ", "c.yaml:2:3: backup.paralel is unknown; is backup.parallel meant?"]);
    }
    let ran = run(asbackup(), "config check {}/nowhere.yaml", dir.path()).expect(2);
    ran.says(&["nowhere.yaml: cannot be read: "]);
}

#[test]
fn what_was_asked_for_goes_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.yaml"), "").unwrap();
    for line in
        ["completions bash", "man", "config show", "config check {}/c.yaml", "config", "config show -Z"]
    {
        let ran = run(asrestore(), line, dir.path()).expect(0);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{line}: {ran:#?}");
    }
    run(asrestore(), "completions", dir.path()).expect(2);
    run(asrestore(), "config sho", dir.path()).expect(2);
}
