package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	broker "github.com/weir-sh/weir/internal/brokers/redis"
	"github.com/weir-sh/weir/pkg/scalers"
)

// watching is a Watch in the background.
type watching struct {
	isReady chan struct{}
	woken   chan scalers.Query
	ended   chan error
	cancel  context.CancelFunc
}

func startWatch(t *testing.T, conn scalers.Conn, triggers ...scalers.Trigger) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{make(chan struct{}), make(chan scalers.Query, 10_000), make(chan error, 1), cancel}
	queries := make([]scalers.Query, len(triggers))
	for i, tr := range triggers {
		queries[i] = tr.Query
	}
	go func() {
		defer close(w.ended)
		w.ended <- conn.Watch(ctx, queries, func() { close(w.isReady) }, func(q scalers.Query) { w.woken <- q })
	}()
	t.Cleanup(func() { // before the connection is closed
		cancel()
		for range w.ended { // until it is closed
		}
	})
	return w
}

func (w *watching) ready(t *testing.T) {
	t.Helper()
	select {
	case <-w.isReady:
	case err := <-w.ended:
		t.Fatalf("Watch: %v", err)
	case <-time.After(soon):
		t.Fatal("Watch is never ready")
	}
}

// wakes waits until each of the triggers was woken at least once.
func (w *watching) wakes(t *testing.T, triggers ...scalers.Trigger) {
	t.Helper()
	want := map[scalers.Query]bool{}
	for _, tr := range triggers {
		want[tr.Query] = true
	}
	timeout := time.After(soon)
	for len(want) > 0 {
		select {
		case q := <-w.woken:
			delete(want, q)
		case err := <-w.ended:
			t.Fatalf("Watch: %v", err)
		case <-timeout:
			t.Fatalf("%d triggers were not woken, such as %v", len(want), fmt.Sprint(want))
		}
	}
}

func (w *watching) error(t *testing.T) error {
	t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(soon):
		t.Fatal("Watch does not end")
	}
	return nil
}

func TestWatchListsOfEveryKind(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	at := func(key string) scalers.Trigger {
		return parse(t, "redis", meta("listName", key, "address", s.Addr(), "databaseIndex", "2"), nil)
	}
	for _, c := range []string{"sadd set a", "zadd zset 1 a", "hset hash a 1", "set string v"} {
		cli(t, s, append([]string{"-n", "2"}, strings.Fields(c)...)...)
	}
	other := at("other")
	conn := open(t, other)
	all := []scalers.Trigger{other}
	commands := []string{"rpush new a", "sadd set b", "zadd zset 2 b", "hset hash b 2", "set string w"}
	for _, c := range commands {
		all = append(all, at(strings.Fields(c)[1]))
	}
	w := startWatch(t, conn, all...)
	w.ready(t)
	for i, c := range commands {
		cli(t, s, append([]string{"-n", "2"}, strings.Fields(c)...)...)
		w.wakes(t, all[i+1])
	}
	select {
	case q := <-w.woken:
		t.Errorf("%v was woken without a change", q)
	default:
	}
	if ids := clients(t, s); len(ids) != 2 {
		t.Errorf("%d connections, want one to poll and one to watch", len(ids))
	}
	cli(t, s, "flushall")
	w.wakes(t, all...)
	w.cancel()
	if err := w.error(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v, want the context's error", err)
	}
}

