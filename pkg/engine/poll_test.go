package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestQueriesWithEqualSettingsShareOneConnectionAndOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, heard := newUpstream(0, false), &told{}
		u.latency = 10 * time.Millisecond
		e, err := engine.New(engine.Config{OnReadings: heard.hear})
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range u.named(t, "a", 100) { // before Run
			e.Set(engine.Owner(fmt.Sprintf("o%02d", i)), uses(30*time.Second, q))
			e.Set(engine.Owner(fmt.Sprintf("p%02d", i)), uses(30*time.Second, q)) // equal queries
		}
		e.Set("all", uses(30*time.Second, u.named(t, "a", 100)...))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Second)
		if got := sizes(u.log()); !slices.Equal(got, []int{100}) {
			t.Errorf("first batches %v, want one of 100", got)
		}
		if got := heard.take(); len(got) != 201 || len(slices.Compact(got)) != 201 {
			t.Errorf("%d owners were told, want 201 different ones", len(got))
		}
		time.Sleep(10 * time.Minute)
		polls := u.log()
		if len(polls) < 19 || len(polls) > 22 {
			t.Errorf("%d polls in ten minutes", len(polls))
		}
		for i, f := range polls {
			if len(f.names) != 100 {
				t.Errorf("poll %d has %d queries", i, len(f.names))
			}
			if i > 0 {
				if gap := f.at.Sub(polls[i-1].at); gap < 27*time.Second || gap > 30*time.Second {
					t.Errorf("poll %d came after %v, want 27 to 30 s", i, gap)
				}
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if u.opened() != 1 || u.closed() != 1 {
			t.Errorf("%d opens, %d closes", u.opened(), u.closed())
		}
	})
}

func TestQueriesAddedAtDifferentTimesEndUpInOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		for i, q := range u.named(t, "a", 60) {
			e.Set(engine.Owner(fmt.Sprint(i)), uses(30*time.Second, q))
			time.Sleep(777 * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		u.log()
		time.Sleep(5 * time.Minute)
		if got := u.log(); len(got) != 10 || len(got[0].names) != 60 {
			t.Errorf("batches %v, want ten of 60", sizes(got))
		}
	})
}

func TestTheSmallestIntervalOfAQuerysUsersCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		polls := func(d time.Duration) int {
			u.log()
			time.Sleep(d)
			return len(u.log())
		}
		e.Set("slow", uses(100*time.Second, q))
		if n := polls(1000 * time.Second); n < 10 || n > 12 {
			t.Errorf("%d polls, want about one per 100 s", n)
		}
		e.Set("fast", uses(10*time.Second, q))
		if n := polls(1000 * time.Second); n < 100 || n > 112 {
			t.Errorf("%d polls, want about one per 10 s", n)
		}
		e.Remove("fast")
		if n := polls(1000 * time.Second); n < 9 || n > 13 {
			t.Errorf("%d polls, want about one per 100 s again", n)
		}
		e.Set("slow", append(uses(50*time.Second, q), uses(20*time.Second, q)...)) // twice in one set
		if n := polls(1000 * time.Second); n < 50 || n > 56 {
			t.Errorf("%d polls, want about one per 20 s", n)
		}
		e.Set("slow", uses(10_000*time.Second, q))
		polls(30 * time.Second)
		e.Set("slow", uses(10*time.Second, q)) // the same user wants it sooner
		if n := polls(11 * time.Second); n < 1 || n > 2 {
			t.Errorf("%d polls, want one within 10 s", n)
		}
	})
}

func TestANewUserMakesAQueryDueAtOnceButTheSameSetAgainDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		for _, step := range []struct {
			owner engine.Owner
			want  int
		}{{"one", 1}, {"one", 0}, {"two", 1}, {"two", 0}} {
			e.Set(step.owner, uses(time.Hour, q))
			time.Sleep(time.Second)
			if got := len(u.log()); got != step.want {
				t.Errorf("set of %s caused %d fetches, want %d", step.owner, got, step.want)
			}
		}
	})
}

func TestBatchesAreCutToMaxBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(30, false)
		u.latency = 50 * time.Millisecond
		e := start(t, engine.Config{})
		e.Set("o", uses(30*time.Second, u.named(t, "a", 100)...))
		time.Sleep(time.Second)
		if got := sizes(u.log()); !slices.Equal(got, []int{30, 30, 30, 10}) {
			t.Errorf("batches %v", got)
		}
		time.Sleep(30 * time.Second)
		seen := map[string]int{}
		for _, f := range u.log() {
			for _, name := range f.names {
				seen[name]++
			}
		}
		if len(seen) != 100 || seen["q7"] != 1 {
			t.Errorf("%d of 100 queries were polled; q7 %d times", len(seen), seen["q7"])
		}
	})
}

