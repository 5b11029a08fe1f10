// Command driver runs jobs of the backup-go library, so that this project's tools can be held against it: does each
// side read what the other one wrote, and what do both cost?
//
// A job prints one JSON object on one line on standard output, also when it failed; then the exit code is 1, or 2 for
// wrong usage.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const usage = `usage:
  driver backup   -h HOST:PORT -n NAMESPACE -d DIR [-parallel N] [-compact] [-file-limit MIB] ENVELOPE
  driver restore  -h HOST:PORT -n SOURCE[,TARGET] -d DIR [-parallel N] [-batch-size N] [-max-async-batches N] ENVELOPE
  driver validate -d DIR [-parallel N] ENVELOPE
ENVELOPE is [-compress NONE|ZSTD] [-level N] [-encrypt NONE|AES128|AES256] [-key-file PEM]
`

// job does the work of one sub-command and returns its counters, which are as far as it got if there is an error.
type job func(ctx context.Context) (counters, error)

// counters are what the library counted, by name.
type counters map[string]uint64

// report is the line that is printed.
type report struct {
	Command    string   `json:"command"`
	Counters   counters `json:"counters,omitempty"`
	DurationMS int64    `json:"duration_ms"`
	Error      string   `json:"error,omitempty"`
}

func main() {
	// The library warns of each batch that it tries again; only errors say something about the outcome.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}

	work, err := parse(args[0], args[1:])
	if err != nil {
		fmt.Fprintf(stderr, "driver: %v\n%s", err, usage)
		return 2
	}

	start := time.Now()
	counted, err := work(context.Background())
	line := report{Command: args[0], Counters: counted, DurationMS: time.Since(start).Milliseconds()}
	code := 0
	if err != nil {
		line.Error = err.Error()
		code = 1
	}
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		fmt.Fprintf(stderr, "driver: %v\n", err)
		return 1
	}
	return code
}

func parse(command string, args []string) (job, error) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)

	switch command {
	case "backup":
		return parseBackup(flags, args)
	case "restore":
		return parseRestore(flags, args)
	case "validate":
		return parseValidate(flags, args)
	default:
		return nil, fmt.Errorf("unknown command %q", command)
	}
}

// parseFlags refuses what is left over and each named flag that is empty.
func parseFlags(flags *flag.FlagSet, args []string, required ...string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, name := range required {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("-%s is missing", name)
		}
	}
	return nil
}
