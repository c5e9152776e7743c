package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestLists(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	for _, c := range []string{
		"rpush list a b c", "sadd set a b", "zadd zset 1 a 2 b 3 c 4 d", "hset hash f 1 g 2 h 3 i 4 j 5",
		"set string v", "xadd stream * f v", "rpush {odd} a",
	} {
		cli(t, s, strings.Fields(c)...)
	}
	tests := []struct {
		key   string
		ask   string // what redis-cli measures the same with
		value float64
		kind  scalers.Kind
		err   string
	}{
		{key: "list", ask: "llen", value: 3},
		{key: "set", ask: "scard", value: 2},
		{key: "zset", ask: "zcard", value: 4},
		{key: "hash", ask: "hlen", value: 5},
		{key: "missing", ask: "llen", value: 0},
		{key: "{odd}", ask: "llen", value: 1},
		{key: "string", kind: scalers.NotFound, err: `measuring key "string": the key holds a string; ` +
			`name a list, set, sorted set or hash, or use a redis-streams trigger for a stream`},
		{key: "stream", kind: scalers.NotFound, err: `measuring key "stream": the key holds a stream; ` +
			`name a list, set, sorted set or hash, or use a redis-streams trigger for a stream`},
	}
	triggers := make([]scalers.Trigger, len(tests))
	for i, tt := range tests {
		triggers[i] = parse(t, "redis", meta("listName", tt.key, "address", s.Addr()), nil)
	}
	conn := open(t, triggers[0])
	for range 2 { // the second time the types are known
		for i, r := range measure(t, conn, triggers...) {
			wantReading(t, tests[i].key, r, tests[i].value, tests[i].kind, tests[i].err)
		}
	}
	for _, tt := range tests {
		if tt.ask == "" {
			continue
		}
		if got := cli(t, s, tt.ask, tt.key); got != fmt.Sprint(tt.value) {
			t.Errorf("redis-cli %s %s = %s, want %v", tt.ask, tt.key, got, tt.value)
		}
	}
}

func TestAKeyMayChangeItsType(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	trigger := parse(t, "redis", meta("listName", "k", "address", s.Addr()), nil)
	conn := open(t, trigger)
	const holdsString = `measuring key "k": the key holds a string; ` +
		`name a list, set, sorted set or hash, or use a redis-streams trigger for a stream`
	for _, step := range []struct {
		command string
		value   float64
		kind    scalers.Kind
		err     string
	}{
		{command: "sadd k a b", value: 2},
		{command: "del k", value: 0},
		{command: "rpush k a b c", value: 3},
		{command: "del k", value: 0},
		{command: "set k v", kind: scalers.NotFound, err: holdsString},
		{command: "del k", value: 0},
		{command: "zadd k 1 a", value: 1},
	} {
		cli(t, s, strings.Fields(step.command)...)
		wantReading(t, "after "+step.command, measure(t, conn, trigger)[0], step.value, step.kind, step.err)
	}
	cli(t, s, "del", "k") // from a known sorted set straight to a hash
	cli(t, s, "hset", "k", "f", "1", "g", "2")
	wantReading(t, "a hash", measure(t, conn, trigger)[0], 2, "", "")
}

// stats returns how often each command ran, and how many clients are there.
func stats(t *testing.T, s *broker.Server) map[string]int {
	t.Helper()
	out := map[string]int{}
	for line := range strings.SplitSeq(cli(t, s, "info", "commandstats"), "\n") {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(calls)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = n
	}
	return out
}

// clients are the connections of this package's sources to a server.
func clients(t *testing.T, s *broker.Server) (ids []string) {
	t.Helper()
	for line := range strings.SplitSeq(cli(t, s, "client", "list", "type", "normal"), "\n") {
		if strings.Contains(line, "name=weir-test") {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
			ids = append(ids, id)
		}
	}
	return ids
}

func TestManyListsCostFewRoundTripsOnOneConnection(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	triggers := make([]scalers.Trigger, 500)
	for i := range triggers {
		triggers[i] = parse(t, "redis", meta("listName", fmt.Sprint("q", i), "address", s.Addr()), nil)
	}
	cli(t, s, "rpush", "q7", "a", "b")
	cli(t, s, "set", "q8", "no list")
	cli(t, s, "sadd", "q9", "a")
	conn := open(t, triggers[0])
	check := func() {
		t.Helper()
		for i, r := range measure(t, conn, triggers...) {
			if (r.Err != nil) != (i == 8) || r.Value != map[int]float64{7: 2, 9: 1}[i] {
				t.Errorf("q%d = %v, %v", i, r.Value, r.Err)
			}
		}
	}
	check()
	cli(t, s, "config", "resetstat")
	reads := networkReads(t, s)
	check()
	got := stats(t, s)
	for command, want := range map[string]int{"llen": 499, "scard": 1, "type": 1, "eval": 0, "ping": 0, "hello": 0, "client|setinfo": 0} {
		if got[command] != want {
			t.Errorf("%d calls of %s, want %d", got[command], command, want)
		}
	}
	// 500 LLEN of about 25 bytes fit one read of the server's 16 KiB; the other
	// reads are TYPE of the string, and redis-cli's own.
	if n := networkReads(t, s) - reads; n > 8 {
		t.Errorf("the server read %d times from its sockets, so the commands were not pipelined", n)
	}
	if ids := clients(t, s); len(ids) != 1 {
		t.Errorf("%d connections, want 1", len(ids))
	}
}

// networkReads is how many times the server found something to read.
func networkReads(t *testing.T, s *broker.Server) int {
	t.Helper()
	for line := range strings.SplitSeq(cli(t, s, "info", "stats"), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "total_reads_processed:"); ok {
			n, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the server does not count its reads")
	return 0
}
