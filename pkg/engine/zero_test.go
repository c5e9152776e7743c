package engine_test

import (
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
)

func TestADoubtfulZeroIsPublishedOnlyAfterConfirmation(t *testing.T) {
	doubtful := scalers.Reading{FalseZero: true}
	failed := scalers.Reading{Err: failing(scalers.NotFound, "gone")}
	type step struct {
		read  scalers.Reading // from now on
		sleep time.Duration
		ok    bool
		value float64
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"after a good value it is asked again every 3 s", []step{
			{scalers.Reading{Value: 5}, time.Second, true, 5},
			{doubtful, time.Second, true, 5},
			{doubtful, 4900 * time.Millisecond, true, 5},
			{doubtful, 1500 * time.Millisecond, true, 0},
		}},
		{"without one nothing is known until then", []step{
			{doubtful, 5900 * time.Millisecond, false, 0},
			{doubtful, time.Second, true, 0},
		}},
		{"a value in between is published at once and starts anew", []step{
			{scalers.Reading{Value: 5}, time.Second, true, 5},
			{doubtful, 4 * time.Second, true, 5},
			{scalers.Reading{Value: 3}, 3 * time.Second, true, 3},
			{doubtful, 5 * time.Second, true, 3},
			{doubtful, 5 * time.Second, true, 0},
		}},
		{"a failure in between proves nothing", []step{
			{scalers.Reading{Value: 5}, time.Second, true, 5},
			{doubtful, 4 * time.Second, true, 5},
			{failed, 3 * time.Second, true, 5},
			{doubtful, 5 * time.Second, true, 5},
			{doubtful, 5 * time.Second, true, 0},
		}},
		{"a certain zero needs no proof", []step{
			{scalers.Reading{Value: 5}, time.Second, true, 5},
			{scalers.Reading{}, time.Second, true, 0},
			{doubtful, time.Second, true, 0},
		}},
		{"work beside a value of zero is no zero", []step{
			{scalers.Reading{Value: 5}, time.Second, true, 5},
			{scalers.Reading{Work: 2, FalseZero: true}, time.Second, true, 0},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(0, false)
				e := start(t, engine.Config{})
				q := u.query(t, "a", "x")
				u.reads("x", tt.steps[0].read) // before the first measurement
				e.Set("o", uses(time.Hour, q))
				for i, s := range tt.steps {
					u.reads("x", s.read)
					e.Set("o", uses(time.Hour-time.Duration(i), q))
					if i == 0 || i > 0 && !reflect.DeepEqual(tt.steps[i-1].read, s.read) {
						e.Poke(q)
					}
					time.Sleep(s.sleep)
					if got := e.Latest(q); got.OK != s.ok || got.Value != s.value {
						t.Errorf("step %d: ok %v, value %v; want %v, %v", i, got.OK, got.Value, s.ok, s.value)
					}
				}
			})
		})
	}
}

func TestThreeZerosAndSixSecondsAreBothNeeded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		latency time.Duration
		pokes   int // one per second
		still   time.Duration
		gone    time.Duration
	}{
		{"many zeros in a moment", 0, 5, 5900 * time.Millisecond, 10 * time.Second},
		{"two zeros far apart", 7 * time.Second, 0, 20 * time.Second, 22 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(0, false)
				e := start(t, engine.Config{})
				q := u.query(t, "a", "x")
				u.set("x", 5)
				e.Set("o", uses(time.Hour, q))
				time.Sleep(time.Second)
				u.reads("x", scalers.Reading{FalseZero: true})
				u.do(func() { u.latency = tt.latency })
				began := time.Now()
				e.Poke(q)
				for range tt.pokes {
					time.Sleep(time.Second)
					e.Poke(q)
				}
				time.Sleep(tt.still - time.Since(began))
				wantSample(t, e, q, true, 5, "")
				time.Sleep(tt.gone - time.Since(began))
				wantSample(t, e, q, true, 0, "")
			})
		})
	}
}

func TestAConfirmedZeroIsPolledAtTheUsualIntervalAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		u.reads("x", scalers.Reading{FalseZero: true})
		e.Set("o", uses(30*time.Second, u.query(t, "a", "x")))
		time.Sleep(10 * time.Second)
		if n := len(u.log()); n != 3 {
			t.Errorf("%d fetches to confirm", n)
		}
		time.Sleep(5 * time.Minute)
		if n := len(u.log()); n < 9 || n > 12 {
			t.Errorf("%d polls in five minutes", n)
		}
	})
}

func TestNumbersThatAreNoneBecomeErrors(t *testing.T) {
	const notFinite = "reading the answer: the source answered a number that is not finite; make the upstream answer with a finite number"
	for _, tt := range []struct {
		name    string
		read    scalers.Reading
		value   float64
		work    float64
		ok      bool
		wantErr string
	}{
		{"NaN", scalers.Reading{Value: math.NaN()}, 0, 0, false, notFinite},
		{"infinite", scalers.Reading{Value: math.Inf(1)}, 0, 0, false, notFinite},
		{"infinite work", scalers.Reading{Work: math.Inf(-1)}, 0, 0, false, notFinite},
		{"negative", scalers.Reading{Value: -3}, 0, 0, true, ""},
		{"work below value", scalers.Reading{Value: 3, Work: 2}, 3, 3, true, ""},
		{"work above value", scalers.Reading{Value: 3, Work: 9}, 3, 9, true, ""},
		{"huge", scalers.Reading{Value: math.MaxFloat64, Work: math.MaxFloat64}, math.MaxFloat64, math.MaxFloat64, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream(0, false)
				e := start(t, engine.Config{})
				u.reads("x", tt.read)
				q := u.query(t, "a", "x")
				e.Set("o", uses(time.Minute, q))
				time.Sleep(time.Second)
				wantSample(t, e, q, tt.ok, tt.value, tt.wantErr)
				if s := e.Latest(q); s.Work != tt.work {
					t.Errorf("work %v, want %v", s.Work, tt.work)
				}
			})
		})
	}
}

func TestAReadingKeepsWhatTheUpstreamSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(0, false)
		e := start(t, engine.Config{})
		long := time.Now().Add(-2 * time.Minute)
		u.reads("x", scalers.Reading{Value: 1, At: long, Activity: scalers.Idle})
		u.set("y", 1)
		x, y := u.query(t, "a", "x"), u.query(t, "a", "y")
		began := time.Now()
		e.Set("o", uses(time.Minute, x, y))
		time.Sleep(time.Second)
		if s := e.Latest(x); !s.At.Equal(long) || s.Activity != scalers.Idle || s.Measured.Sub(began) > time.Millisecond {
			t.Errorf("x is %+v", s)
		}
		if s := e.Latest(y); !s.At.Equal(s.Measured) || s.Activity != scalers.ByThreshold {
			t.Errorf("y is %+v", s)
		}
	})
}