func TestWatchIsFastAndArmsAgain(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	trigger := parse(t, "redis-streams", meta("stream", "s", "address", s.Addr()), nil)
	conn := open(t, trigger)
	w := startWatch(t, conn, trigger)
	w.ready(t)
	push, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close() //nolint:errcheck // nothing is lost
	begin := time.Now()
	if _, err := io.WriteString(push, "XADD s * f v\r\n"); err != nil {
		t.Fatal(err)
	}
	w.wakes(t, trigger)
	took := time.Since(begin)
	t.Logf("woken %v after XADD", took)
	if took > time.Second {
		t.Errorf("woken only %v after XADD", took)
	}
	// However fast entries come, a measurement after the last wake sees them all.
	const more = 500
	for range more {
		if _, err := io.WriteString(push, "XADD s * f v\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for last := 0.0; last < more+1; {
		w.wakes(t, trigger)
		last = measure(t, conn, trigger)[0].Value
	}
	if n := stats(t, s)["xlen"]; n > 100 {
		t.Errorf("a busy key was read %d times", n)
	}
}

func TestWatchWakesAllQueriesOfAKey(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	var triggers []scalers.Trigger
	for _, group := range []string{"", "g", "h"} {
		triggers = append(triggers, parse(t, "redis-streams", meta("stream", "s", "consumerGroup", group, "address", s.Addr()), nil))
	}
	w := startWatch(t, open(t, triggers[0]), triggers...)
	w.ready(t)
	cli(t, s, "xadd", "s", "*", "f", "v")
	w.wakes(t, triggers...)
}

func TestWatchManyKeys(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	triggers := make([]scalers.Trigger, 3000)
	for i := range triggers {
		triggers[i] = parse(t, "redis", meta("listName", fmt.Sprint("q", i), "address", s.Addr()), nil)
	}
	w := startWatch(t, open(t, triggers[0]), triggers...)
	w.ready(t)
	cli(t, s, "eval", `for i=0,2999 do redis.call("rpush", "q"..i, "a") end`, "0")
	w.wakes(t, triggers...)
}

func TestWatchEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	s := server(t, broker.Options{})
	trigger := parse(t, "redis", meta("listName", "q", "address", s.Addr()), nil)
	conn := open(t, trigger)
	w := startWatch(t, conn, trigger)
	w.ready(t)
	cli(t, s, "client", "kill", "type", "normal", "skipme", "yes")
	if err := w.error(t); scalers.KindOf(err) != scalers.Unreachable || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Watch: %v", err)
	}
	again := startWatch(t, conn, trigger)
	again.ready(t)
	cli(t, s, "rpush", "q", "a")
	again.wakes(t, trigger)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := again.error(t); scalers.KindOf(err) != scalers.Unreachable {
		t.Errorf("Watch: %v", err)
	}
}

func TestWatchNeedsPermission(t *testing.T) {
	t.Parallel()
	const polls = "on >pw ~q +ping +llen"
	s := server(t, broker.Options{Users: []string{"poller " + polls, "watcher " + polls + " +client|tracking"}})
	at := func(user string) scalers.Trigger {
		return parse(t, "redis", meta("listName", "q", "address", s.Addr(), "username", user), meta("password", "pw"))
	}
	poller, watcher := at("poller"), at("watcher")
	conn := open(t, poller)
	wantReading(t, "polling", measure(t, conn, poller)[0], 0, "", "")
	const want = "turning on client tracking: NOPERM this user has no permissions to run the 'client|tracking' command: unsupported operation"
	if err := startWatch(t, conn, poller).error(t); !errors.Is(err, errors.ErrUnsupported) || err.Error() != want {
		t.Errorf("Watch: %v, want %s", err, want)
	}
	w := startWatch(t, open(t, watcher), watcher)
	w.ready(t)
	cli(t, s, "rpush", "q", "a")
	w.wakes(t, watcher)
}

// TestWatchSurvives meets servers that are no Redis 6, or worse.
func TestWatchSurvives(t *testing.T) {
	t.Parallel()
	const hello = "%1\r\n$5\r\nproto\r\n:3\r\n"
	tests := []struct {
		name        string
		hello, then string // answers to HELLO and to all else
		unsupported bool
		kind        scalers.Kind
	}{
		{"an old server", "-ERR unknown command `HELLO`, with args beginning with: `3`\r\n", "-ERR unknown command\r\n", true, ""},
		{"RESP2 only", "*2\r\n$5\r\nproto\r\n:2\r\n", "+OK\r\n", true, ""},
		{"no tracking", hello, "-ERR unknown subcommand 'TRACKING'\r\n", true, ""},
		{"loading", "-LOADING Redis is loading the dataset in memory\r\n", "+OK\r\n", false, scalers.Unreachable},
		{"a reply to no command", hello, ":0\r\n:0\r\n:0\r\n:0\r\n", false, scalers.BadAnswer},
		{"too long", hello, "$999999999999\r\n", false, scalers.BadAnswer},
		{"too deep", hello, strings.Repeat("*1\r\n", 100_000), false, scalers.BadAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var connections atomic.Int32
			addr := listening(t, func(c net.Conn) {
				watched := connections.Add(1) > 1 // the first connection polls
				for b := make([]byte, 4<<10); ; {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					answer := strings.Repeat("+OK\r\n", strings.Count(string(b[:n]), "*"))
					if strings.Contains(string(b[:n]), "hello") {
						answer = "-ERR unknown command\r\n"
					}
					if watched {
						answer = strings.Repeat(tt.then, strings.Count(string(b[:n]), "*"))
						if strings.Contains(string(b[:n]), "HELLO") {
							answer = tt.hello + tt.then + tt.then
						}
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			})
			trigger := parse(t, "redis", meta("listName", "q", "address", addr), nil)
			err := startWatch(t, open(t, trigger), trigger).error(t)
			if errors.Is(err, errors.ErrUnsupported) != tt.unsupported || !tt.unsupported && scalers.KindOf(err) != tt.kind {
				t.Errorf("Watch: %s %v", scalers.KindOf(err), err)
			}
		})
	}
}
