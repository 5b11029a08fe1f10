package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestNamespacesAreOneNameOrTwo(t *testing.T) {
	for text, want := range map[string][2]string{"a": {"a", "a"}, "a,b": {"a", "b"}} {
		got, err := parseNamespaces(text)
		if err != nil || *got.Source != want[0] || *got.Destination != want[1] {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",b", "a,", "a,b,c"} {
		if _, err := parseNamespaces(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestWrongUsageIsExitCode2(t *testing.T) {
	for _, args := range [][]string{{}, {"copy"}, {"backup"}, {"validate", "-d", "x", "rest"}, {"validate", "-x"}} {
		var out, err bytes.Buffer
		if code := run(args, &out, &err); code != 2 || out.Len() > 0 || err.Len() == 0 {
			t.Errorf("%v: code %d, stdout %q, stderr %q", args, code, &out, &err)
		}
	}
}

const sample = `Version 3.1
# namespace test
# first-file
+ n test
+ d AAAAAAAAAAAAAAAAAAAAAAAAAAA=
+ s people
+ g 1
+ t 0
+ b 1
- I age 42
`

func TestValidateCountsRecordsAndFindsDamage(t *testing.T) {
	check := func(text string, code int, records uint64) {
		t.Helper()
		directory := t.TempDir()
		if err := os.WriteFile(filepath.Join(directory, "0_test_1.asb"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, problems bytes.Buffer
		got := run([]string{"validate", "-d", directory}, &out, &problems)
		var line report
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v in %q", err, &out)
		}
		if got != code || line.Counters["records_read"] != records || (line.Error == "") != (code == 0) {
			t.Errorf("code %d, report %+v, want code %d, records %d", got, line, code, records)
		}
	}
	check(sample, 0, 1)
	check(sample+"? junk\n", 1, 1)
}
