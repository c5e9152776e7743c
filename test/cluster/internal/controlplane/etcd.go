package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd starts a member of one on a free loopback port and returns its
// client URL. Nothing is synced to disk: the data need not survive anything.
func startEtcd(ctx context.Context, dir, logFile string) (string, error) {
	dir = filepath.Join(dir, "etcd")
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("removing old data of etcd: %w", err)
	}
	// Port 0 is a free one. The peer address is never dialled: there are no peers.
	anyPort := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c := embed.NewConfig()
	c.Dir, c.Name = dir, "default"
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{anyPort}, []url.URL{anyPort}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{anyPort}, []url.URL{anyPort}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = true
	c.LogLevel, c.LogOutputs = "warn", []string{logFile}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return "", fmt.Errorf("starting etcd: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return "", fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for etcd: %w", ctx.Err())
	}
	return "http://" + e.Clients[0].Addr().String(), nil
}
