package hpa

import (
	"fmt"
	"slices"
	"time"
)

// State is what the controller keeps of one object between syncs. The zero value is
// an object that it never saw. All but ScaledToZero is lost when the controller
// restarts or another one takes over, and when the object is deleted.
type State struct {
	Recommendations []Recommendation // proposals before stabilisation; in no order
	ScaleUps        []Event          // kept only while there is a behaviour; in no order
	ScaleDowns      []Event
	// ScaledToZero says that the controller set the zero replicas there are; it is
	// the condition of that name in the object's status. Without it zero stays zero.
	ScaledToZero bool
}

// Input is what one sync sees.
type Input struct {
	Spec  Spec
	Flags Flags
	Scale Scale
	// Readings are those of Spec.Metrics, in their order.
	Readings []Reading
}

// Result is what a sync did.
type Result struct {
	Desired int32 `json:"desired"` // replicas afterwards
	// Scaled says that they were other ones before.
	Scaled bool `json:"scaled"`
	// Proposals are those of the metrics in their order; nil where none was asked.
	Proposals []Proposal `json:"proposals,omitempty"`
	// By is the index of the proposal that counted; -1 for none.
	By int `json:"by"`
	// Limited is what became of it; zero where no proposal counted.
	Limited Limited `json:"limited,omitzero"`
	// Able, Active and Limit are the conditions AbleToScale, ScalingActive and
	// ScalingLimited; with an empty Reason, as they were before.
	Able   Condition `json:"ableToScale"`
	Active Condition `json:"scalingActive,omitzero"`
	Limit  Condition `json:"scalingLimited,omitzero"`
	// Lines say on one line each what happened, in order: one a metric, then what
	// changed the number, then the outcome.
	Lines []string `json:"lines"`
}

// Condition is a condition of the object.
type Condition struct {
	True   bool   `json:"true"`
	Reason Reason `json:"reason"`
}

// The reasons of ScalingActive, beside Proposal.Reason of the first failed metric.
const (
	ValidMetricFound Reason = "ValidMetricFound"
	ScalingDisabled  Reason = "ScalingDisabled"
)

// Sync looks at the object once. In holds a reading for each metric; more or fewer
// are a mistake of the caller and panic.
func (s *State) Sync(in Input) Result {
	current := in.Scale.Spec
	if s.Recommendations == nil {
		s.Recommendations = []Recommendation{{current, in.Scale.Now}}
	}
	r := Result{Desired: current, By: -1, Able: Condition{true, SucceededGetScale}}
	switch {
	case current == 0 && !s.wakes(&in.Spec):
		r.Active = Condition{false, ScalingDisabled}
		r.say("the target has 0 replicas, which the HPA leaves as they are")
		return r
	case current > in.Spec.Max:
		r.Desired = in.Spec.Max
		r.say("%d is above maxReplicas %d", current, in.Spec.Max)
	case current > 0 && current < in.Spec.Min:
		r.Desired = in.Spec.Min
		r.say("%d is below minReplicas %d", current, in.Spec.Min)
	default:
		s.compute(&r, in)
	}
	s.apply(&r, in)
	return r
}

// wakes reports whether zero replicas are the controller's own to end.
func (s *State) wakes(spec *Spec) bool {
	return s.ScaledToZero && (spec.Min != 0 || spec.external())
}

// external reports whether the spec has a metric that is there without pods.
func (s *Spec) external() bool {
	return slices.ContainsFunc(s.Metrics, func(m Metric) bool { return m.Kind == External })
}

// compute asks the metrics.
func (s *State) compute(r *Result, in Input) {
	proposed, ok := r.propose(in)
	if !ok {
		return
	}
	current, now := in.Scale.Spec, in.Scale.Now
	r.Limited = s.Limit(&in.Spec, in.Flags, now, current, max(0, proposed))
	if r.Limited.Text != "" {
		r.say("%s", r.Limited.Text)
	}
	s.recommend(&in, r.Limited.Proposed)
	r.Desired = r.Limited.Replicas
	r.Able = Condition{true, r.Limited.Able}
	r.Limit = Condition{r.Limited.Replicas != r.Limited.Stabilized, r.Limited.Limit}
	if current == 0 && r.Desired < in.Spec.Min {
		r.say("%d instead of %d: minReplicas", in.Spec.Min, r.Desired)
		r.Desired = in.Spec.Min
	}
}

