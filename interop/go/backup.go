package main

import (
	"context"
	"flag"
	"time"

	as "github.com/aerospike/aerospike-client-go/v8"
	"github.com/aerospike/backup-go"
	"github.com/aerospike/backup-go/io/storage/local"
	"github.com/aerospike/backup-go/io/storage/options"
)

const mebibyte = 1 << 20

func parseBackup(flags *flag.FlagSet, args []string) (job, error) {
	address := flags.String("h", "", "")
	namespace := flags.String("n", "", "")
	directory := flags.String("d", "", "")
	parallel := flags.Int("parallel", 1, "")
	compact := flags.Bool("compact", false, "")
	fileLimit := flags.Uint64("file-limit", 250, "")
	wrapped := envelopeFlags(flags)
	if err := parseFlags(flags, args, "h", "n", "d"); err != nil {
		return nil, err
	}

	config := backup.NewDefaultBackupConfig()
	config.Namespace = *namespace
	config.ParallelRead = *parallel
	config.ParallelWrite = *parallel
	config.Compact = *compact
	config.FileLimit = *fileLimit * mebibyte
	config.ScanPolicy = scanPolicy()
	config.CompressionPolicy = wrapped.compression()
	config.EncryptionPolicy = wrapped.encryption()

	return func(ctx context.Context) (counters, error) {
		return runBackup(ctx, *address, *directory, config)
	}, nil
}

// scanPolicy holds absctl's defaults where they differ from the client's.
func scanPolicy() *as.ScanPolicy {
	policy := as.NewScanPolicy()
	policy.SocketTimeout = 10 * time.Second
	policy.SleepBetweenRetries = 5 * time.Millisecond
	return policy
}

func runBackup(ctx context.Context, address, directory string, config *backup.ConfigBackup) (counters, error) {
	cluster, client, err := connect(address)
	if err != nil {
		return nil, err
	}
	defer cluster.Close()

	writer, err := local.NewWriter(ctx, options.WithDir(directory))
	if err != nil {
		return nil, err
	}
	handler, err := client.Backup(ctx, config, writer, nil)
	if err != nil {
		return nil, err
	}
	err = handler.Wait(ctx)

	stats := handler.GetStats()
	return counters{
		"records_read":  stats.GetReadRecords(),
		"bytes_written": stats.GetBytesWritten(),
		"files":         stats.GetFileCount(),
		"indexes":       uint64(stats.GetSIndexes()),
		"udfs":          uint64(stats.GetUDFs()),
	}, err
}
