package redis_test

import (
	"fmt"
	"strings"
	"testing"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	for _, c := range []string{
		"xadd s 1-1 f v", "xadd s 2-1 f v", "xadd s 3-1 f v", "xadd s 4-1 f v", "xadd s 5-1 f v",
		"xgroup create s g 0", "xreadgroup group g alice count 3 streams s >", "xack s g 1-1",
		"xadd holey 1-1 f v", "xadd holey 2-1 f v", "xadd holey 3-1 f v", "xgroup create holey g 0", "xdel holey 2-1",
		"rpush list a",
	} {
		cli(t, s, strings.Fields(c)...)
	}
	groups := cli(t, s, "xinfo", "groups", "holey")
	if !strings.HasSuffix(groups, "lag") {
		t.Fatalf("the server tells the lag of a stream with a hole, so the row below tests nothing:\n%s", groups)
	}
	const noGroup = "NOGROUP No such key '%s' or consumer group '%s'; create the stream and its consumer group, or correct their names"
	tests := []struct {
		name, stream, group, lag string
		value                    float64
		falseZero                bool
		kind                     scalers.Kind
		err                      string
	}{
		{name: "all entries", stream: "s", value: 5},
		{name: "all entries of no stream", stream: "none", value: 0},
		{name: "all entries of a list", stream: "list", kind: scalers.NotFound, err: `measuring stream "list": ` +
			`WRONGTYPE Operation against a key holding the wrong kind of value; name a key of the kind that this trigger type measures`},
		{name: "pending", stream: "s", group: "g", value: 2},
		{name: "pending of no group", stream: "s", group: "none", kind: scalers.NotFound, err: `measuring pending of group "none" of stream "s": ` +
			fmt.Sprintf(noGroup, "s", "none")},
		{name: "pending of no stream", stream: "none", group: "g", kind: scalers.NotFound, err: `measuring pending of group "g" of stream "none": ` +
			fmt.Sprintf(noGroup, "none", "g")},
		{name: "lag", stream: "s", group: "g", lag: "3", value: 2},
		{name: "lag of a new group is the stream", stream: "s", group: "none", lag: "3", value: 5},
		{name: "lag of no stream", stream: "none", group: "g", lag: "3", value: 0},
		{name: "lag that the server cannot tell", stream: "holey", group: "g", lag: "3", value: 0, falseZero: true},
		{name: "lag of a list", stream: "list", group: "g", lag: "3", kind: scalers.NotFound, err: `measuring lag of group "g" of stream "list": ` +
			`WRONGTYPE Operation against a key holding the wrong kind of value; name a key of the kind that this trigger type measures`},
	}
	triggers := make([]scalers.Trigger, len(tests))
	for i, tt := range tests {
		triggers[i] = parse(t, "redis-streams", meta("stream", tt.stream, "consumerGroup", tt.group, "lagCount", tt.lag, "address", s.Addr()), nil)
	}
	conn := open(t, triggers[0])
	for range 2 {
		for i, r := range measure(t, conn, triggers...) {
			wantReading(t, tests[i].name, r, tests[i].value, tests[i].kind, tests[i].err)
			if r.FalseZero != tests[i].falseZero {
				t.Errorf("%s: FalseZero is %v", tests[i].name, r.FalseZero)
			}
		}
	}
	if n := stats(t, s)["info"]; n != 1 {
		// The statistics are read before this INFO is counted.
		t.Errorf("the version was asked %d times on one connection, want 1", n)
	}
	if ids := clients(t, s); len(ids) != 1 {
		t.Errorf("%d connections, want 1", len(ids))
	}
}

func TestLagNeedsTheVersion(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{Users: []string{"weir on >pw ~* +ping +xlen +xinfo|groups"}})
	at := func(pairs ...string) scalers.Trigger {
		return parse(t, "redis-streams", meta(append(pairs, "address", s.Addr(), "stream", "s", "username", "weir")...), meta("password", "pw"))
	}
	lag, all := at("consumerGroup", "g", "lagCount", "1"), at()
	conn := open(t, lag)
	cli(t, s, "xadd", "s", "*", "f", "v")
	const denied = `measuring lag of group "g" of stream "s": NOPERM this user has no permissions to run the 'info' command; ` +
		`allow the user the commands and keys that the scaler's page lists`
	got := measure(t, conn, lag, all)
	wantReading(t, "lag", got[0], 0, scalers.Unauthorized, denied)
	wantReading(t, "length", got[1], 1, "", "")
	cli(t, s, "acl", "setuser", "weir", "+info", "-xinfo|groups")
	wantReading(t, "lag that the server refuses is the stream", measure(t, conn, lag)[0], 1, "", "")
}
