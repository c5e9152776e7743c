package scaled_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
	"github.com/weir-sh/weir/pkg/triggers"
)

func TestWhatAReadingSays(t *testing.T) {
	t.Parallel()
	now := scaledtest.Start()
	const most = time.Minute
	trigger := triggers.Trigger{MetricName: "s0-fake", Type: "fake", Trigger: scalers.Trigger{Thresholds: scalers.Thresholds{Target: 5, Activation: 2}}}
	reads := func(value, work float64, ago time.Duration, a scalers.Activity) engine.Sample {
		return engine.Sample{OK: true, Value: value, Work: work, Activity: a, Measured: now.Add(-ago)}
	}
	failed := reads(9, 9, 0, scalers.ByThreshold)
	failed.Err = &scalers.Error{Kind: scalers.NotFound, Op: "measuring", Err: errors.New("gone")}
	const silent = "it has not been measured for longer than allowed; see the log of weir for its source"
	for name, tc := range map[string]struct {
		sample engine.Sample
		want   string // state, kind of error, value, age and error
	}{
		"none yet":                  {engine.Sample{}, "unknown  0 0s "},
		"at the activation":         {reads(2, 2, 0, scalers.ByThreshold), "idle  2 0s "},
		"above the activation":      {reads(2.5, 2.5, time.Second, scalers.ByThreshold), "busy  2.5 1s "},
		"work beside the value":     {reads(0, 3, 0, scalers.ByThreshold), "busy  0 0s "},
		"busy by its upstream":      {reads(0, 0, 0, scalers.Busy), "busy  0 0s "},
		"idle by its upstream":      {reads(9, 9, 0, scalers.Idle), "idle  9 0s "},
		"as old as may be":          {reads(9, 9, most, scalers.ByThreshold), "busy  9 1m0s "},
		"too old":                   {reads(9, 9, most+1, scalers.ByThreshold), "unknown stale 9 1m0.000000001s " + silent},
		"failed, with one from now": {failed, "unknown NotFound 9 0s " + scaled.Cause(failed.Err)},
	} {
		sign := scaled.SignOf(trigger, tc.sample, most, now)
		d := scaled.Reading(trigger, tc.sample, sign, now)
		equal(t, name, fmt.Sprint(d.State, " ", sign.Kind, " ", d.Value, " ", d.Age, " ", d.Err), tc.want)
		equal(t, name, fmt.Sprint(d.Name, d.Type, d.Target, d.Activation, d.Resource), "s0-fakefake5 2 false")
	}
	equal(t, "age with a short interval", scaled.MaxAge(time.Second), time.Minute)
	equal(t, "age with a long interval", scaled.MaxAge(time.Minute), 3*time.Minute)
}

func TestTheCauseOfAnErrorStaysTheSame(t *testing.T) {
	t.Parallel()
	from := func(port int) error {
		local, remote := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 6379}
		return fmt.Errorf("measuring: %w", &net.OpError{Op: "read", Net: "tcp", Source: local, Addr: remote, Err: errors.New("reset")})
	}
	equal(t, "cause", scaled.Cause(from(40001)), "measuring: read tcp 10.0.0.2:6379: reset")
	equal(t, "cause from another port", scaled.Cause(from(40002)), scaled.Cause(from(40001)))
	equal(t, "any other", scaled.Cause(errors.New("boom")), "boom")
}

func TestTheNewestDecisionsAreRemembered(t *testing.T) {
	t.Parallel()
	var l scaled.Decisions
	equal(t, "at first", fmt.Sprint(l.All(), l.All() == nil), "[] false")
	for i, d := range []snapshot.Decision{
		{Action: "hold", Reason: "A"},
		{Action: "hold", Reason: "A"}, // says the same
		{Action: "hold", Reason: "B"},
		{Action: "create", Reason: "B"},
		{Action: "create", Reason: "B"}, // does it again
		{Action: "hold", Reason: "B"},
	} {
		d.To = int32(i)
		l.Add(d)
	}
	numbers := func() string {
		var out []int32
		for _, d := range l.All() {
			out = append(out, d.To)
		}
		return fmt.Sprint(out)
	}
	equal(t, "remembered", numbers(), "[1 2 3 4 5]")
	l.All()[0].To = 99
	equal(t, "after a reader wrote", numbers(), "[1 2 3 4 5]")
	for i := range int32(200) {
		l.Add(snapshot.Decision{Action: "create", To: i})
	}
	all := l.All()
	equal(t, "number, oldest, newest", fmt.Sprint(len(all), all[0].To, all[99].To), "100 100 199")

	got := scaled.Inputs([]decide.Trigger{{Name: "n", Type: "t", State: decide.Busy, Value: 1, Target: 2, Activation: 3, Age: time.Second, Err: "e", FallbackActive: true}})
	equal(t, "input", fmt.Sprintf("%+v", got), "[{Metric:n Type:t State:busy Value:1 Target:2 Activation:3 Age:1 Err:e Fallback:true}]")
}
