package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/internal/brokers/redis"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func stopped(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

func wantCLI(t *testing.T, s *redis.Server, want string, args ...string) {
	t.Helper()
	got, err := s.CLI(within(t), args...)
	if err != nil || !strings.Contains(got, want) {
		t.Errorf("redis-cli %s = %q, %v; want %q", strings.Join(args, " "), got, err, want)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	s, err := redis.Start(within(t), redis.Options{Password: "it's \"secret\"", Users: []string{"weir on >pw ~* +@all"}})
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, s.Stop)
	wantCLI(t, s, "1", "rpush", "jobs", "a")
	wantCLI(t, s, "1", "llen", "jobs")
	if out, err := s.CLI(within(t), "get", "jobs"); err == nil {
		t.Errorf("an error reply is no error: %q", out)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.CLI(within(t), "ping"); err == nil {
		t.Errorf("a killed server answers %q", out)
	}
	if err := s.Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	wantCLI(t, s, "0", "llen", "jobs")
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := redis.Start(within(t), redis.Options{Config: []string{"no-such-directive 1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("Start: %v, want the server's own words", err)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c, err := redis.StartCluster(within(t), redis.Options{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, c.Stop)
	if n := len(c.Addrs()); n != 3 {
		t.Fatalf("%d nodes, want 3", n)
	}
	for _, n := range c.Nodes {
		wantCLI(t, n, "cluster_slots_ok:16384", "cluster", "info")
	}
}

func TestGroupPromotesTheReplica(t *testing.T) {
	t.Parallel()
	g, err := redis.StartSentinel(within(t), redis.Options{Password: "pw"}, redis.Options{Password: "spw"})
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, g.Stop)
	wantCLI(t, g.Sentinel, g.Master.Port(), "sentinel", "get-master-addr-by-name", redis.MasterName)
	wantCLI(t, g.Sentinel, "OK", "sentinel", "failover", redis.MasterName)
}
