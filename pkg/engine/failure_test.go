package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestASourceThatCannotBeOpenedTellsEveryOwnerAndBacksOff(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      error
		attempts [2]int // least and most within ten minutes
		kind     scalers.Kind
	}{
		{"unreachable", failing(scalers.Unreachable, "refused"), [2]int{14, 26}, scalers.Unreachable},
		{"without a kind", errors.New("measuring: refused"), [2]int{14, 26}, scalers.Unknown},
		{"unauthorized", failing(scalers.Unauthorized, "refused"), [2]int{8, 13}, scalers.Unauthorized},
		{"invalid", failing(scalers.Invalid, "refused"), [2]int{2, 2}, scalers.Invalid},
		{"throttled", &scalers.Error{Kind: scalers.Throttled, Op: "measuring", RetryAfter: 100 * time.Second, Err: errors.New("refused")}, [2]int{6, 6}, scalers.Throttled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, heard := newUpstream(0, false), &told{}
				u.onOpen = func(context.Context, place) error { return tt.err }
				e := start(t, engine.Config{OnReadings: heard.hear})
				queries := u.named(t, "a", 2)
				e.Set("one", uses(time.Hour, queries[0]))
				e.Set("two", uses(time.Hour, queries[1]))
				time.Sleep(10*time.Minute - time.Second)
				n := u.opened()
				if n < tt.attempts[0] || n > tt.attempts[1] {
					t.Errorf("%d attempts in ten minutes, want %v", n, tt.attempts)
				}
				for _, q := range queries {
					wantSample(t, e, q, false, 0, "measuring: refused")
				}
				if k := scalers.KindOf(e.Latest(queries[0]).Err); k != tt.kind {
					t.Errorf("kind %s", k)
				}
				owners := heard.take()
				if ones := len(slices.DeleteFunc(slices.Clone(owners), func(o engine.Owner) bool { return o != "one" })); ones != n {
					t.Errorf("owner one was told %d times of %d attempts", ones, n)
				}
			})
		})
	}
}

func TestAGoodValueOutlivesFailuresAndTheSourceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 3)
		e.Set("o", uses(10*time.Second, queries...))
		time.Sleep(5 * time.Second)
		was := e.Latest(queries[0])
		u.do(func() {
			u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
		})
		time.Sleep(10 * time.Minute)
		for _, q := range queries {
			wantSample(t, e, q, true, 1, "measuring: reset")
		}
		now := e.Latest(queries[0])
		if !now.Measured.Equal(was.Measured) || !now.At.Equal(was.At) || time.Since(now.ErrSince) < 9*time.Minute {
			t.Errorf("was %+v, is %+v", was, now)
		}
		st := e.Stats()[0]
		if st.Err == nil || st.Opens < 10 || st.RetryAt.IsZero() || st.Failing != 3 || st.Open {
			t.Errorf("stats while failing: %+v", st)
		}
		u.do(func() { u.onFetch = nil; u.values["q0"] = scalers.Reading{Value: 2} })
		time.Sleep(time.Minute)
		wantSample(t, e, queries[0], true, 2, "")
		if st := e.Stats()[0]; st.Err != nil || !st.Open || st.Failing != 0 || !st.RetryAt.IsZero() {
			t.Errorf("stats after recovery: %+v", st)
		}
		if u.opened() != u.closed()+1 {
			t.Errorf("%d opens, %d closes", u.opened(), u.closed())
		}
	})
}

func TestAfterAShortFailureEverythingIsMeasuredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 3)
		e.Set("o", uses(time.Hour, queries...))
		time.Sleep(time.Second)
		fail := func(d time.Duration) {
			u.do(func() {
				u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
			})
			e.Poke(queries[0])
			time.Sleep(d)
			wantSample(t, e, queries[2], true, 1, "measuring: reset") // though only another was asked for
			u.do(func() { u.onFetch = nil })
		}
		fail(10 * time.Minute)
		time.Sleep(time.Minute)
		fail(100 * time.Millisecond) // the back-off begins anew
		time.Sleep(time.Second)
		for _, q := range queries {
			wantSample(t, e, q, true, 1, "")
			if age := time.Since(e.Latest(q).Measured); age > time.Second {
				t.Errorf("a reading is %v old", age)
			}
		}
	})
}

