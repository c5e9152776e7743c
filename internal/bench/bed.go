package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
	"k8s.io/client-go/dynamic"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/internal/stack"
	"github.com/weir-sh/weir/internal/testcluster"
)

// bed is everything that runs for one size.
type bed struct {
	opts    *options
	n       int
	dir     string
	log     *progress
	cluster *testcluster.Cluster
	objects dynamic.Interface
	server  *broker.Server
	redis   *redis.Client
	weir    *stack.Weir
	audit   *audit
	watch   *observer
}

// benchName is the name of our own connections at Redis.
const benchName = "weir-bench"

// hpaPeriod is how often the HPA controller looks at each HPA. Above 1,000 it is
// stretched: at 15 s, 10,000 HPAs would need more CPU than two cores have, and a
// controller as shipped, with its limit of 20 requests a second, takes 8 minutes
// for a round.
func hpaPeriod(n int) time.Duration { return 15 * time.Second * time.Duration(max(1, n/1000)) }

// start starts cluster, Redis and weir.
func (b *bed) start(ctx context.Context, bin string) error {
	b.log.say("%d: starting the control plane and Redis", b.n)
	log := filepath.Join(b.dir, "audit.log")
	var err error
	b.cluster, err = testcluster.Start(ctx, testcluster.Options{
		HPASyncPeriod: hpaPeriod(b.n), HostNodes: -1, AuditLog: log, Dir: filepath.Join(b.dir, "cluster"),
		Args: []string{
			"--apiserver-arg=--audit-log-maxsize=100000", // MB; one file, which audit follows
			"--controller-manager-arg=--concurrent-horizontal-pod-autoscaler-syncs=10",
			"--controller-manager-arg=--concurrent-deployment-syncs=20",
		},
		Progress: func(line string) { b.log.say("control plane: %s", line) },
	})
	if err != nil {
		return err
	}
	b.audit = &audit{path: log, user: weirUser}
	if b.objects, err = dynamic.NewForConfig(b.cluster.RESTConfig()); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if b.server, err = broker.Start(ctx, broker.Options{}); err != nil {
		return err
	}
	b.redis = redis.NewClient(&redis.Options{Addr: b.server.Addr(), ClientName: benchName, DisableIdentity: true})
	b.log.say("%d: starting weir from deploy/weir.yaml, as its own service account", b.n)
	opts := stack.Options{Binary: bin, Log: filepath.Join(b.dir, "weir.log")}
	if b.opts.profile != "" {
		opts.Args = []string{"--pprof-bind-address=" + pprofAddress}
	}
	if b.weir, err = stack.Start(ctx, b.cluster, opts); err != nil {
		return err
	}
	return b.await(ctx, "weir to serve external metrics", time.Minute, func(ctx context.Context) error { return b.weir.Ready(ctx, b.cluster) })
}

// stop ends everything, in the order that keeps the logs quiet.
func (b *bed) stop() error {
	var errs []error
	if b.watch != nil {
		b.watch.stop()
	}
	errs = append(errs, b.weir.Stop())
	if b.cluster != nil {
		errs = append(errs, b.cluster.Stop())
	}
	if b.redis != nil {
		errs = append(errs, b.redis.Close())
	}
	if b.server != nil {
		errs = append(errs, b.server.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// await asks until f succeeds.
func (b *bed) await(ctx context.Context, what string, limit time.Duration, f func(context.Context) error) error {
	return b.weir.Await(ctx, limit, what, f)
}

// pause waits, or returns why not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// stats is what weir tells of a source; see engine.SourceStats.
type stats struct {
	Source       string
	Queries      int
	Watched      int
	Failing      int
	Fetches      uint64
	Measured     uint64
	LargestBatch int
	Watch        string
}

// sources asks weir about its source, of which there must be one.
func (b *bed) sources(ctx context.Context) (stats, error) {
	var all []stats
	if err := b.weir.Get(ctx, "/debug/weir/sources", &all); err != nil {
		return stats{}, err
	}
	if len(all) == 0 {
		return stats{}, errors.New("weir has no source yet")
	}
	if len(all) > 1 {
		return stats{}, fmt.Errorf("weir has %d sources for one Redis", len(all))
	}
	return all[0], nil
}
