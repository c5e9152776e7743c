package redis_test

import (
	"fmt"
	"strings"
	"testing"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

func startCluster(t *testing.T, opts broker.Options) *broker.Cluster {
	t.Helper()
	c, err := broker.StartCluster(within(t, 3*soon), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	return c
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t, broker.Options{})
	at := func(key string) scalers.Trigger {
		return parse(t, "redis-cluster", meta("listName", key, "address", c.Nodes[0].Addr()), nil)
	}
	triggers := make([]scalers.Trigger, 300)
	for i := range triggers {
		triggers[i] = at(fmt.Sprint("q", i))
	}
	conn := open(t, triggers[0])
	for _, key := range []string{"q1", "q2", "q3", "q4"} {
		cli(t, c.Nodes[0], "-c", "rpush", key, "a", "b")
	}
	for i, r := range measure(t, conn, triggers...) {
		want := 0.0
		if i >= 1 && i <= 4 {
			want = 2
		}
		wantReading(t, fmt.Sprint("q", i), r, want, "", "")
	}
	w := startWatch(t, conn, triggers...)
	w.ready(t)
	for _, i := range []int{7, 8, 9, 10, 11} { // spread over the masters
		cli(t, c.Nodes[0], "-c", "rpush", fmt.Sprint("q", i), "a")
		w.wakes(t, triggers[i])
	}
	total := 0
	for i, n := range c.Nodes {
		if ids := clients(t, n); len(ids) != 2 {
			t.Errorf("node %d has %d connections, want one to poll and one to watch", i, len(ids))
		}
		got := stats(t, n)
		total += got["llen"]
		if got["command"]+got["eval"] > 0 {
			t.Errorf("node %d was asked more than it needs to be: %v", i, got)
		}
	}
	if total != 2*len(triggers)+5 {
		t.Errorf("%d LLEN, want one to measure and one to watch each key, and 5 to watch again", total)
	}

	if err := c.Nodes[2].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.error(t); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Watch: %v", err)
	}
	bad := 0
	for i, r := range measure(t, conn, triggers...) {
		if r.Err == nil {
			continue
		}
		if bad++; scalers.KindOf(r.Err) != scalers.Unreachable {
			t.Errorf("q%d: %s %v", i, scalers.KindOf(r.Err), r.Err)
		}
	}
	if bad == 0 || bad == len(triggers) {
		t.Errorf("with one of three masters gone, %d of %d keys fail", bad, len(triggers))
	}
}

func TestTheWrongTypeForACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t, broker.Options{})
	var triggers []scalers.Trigger
	for i := range 20 {
		triggers = append(triggers, parse(t, "redis", meta("listName", fmt.Sprint("q", i), "address", c.Nodes[0].Addr()), nil))
	}
	moved := 0
	for _, r := range measure(t, open(t, triggers[0]), triggers...) {
		if r.Err == nil {
			continue
		}
		if moved++; !strings.Contains(r.Err.Error(), "MOVED") || scalers.HintOf(r.Err) != "the server is part of a cluster; use the trigger type with -cluster" {
			t.Errorf("%v", r.Err)
		}
	}
	if moved == 0 {
		t.Error("one node holds all keys")
	}
}
