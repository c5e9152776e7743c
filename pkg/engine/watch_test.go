package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

// signals is a stream of changes that a test controls.
type signals struct {
	wake  atomic.Pointer[func(thing)]
	fail  chan error
	delay time.Duration // until ready
}

func (s *signals) watch(ctx context.Context, _ []thing, ready func(), wake func(thing)) error {
	s.wake.Store(&wake)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	ready()
	time.AfterFunc(time.Second, ready) // in vain
	select {
	case err := <-s.fail:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *signals) fire(name string) { (*s.wake.Load())(thing{name}) }

// watched starts an engine that watches queries at 30 s, and waits until it does.
func watched(t *testing.T, queries int) (*upstream, *signals, *engine.Engine, []scalers.Query) {
	t.Helper()
	u, s := newUpstream(0, true), &signals{fail: make(chan error)}
	u.onWatch = s.watch
	e := start(t, engine.Config{})
	qs := u.named(t, "a", queries)
	for i, q := range qs {
		e.Set(engine.Owner(fmt.Sprint(i)), []engine.Use{{Query: q, Interval: 30 * time.Second, Watch: true}})
	}
	time.Sleep(5 * time.Second)
	if st := e.Stats()[0]; st.Watch != engine.WatchReady || st.Watched != queries {
		t.Fatalf("after five seconds: %+v", st)
	}
	return u, s, e, qs
}

func TestAWakeIsMeasuredWithinItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s, e, qs := watched(t, 10)
		polls := u.log()
		polled := 0
		for _, n := range sizes(polls) {
			polled += n
		}
		if polled != 20 || len(polls[len(polls)-1].names) != 10 {
			t.Errorf("batches %v, want each query once and then all when ready", sizes(polls))
		}
		u.set("q3", 8)
		for range 100 { // a burst
			s.fire("q3")
			s.fire("q4")
			s.fire("unknown")
		}
		time.Sleep(51 * time.Millisecond)
		if got := u.log(); len(got) != 1 || !slices.Equal(got[0].names, []string{"q3", "q4"}) {
			t.Errorf("a burst caused %v, want one fetch of q3 and q4", got)
		}
		wantSample(t, e, qs[3], true, 8, "")
		if st := e.Stats()[0]; st.Wakes != 200 {
			t.Errorf("%d wakes", st.Wakes)
		}
	})
}

func TestABusyKeyCostsAtMostFiveFetchesPerSecondAndItsLastChangeIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s, e, qs := watched(t, 10)
		u.log()
		for i := range 1000 { // ten seconds
			u.set("q3", float64(i))
			s.fire("q3")
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(250 * time.Millisecond)
		if n := len(u.log()); n < 45 || n > 52 {
			t.Errorf("%d fetches in ten seconds", n)
		}
		wantSample(t, e, qs[3], true, 999, "")
	})
}

func TestAWakeDuringAFetchIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s, e, qs := watched(t, 1)
		u.do(func() { u.latency = time.Second })
		s.fire("q0")
		time.Sleep(500 * time.Millisecond) // the fetch runs
		u.log()
		s.fire("q0")
		time.Sleep(1100 * time.Millisecond)
		if n := len(u.log()); n != 1 {
			t.Errorf("%d fetches, want one more", n)
		}
		time.Sleep(time.Second)
		wantSample(t, e, qs[0], true, 1, "")
	})
}

func TestOnlyIdleQueriesAreWatchedAndChangesAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s, e, qs := watched(t, 100)
		u.do(func() { u.watches = nil })
		for i := range 50 { // these become busy
			e.Set(engine.Owner(fmt.Sprint(i)), uses(30*time.Second, qs[i]))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		if len(u.started()) != 0 {
			t.Errorf("%d restarts in a hurry for queries that left", len(u.started()))
		}
		u.log()
		s.fire("q3")
		time.Sleep(time.Second)
		if got := u.log(); len(got) != 0 {
			t.Errorf("a wake of a busy query caused %v", got)
		}
		time.Sleep(15 * time.Second)
		if len(u.started()) != 1 || u.started()[0] != 50 {
			t.Errorf("%d restarts, want one with 50 queries", len(u.started()))
		}
		for i := range 20 { // these become idle again
			e.Set(engine.Owner(fmt.Sprint(i)), []engine.Use{{Query: qs[i], Interval: 30 * time.Second, Watch: true}})
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if len(u.started()) != 2 || u.started()[1] != 70 {
			t.Errorf("%d restarts, want a second with 70 queries", len(u.started()))
		}
		e.Set("0", uses(30*time.Second, qs[0]))
		e.Set("0", []engine.Use{{Query: qs[0], Interval: 30 * time.Second, Watch: true}}) // there and back
		time.Sleep(time.Minute)
		if len(u.started()) != 2 {
			t.Error("a change that was taken back restarted the watch")
		}
		for i := range qs {
			e.Set(engine.Owner(fmt.Sprint(i)), uses(30*time.Second, qs[i]))
		}
		time.Sleep(time.Second)
		if st := e.Stats()[0]; st.Watch != engine.WatchIdle {
			t.Errorf("watch is %q with nothing to watch", st.Watch)
		}
	})
}