func TestUrgentQueriesDoNotWaitForARoundUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(1, false)
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 100)
		e.Set("o", uses(30*time.Second, queries...))
		time.Sleep(time.Second)
		u.do(func() { u.latency = time.Second })
		time.Sleep(40 * time.Second) // in the midst of a round of 100 s
		u.log()
		e.Poke(queries[42])
		time.Sleep(2 * time.Second)
		if got := u.log(); len(got) == 0 || got[0].names[0] != "q42" {
			t.Errorf("after Poke came %v, want q42 first", got)
		}
	})
}

func TestASourceClosesWhenItsLastQueryLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		a, b := u.query(t, "a", "x"), u.query(t, "a", "y")
		u.set("x", 1)
		e.Set("one", uses(30*time.Second, a, b))
		e.Set("two", uses(30*time.Second, b))
		time.Sleep(time.Second)
		e.Remove("one")
		wantSample(t, e, a, false, 0, "")
		time.Sleep(time.Minute)
		if n := len(u.log()); u.closed() != 0 || n < 3 {
			t.Errorf("%d closes and %d fetches while a query is left", u.closed(), n)
		}
		e.Set("two", nil)
		e.Remove("nobody")
		time.Sleep(time.Minute)
		if n := len(u.log()); u.closed() != 1 || n != 0 || len(e.Stats()) != 0 {
			t.Errorf("%d closes, %d fetches, %d sources after the last query left", u.closed(), n, len(e.Stats()))
		}
	})
}

func TestARotatedPasswordOpensTheNewSourceAndClosesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.set("x", 7)
		u.onOpen = func(_ context.Context, p place) error {
			if p.password.Reveal() == "stale" {
				return failing(scalers.Unauthorized, "wrong password")
			}
			return nil
		}
		e := start(t, engine.Config{})
		bad, good, newer := u.query(t, "a", "x", "stale"), u.query(t, "a", "x", "right"), u.query(t, "a", "x", "newer")
		e.Set("o", uses(30*time.Second, bad))
		time.Sleep(time.Minute)
		wantSample(t, e, bad, false, 0, "measuring: wrong password")
		e.Set("o", uses(30*time.Second, good))
		time.Sleep(time.Second)
		wantSample(t, e, good, true, 7, "")
		wantSample(t, e, bad, false, 0, "")
		e.Set("o", uses(30*time.Second, good, newer)) // both, until the new one is measured
		wantSample(t, e, good, true, 7, "")
		time.Sleep(time.Second)
		wantSample(t, e, newer, true, 7, "")
		e.Set("o", uses(30*time.Second, newer))
		time.Sleep(time.Second)
		if u.closed() != 1 || len(e.Stats()) != 1 {
			t.Errorf("%d closes, %d sources; want the old one closed", u.closed(), len(e.Stats()))
		}
	})
}

func TestTheZeroQueryIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, engine.Config{})
		e.Set("o", []engine.Use{{}})
		if n := len(e.Stats()); n != 0 {
			t.Errorf("%d sources", n)
		}
		if s := e.Latest(scalers.Query{}); s.OK || s.Err != nil {
			t.Errorf("the zero query reads %+v", s)
		}
	})
}

func TestSourcesAreSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		for i := range 100 {
			e.Set(engine.Owner(fmt.Sprint(i)), uses(10*time.Second, u.query(t, fmt.Sprintf("host-%d", i), "x")))
		}
		time.Sleep(3 * time.Minute)
		u.log()
		time.Sleep(10 * time.Second)
		var perSecond [10]int
		fetches := u.log()
		for _, f := range fetches {
			perSecond[f.at.Unix()%10]++
		}
		if len(fetches) != 100 {
			t.Errorf("%d fetches in one interval, want 100", len(fetches))
		}
		for _, n := range perSecond {
			if n < 2 || n > 22 {
				t.Errorf("fetches per second %v, want about 10 each", perSecond)
				break
			}
		}
	})
}

func TestBadConfigurationIsRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := engine.New(engine.Config{ReadWait: -1, MinBackoff: time.Hour, WakeWindow: -2})
	want := "configuring the engine: ReadWait must not be negative\nWakeWindow must not be negative\nMinBackoff must not exceed MaxBackoff"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestRunRefusesASecondCall(t *testing.T) {
	t.Parallel()
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx); err != nil {
		t.Error(err)
	}
	want := "running the engine: it runs already or has run; make a new one"
	if err := e.Run(ctx); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
