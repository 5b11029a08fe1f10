package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"time"

	as "github.com/aerospike/aerospike-client-go/v8"
	"github.com/aerospike/backup-go"
	"github.com/aerospike/backup-go/io/encoding/asb"
	"github.com/aerospike/backup-go/io/storage/local"
	"github.com/aerospike/backup-go/io/storage/options"
	"github.com/aerospike/backup-go/models"
)

func parseRestore(flags *flag.FlagSet, args []string) (job, error) {
	address := flags.String("h", "", "")
	namespaces := flags.String("n", "", "")
	directory := flags.String("d", "", "")
	parallel := flags.Int("parallel", runtime.NumCPU(), "")
	batchSize := flags.Int("batch-size", 128, "")
	maxAsyncBatches := flags.Int("max-async-batches", 32, "")
	wrapped := envelopeFlags(flags)
	if err := parseFlags(flags, args, "h", "n", "d"); err != nil {
		return nil, err
	}
	rename, err := parseNamespaces(*namespaces)
	if err != nil {
		return nil, err
	}

	config := restoreConfig(*parallel, wrapped)
	config.Namespace = rename
	config.BatchSize = *batchSize
	config.MaxAsyncBatches = *maxAsyncBatches

	return func(ctx context.Context) (counters, error) {
		cluster, client, err := connect(*address)
		if err != nil {
			return nil, err
		}
		defer cluster.Close()
		return runRestore(ctx, client, *directory, config)
	}, nil
}

func parseValidate(flags *flag.FlagSet, args []string) (job, error) {
	directory := flags.String("d", "", "")
	parallel := flags.Int("parallel", runtime.NumCPU(), "")
	wrapped := envelopeFlags(flags)
	if err := parseFlags(flags, args, "d"); err != nil {
		return nil, err
	}

	config := restoreConfig(*parallel, wrapped)
	config.ValidateOnly = true

	return func(ctx context.Context) (counters, error) {
		// Without a cluster the library decodes and counts, and writes nothing.
		client, err := backup.NewClient(nil)
		if err != nil {
			return nil, err
		}
		return runRestore(ctx, client, *directory, config)
	}, nil
}

// parseNamespaces reads "source" or "source,target".
func parseNamespaces(text string) (*backup.RestoreNamespaceConfig, error) {
	source, target, renamed := strings.Cut(text, ",")
	if !renamed {
		target = source
	}
	if source == "" || target == "" || strings.Contains(target, ",") {
		return nil, fmt.Errorf("-n: want SOURCE or SOURCE,TARGET, got %q", text)
	}
	return &backup.RestoreNamespaceConfig{Source: &source, Destination: &target}, nil
}

// restoreConfig holds absctl's defaults where they differ from the library's.
func restoreConfig(parallel int, wrapped envelope) *backup.ConfigRestore {
	policy := as.NewWritePolicy(0, 0)
	policy.SendKey = true
	policy.GenerationPolicy = as.EXPECT_GEN_GT
	policy.TotalTimeout = 10 * time.Second
	policy.SocketTimeout = 10 * time.Second

	config := backup.NewDefaultRestoreConfig()
	config.WritePolicy = policy
	config.Parallel = parallel
	config.CompressionPolicy = wrapped.compression()
	config.EncryptionPolicy = wrapped.encryption()
	config.RetryPolicy = models.NewRetryPolicy(time.Second, 1, 3)
	return config
}

func runRestore(
	ctx context.Context, client *backup.Client, directory string, config *backup.ConfigRestore,
) (counters, error) {
	reader, err := local.NewReader(ctx, options.WithDir(directory), options.WithValidator(asb.NewValidator()))
	if err != nil {
		return nil, err
	}
	handler, err := client.Restore(ctx, config, reader)
	if err != nil {
		return nil, err
	}
	err = handler.Wait(ctx)

	stats := handler.GetStats()
	return counters{
		"records_read":     stats.GetReadRecords(),
		"records_expired":  stats.GetRecordsExpired(),
		"records_skipped":  stats.GetRecordsSkipped(),
		"records_ignored":  stats.GetRecordsIgnored(),
		"records_fresher":  stats.GetRecordsFresher(),
		"records_existed":  stats.GetRecordsExisted(),
		"records_inserted": stats.GetRecordsInserted(),
		"errors_in_doubt":  stats.GetErrorsInDoubt(),
		"retries":          stats.GetRetryPolicyAttempts(),
		"bytes_read":       stats.GetTotalBytesRead(),
		"indexes":          uint64(stats.GetSIndexes()),
		"udfs":             uint64(stats.GetUDFs()),
	}, err
}
