package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

const soon = 20 * time.Second

// hasty opens a source that watches with a quick tempo.
func hasty(t *testing.T, d deployment, addr string, pace tempo) *lists {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	u, err := open(ctx, scalers.Env{Log: slog.New(slog.DiscardHandler), Dial: new(net.Dialer).DialContext}, settings{deployment: d, addresses: param.NewList(addr)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	u.tempo = pace
	return &lists{upstream: u, lengths: map[string]string{}}
}

func run(t *testing.T, s *broker.Server, args ...string) string {
	t.Helper()
	out, err := s.CLI(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWatchNoticesThatASlotMoves moves the slot of a key that does not exist,
// which is the one case in which the server says nothing.
func TestWatchNoticesThatASlotMoves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon)
	defer cancel()
	c, err := broker.StartCluster(ctx, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := hasty(t, cluster, c.Nodes[0].Addr(), tempo{50 * time.Millisecond, time.Minute, time.Minute})
	slot := run(t, c.Nodes[0], "cluster", "keyslot", "q")
	var to *broker.Server
	for _, n := range c.Nodes {
		if _, err := n.CLI(ctx, "llen", "q"); err != nil { // MOVED: it does not hold the slot
			to = n
		}
	}
	err = l.Watch(ctx, []list{{"q"}}, func() {
		id := run(t, to, "cluster", "myid")
		for _, n := range append([]*broker.Server{to}, c.Nodes...) {
			run(t, n, "cluster", "setslot", slot, "node", id)
		}
	}, func(list) {})
	if !errors.Is(err, errMoved) || scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Watch: %v", err)
	}
}

func TestWatchNoticesAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	s, err := broker.Start(ctx, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := hasty(t, standalone, s.Addr(), tempo{time.Minute, 50 * time.Millisecond, time.Second})
	begin := time.Now()
	err = l.Watch(ctx, []list{{"q"}}, func() {
		time.AfterFunc(1500*time.Millisecond, func() { run(t, s, "client", "pause", "60000", "all") })
	}, func(list) {})
	if scalers.KindOf(err) != scalers.Unreachable || ctx.Err() != nil {
		t.Errorf("Watch: %v", err)
	}
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("Watch gave up after %v, though the server answered its PINGs for 1.5s", took)
	}
}
