package scaled

import (
	"time"

	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/triggers"
)

// MaxAge is the age from which a reading counts as none, for triggers that are
// measured every interval.
func MaxAge(interval time.Duration) time.Duration { return max(3*interval, 60*time.Second) }

// Sign is what a reading means for its trigger. Equal signs ask for nothing new.
type Sign struct {
	State decide.State
	Kind  scalers.Kind // of the error, if it is one
}

// stale stands in for the kind of error when a source has gone silent.
const stale scalers.Kind = "stale"

// SignOf says what a reading means that counts up to an age of maxAge.
func SignOf(t triggers.Trigger, s engine.Sample, maxAge time.Duration, now time.Time) Sign {
	switch {
	case s.Err != nil:
		return Sign{Kind: scalers.KindOf(s.Err)}
	case !s.OK:
		return Sign{}
	case now.Sub(s.Measured) > maxAge:
		return Sign{Kind: stale}
	case s.Activity == scalers.Busy, s.Activity == scalers.ByThreshold && max(s.Value, s.Work) > t.Activation:
		return Sign{State: decide.Busy}
	}
	return Sign{State: decide.Idle}
}

// Reading is a trigger as a decision sees it.
func Reading(t triggers.Trigger, s engine.Sample, sign Sign, now time.Time) decide.Trigger {
	out := decide.Trigger{
		Name: t.MetricName, Type: t.Type, Target: t.Target, Activation: t.Activation,
		State: sign.State, Value: s.Value, Resource: t.Resource != nil,
	}
	switch {
	case s.Err != nil:
		out.Err = Cause(s.Err)
	case sign.Kind == stale:
		out.Err = "it has not been measured for longer than allowed; see the log of weir for its source"
	}
	if s.OK {
		out.Age = now.Sub(s.Measured)
	}
	return out
}