func TestEveryReadingUnreachableReopensTheSource(t *testing.T) {
	for _, tt := range []struct {
		name   string
		errs   map[string]error
		reopen bool
	}{
		{"all unreachable", map[string]error{"q0": failing(scalers.Unreachable, "0"), "q1": failing(scalers.Unauthorized, "1")}, true},
		{"one unreachable", map[string]error{"q0": failing(scalers.Unreachable, "0")}, false},
		{"all not found", map[string]error{"q0": failing(scalers.NotFound, "0"), "q1": failing(scalers.NotFound, "1")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(0, false)
				e := start(t, engine.Config{OnReadings: func([]engine.Owner) { time.Sleep(time.Millisecond) }})
				queries := u.named(t, "a", 2)
				for name, err := range tt.errs {
					u.reads(name, scalers.Reading{Err: err})
				}
				e.Set("o", uses(10*time.Second, queries...))
				time.Sleep(5 * time.Minute)
				for i, q := range queries {
					if err := tt.errs[fmt.Sprintf("q%d", i)]; err != nil {
						wantSample(t, e, q, false, 0, err.Error())
					}
				}
				if got := u.opened() > 1; got != tt.reopen {
					t.Errorf("%d opens, want reopening %v", u.opened(), tt.reopen)
				}
			})
		})
	}
}

func TestOneRefusedQueryDoesNotCloseTheSourceOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		e.Set("others", uses(10*time.Second, u.named(t, "a", 10)...))
		time.Sleep(time.Second)
		bad := u.query(t, "a", "bad")
		u.reads("bad", scalers.Reading{Err: failing(scalers.Unauthorized, "not your key")})
		e.Set("bad", uses(10*time.Second, bad)) // measured alone, as it is new
		for range 20 {
			time.Sleep(10 * time.Second)
			e.Poke(bad)
		}
		time.Sleep(time.Second)
		wantSample(t, e, bad, false, 0, "measuring: not your key")
		if st := e.Stats()[0]; st.Opens != 1 || st.Err != nil || st.Failing != 1 {
			t.Errorf("stats %+v", st)
		}
		if age := time.Since(e.Latest(u.query(t, "a", "q3")).Measured); age > 10*time.Second {
			t.Errorf("another query's reading is %v old", age)
		}
	})
}

func TestThrottlingHoldsTheWholeSourceAndKeepsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 2)
		e.Set("o", uses(time.Hour, queries...))
		time.Sleep(time.Second)
		u.reads("q0", scalers.Reading{Err: &scalers.Error{Kind: scalers.Throttled, Op: "measuring", RetryAfter: 2 * time.Minute}})
		e.Poke(queries[0])
		time.Sleep(10 * time.Second)
		u.log()
		u.set("q0", 5)
		e.Poke(queries[1])
		time.Sleep(105 * time.Second)
		if n := len(u.log()); n != 0 {
			t.Errorf("%d fetches while throttled", n)
		}
		wantSample(t, e, queries[0], true, 1, "measuring")
		wantSample(t, e, queries[1], true, 1, "")
		time.Sleep(25 * time.Second)
		wantSample(t, e, queries[0], true, 5, "")
		if u.opened() != 1 {
			t.Errorf("%d opens", u.opened())
		}
	})
}

func TestANewQueryOfAFailingSourceIsToldWhyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, heard := newUpstream(0, false), &told{}
		u.onOpen = func(context.Context, place) error { return failing(scalers.Unreachable, "refused") }
		e := start(t, engine.Config{OnReadings: heard.hear, MinBackoff: time.Hour, MaxBackoff: time.Hour})
		e.Set("one", uses(time.Second, u.query(t, "a", "x")))
		time.Sleep(time.Minute)
		heard.take()
		e.Set("two", uses(time.Second, u.query(t, "a", "y")))
		wantSample(t, e, u.query(t, "a", "y"), false, 0, "measuring: refused")
		time.Sleep(time.Minute)
		if got := heard.take(); !slices.Equal(got, []engine.Owner{"two"}) || u.opened() != 1 {
			t.Errorf("told %v, %d opens", got, u.opened())
		}
	})
}

