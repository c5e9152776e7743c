package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// poison makes every Fetch fail that holds one of names.
func (u *upstream) poison(how func() error, names ...string) {
	u.do(func() {
		u.onFetch = func(_ context.Context, _ place, things []thing) error {
			for _, x := range things {
				if slices.Contains(names, x.name) {
					return how()
				}
			}
			return nil
		}
	})
}

func TestAPoisonousQueryIsFoundAndMeasuredAlone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		how   func() error
		err   string
		opens [2]int // the first, and after ten minutes
	}{
		{"bad answer", func() error { return failing(scalers.BadAnswer, "no such column") }, "measuring: no such column", [2]int{1, 1}},
		{"without a kind", func() error { return errors.New("no such column") }, "no such column", [2]int{1, 1}},
		{
			"panic", func() error { panic("secret") },
			"measuring one query: the scaler panicked; report it as a bug of the scaler, with the stack in Weir's log",
			[2]int{15, 50},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, heard := newUpstream(0, false), &told{}
				u.poison(tt.how, "q123")
				e := start(t, engine.Config{OnReadings: heard.hear})
				queries := u.named(t, "a", 1000)
				e.Set("o", uses(10*time.Second, queries...))
				e.Set("poisonous", uses(10*time.Second, queries[123]))
				time.Sleep(time.Second)
				for i, q := range queries {
					if i != 123 {
						wantSample(t, e, q, true, 1, "")
					}
				}
				wantSample(t, e, queries[123], false, 0, tt.err)
				if !slices.Contains(heard.take(), "poisonous") {
					t.Error("the owner was not told")
				}
				if n := len(u.log()); n > 25 {
					t.Errorf("%d fetches to find it", n)
				}
				time.Sleep(10 * time.Minute)
				alone := 0
				for _, f := range u.log() {
					if slices.Equal(f.names, []string{"q123"}) {
						alone++
					} else if len(f.names) != 999 {
						t.Errorf("a batch of %d", len(f.names))
					}
				}
				if alone < 5 || alone > 12 {
					t.Errorf("asked alone %d times in ten minutes, want back-off from 5 s to 5 min", alone)
				}
				if n := u.opened(); n < tt.opens[0] || n > tt.opens[1] {
					t.Errorf("%d opens", n)
				}
				if st := e.Stats()[0]; st.Quarantined != 1 || st.Failing != 1 || st.Err != nil {
					t.Errorf("stats %+v", st)
				}
				u.do(func() { u.onFetch = nil })
				time.Sleep(6 * time.Minute)
				wantSample(t, e, queries[123], true, 1, "")
				if f := u.log(); len(f[len(f)-1].names) != 1000 {
					t.Error("it did not return into the batch")
				}
			})
		})
	}
}

func TestSeveralPoisonousQueriesAreAllFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(100, false)
		bad := []string{"q1", "q2", "q3", "q50", "q99", "q150", "q151", "q399"}
		u.poison(func() error { return failing(scalers.BadAnswer, "poison") }, bad...)
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 400)
		e.Set("o", uses(10*time.Second, queries...))
		time.Sleep(2 * time.Minute)
		for i, q := range queries {
			if s := e.Latest(q); s.OK == slices.Contains(bad, "q"+q.String()[strings.LastIndex(q.String(), "q")+1:len(q.String())-1]) {
				t.Errorf("query %d is %+v", i, s)
			}
		}
		if st := e.Stats()[0]; st.Quarantined != len(bad) {
			t.Errorf("%d quarantined, want %d", st.Quarantined, len(bad))
		}
	})
}

func TestANewPoisonousQueryIsToldFromADeadSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.poison(func() error { return failing(scalers.BadAnswer, "poison") }, "bad")
		e := start(t, engine.Config{})
		e.Set("others", uses(10*time.Second, u.named(t, "a", 10)...))
		time.Sleep(time.Second)
		bad := u.query(t, "a", "bad")
		e.Set("bad", uses(10*time.Second, bad)) // fails alone: only a control can tell
		time.Sleep(time.Minute)
		wantSample(t, e, bad, false, 0, "measuring: poison")
		if st := e.Stats()[0]; st.Quarantined != 1 || st.Opens != 1 || st.Err != nil {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestARefusedQueryBesideAPoisonousOneDoesNotFailTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.poison(func() error { return failing(scalers.BadAnswer, "poison") }, "q3")
		e := start(t, engine.Config{})
		queries := u.named(t, "a", 4)
		u.reads("q0", scalers.Reading{Err: failing(scalers.Unauthorized, "not yours")})
		e.Set("o", uses(10*time.Second, queries...))
		time.Sleep(time.Second)
		wantSample(t, e, queries[0], false, 0, "measuring: not yours")
		wantSample(t, e, queries[1], true, 1, "")
		wantSample(t, e, queries[3], false, 0, "measuring: poison")
		if st := e.Stats()[0]; st.Quarantined != 1 || st.Opens != 1 || st.Err != nil {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestANewUserOfAQuarantinedQueryIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, heard := newUpstream(0, false), &told{}
		u.poison(func() error { return failing(scalers.BadAnswer, "poison") }, "q3")
		e := start(t, engine.Config{OnReadings: heard.hear})
		queries := u.named(t, "a", 10)
		began := time.Now()
		e.Set("o", uses(10*time.Second, queries...))
		time.Sleep(10 * time.Minute)
		heard.take()
		e.Set("new", uses(10*time.Second, queries[3]))
		time.Sleep(time.Second)
		if got := heard.take(); !slices.Contains(got, "new") {
			t.Errorf("told %v", got)
		}
		for range 10 { // reads by HPAs do not put it back into a batch
			for _, q := range queries {
				e.Fresh(t.Context(), q, 5*time.Second)
			}
			time.Sleep(6 * time.Second)
		}
		for _, f := range u.log() {
			if f.at.After(began.Add(time.Second)) && slices.Contains(f.names, "q3") && len(f.names) > 1 {
				t.Errorf("a batch of %d holds it", len(f.names))
			}
		}
	})
}

func TestASourceThatAnswersNothingRightIsGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.do(func() {
			u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.BadAnswer, "not the protocol") }
		})
		e := start(t, engine.Config{MinBackoff: time.Hour, MaxBackoff: time.Hour})
		queries := u.named(t, "a", 1000)
		e.Set("o", uses(10*time.Second, queries...))
		time.Sleep(time.Minute)
		if n := len(u.log()); n > 20 {
			t.Errorf("%d fetches of a dead source", n)
		}
		if st := e.Stats()[0]; st.Err == nil || st.Quarantined != 0 || st.Failing != 1000 || st.Open {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAFailureOfTheNetworkIsNotBisected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
		e := start(t, engine.Config{MinBackoff: time.Hour, MaxBackoff: time.Hour})
		e.Set("o", uses(10*time.Second, u.named(t, "a", 100)...))
		time.Sleep(time.Minute)
		if got := sizes(u.log()); !slices.Equal(got, []int{100}) {
			t.Errorf("batches %v, want one of 100", got)
		}
	})
}
