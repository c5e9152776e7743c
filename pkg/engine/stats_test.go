package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestStatsTellWhatASourceCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(60, false)
		u.latency = 40 * time.Millisecond
		e := start(t, engine.Config{})
		e.Set("o", uses(30*time.Second, u.named(t, "b", 100)...))
		e.Set("p", uses(30*time.Second, u.query(t, "a", "bad", "hunter2")))
		u.reads("bad", scalers.Reading{Err: failing(scalers.NotFound, "none")})
		time.Sleep(10 * time.Second)
		all := e.Stats()
		if len(all) != 2 {
			t.Fatalf("%d sources", len(all))
		}
		for _, st := range all {
			if strings.Contains(st.Source, "hunter2") {
				t.Error("a description holds the password")
			}
		}
		a, b := all[0], all[1]
		b.Oldest, a.Oldest = b.Oldest.Round(time.Millisecond), a.Oldest.Round(time.Millisecond)
		if want := (engine.SourceStats{
			Type: "fake", Source: b.Source, Queries: 100, Opens: 1, Fetches: 2, Measured: 100, LastBatch: 40, LargestBatch: 60,
			Latency: 40 * time.Millisecond, LatencyP99: 40 * time.Millisecond, Oldest: 9960 * time.Millisecond, Open: true,
		}); b != want {
			t.Errorf("got  %+v\nwant %+v", b, want)
		}
		if a.Failing != 1 || a.QueryErrors != 1 || a.FetchErrors != 0 || a.Oldest != 10*time.Second || a.Err != nil {
			t.Errorf("stats of a source without a good reading: %+v", a)
		}
		u.do(func() {
			u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
		})
		time.Sleep(31 * time.Second)
		if a = e.Stats()[0]; a.FetchErrors == 0 || a.Err == nil || a.Since.IsZero() || a.RetryAt.IsZero() || a.Open {
			t.Errorf("stats of a failing source: %+v", a)
		}
	})
}

func TestTheSlowestFetchesShowInTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.latency = 10 * time.Millisecond
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		e.Set("o", uses(time.Hour, q))
		for i := range 300 {
			time.Sleep(time.Second)
			u.do(func() {
				u.latency = 10 * time.Millisecond
				if i > 200 && i%40 == 0 {
					u.latency = 500 * time.Millisecond
				}
			})
			e.Poke(q)
		}
		time.Sleep(time.Second)
		if st := e.Stats()[0]; st.LatencyP99 != 500*time.Millisecond || st.Latency > 50*time.Millisecond {
			t.Errorf("mean %v, p99 %v", st.Latency, st.LatencyP99)
		}
	})
}