// propose returns the largest proposal. It is false when no metric can be read, or
// when those that can would scale down: one that cannot might need the replicas.
func (r *Result) propose(in Input) (int32, bool) {
	t := in.Spec.Tolerance(in.Flags)
	best, failed := int32(0), -1
	r.Proposals = make([]Proposal, len(in.Spec.Metrics))
	for i, m := range in.Spec.Metrics {
		p := Propose(m, in.Readings[i], in.Scale, t, in.Flags)
		r.Proposals[i] = p
		if p.Err != "" {
			r.say("%s: %s", m.Name, p.Err)
			if failed < 0 {
				failed = i
			}
			continue
		}
		r.say("%s: %s", m.Name, p.Formula)
		if best == 0 || p.Replicas > best {
			best, r.By = p.Replicas, i
		}
	}
	if failed >= 0 && (r.By < 0 || best < in.Scale.Spec) {
		r.By, r.Active = -1, Condition{false, Reason(r.Proposals[failed].Reason)}
		return 0, false
	}
	r.Active = Condition{true, ValidMetricFound}
	return best, true
}

// apply ends the sync: what was scaled is remembered.
func (s *State) apply(r *Result, in Input) {
	current, now := in.Scale.Spec, in.Scale.Now
	change := r.Desired - current
	if r.Scaled = change != 0; !r.Scaled {
		r.say("stays at %d", current)
		return
	}
	r.Able = Condition{true, SucceededRescale}
	r.say("scales from %d to %d", current, r.Desired)
	s.ScaledToZero = r.Desired == 0 && in.Spec.Min == 0 && in.Spec.external()
	if in.Spec.Behavior == nil {
		return
	}
	b := in.Spec.Behavior.withDefaults(in.Flags)
	if change > 0 {
		s.ScaleUps = remember(s.ScaleUps, b.ScaleUp.longest(now), Event{Change: change, At: now})
	} else {
		s.ScaleDowns = remember(s.ScaleDowns, b.ScaleDown.longest(now), Event{Change: -change, At: now})
	}
}

// recommend keeps a proposal, in the place of one that no window reaches.
func (s *State) recommend(in *Input, proposed int32) {
	now := in.Scale.Now
	cutoff := now.Add(-in.Flags.Downscale)
	if in.Spec.Behavior != nil {
		b := in.Spec.Behavior.withDefaults(in.Flags)
		cutoff = b.ScaleUp.cutoff(now)
		if down := b.ScaleDown.cutoff(now); down.Before(cutoff) {
			cutoff = down
		}
	}
	fresh := Recommendation{proposed, now}
	for i, r := range slices.Backward(s.Recommendations) {
		if r.At.Before(cutoff) {
			s.Recommendations[i] = fresh
			return
		}
	}
	s.Recommendations = append(s.Recommendations, fresh)
}

// longest is when the longest period of the policies began.
func (r *Rules) longest(now time.Time) time.Time {
	period := int32(0)
	for _, p := range r.Policies {
		period = max(period, p.Period)
	}
	return now.Add(-time.Duration(period) * time.Second)
}

// remember keeps an event, in the place of one that is older than all periods.
func remember(events []Event, cutoff time.Time, fresh Event) []Event {
	stale := -1
	for i := range events {
		events[i].stale = events[i].stale || events[i].At.Before(cutoff)
		if events[i].stale {
			stale = i
		}
	}
	if stale < 0 {
		return append(events, fresh)
	}
	events[stale] = fresh
	return events
}

func (r *Result) say(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}