// TestTheTimeSinceWhichAQueryFailsNeverMoves adds a query to a source that fails, at
// every moment of an attempt and of the time between attempts.
func TestTheTimeSinceWhichAQueryFailsNeverMoves(t *testing.T) {
	for after := time.Second; after < 30*time.Second; after += 500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			u := newUpstream(0, false)
			u.onOpen = func(ctx context.Context, _ place) error { // a server that never answers
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Second):
				}
				return failing(scalers.Unreachable, "i/o timeout")
			}
			e := start(t, engine.Config{})
			e.Set("o", uses(2*time.Second, u.query(t, "a", "old")))
			time.Sleep(after)
			fresh := u.query(t, "a", "new")
			e.Set("n", uses(2*time.Second, fresh))
			var since time.Time
			for range 300 {
				time.Sleep(100 * time.Millisecond)
				s := e.Latest(fresh)
				if (s.Err == nil || !s.ErrSince.Equal(since)) && !since.IsZero() {
					t.Errorf("added after %v: failing since %v, and then since %v: %v", after, since, s.ErrSince, s.Err)
				}
				since = s.ErrSince
			}
			if since.IsZero() {
				t.Error("it does not fail")
			}
		})
	}
}

func TestAnInvalidSourceIsTriedAgainWhenItsQueriesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.onOpen = func(context.Context, place) error { return failing(scalers.Invalid, "no such mode") }
		e := start(t, engine.Config{})
		e.Set("o", uses(time.Second, u.query(t, "a", "x")))
		time.Sleep(time.Minute)
		u.do(func() { u.onOpen = nil })
		time.Sleep(time.Minute)
		wantSample(t, e, u.query(t, "a", "x"), false, 0, "measuring: no such mode")
		e.Set("o", uses(time.Second, u.query(t, "a", "y")))
		e.Set("p", uses(time.Second, u.query(t, "a", "x")))
		time.Sleep(2 * time.Second)
		wantSample(t, e, u.query(t, "a", "x"), true, 0, "")
	})
}

func TestAPanicIsContained(t *testing.T) {
	for _, where := range []string{"open", "fetch"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, log := newUpstream(0, false), &lockedLog{}
				explode := func(p place) {
					if p.addr == "bad" {
						inner := map[string]map[string]int{}
						inner["absent"]["x"] = 1
					}
				}
				if where == "open" {
					u.onOpen = func(_ context.Context, p place) error { explode(p); return nil }
				} else {
					u.onFetch = func(_ context.Context, p place, _ []thing) error { explode(p); return nil }
				}
				e := start(t, engine.Config{Log: slog.New(slog.NewTextHandler(log, nil))})
				bad, good := u.query(t, "bad", "x"), u.query(t, "good", "x")
				u.set("x", 3)
				e.Set("o", uses(10*time.Second, bad, good))
				time.Sleep(10 * time.Minute)
				op := map[string]string{"open": "connecting", "fetch": "measuring one query"}[where]
				wantSample(t, e, bad, false, 0, op+": the scaler panicked: assignment to entry in nil map; report it as a bug of the scaler, with the stack in Weir's log")
				wantSample(t, e, good, true, 3, "")
				if k := scalers.KindOf(e.Latest(bad).Err); k != scalers.BadAnswer {
					t.Errorf("kind %s", k)
				}
				if n := strings.Count(log.String(), "a scaler panicked"); n != 1 || !strings.Contains(log.String(), "failure_test.go") {
					t.Errorf("logged %d times:\n%s", n, log)
				}
				if st := e.Stats()[0]; st.Panics < 10 || st.Panics > 30 {
					t.Errorf("%d panics in ten minutes, want back-off", st.Panics)
				}
			})
		})
	}
}

