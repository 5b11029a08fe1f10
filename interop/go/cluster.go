package main

import (
	"fmt"

	as "github.com/aerospike/aerospike-client-go/v8"
	"github.com/aerospike/backup-go"
)

// connect logs in with the client's own defaults, which are those of absctl too.
func connect(address string) (*as.Client, *backup.Client, error) {
	hosts, aerr := as.NewHosts(address)
	if aerr != nil {
		return nil, nil, fmt.Errorf("-h: %w", aerr)
	}
	cluster, aerr := as.NewClientWithPolicyAndHost(as.NewClientPolicy(), hosts...)
	if aerr != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", address, aerr)
	}
	client, err := backup.NewClient(cluster)
	if err != nil {
		cluster.Close()
		return nil, nil, err
	}
	return cluster, client, nil
}
