package redis_test

import (
	"maps"
	"strings"
	"testing"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/scalers/scalertest"
)

// cases are a table for one of the types; where holds its address.
func cases(typ string, where map[string]string) []scalertest.Case {
	at := func(pairs ...string) param.Values {
		m := meta(pairs...)
		maps.Copy(m, where)
		return param.Values{Metadata: m, Auth: meta("password", "s3cret")}
	}
	if strings.HasSuffix(typ, "streams") {
		return []scalertest.Case{
			{Name: "a stream", Values: at("stream", "s"), Want: 2, MetricName: "s0-redis-streams-s"},
			{Name: "pending entries", Values: at("stream", "s", "consumerGroup", "g"), Want: 1, MetricName: "s0-redis-streams-s"},
			{Name: "lag", Values: at("stream", "s", "consumerGroup", "g", "lagCount", "3"), Want: 1},
			{Name: "no stream", Values: at("stream", "none"), Want: 0},
			{
				Name: "no group", Values: at("stream", "s", "consumerGroup", "h"),
				Err: "NOGROUP", Kind: scalers.NotFound,
			},
		}
	}
	return []scalertest.Case{
		{Name: "a list", Values: at("listName", "list"), Want: 3, MetricName: "s0-redis-list"},
		{Name: "a set", Values: at("listName", "set"), Want: 2},
		{Name: "no list", Values: at("listName", "none"), Want: 0},
		{Name: "a string", Values: at("listName", "string"), Err: "the key holds a string", Kind: scalers.NotFound},
	}
}

func fill(t *testing.T, s *broker.Server, flags ...string) {
	t.Helper()
	for _, c := range []string{
		"rpush list a b c", "sadd set a b", "set string v",
		"xadd s * f v", "xadd s * f v", "xgroup create s g 0", "xreadgroup group g alice count 1 streams s >",
	} {
		cli(t, s, append(flags, strings.Fields(c)...)...)
	}
}

func TestConformance(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		s := server(t, broker.Options{Password: "s3cret"})
		fill(t, s)
		for _, typ := range []string{"redis", "redis-streams"} {
			t.Run(typ, func(t *testing.T) { scalertest.Run(t, definition(t, typ), cases(typ, meta("address", s.Addr()))) })
		}
	})
	t.Run("cluster", func(t *testing.T) {
		c := startCluster(t, broker.Options{Password: "s3cret"})
		fill(t, c.Nodes[0], "-c")
		for _, typ := range []string{"redis-cluster", "redis-cluster-streams"} {
			t.Run(typ, func(t *testing.T) {
				scalertest.Run(t, definition(t, typ), cases(typ, meta("addresses", strings.Join(c.Addrs(), ","))))
			})
		}
	})
	t.Run("sentinel", func(t *testing.T) {
		g := startGroup(t, broker.Options{Password: "s3cret"}, broker.Options{})
		fill(t, g.Master)
		for _, typ := range []string{"redis-sentinel", "redis-sentinel-streams"} {
			t.Run(typ, func(t *testing.T) {
				scalertest.Run(t, definition(t, typ), cases(typ, meta("address", g.Sentinel.Addr(), "sentinelMaster", broker.MasterName)))
			})
		}
	})
}
