package decide_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/formula"
)

func TestFallbackCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		behavior             decide.Behavior
		asked, current, want int32
		usesCurrent          bool
	}{
		{"", 6, 3, 6, false},
		{"some other", 6, 3, 6, false},
		{decide.Static, 6, 3, 6, false},
		{decide.ByFormula, 6, 3, 6, false},
		{decide.CurrentReplicas, 6, 3, 3, true},
		{decide.CurrentReplicas, 6, 0, 0, true},
		{decide.CurrentReplicasIfHigher, 6, 3, 6, true},
		{decide.CurrentReplicasIfHigher, 6, 9, 9, true},
		{decide.CurrentReplicasIfLower, 6, 3, 3, true},
		{decide.CurrentReplicasIfLower, 6, 9, 6, true},
	} {
		if got := c.behavior.Replicas(c.asked, c.current); got != c.want || c.behavior.UsesCurrent() != c.usesCurrent {
			t.Errorf("%s of %d where there are %d: %d, want %d", c.behavior, c.asked, c.current, got, c.want)
		}
	}
}

func TestFailuresAreCountedByPollingIntervals(t *testing.T) {
	t.Parallel()
	const most = 4 // a threshold of 3
	for _, c := range []struct {
		before int32
		since  time.Duration // before now; below zero: not failing
		want   int32
		again  time.Duration // after now; zero: never
	}{
		{0, -1, 0, 0},
		{2, -1, 2, 0}, // after a restart: not tried yet
		{9, -1, 4, 0},
		{0, 0, 1, 30 * time.Second},
		{0, 29 * time.Second, 1, time.Second},
		{0, 30 * time.Second, 2, 30 * time.Second},
		{0, 89 * time.Second, 3, time.Second},
		{0, 90 * time.Second, 4, 0},
		{0, time.Hour, 4, 0},
		{2, 0, 3, 30 * time.Second},
		{3, 0, 4, 0},
		{4, 0, 4, 0},
		{0, math.MaxInt64, 4, 0},
	} {
		o := decide.Outage{Before: c.before, Interval: 30 * time.Second}
		if c.since >= 0 {
			o.Since = epoch.Add(-c.since)
		}
		n, next := o.Failures(epoch, most)
		again := time.Duration(0)
		if !next.IsZero() {
			again = next.Sub(epoch)
		}
		if n != c.want || again != c.again {
			t.Errorf("%d before, for %s: %d, again in %s; want %d, %s", c.before, c.since, n, again, c.want, c.again)
		}
	}
	ahead := decide.Outage{Since: epoch.Add(time.Minute), Interval: time.Second} // clocks differ
	if n, next := ahead.Failures(epoch, most); n != 1 || !next.After(epoch) {
		t.Errorf("in the future: %d, %s", n, next)
	}
	if n, _ := (decide.Outage{Since: epoch, Interval: time.Second}).Failures(epoch, 1); n != 1 {
		t.Errorf("a threshold of 0 takes %d failures", n)
	}
}

// TestTheHPAMakesExactlyTheReplicasOfAFallback computes as the HPA does, from
// quantities in thousandths.
func TestTheHPAMakesExactlyTheReplicasOfAFallback(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		target := math.Pow(10, r.Float64()*9-2) // from a hundredth
		replicas, ready := 1+r.Int32N(5000), r.IntN(10)
		if r.IntN(2) == 0 {
			target = math.Ceil(target)
		}
		milli, per := math.Round(decide.StandIn(target, replicas, ready)*1000), math.Round(target*1000)
		got := math.Ceil(milli / per)
		if ready > 0 {
			got = math.Ceil(milli / per * float64(ready))
		}
		if int32(got) != replicas {
			t.Fatalf("target %v among %d ready pods: %v replicas, want %d", target, ready, got, replicas)
		}
	}
}

func TestStandInsThatAreNotNumbersAreNone(t *testing.T) {
	t.Parallel()
	for _, target := range []float64{0, 0.0001, -5, 1e15, math.NaN(), math.Inf(1)} {
		if got := decide.StandIn(target, 6, 2); got != 0 {
			t.Errorf("target %v: %v", target, got)
		}
	}
	if got := decide.StandIn(2.5, 3, 0); got != 7.5 {
		t.Errorf("3 times 2.5 is %v", got)
	}
}

func modifiers(t *testing.T, text string, nils bool) *decide.Modifiers {
	t.Helper()
	f, err := formula.Compile(text, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	return &decide.Modifiers{Name: "composite-metric", Formula: f, Target: 5, Activation: 2, Nil: nils}
}

func TestResultsOfFormulas(t *testing.T) {
	t.Parallel()
	const standard, nils = false, true
	for _, c := range []struct {
		name     string
		text     string
		nils     bool
		triggers string
		want     string
	}{
		{"work", "a + b", standard, "busy=2 idle=1", "busy 3"},
		{"at the activation", "a + b", standard, "busy=2 idle=0", "idle 2"},
		{"negative", "a - b", standard, "busy=2 busy=9", "idle 0"},
		{"a trigger fails", "a + b", standard, "busy error", "unknown 0"},
		{"a trigger that the formula does not use fails", "a", standard, "busy error", "unknown 0"},
		{"a trigger is not measured yet", "a ?? b", nils, "pending busy", "unknown 0"},
		{"cpu has no part", "a + b", standard, "busy=2 busy=2 cpu", "busy 4"},
		{"a trigger without a name is measured all the same", "a + b", standard, "busy=2 busy=2 busy", "busy 4"},
		{"no number", "a / b", standard, "busy=2 idle=0", "unknown 0: evaluating the formula: the result is +Inf, as after a division by zero; make the formula provide for that"},
		{"a fallback stands in", "a + b", standard, "busy fallback", "unknown 0 in fallback: s1-redis-jobs: connection refused"},
		{"for the first in order", "a + b", standard, "fallback fallback", "unknown 0 in fallback: s0-redis-jobs: connection refused"},
		{"whatever else fails", "a + b", standard, "error fallback", "unknown 0 in fallback: s1-redis-jobs: connection refused"},
		{"nil for a failing trigger", "(a ?? 4) + b", nils, "fallback busy=1", "busy 5"},
		{"unless another one only begins to fail", "(a ?? 4) + (b ?? 1)", nils, "fallback error", "unknown 0"},
		{"nil that was not provided for", "a + b", nils, "fallback busy", "unknown 0: evaluating the formula without a value of a: invalid operation: <nil> + float64 (1:3)"},
		{"a result of nil", "a ?? b", nils, "fallback fallback", "unknown 0 in fallback: the result is nil: s0-redis-jobs: connection refused"},
		{"a result of nil out of the blue", "a > 0 ? nil : a ?? b", nils, "busy busy", "unknown 0: evaluating the formula: the result is nil although every trigger has a value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := triggers(t, strings.Fields(c.triggers))
			got := modifiers(t, c.text, c.nils).Result(list, []string{"a", "b", ""}[:len(list)])
			said := fmt.Sprintf("%s %v", got.State, got.Value)
			if got.FallbackActive {
				said += " in fallback"
			}
			if got.Err != "" {
				said += ": " + got.Err
			}
			if said != c.want {
				t.Errorf("%s\nwant %s", said, c.want)
			}
			if !got.Formula || got.Name != "composite-metric" || got.Target != 5 || got.Activation != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}
