package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Cluster is a Redis Cluster of three masters without replicas.
type Cluster struct{ Nodes []*Server }

// StartCluster runs a cluster and returns when all nodes agree that it is up.
// Dir and Port of opts are ignored.
func StartCluster(ctx context.Context, opts Options) (*Cluster, error) {
	c := new(Cluster)
	create := []string{"--cluster", "create"}
	for range 3 {
		n, err := startNode(ctx, opts)
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.Nodes = append(c.Nodes, n)
		create = append(create, n.Addr())
	}
	if _, err := c.Nodes[0].CLI(ctx, append(create, "--cluster-yes")...); err != nil {
		return nil, errors.Join(fmt.Errorf("creating a cluster: %w", err), c.Stop())
	}
	for _, n := range c.Nodes {
		err := until(ctx, n, "cluster_state:ok", "cluster", "info")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("waiting for the cluster: %w", err), c.Stop())
		}
	}
	return c, nil
}

// startNode runs one node that belongs to no cluster yet.
func startNode(ctx context.Context, opts Options) (*Server, error) {
	bus, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	opts.Dir, opts.Port = "", 0
	opts.Config = slices.Concat(opts.Config, []string{
		"cluster-enabled yes", "cluster-node-timeout 2000", fmt.Sprintf("cluster-port %d", bus),
	})
	return Start(ctx, opts)
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	out := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		out[i] = n.Addr()
	}
	return out
}

// Stop ends all nodes.
func (c *Cluster) Stop() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Stop())
	}
	return errors.Join(errs...)
}

// Group is a master with one replica, watched by one sentinel that promotes the
// replica about a second after the master is gone.
type Group struct{ Master, Replica, Sentinel *Server }

// MasterName is what the sentinel of a Group calls its master.
const MasterName = "weir-master"

// StartSentinel runs a Group and returns when the sentinel could promote the
// replica.
// opts are those of master and replica, without Dir and Port; sentinel those of
// the sentinel.
func StartSentinel(ctx context.Context, opts, sentinel Options) (*Group, error) {
	g := new(Group)
	if err := g.start(ctx, opts, sentinel); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a master with a sentinel: %w", err), g.Stop())
	}
	return g, nil
}

func (g *Group) start(ctx context.Context, opts, sentinel Options) (err error) {
	opts.Dir, opts.Port = "", 0
	opts.Config = slices.Concat(opts.Config, []string{"repl-diskless-sync-delay 0", "repl-ping-replica-period 1"})
	if opts.Password != "" {
		opts.Config = append(opts.Config, fmt.Sprintf("masterauth %q", opts.Password))
	}
	if g.Master, err = Start(ctx, opts); err != nil {
		return err
	}
	opts.Config = append(opts.Config, "replicaof 127.0.0.1 "+g.Master.Port())
	if g.Replica, err = Start(ctx, opts); err != nil {
		return err
	}
	if err := until(ctx, g.Replica, "master_link_status:up", "info", "replication"); err != nil {
		return err
	}
	sentinel.Config = slices.Concat(sentinel.Config, []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 1", MasterName, g.Master.Port()),
		"sentinel down-after-milliseconds " + MasterName + " 1000",
		"sentinel failover-timeout " + MasterName + " 3000",
	})
	if opts.Password != "" {
		sentinel.Config = append(sentinel.Config, fmt.Sprintf("sentinel auth-pass %s %q", MasterName, opts.Password))
	}
	if g.Sentinel, err = start(ctx, "redis-sentinel", sentinel); err != nil {
		return err
	}
	return until(ctx, g.Sentinel, "master-link-status\nok", "sentinel", "replicas", MasterName)
}

// Stop ends all three.
func (g *Group) Stop() error {
	var errs []error
	for _, s := range []*Server{g.Sentinel, g.Replica, g.Master} {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}

// until asks a server again and again until its answer contains want.
func until(ctx context.Context, s *Server, want string, command ...string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := s.CLI(ctx, command...)
		if err == nil && strings.Contains(out, want) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q in the answer of %s to %s: %w",
				want, s.Addr(), strings.Join(command, " "), errors.Join(ctx.Err(), err))
		}
	}
}
