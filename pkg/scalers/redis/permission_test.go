package redis_test

import (
	"maps"
	"testing"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

// TestThePermissionsOnThePageSuffice connects as users with exactly what the
// reference pages ask for, wake-up included.
func TestThePermissionsOnThePageSuffice(t *testing.T) {
	t.Parallel()
	const (
		wakeUp = " +hello +client|tracking"
		list   = "weir on >pw resetchannels %R~k +ping +llen +type +zcard" + wakeUp
		stream = "weir on >pw resetchannels %R~k +ping +xlen +xpending +xinfo|groups +info" + wakeUp
	)
	queries := map[string][]map[string]string{
		list:   {meta("listName", "k")},
		stream: {meta("stream", "k"), meta("stream", "k", "consumerGroup", "g"), meta("stream", "k", "consumerGroup", "g", "lagCount", "1")},
	}
	fill := map[string][]string{list: {"zadd", "k", "1", "a"}, stream: {"xadd", "k", "*", "f", "v"}}
	check := func(t *testing.T, typ, user string, s *broker.Server, where, auth map[string]string) {
		t.Helper()
		t.Parallel()
		if user == stream {
			typ += "-streams"
			cli(t, s, "-c", "xgroup", "create", "k", "g", "0", "mkstream")
		}
		cli(t, s, append([]string{"-c"}, fill[user]...)...)
		var triggers []scalers.Trigger
		for _, q := range queries[user] {
			q = maps.Clone(q)
			maps.Copy(q, where)
			q["username"] = "weir"
			triggers = append(triggers, parse(t, typ, q, auth))
		}
		conn := open(t, triggers[0])
		for i, r := range measure(t, conn, triggers...) {
			if r.Err != nil {
				t.Errorf("query %d: %v", i, r.Err)
			}
		}
		w := startWatch(t, conn, triggers...)
		w.ready(t)
		cli(t, s, "-c", "del", "k")
		w.wakes(t, triggers...)
	}
	for name, user := range map[string]string{"lists": list, "streams": stream} {
		t.Run("standalone "+name, func(t *testing.T) {
			s := server(t, broker.Options{Users: []string{user}})
			check(t, "redis", user, s, meta("address", s.Addr()), meta("password", "pw"))
		})
		t.Run("cluster "+name, func(t *testing.T) {
			c := startCluster(t, broker.Options{Users: []string{user + " +cluster|slots"}})
			check(t, "redis-cluster", user, c.Nodes[0], meta("address", c.Nodes[0].Addr()), meta("password", "pw"))
		})
		t.Run("sentinel "+name, func(t *testing.T) {
			g := startGroup(t, broker.Options{Users: []string{user}}, broker.Options{Users: []string{
				"weir on >spw resetchannels &+switch-master &+replica-reconf-done +ping +subscribe" +
					" +sentinel|get-master-addr-by-name +sentinel|sentinels",
			}})
			where := meta("address", g.Sentinel.Addr(), "sentinelMaster", broker.MasterName, "sentinelUsername", "weir")
			check(t, "redis-sentinel", user, g.Master, where, meta("password", "pw", "sentinelPassword", "spw"))
		})
	}
}
