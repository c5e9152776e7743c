package redis_test

import (
	"strings"
	"testing"
	"time"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

func startGroup(t *testing.T, opts, sentinel broker.Options) *broker.Group {
	t.Helper()
	g, err := broker.StartSentinel(within(t, 3*soon), opts, sentinel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("stopping the group: %v", err)
		}
	})
	return g
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	g := startGroup(t, broker.Options{Password: "s3cret"}, broker.Options{})
	where := meta("listName", "q", "addresses", g.Sentinel.Addr(), "sentinelMaster", broker.MasterName)
	trigger := parse(t, "redis-sentinel", where, meta("password", "s3cret"))
	conn := open(t, trigger)
	cli(t, g.Master, "rpush", "q", "a", "b")
	cli(t, g.Master, "wait", "1", "10000")
	wantReading(t, "before", measure(t, conn, trigger)[0], 2, "", "")
	w := startWatch(t, conn, trigger)
	w.ready(t)
	cli(t, g.Master, "rpush", "q", "c")
	w.wakes(t, trigger)
	if ids := clients(t, g.Master); len(ids) != 2 {
		t.Errorf("%d connections to the master, want one to poll and one to watch", len(ids))
	}
	cli(t, g.Master, "wait", "1", "10000")

	if err := g.Master.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.error(t); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Watch: %v", err)
	}
	promoted(t, g)
	again := startWatch(t, conn, trigger)
	again.ready(t)
	wantReading(t, "after", measure(t, conn, trigger)[0], 3, "", "")
	cli(t, g.Replica, "rpush", "q", "d")
	again.wakes(t, trigger)
}

// promoted waits until the replica is the master and the sentinel says so.
func promoted(t *testing.T, g *broker.Group) {
	t.Helper()
	ctx := within(t, 3*soon)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		said := cli(t, g.Sentinel, "sentinel", "get-master-addr-by-name", broker.MasterName)
		if strings.Contains(said, g.Replica.Port()) && strings.HasPrefix(cli(t, g.Replica, "role"), "master") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the replica was not promoted: %s", said)
		}
	}
}

func TestSentinelKnowsNoSuchMaster(t *testing.T) {
	t.Parallel()
	g := startGroup(t, broker.Options{Password: "s3cret"}, broker.Options{})
	where := meta("listName", "q", "addresses", g.Sentinel.Addr(), "sentinelMaster", "other")
	_, err := parse(t, "redis-sentinel", where, nil).Source.Open(within(t, soon), env())
	want := "connecting to the Redis sentinels at " + g.Sentinel.Addr() + ": the sentinels know no master of that name; correct sentinelMaster"
	if scalers.KindOf(err) != scalers.NotFound || err.Error() != want {
		t.Errorf("Open: %s %v, want %s", scalers.KindOf(err), err, want)
	}
}
