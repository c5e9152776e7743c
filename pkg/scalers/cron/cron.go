// Package cron scales on the time of day: inside a window between two cron
// expressions a workload has the replicas asked for.
//
// Nothing is connected to. One source serves all triggers, and wakes each of
// them at the second its window begins or ends.
//
// The package brings the time zones along (time/tzdata, 450 kB), since small
// container images have none.
package cron

import (
	"context"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // see the package comment

	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// Scaler is the cron scaler type.
var Scaler = scalers.Define(scalers.Spec[struct{}, query]{
	Type:       "cron",
	Summary:    "Scales on the time of day: to a number of replicas inside a window between two cron expressions.",
	Unit:       "replicas",
	Query:      (*query).bind,
	Thresholds: func(_ *query, th *scalers.Thresholds, _ *param.Set) { th.Target = 1 },
	MetricName: func(_ struct{}, q query) string { return "cron-" + q.zone + "-" + plain(q.start) + "-" + plain(q.end) },
	Open: func(context.Context, scalers.Env, struct{}) (scalers.Source[query], error) {
		return new(source), nil
	},
	Watches: true,
	Page:    page(),
	Examples: []scalers.Example{
		{Title: "Minimal", Metadata: map[string]string{
			"timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "4",
		}},
		{Title: "Production", Metadata: map[string]string{
			// Warm before the rush, which a second trigger on the queue follows.
			"timezone": "America/New_York", "start": "45 8 * * MON-FRI", "end": "30 17 * * MON-FRI", "desiredReplicas": "10",
		}},
	},
})

func page() scalers.Page {
	return scalers.Page{
		Measures: "Inside the window the value is `desiredReplicas` and there is work; outside it is 0 and there is none. The target is always 1, so that the HPA asks for as many replicas as the value says. The window is open when `end` comes next, before `start` or with it. Other triggers of the object can ask for more replicas at any time, and keep the workload awake outside the window.\n\n" +
			"Expressions have five fields: minute, hour, day of month, month, day of week (0 is Sunday; names such as MON and JAN are known). Where day of month and day of week are both given, either is enough. When clocks change, a time that does not exist that day is skipped, and one that comes twice counts twice.",
		Permissions: "None.",
		Batching:    "No round trip and no connection, whatever the number of triggers. Workloads are woken at the second a window begins or ends.",
		Failures:    "A time zone that is not known fails the trigger. A window that never begins is warned of and never has work; one that never ends always has.",
	}
}

// query is one window.
type query struct {
	zone, start, end string
	replicas         int64
}

// bind implements Spec.Query.
func (q *query) bind(p *param.Set) {
	p.String(&q.zone, "timezone", "Time zone of the expressions, by its IANA name, such as `Europe/Berlin`.", param.Required)
	p.String(&q.start, "start", "When the window begins, as a cron expression of five fields.", param.Required)
	p.String(&q.end, "end", "When the window ends, as a cron expression of five fields.", param.Required)
	p.Int(&q.replicas, math.MinInt64, math.MaxInt64, "desiredReplicas", "Replicas inside the window.", param.Required)
	p.Check(func() error {
		if _, err := time.LoadLocation(q.zone); err != nil {
			p.Warn("timezone", "is not known; measuring fails")
		}
		return nil
	}, "timezone")
	for name, text := range map[string]*string{"start": &q.start, "end": &q.end} {
		p.Check(func() error { return check(p, name, *text) }, name)
	}
	p.Check(func() error {
		if q.start == q.end {
			return param.Wrong("end", "must differ from %q", "start")
		}
		return nil
	}, "start", "end")
	p.Check(func() error {
		if q.replicas == 0 {
			return param.Wrong("desiredReplicas", "must not be zero; write minReplicaCount: 0 to rest at zero outside the window")
		}
		if q.replicas < 0 {
			p.Warn("desiredReplicas", "is negative; the value is 0 inside the window, too")
		}
		return nil
	}, "desiredReplicas")
}

// check refuses an expression that is none, and warns of one that never comes.
func check(p *param.Set, name, text string) error {
	if !p.Given(name) {
		return nil
	}
	schedule, err := parse(text)
	if err != nil {
		return param.Wrong(name, `must be five fields such as "30 8 * * 1-5": minute, hour, day of month, month and day of week`)
	}
	// From this day on, all dates come within the five years that are looked at.
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		p.Warn(name, "never comes: there is no such day")
	}
	return nil
}

// plain writes an expression as metric names have always held it.
func plain(expression string) string {
	return strings.NewReplacer(" ", "", "*", "x", "/", "Sl", "?", "Qm", ",", "Cm").Replace(expression)
}
