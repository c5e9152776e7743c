package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/decide/jobs"
)

// condition is a condition as text.
func condition(c decide.Condition) string {
	if c.Status == "" {
		return "as it was"
	}
	return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
}

const (
	isReady   = "True/ScaledJobReady: the object is ready for scaling"
	hasWork   = "True/ScalerActive: at least one trigger has work"
	noWork    = "False/ScalerNotActive: no trigger has work"
	forMin    = "True/ScalerActive: minReplicaCount asks for Jobs without work"
	asItWas   = "as it was"
	unhealthy = "s1 cannot be read (connection refused)"
)

func TestEveryRule(t *testing.T) {
	quiet := decide.Trigger{Name: "s0", State: decide.Idle, Target: 5}
	broken := decide.Trigger{Name: "s1", Value: 99, Target: 1, Err: "connection\trefused"}
	unmeasured := decide.Trigger{Name: "s2", Target: 1}
	told := map[jobs.Reason]bool{}
	for _, row := range []struct {
		name                string
		in                  func(*jobs.Input)
		triggers            []decide.Trigger
		want, ready, active string
	}{
		{
			"paused", func(in *jobs.Input) { in.Paused, in.Known, in.Min = true, false, 4 },
			[]decide.Trigger{work(5, 1)},
			"hold (Paused): paused by annotation",
			"True/ScaledJobReady: the object is ready; scaling is paused by annotation", asItWas,
		},
		{
			"unreadable Jobs", func(in *jobs.Input) { in.Known, in.Min = false, 4 },
			[]decide.Trigger{work(5, 1)},
			"hold (JobsUnknown): the Jobs cannot be read",
			"False/ScaledJobCheckFailed: the Jobs cannot be read", hasWork,
		},
		{
			"after a failure", func(in *jobs.Input) { in.RetryAt = epoch.Add(20 * time.Second) },
			[]decide.Trigger{work(5, 1)},
			"hold 3 (BackingOff): 2 Jobs more wanted, but creating one failed; trying again in 20s", isReady, hasWork,
		},
		{
			"after a failure, for the minimum", func(in *jobs.Input) { in.RetryAt, in.Min = epoch.Add(100*time.Millisecond), 4 },
			[]decide.Trigger{quiet},
			"hold 3 (BackingOff): 1 Job more wanted, but creating one failed; trying again in 100ms", isReady, forMin,
		},
		{
			"below the minimum", func(in *jobs.Input) { in.Min = 5 },
			[]decide.Trigger{work(50, 1)},
			"create 2 (3 -> 5) (BelowMin): 3 Jobs unfinished, fewer than the minimum of 5: creating 2", isReady, hasWork,
		},
		{
			"below the minimum without a reading", func(in *jobs.Input) { in.Min = 5 },
			[]decide.Trigger{unmeasured},
			"create 2 (3 -> 5) (BelowMin): 3 Jobs unfinished, fewer than the minimum of 5: creating 2", asItWas, forMin,
		},
		{
			"a minimum with a failing trigger", func(in *jobs.Input) { in.Min = 1 },
			[]decide.Trigger{broken},
			"hold 3 (TriggersFailing): no trigger is known to have work; " + unhealthy, "Unknown/PartialTriggerError: " + unhealthy, forMin,
		},
		{
			"work", nil,
			[]decide.Trigger{work(12, 1.5), quiet},
			"create 5 (3 -> 8) (WorkWaiting): 1 of 2 triggers has work: s0-redis-jobs has 12 (target 1.5); " +
				"8 Jobs wanted, 3 unfinished, at most 10 (default): creating 5", isReady, hasWork,
		},
		{
			"work beside a failing trigger", nil,
			[]decide.Trigger{work(4, 1), broken},
			"create 1 (3 -> 4) (WorkWaiting): 1 of 2 triggers has work: s0-redis-jobs has 4 (target 1); " +
				"4 Jobs wanted, 3 unfinished, at most 10 (default): creating 1; " + unhealthy, "Unknown/PartialTriggerError: " + unhealthy, hasWork,
		},
		{
			"work beside a trigger without a reading", nil,
			[]decide.Trigger{work(4, 1), unmeasured},
			"create 1 (3 -> 4) (WorkWaiting): 1 of 2 triggers has work: s0-redis-jobs has 4 (target 1); " +
				"4 Jobs wanted, 3 unfinished, at most 10 (default): creating 1", isReady, hasWork,
		},
		{
			"a second round with the readings of the first",
			func(in *jobs.Input) { in.Strategy, in.LastRound = jobs.Accurate, epoch.Add(-time.Second) },
			[]decide.Trigger{work(4, 1)},
			"hold 3 (RoundOver): 1 of 1 trigger has work: s0-redis-jobs has 4 (target 1); Jobs were created for these readings, so the next poll decides on more", isReady, hasWork,
		},
		{
			"at the maximum", func(in *jobs.Input) { in.Max = 3 },
			[]decide.Trigger{work(12, 1)},
			"hold 3 (AtMax): 1 of 1 trigger has work: s0-redis-jobs has 12 (target 1); 3 Jobs unfinished, as many as the maximum allows", isReady, hasWork,
		},
		{
			"above the maximum", func(in *jobs.Input) { in.Max = 1 },
			[]decide.Trigger{work(12, 1)},
			"hold 3 (AtMax): 1 of 1 trigger has work: s0-redis-jobs has 12 (target 1); 3 Jobs unfinished, as many as the maximum allows", isReady, hasWork,
		},
		{
			"enough", func(in *jobs.Input) { in.Recent = 1 },
			[]decide.Trigger{work(4, 1)},
			"hold 3 (Covered): 1 of 1 trigger has work: s0-redis-jobs has 4 (target 1); 4 Jobs wanted, 3 unfinished, 1 ended since the reading, at most 10 (default): enough", isReady, hasWork,
		},
		{
			"busy by its scaler's word, without a value", nil,
			[]decide.Trigger{work(0, 1)},
			"hold 3 (Covered): 1 of 1 trigger has work: s0-redis-jobs has 0 (target 1); 0 Jobs wanted, 3 unfinished, at most 10 (default): enough", isReady, hasWork,
		},
		{
			"not measured", nil,
			[]decide.Trigger{quiet, unmeasured},
			"hold 3 (NotMeasured): not measured yet: s2", asItWas, asItWas,
		},
		{
			"failing", nil,
			[]decide.Trigger{quiet, broken},
			"hold 3 (TriggersFailing): no trigger is known to have work; " + unhealthy,
			"False/TriggerError: " + unhealthy, "False/ScalerNotActive: no trigger is known to have work",
		},
		{
			"no work", nil,
			[]decide.Trigger{quiet},
			"hold 3 (NoWork): no work in 1 trigger: s0 has 0 (target 5)", isReady, noWork,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := jobs.Input{Now: epoch, Known: true, Unfinished: 3, Max: 10, Interval: 30 * time.Second, Triggers: row.triggers}
			if row.in != nil {
				row.in(&in)
			}
			d := jobs.Decide(in)
			told[d.Reason] = true
			if got := d.String(); got != row.want {
				t.Errorf("decision\n\t%s\nwant\n\t%s", got, row.want)
			}
			if got := condition(d.Ready); got != row.ready {
				t.Errorf("Ready is\n\t%s\nwant\n\t%s", got, row.ready)
			}
			if got := condition(d.Active); got != row.active {
				t.Errorf("Active is\n\t%s\nwant\n\t%s", got, row.active)
			}
			if active := d.Active.Status == decide.StatusTrue; active != d.LastActive.Equal(epoch) {
				t.Errorf("active %v, last active %v", active, d.LastActive)
			}
		})
	}
	for _, r := range jobs.Reasons() {
		if !told[r.Reason] {
			t.Errorf("no row decides for %s", r.Reason)
		}
		if !strings.HasSuffix(r.Text, ".") {
			t.Errorf("%s: %q is no sentence", r.Reason, r.Text)
		}
	}
}

