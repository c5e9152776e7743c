package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// fetches collects what OnFetch is called with.
type fetches struct {
	mu  sync.Mutex
	all []engine.Fetch
}

func (f *fetches) hear(one engine.Fetch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, one)
}

// take returns the attempts since the last call.
func (f *fetches) take() []engine.Fetch {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.all
	f.all = nil
	return out
}

func TestEachFetchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, heard, began := newUpstream(0, false), &fetches{}, time.Now()
		u.latency = 40 * time.Millisecond
		u.onOpen = func(context.Context, place) error { time.Sleep(10 * time.Millisecond); return nil }
		u.reads("bad", scalers.Reading{Err: failing(scalers.NotFound, "none")})
		u.reads("odd", scalers.Reading{Value: math.NaN()})
		e := start(t, engine.Config{OnFetch: heard.hear})
		e.Set("o", uses(30*time.Second, u.query(t, "a", "x"), u.query(t, "a", "bad", ""), u.query(t, "a", "odd")))
		time.Sleep(time.Second)
		got := heard.take()
		if len(got) != 1 {
			t.Fatalf("%d fetches told", len(got))
		}
		if want := (engine.Fetch{
			Type: "fake", Source: e.Stats()[0].Source, Queries: 3, Start: began, Opening: 10 * time.Millisecond, Opened: true,
			Fetched: true, Took: 40 * time.Millisecond, QueryErrors: 2,
		}); got[0] != want {
			t.Errorf("got  %+v\nwant %+v", got[0], want)
		}
		u.do(func() {
			u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
			u.onOpen = func(context.Context, place) error { return failing(scalers.Unreachable, "refused") }
		})
		time.Sleep(40 * time.Second)
		got = heard.take()
		if len(got) < 2 {
			t.Fatalf("%d attempts told", len(got))
		}
		if f := got[0]; !f.Fetched || f.Opened || f.Err == nil || f.QueryErrors != 0 || f.Opening != 0 {
			t.Errorf("a failed fetch: %+v", f)
		}
		if f := got[1]; f.Fetched || f.Opened || f.Err == nil || f.Took != 0 {
			t.Errorf("a failed opening: %+v", f)
		}
	})
}

func TestASampleTellsTheTimeTheFailuresAndTheEmptyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = 40 * time.Millisecond
		e := start(t, engine.Config{})
		good, bad := u.query(t, "a", "good"), u.query(t, "a", "bad")
		none, refused := u.query(t, "a", "none"), u.query(t, "a", "refused")
		u.reads("bad", scalers.Reading{Err: failing(scalers.NotFound, "none")})
		u.reads("none", scalers.Reading{Empty: true})
		u.reads("refused", scalers.Reading{Empty: true, Err: failing(scalers.BadAnswer, "none")})
		e.Set("o", uses(30*time.Second, good, bad, none, refused))
		time.Sleep(5 * time.Minute)
		for _, c := range []struct {
			q               scalers.Query
			failures, empty uint64
			fails           bool
		}{{good, 0, 0, false}, {bad, 11, 0, false}, {none, 0, 11, false}, {refused, 11, 11, true}} {
			s := e.Latest(c.q)
			if s.Took != 40*time.Millisecond || s.Failures != c.failures || s.Empty != c.empty || s.EmptyFails != c.fails {
				t.Errorf("took %v, %d failures, %d empty answers that fail: %v; want %+v", s.Took, s.Failures, s.Empty, s.EmptyFails, c)
			}
		}
	})
}

func TestACallKnowsWhatItIsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		var calls []engine.Call
		u.onFetch = func(ctx context.Context, _ place, _ []thing) error {
			calls = append(calls, engine.CallOf(ctx))
			return nil
		}
		e := start(t, engine.Config{})
		x := u.query(t, "a", "x")
		// New queries may be measured one by one; polls measure them together.
		want := func(want engine.Call) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if !slices.Contains(calls, want) {
				t.Errorf("the calls are %+v, want %+v", calls, want)
			}
			calls = nil
		}
		e.Set("o", uses(20*time.Second, x))
		want(engine.Call{Type: "fake", Owner: "o"})
		e.Set("p", uses(20*time.Second, x))
		want(engine.Call{Type: "fake"})
		e.Remove("p")
		e.Set("o", uses(20*time.Second, x, u.query(t, "a", "y"), u.query(t, "a", "z")))
		want(engine.Call{Type: "fake"})
		if got := engine.CallOf(t.Context()); got != (engine.Call{}) {
			t.Errorf("a call out of nothing: %+v", got)
		}
	})
}

// lines counts the records of a log by level and message.
type lines struct {
	mu    sync.Mutex
	count map[string]int
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count[r.Message]++
	return nil
}

// take returns what was logged since the last call, as "2 message; ...".
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.count))
	for message, n := range l.count {
		out = append(out, fmt.Sprintf("%d %s", n, message))
	}
	clear(l.count)
	return strings.Join(out, "; ")
}

// TestAnHourOfFailureIsOneLine lets sources fail in different ways, each for an
// hour, and reads the log.
func TestAnHourOfFailureIsOneLine(t *testing.T) {
	for name, c := range map[string]struct {
		spoil      func(u *upstream)
		during     string // what is logged in the hour
		afterwards string // ... once it works again
	}{
		"nothing fails":   {func(*upstream) {}, "", ""},
		"unreachable":     {func(u *upstream) { fetchFails(u, scalers.Unreachable) }, "1 a source fails", "1 a source works again"},
		"unauthorised":    {func(u *upstream) { fetchFails(u, scalers.Unauthorized) }, "1 a source fails", "1 a source works again"},
		"throttled":       {func(u *upstream) { fetchFails(u, scalers.Throttled) }, "1 a source fails", "1 a source works again"},
		"a panic":         {func(u *upstream) { fetchPanics(u) }, "1 a scaler panicked; 1 a source fails", "1 a source works again"},
		"one bad query":   {func(u *upstream) { queryFails(u, "q1") }, "", ""},
		"a bad query ...": {func(u *upstream) { batchFails(u, "q1") }, "1 a query fails its whole batch and is measured alone", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, log := newUpstream(0, false), &lines{count: map[string]int{}}
				e := start(t, engine.Config{Log: slog.New(log)})
				e.Set("o", uses(10*time.Second, u.named(t, "a", 8)...))
				time.Sleep(time.Minute)
				u.do(func() { c.spoil(u) })
				time.Sleep(time.Hour)
				if got := log.take(); !sameLines(got, c.during) {
					t.Errorf("an hour is logged as %q, want %q", got, c.during)
				}
				u.do(func() { u.onFetch = nil; u.values["q1"] = scalers.Reading{Value: 1} })
				time.Sleep(time.Hour)
				if got := log.take(); got != c.afterwards {
					t.Errorf("the end is logged as %q, want %q", got, c.afterwards)
				}
			})
		})
	}
}

// sameLines compares what take returns, in any order.
func sameLines(a, b string) bool {
	as, bs := strings.Split(a, "; "), strings.Split(b, "; ")
	for _, line := range as {
		if !strings.Contains(b, line) {
			return false
		}
	}
	return len(as) == len(bs)
}

func fetchFails(u *upstream, kind scalers.Kind) {
	u.onFetch = func(context.Context, place, []thing) error { return failing(kind, "no") }
}

func fetchPanics(u *upstream) {
	u.onFetch = func(context.Context, place, []thing) error { panic("oh") }
}

func queryFails(u *upstream, name string) {
	u.values[name] = scalers.Reading{Err: failing(scalers.NotFound, "none")}
}

// batchFails makes each Fetch fail that has the query name in it.
func batchFails(u *upstream, name string) {
	u.onFetch = func(_ context.Context, _ place, things []thing) error {
		for _, x := range things {
			if x.name == name {
				return failing(scalers.BadAnswer, "garbage")
			}
		}
		return nil
	}
}