func TestAWatchThatIsSlowToStartIsRestartedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s := newUpstream(0, true), &signals{delay: time.Second}
		u.onWatch = s.watch
		e := start(t, engine.Config{})
		for i, q := range u.named(t, "a", 60) { // one more per second
			e.Set(engine.Owner(fmt.Sprint(i)), []engine.Use{{Query: q, Interval: 30 * time.Second, Watch: true}})
			time.Sleep(time.Second)
		}
		if n := len(u.started()); n < 4 || n > 7 {
			t.Errorf("%d starts in a minute, want about one per ten seconds", n)
		}
	})
}

func TestABrokenStreamIsRestartedAndEverythingMeasuredAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, s, e, _ := watched(t, 10)
		u.log()
		s.fail <- errors.New("stream reset")
		time.Sleep(10 * time.Millisecond)
		if st := e.Stats()[0]; st.Watch != engine.WatchBroken || st.WatchErr == nil || st.Err != nil {
			t.Errorf("stats %+v", st)
		}
		time.Sleep(2 * time.Second)
		if got := sizes(u.log()); !slices.Equal(got, []int{10}) {
			t.Errorf("batches %v, want one of all when it is back", got)
		}
		if st := e.Stats()[0]; st.Watch != engine.WatchReady || st.Opens != 1 {
			t.Errorf("stats %+v", st)
		}
		for range 4 {
			s.fail <- nil
			time.Sleep(20 * time.Second)
		}
		if n := len(u.started()); n != 6 {
			t.Errorf("%d watches, want back-off and one per break", n)
		}
	})
}

func TestAnUpstreamWithoutSignalsIsAskedOncePerConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, true)
		e := start(t, engine.Config{})
		e.Set("o", []engine.Use{{Query: u.query(t, "a", "x"), Interval: 30 * time.Second, Watch: true}})
		time.Sleep(time.Hour)
		if st := e.Stats()[0]; st.Watch != engine.WatchUnsupported || len(u.started()) != 1 {
			t.Errorf("%d watches, stats %+v", len(u.started()), st)
		}
		u.do(func() {
			u.onFetch = func(context.Context, place, []thing) error { return failing(scalers.Unreachable, "reset") }
		})
		time.Sleep(time.Minute)
		u.do(func() { u.onFetch = nil })
		time.Sleep(2 * time.Minute)
		if n := len(u.started()); n < 2 || n > 12 {
			t.Errorf("%d watches after reopening, want it asked again", n)
		}
	})
}

func TestAPanicInWatchReopensTheSourceWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, true)
		u.onWatch = func(context.Context, []thing, func(), func(thing)) error { panic("watch") }
		e := start(t, engine.Config{})
		q := u.query(t, "a", "x")
		e.Set("o", []engine.Use{{Query: q, Interval: 30 * time.Second, Watch: true}})
		time.Sleep(10 * time.Minute)
		st := e.Stats()[0]
		if st.Watch != engine.WatchBroken || st.Panics < 10 || st.Panics > 26 || st.Opens < st.Panics || st.Err != nil {
			t.Errorf("stats %+v", st)
		}
		wantSample(t, e, q, true, 0, "")
		if n := len(u.log()); n < 19 || n > 24 {
			t.Errorf("%d polls in ten minutes", n)
		}
	})
}

func TestAWatchThatDoesNotStopIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, release := newUpstream(0, true), make(chan struct{})
		u.onWatch = func(_ context.Context, _ []thing, ready func(), _ func(thing)) error {
			ready()
			<-release
			return nil
		}
		e := start(t, engine.Config{})
		x, y := u.query(t, "a", "x"), u.query(t, "a", "y")
		e.Set("o", []engine.Use{{Query: x, Interval: 30 * time.Second, Watch: true}})
		time.Sleep(time.Minute)
		e.Set("p", []engine.Use{{Query: y, Interval: 30 * time.Second, Watch: true}}) // a restart
		time.Sleep(time.Minute)
		wantSample(t, e, y, true, 0, "")
		if st := e.Stats()[0]; st.Watch != engine.WatchBroken || len(u.started()) != 1 {
			t.Errorf("%d watches, stats %+v", len(u.started()), st)
		}
		e.Remove("o")
		e.Remove("p")
		time.Sleep(time.Minute)
		if u.closed() != 0 {
			t.Error("closed while a Watch runs")
		}
		close(release)
		time.Sleep(time.Second)
		if u.closed() != 1 {
			t.Errorf("%d closes after the Watch returned", u.closed())
		}
	})
}