func TestTheNextRoundWaitsForAnIntervalAndForReadings(t *testing.T) {
	for _, row := range []struct {
		strategy jobs.Strategy
		since    time.Duration // the last round
		age      time.Duration // of the reading
		reason   jobs.Reason
		recheck  time.Duration
	}{
		{jobs.Custom, time.Hour, time.Second, jobs.WorkWaiting, 0},
		{jobs.Accurate, 30 * time.Second, time.Second, jobs.WorkWaiting, 0},
		{jobs.Accurate, 27 * time.Second, time.Second, jobs.WorkWaiting, 0},
		{jobs.Accurate, 26 * time.Second, time.Second, jobs.RoundOver, time.Second},
		{jobs.Eager, 40 * time.Second, 40 * time.Second, jobs.RoundOver, 0},
		{jobs.Eager, 2 * time.Second, time.Second, jobs.RoundOver, 25 * time.Second},
		{jobs.Default, 2 * time.Second, 3 * time.Second, jobs.WorkWaiting, 0},
		{jobs.Custom, 2 * time.Second, 3 * time.Second, jobs.WorkWaiting, 0}, // without a percentage
	} {
		in := jobs.Input{
			Now: epoch, Known: true, Max: 10, Interval: 30 * time.Second, Strategy: row.strategy, LastRound: epoch.Add(-row.since),
			Triggers: []decide.Trigger{work(5, 1)},
		}
		in.Triggers[0].Age = row.age
		d := jobs.Decide(in)
		if d.Reason != row.reason || d.Recheck != row.recheck {
			t.Errorf("%s, %s after the last round with a reading of %s: %s, again after %s; want %s, %s",
				row.strategy, row.since, row.age, d.Reason, d.Recheck, row.reason, row.recheck)
		}
	}
}