// lockedLog is a writer for loggers.
type lockedLog struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestABlackHoledSourceDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = 5 * time.Millisecond
		u.onFetch = func(ctx context.Context, p place, _ []thing) error {
			if p.addr == "host-0" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		e := start(t, engine.Config{})
		for i := range 100 {
			e.Set(engine.Owner(fmt.Sprint(i)), uses(30*time.Second, u.query(t, fmt.Sprintf("host-%d", i), "x")))
		}
		time.Sleep(10 * time.Minute)
		last := map[string]time.Time{}
		for _, f := range u.log() {
			if was, ok := last[f.addr]; ok && f.addr != "host-0" {
				if gap := f.at.Sub(was); gap > 30*time.Second {
					t.Errorf("%s was polled after %v", f.addr, gap)
				}
			}
			last[f.addr] = f.at
		}
		if len(last) != 100 {
			t.Errorf("%d of 100 sources were polled", len(last))
		}
		wantSample(t, e, u.query(t, "host-0", "x"), false, 0, "measuring one query: no answer within 15s; check that the address is right and can be reached from Weir")
	})
}

func TestAFetchThatIgnoresItsDeadlineIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, release := newUpstream(0, false), make(chan struct{})
		u.onFetch = func(context.Context, place, []thing) error { <-release; return io.EOF }
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		e.Set("o", uses(5*time.Second, q))
		time.Sleep(10 * time.Minute)
		wantSample(t, e, q, false, 0, "measuring one query: no answer within 5s, and the scaler does not stop waiting for one; restart Weir if this persists, and report it as a bug of the scaler")
		if n := len(u.log()); n != 1 || u.closed() != 0 {
			t.Errorf("%d fetches, %d closes while one hangs", n, u.closed())
		}
		u.do(func() { u.onFetch = nil })
		u.set("x", 4)
		close(release)
		time.Sleep(time.Second)
		wantSample(t, e, q, true, 4, "")
		if u.closed() != 1 || u.opened() != 2 {
			t.Errorf("%d opens, %d closes", u.opened(), u.closed())
		}
	})
}

func TestAnOpenThatIgnoresItsDeadlineIsGivenUpAndItsConnectionClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, release := newUpstream(0, false), make(chan struct{})
		u.onOpen = func(context.Context, place) error { <-release; return nil }
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		u.set("x", 4)
		e.Set("o", uses(5*time.Second, q))
		time.Sleep(10 * time.Minute)
		wantSample(t, e, q, false, 0, "connecting: no answer within 10s, and the scaler does not stop waiting for one; restart Weir if this persists, and report it as a bug of the scaler")
		if n := u.opened(); n != 1 {
			t.Errorf("%d opens while one hangs", n)
		}
		close(release)
		time.Sleep(time.Second)
		wantSample(t, e, q, true, 4, "")
		if u.closed() != 1 || u.opened() != 2 {
			t.Errorf("%d opens, %d closes", u.opened(), u.closed())
		}
	})
}

func TestASourceThatIsGoneIsNoticedByOneUrgentQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{MinBackoff: time.Minute})
		queries := u.named(t, "a", 3)
		e.Set("o", uses(time.Hour, queries...))
		time.Sleep(time.Second)
		for i := range queries {
			u.reads(fmt.Sprintf("q%d", i), scalers.Reading{Err: failing(scalers.Unreachable, "down")})
		}
		u.log()
		e.Poke(queries[0])
		time.Sleep(time.Second)
		if got := sizes(u.log()); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("batches %v, want the query and a control", got)
		}
		wantSample(t, e, queries[0], true, 1, "measuring: down")
		failed := 0
		for _, q := range queries[1:] {
			if err := e.Latest(q).Err; err != nil && strings.HasSuffix(err.Error(), "measuring: down") {
				failed++
			}
		}
		if st := e.Stats()[0]; failed != 2 || st.Open || st.Err == nil {
			t.Errorf("%d of the other two failed; stats %+v", failed, st)
		}
	})
}

func TestRunEndsThoughAFetchHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, release := newUpstream(0, false), make(chan struct{})
		u.onFetch = func(context.Context, place, []thing) error { <-release; return io.EOF }
		e, err := engine.New(engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		e.Set("o", uses(time.Minute, u.query(t, "a", "x")))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		close(release)
		synctest.Wait()
		if time.Since(begun) > 5*time.Second || u.closed() != 1 {
			t.Errorf("%d closes", u.closed())
		}
	})
}
