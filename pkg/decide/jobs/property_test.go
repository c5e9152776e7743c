package jobs_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
)

// random draws an Input whose counts lie close together, so that bounds meet, and
// which may be as wrong as the API server lets pass and worse.
func random(r *rand.Rand) jobs.Input {
	rarely := func() bool { return r.IntN(8) == 0 }
	strategies := []jobs.Strategy{"", jobs.Default, jobs.Custom, jobs.Accurate, jobs.Eager}
	in := jobs.Input{
		Now: epoch, Known: !rarely(), Paused: rarely(),
		Unfinished: r.Int32N(12) - 1, Pending: r.Int32N(6) - 1, Recent: max(r.Int32N(6)-3, 0),
		Min: r.Int32N(8) - 1, Max: r.Int32N(12) - 1,
		Strategy: strategies[r.IntN(len(strategies))], Calculation: []jobs.Calculation{jobs.Max, jobs.Min, jobs.Avg, jobs.Sum}[r.IntN(4)],
		Deduction: r.Int32N(10) - 5, Percentage: []string{"", "0", "0.5", "1", "-2", "x", "Inf"}[r.IntN(7)],
		Interval: time.Duration(r.IntN(30)) * time.Second,
	}
	if rarely() {
		in.RetryAt = epoch.Add(time.Duration(r.IntN(20)-10) * time.Second)
	}
	if r.IntN(2) == 0 {
		in.LastRound = epoch.Add(-time.Duration(r.IntN(60)) * time.Second)
	}
	for range r.IntN(4) {
		in.Triggers = append(in.Triggers, trigger(r))
	}
	return in
}

func trigger(r *rand.Rand) decide.Trigger {
	numbers := []float64{0, 0.1, 1, 3, 12, 1e18, -3, math.NaN(), math.Inf(1), math.Inf(-1)}
	t := decide.Trigger{
		State: decide.State(r.IntN(3)), Value: numbers[r.IntN(7)], Target: numbers[r.IntN(4)], Age: time.Duration(r.IntN(90)) * time.Second,
	}
	if r.IntN(8) == 0 {
		t.Err = "connection refused"
	}
	if r.IntN(8) == 0 {
		t.Value, t.Target = numbers[r.IntN(len(numbers))], numbers[r.IntN(len(numbers))]
	}
	if r.IntN(16) == 0 {
		t.State = decide.State(r.IntN(256))
	}
	return t
}

// always checks a property against random inputs. It fails when the property was
// about fewer than 500 of them.
func always(t *testing.T, property func(r *rand.Rand, in jobs.Input, d jobs.Decision) (relevant bool, err error)) {
	t.Helper()
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	n := 0
	for range 50_000 {
		in := random(r)
		d := jobs.Decide(in)
		relevant, err := property(r, in, d)
		if err != nil {
			t.Fatalf("%v\ninput: %+v\ndecision: %v", err, in, d)
		}
		if relevant {
			n++
		}
	}
	if n < 500 {
		t.Errorf("the property was about %d inputs only", n)
	}
}

func TestNeverMoreThanTheMaximum(t *testing.T) {
	always(t, func(_ *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		switch {
		case d.Create < 0, (d.Create > 0) != (d.Action == jobs.Create), d.To != d.From+d.Create:
			return true, fmt.Errorf("the numbers do not agree")
		case d.Create > 0 && max(in.Unfinished, 0)+d.Create > in.Max:
			return true, fmt.Errorf("%d Jobs, at most %d", in.Unfinished+d.Create, in.Max)
		}
		return d.Create > 0, nil
	})
}

func TestNothingIsCreatedWithoutKnowing(t *testing.T) {
	always(t, func(_ *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		if (in.Paused || !in.Known || in.Now.Before(in.RetryAt)) && d.Create > 0 {
			return true, fmt.Errorf("it creates")
		}
		working := slices.ContainsFunc(d.Triggers, func(t decide.Trigger) bool { return t.State == decide.Busy })
		if !working && d.Create > 0 && d.To > in.Min {
			return true, fmt.Errorf("it creates more than the minimum without work")
		}
		return !working, nil
	})
}

func TestAFailingTriggerNeitherCreatesNorHides(t *testing.T) {
	always(t, func(_ *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		with := in
		with.Triggers = append(slices.Clone(in.Triggers), decide.Trigger{State: decide.Busy, Value: 1000, Target: 1, Err: "timeout"})
		if got := jobs.Decide(with); got.Create != d.Create {
			return true, fmt.Errorf("%d with a failing trigger more", got.Create)
		}
		return d.Create > 0, nil
	})
}

func TestMoreJobsNeverLeadToMoreCreation(t *testing.T) {
	always(t, func(_ *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		if in.Unfinished < in.Min || in.Strategy == jobs.Custom {
			return false, nil // the minimum goes first; a share may be negative
		}
		more := in
		more.Unfinished++
		if got := jobs.Decide(more); got.Create > d.Create {
			return true, fmt.Errorf("%d with a Job more", got.Create)
		}
		return d.Create > 0, nil
	})
}

func TestMoreWorkNeverLeadsToLessCreation(t *testing.T) {
	always(t, func(r *rand.Rand, in jobs.Input, _ jobs.Decision) (bool, error) {
		if len(in.Triggers) == 0 || in.Calculation == jobs.Max || in.Calculation == jobs.Min {
			return false, nil // another trigger, with another target, may come to decide
		}
		in.Triggers[0] = work(float64(r.IntN(20)), 2)
		before := jobs.Decide(in)
		in.Triggers[0].Value += float64(r.IntN(5))
		if got := jobs.Decide(in); got.Create < before.Create {
			return true, fmt.Errorf("%d with more work, %d before", got.Create, before.Create)
		}
		return before.Create > 0, nil
	})
}

func TestTheSameReadingNeverCreatesTwice(t *testing.T) {
	always(t, func(r *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		if d.Create == 0 || d.Reason == jobs.BelowMin {
			return false, nil
		}
		again := in
		again.Unfinished = max(in.Unfinished, 0) + d.Create
		if d.Reason == jobs.WorkWaiting {
			again.LastRound = in.Now
		}
		// Some of them ended at once, with the work that the reading still shows.
		ended := r.Int32N(d.Create + 1)
		again.Unfinished, again.Recent = again.Unfinished-ended, max(in.Recent, 0)+ended
		if got := jobs.Decide(again); got.Create > 0 && got.Reason != jobs.BelowMin {
			return true, fmt.Errorf("again %d: %v", got.Create, got)
		}
		return true, nil
	})
}

func TestEqualInputsGiveEqualDecisionsAndKeepNothing(t *testing.T) {
	always(t, func(_ *rand.Rand, in jobs.Input, d jobs.Decision) (bool, error) {
		if again := jobs.Decide(in); !reflect.DeepEqual(again, d) {
			return true, fmt.Errorf("another decision: %v", again)
		}
		for i := range in.Triggers {
			in.Triggers[i] = decide.Trigger{}
		}
		for _, t := range d.Triggers {
			if t.Name == "" || math.IsNaN(t.Value) || math.IsInf(t.Target, 0) {
				return true, fmt.Errorf("trigger %+v", t)
			}
		}
		return d.Create > 0, nil
	})
}
