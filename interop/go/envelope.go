package main

import (
	"flag"

	"github.com/aerospike/backup-go"
)

// envelope is what files are wrapped in. The library has to be told on restore, too.
type envelope struct {
	compress, encrypt, keyFile *string
	level                      *int
}

func envelopeFlags(flags *flag.FlagSet) envelope {
	return envelope{
		compress: flags.String("compress", backup.CompressNone, ""),
		level:    flags.Int("level", 3, ""),
		encrypt:  flags.String("encrypt", backup.EncryptNone, ""),
		keyFile:  flags.String("key-file", "", ""),
	}
}

func (e envelope) compression() *backup.CompressionPolicy {
	if *e.compress == backup.CompressNone {
		return nil
	}
	return backup.NewCompressionPolicy(*e.compress, *e.level)
}

func (e envelope) encryption() *backup.EncryptionPolicy {
	if *e.encrypt == backup.EncryptNone {
		return nil
	}
	return &backup.EncryptionPolicy{Mode: *e.encrypt, KeyFile: e.keyFile}
}
