package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// timed calls Fresh with a maxAge of 5 s and says how long it took.
func timed(e *engine.Engine, q scalers.Query) (engine.Sample, time.Duration) {
	begun := time.Now()
	s := e.Fresh(context.Background(), q, 5*time.Second)
	return s, time.Since(begun)
}

func TestFreshWaitsForAQuickSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = 20 * time.Millisecond
		e := start(t, engine.Config{})
		synctest.Wait() // Run runs
		q := u.query(t, "a", "x")
		u.set("x", 1)
		if s, took := timed(e, q); s.OK || s.Err != nil || took != 0 {
			t.Errorf("an unknown query reads %+v after %v", s, took)
		}
		e.Set("o", uses(time.Hour, q))
		if s, took := timed(e, q); s.Value != 1 || took != 20*time.Millisecond {
			t.Errorf("the first read is %v after %v", s.Value, took)
		}
		u.set("x", 2)
		time.Sleep(4 * time.Second)
		if s, took := timed(e, q); s.Value != 1 || took != 0 {
			t.Errorf("a young reading is %v after %v", s.Value, took)
		}
		time.Sleep(2 * time.Second)
		if s, took := timed(e, q); s.Value != 2 || took != 20*time.Millisecond {
			t.Errorf("an old reading is %v after %v", s.Value, took)
		}
		if n := len(u.log()); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestFreshNeverWaitsLong(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(*upstream)
		wait  []time.Duration // of reads 10 s apart
	}{
		{"slow once, then known to be slow", func(u *upstream) { u.latency = 2 * time.Second }, []time.Duration{250 * time.Millisecond, 0, 0}},
		{"hanging", func(u *upstream) {
			u.onFetch = func(ctx context.Context, _ place, _ []thing) error { <-ctx.Done(); return ctx.Err() }
		}, []time.Duration{250 * time.Millisecond, 0, 0, 0}},
		{"failing", func(u *upstream) {
			u.onOpen = func(context.Context, place) error { return failing(scalers.Unreachable, "refused") }
		}, []time.Duration{0, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(0, false)
				tt.setUp(u)
				e := start(t, engine.Config{})
				synctest.Wait() // Run runs
				q := u.query(t, "a", "x")
				e.Set("o", uses(time.Hour, q))
				for i, want := range tt.wait {
					if _, took := timed(e, q); took != want {
						t.Errorf("read %d took %v, want %v", i, took, want)
					}
					time.Sleep(10 * time.Second)
				}
			})
		})
	}
}

func TestFreshEndsWithItsContextAndBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = time.Second
		e, err := engine.New(engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		q := u.query(t, "a", "x")
		e.Set("o", uses(time.Hour, q))
		if _, took := timed(e, q); took != 0 {
			t.Errorf("a read before Run took %v", took)
		}
		running := start(t, engine.Config{})
		synctest.Wait()
		running.Set("o", uses(time.Hour, q))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		running.Fresh(ctx, q, 0)
		if took := time.Since(begun); took != 100*time.Millisecond {
			t.Errorf("a read with a deadline of 100 ms took %v", took)
		}
	})
}

func TestReadsByHPAsShareBatches(t *testing.T) {
	for _, tt := range []struct {
		maxBatch     int
		gap          time.Duration // between reads of a query
		least, most  int           // fetches while each of 100 queries is read four times
		mostPerQuery int
	}{
		{maxBatch: 0, gap: 15 * time.Second, least: 8, most: 14, mostPerQuery: 5},
		{maxBatch: 25, gap: 15 * time.Second, least: 16, most: 20, mostPerQuery: 5},
		{maxBatch: 1, gap: 15 * time.Second, least: 399, most: 401, mostPerQuery: 5},
		{maxBatch: 0, gap: 150 * time.Second, least: 80, most: 105, mostPerQuery: 5},
	} {
		t.Run(fmt.Sprintf("max batch %d, read every %s", tt.maxBatch, tt.gap), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(tt.maxBatch, false)
				u.latency = time.Millisecond
				e := start(t, engine.Config{})
				synctest.Wait()                 // Run runs
				queries := u.named(t, "a", 200) // half of them are never read
				e.Set("o", uses(time.Hour, queries...))
				time.Sleep(time.Minute)
				var reads sync.WaitGroup
				for i, q := range queries[:100] {
					reads.Go(func() {
						time.Sleep(time.Duration(i) * tt.gap / 100)
						for range 8 {
							e.Fresh(context.Background(), q, 5*time.Second)
							time.Sleep(tt.gap)
						}
					})
				}
				time.Sleep(4*tt.gap - time.Millisecond)
				u.log() // what was learned until now
				reads.Wait()
				fetches, per := u.log(), map[string]int{}
				for _, f := range fetches {
					for _, name := range f.names {
						per[name]++
					}
				}
				if n := len(fetches); n < tt.least || n > tt.most {
					t.Errorf("%d fetches, want %d to %d", n, tt.least, tt.most)
				}
				for name, n := range per {
					if n > tt.mostPerQuery {
						t.Errorf("%s was measured %d times", name, n)
					}
				}
				if per["q150"] != 0 {
					t.Errorf("q150, which nobody reads, was measured %d times", per["q150"])
				}
			})
		})
	}
}

func TestManyReadersWaitForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = 100 * time.Millisecond
		e := start(t, engine.Config{})
		synctest.Wait() // Run runs
		u.set("x", 1)
		q := u.query(t, "a", "x")
		e.Set("o", uses(time.Hour, q))
		var reads sync.WaitGroup
		for range 100 {
			reads.Go(func() {
				if s, took := timed(e, q); s.Value != 1 || took != 100*time.Millisecond {
					t.Errorf("read %v after %v", s.Value, took)
				}
			})
		}
		reads.Wait()
		if n := len(u.log()); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestRemovingAQueryReleasesItsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = time.Second
		e := start(t, engine.Config{})
		synctest.Wait() // Run runs
		q := u.query(t, "a", "x")
		e.Set("o", uses(time.Hour, q))
		time.AfterFunc(50*time.Millisecond, func() { e.Remove("o") })
		if s, took := timed(e, q); s.OK || took != 50*time.Millisecond {
			t.Errorf("read %+v after %v", s, took)
		}
	})
}
