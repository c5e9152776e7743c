package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
)

// epoch is the Now of tests.
var epoch = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// work is a trigger with work, measured a second ago.
func work(value, target float64) decide.Trigger {
	return decide.Trigger{Name: "s0-redis-jobs", State: decide.Busy, Value: value, Target: target, Age: time.Second}
}

// TestOneTrigger is the table of what KEDA creates, with one trigger that has work.
// Keda is given where the numbers differ: there the maximum is hard.
func TestOneTrigger(t *testing.T) {
	const unset = -1
	for _, row := range []struct {
		strategy         jobs.Strategy
		min, max         int32
		queue, target    float64
		running, pending int32
		deduction        int32
		percentage       string
		want, keda       int32
	}{
		{jobs.Default, unset, 3, 10, 1, 0, 0, 0, "", 3, 3},
		{jobs.Default, unset, 3, 10, 2, 0, 0, 0, "", 3, 3},
		{jobs.Default, unset, 3, 10, 1, 1, 0, 0, "", 2, 2},
		{jobs.Default, unset, unset, 10, 1, 0, 0, 0, "", 10, 10},
		{jobs.Default, unset, 3, 4, 5, 0, 0, 0, "", 1, 1},
		{jobs.Default, unset, unset, 250, 1, 0, 0, 0, "", 100, 100},
		{jobs.Default, 2, unset, 250, 1, 2, 0, 0, "", 98, 100},
		{jobs.Default, 2, 10, 3, 1, 0, 0, 0, "", 2, 2},
		{jobs.Default, 2, 10, 3, 1, 1, 0, 0, "", 1, 1},
		{jobs.Default, 2, 10, 3, 1, 2, 0, 0, "", 3, 3},
		{jobs.Default, 2, 10, 50, 1, 2, 0, 0, "", 8, 8},
		{jobs.Default, 2, 10, 50, 1, 10, 0, 0, "", 0, 0},
		{jobs.Default, 20, 10, 50, 1, 0, 0, 0, "", 10, 10},
		{jobs.Default, 20, 10, 50, 1, 10, 0, 0, "", 0, 10},
		{jobs.Custom, unset, 100, 10, 1, 4, 0, 1, "0.5", 7, 7},
		{jobs.Custom, unset, 100, 10, 1, 3, 0, 1, "0.5", 8, 8},
		{jobs.Custom, unset, 5, 10, 1, 0, 0, -3, "0", 5, 5},
		{jobs.Custom, unset, 100, 10, 1, 4, 0, 1, "", 6, 6},
		{jobs.Accurate, unset, 100, 10, 1, 4, 2, 0, "", 8, 8},
		{jobs.Accurate, unset, 10, 10, 1, 4, 2, 0, "", 6, 6},
		{jobs.Accurate, unset, 10, 3, 1, 8, 0, 0, "", 2, 2},
		{jobs.Eager, unset, 10, 6, 1, 3, 0, 0, "", 6, 6},
		{jobs.Eager, unset, 10, 6, 1, 3, 3, 0, "", 4, 4},
		{jobs.Eager, unset, 10, 6, 1, 8, 0, 0, "", 2, 2},
		{jobs.Eager, unset, 10, 1, 5, 0, 0, 0, "", 1, 1},
		// Beyond the table: where the maximum is what limits.
		{jobs.Custom, unset, 5, 10, 1, 4, 0, 0, "0", 1, 5},
		{jobs.Custom, unset, 100, 10, 1, 4, 0, 1, "half", 6, 6},
		{jobs.Custom, unset, 100, 10, 1, 4, 0, 1, "NaN", 6, 6},
		{"unheard of", unset, 100, 10, 1, 4, 0, 1, "0.5", 6, 6},
		// Work per Job: never more Jobs than work, and no error of rounding.
		{jobs.Default, unset, 100, 3, 0.5, 0, 0, 0, "", 3, 3},
		{jobs.Default, unset, 100, 0.1 + 0.2, 0.1, 0, 0, 0, "", 1, 1},
		{jobs.Default, unset, 100, 30.000000000000004, 10, 0, 0, 0, "", 3, 4},
		{jobs.Default, unset, 100, 10, 0, 0, 0, 0, "", 0, 0},
		{jobs.Default, unset, 100, 9e15, 1, 0, 0, 0, "", 100, 100},
	} {
		in := jobs.Input{
			Now: epoch, Known: true, Unfinished: row.running, Pending: row.pending, Min: max(row.min, 0), Max: row.max,
			Strategy: row.strategy, Deduction: row.deduction, Percentage: row.percentage,
			Triggers: []decide.Trigger{work(row.queue, row.target)},
		}
		if row.max == unset {
			in.Max = 100
		}
		name := fmt.Sprintf("%s min %d max %d queue %v target %v running %d pending %d", row.strategy, row.min, row.max, row.queue, row.target, row.running, row.pending)
		t.Run(name, func(t *testing.T) {
			d := jobs.Decide(in)
			if d.Create != row.want {
				t.Errorf("creates %d, want %d (KEDA %d): %v", d.Create, row.want, row.keda, d)
			}
			if row.want != row.keda && row.running+row.keda <= in.Max && row.target == 1 {
				t.Errorf("differs from KEDA, which would stay within the maximum")
			}
		})
	}
}

func TestSeveralTriggers(t *testing.T) {
	idle := decide.Trigger{Name: "s2", State: decide.Idle, Value: 100, Target: 1}
	failing := decide.Trigger{Name: "s3", Value: 1000, Target: 1, Err: "connection refused"}
	three := []decide.Trigger{work(12, 1), work(40, 10), idle}
	zeroFirst, zeroLast := []decide.Trigger{work(0, 1), work(7, 1)}, []decide.Trigger{work(7, 1), work(0, 1)}
	for _, row := range []struct {
		name         string
		calculation  jobs.Calculation
		triggers     []decide.Trigger
		work, wanted int32
	}{
		{"the most", jobs.Max, three, 40, 4},
		{"the most by default", "", three, 40, 4},
		{"the least", jobs.Min, three, 12, 12},
		{"the mean", jobs.Avg, three, 26, 8},
		{"the sum", jobs.Sum, three, 52, 16},
		{"a failing one has no part in the most", jobs.Max, append([]decide.Trigger{failing}, three...), 40, 4},
		{"nor in the least", jobs.Min, append([]decide.Trigger{failing}, three...), 12, 12},
		{"nor in the mean", jobs.Avg, append([]decide.Trigger{failing}, three...), 26, 8},
		{"nor in the sum", jobs.Sum, append([]decide.Trigger{failing}, three...), 52, 16},
		{"a zero and the most", jobs.Max, zeroFirst, 7, 7},
		{"a zero and the least", jobs.Min, zeroFirst, 7, 7},
		{"a zero and the mean", jobs.Avg, zeroFirst, 4, 4},
		{"a zero and the sum", jobs.Sum, zeroFirst, 7, 7},
		{"a zero that comes last and the least", jobs.Min, zeroLast, 7, 7},
		{"more than the maximum", jobs.Sum, []decide.Trigger{work(20, 1), work(20, 1)}, 40, 30},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := jobs.Input{Now: epoch, Known: true, Max: 30, Calculation: row.calculation, Triggers: row.triggers}
			if d := jobs.Decide(in); d.Work != row.work || d.Wanted != row.wanted || d.Create != min(row.work, row.wanted) {
				t.Errorf("%d of work, %d wanted, %d created; want %d, %d", d.Work, d.Wanted, d.Create, row.work, row.wanted)
			}
		})
	}
}
