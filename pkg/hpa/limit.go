package hpa

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Reason says what changed a number of replicas, in the words of the conditions
// AbleToScale and ScalingLimited of an HPA.
type Reason string

// The reasons of ScalingLimited. All but the last limit.
const (
	TooManyReplicas    Reason = "TooManyReplicas"    // the maximum
	TooFewReplicas     Reason = "TooFewReplicas"     // the minimum
	ScaleUpLimit       Reason = "ScaleUpLimit"       // the policies for scaling up, or twice the replicas
	ScaleDownLimit     Reason = "ScaleDownLimit"     // the policies for scaling down
	DesiredWithinRange Reason = "DesiredWithinRange" // nothing
)

// The reasons of AbleToScale.
const (
	ScaleDownStabilized Reason = "ScaleDownStabilized" // an earlier, higher proposal holds
	ScaleUpStabilized   Reason = "ScaleUpStabilized"   // an earlier, lower proposal holds
	ReadyForNewScale    Reason = "ReadyForNewScale"    // no earlier proposal does
	SucceededRescale    Reason = "SucceededRescale"    // the replicas were changed
	SucceededGetScale   Reason = "SucceededGetScale"   // nothing was computed and nothing changed
)

// Recommendation is a number of replicas that the metrics asked for.
type Recommendation struct {
	Replicas int32     `json:"replicas"`
	At       time.Time `json:"at"`
}

// Event is a change of replicas that the controller made.
type Event struct {
	Change int32     `json:"change"` // never negative
	At     time.Time `json:"at"`
	// stale marks what was older than every period of its time: the next event
	// takes its place, even if a period has become longer since.
	stale bool
}

// Limited is what became of a proposal.
type Limited struct {
	Proposed   int32 `json:"proposed"`   // by the metrics
	Stabilized int32 `json:"stabilized"` // after the stabilisation windows
	Replicas   int32 `json:"replicas"`   // after limits, policies, minimum and maximum
	// Able is the reason of AbleToScale: ReadyForNewScale, or which window holds.
	Able Reason `json:"able"`
	// Limit is the reason of ScalingLimited, which is true unless Replicas is
	// Stabilized. A limit may be named that changes nothing.
	Limit Reason `json:"limit"`
	// Text says on one line what changed the number; empty if nothing did.
	Text string `json:"text,omitempty"`
}

// Limit returns what becomes of a proposal of the metrics when the target has
// current replicas: stabilisation windows, then how fast it may go, then minimum
// and maximum. It does not change the state; the zero State is that of a controller
// which sees the object for the first time.
func (s *State) Limit(spec *Spec, f Flags, now time.Time, current, proposed int32) Limited {
	l := Limited{Proposed: proposed}
	var texts []string
	say := func(text string) {
		if text != "" {
			texts = append(texts, text)
		}
	}
	if spec.Behavior == nil {
		say(l.stabilizePeak(s.Recommendations, now.Add(-f.Downscale), f.Downscale))
		say(l.double(spec, current))
	} else {
		b := spec.Behavior.withDefaults(f)
		say(l.stabilize(s.Recommendations, &b, now, current))
		say(s.follow(&l, spec, &b, now, current))
	}
	l.Text = strings.Join(texts, "; ")
	return l
}

// stabilizePeak lets the highest proposal since the cutoff hold, however many
// replicas there are now.
func (l *Limited) stabilizePeak(past []Recommendation, cutoff time.Time, window time.Duration) string {
	l.Able, l.Stabilized = ReadyForNewScale, l.Proposed
	for _, r := range past {
		if !r.At.Before(cutoff) {
			l.Stabilized = max(l.Stabilized, r.Replicas)
		}
	}
	if l.Stabilized == l.Proposed {
		return ""
	}
	l.Able = ScaleDownStabilized
	return fmt.Sprintf("%d instead of %d: the highest proposal of the last %s holds", l.Stabilized, l.Proposed, window)
}

// double lets the replicas double at most, or become four, whatever the time.
func (l *Limited) double(spec *Spec, current int32) string {
	most := int32(math.Max(2*float64(current), 4))
	upper, reason := spec.Max, TooManyReplicas
	if spec.Max > most {
		upper, reason = most, ScaleUpLimit
	}
	switch {
	case l.Stabilized < spec.Min:
		return l.bound(spec.Min, TooFewReplicas, "minReplicas")
	case l.Stabilized > upper && reason == ScaleUpLimit:
		return l.bound(upper, reason, fmt.Sprintf("at most twice %d, or 4, at a time", current))
	case l.Stabilized > upper:
		return l.bound(upper, reason, "maxReplicas")
	}
	return l.free()
}

// bound and free end the way of a proposal.
func (l *Limited) bound(replicas int32, reason Reason, by string) string {
	l.Replicas, l.Limit = replicas, reason
	if replicas == l.Stabilized {
		return ""
	}
	return fmt.Sprintf("%d instead of %d: %s", replicas, l.Stabilized, by)
}

func (l *Limited) free() string {
	l.Replicas, l.Limit = l.Stabilized, DesiredWithinRange
	return ""
}

// stabilize goes up only as far as every proposal of the one window did, and down
// only as far as every proposal of the other.
func (l *Limited) stabilize(past []Recommendation, b *Behavior, now time.Time, current int32) string {
	low, high := l.Proposed, l.Proposed
	upCutoff, downCutoff := b.ScaleUp.cutoff(now), b.ScaleDown.cutoff(now)
	for _, r := range past {
		if r.At.After(upCutoff) {
			low = min(low, r.Replicas)
		}
		if r.At.After(downCutoff) {
			high = max(high, r.Replicas)
		}
	}
	l.Able, l.Stabilized = ReadyForNewScale, min(max(current, low), high)
	if l.Stabilized == l.Proposed {
		return ""
	}
	window, extreme := *b.ScaleDown.Window, "highest"
	l.Able = ScaleDownStabilized
	if l.Proposed >= current {
		window, extreme = *b.ScaleUp.Window, "lowest"
		l.Able = ScaleUpStabilized
	}
	return fmt.Sprintf("%d instead of %d: the %s proposal of the last %ds holds", l.Stabilized, l.Proposed, extreme, window)
}

// cutoff is when the stabilisation window began.
func (r *Rules) cutoff(now time.Time) time.Time {
	return now.Add(-time.Duration(*r.Window) * time.Second)
}

// follow lets the policies of the direction, minimum and maximum bound the change.
func (s *State) follow(l *Limited, spec *Spec, b *Behavior, now time.Time, current int32) string {
	switch {
	case l.Stabilized > current:
		limit, text := s.upLimit(&b.ScaleUp, now, current)
		limit = max(limit, current)
		upper, reason, by := spec.Max, TooManyReplicas, "maxReplicas"
		if spec.Max > limit {
			upper, reason, by = limit, ScaleUpLimit, text
		}
		if l.Stabilized > upper {
			return l.bound(upper, reason, by)
		}
	case l.Stabilized < current:
		limit, text := s.downLimit(&b.ScaleDown, now, current)
		limit = min(limit, current)
		lower, reason, by := spec.Min, TooFewReplicas, "minReplicas"
		if spec.Min < limit {
			lower, reason, by = limit, ScaleDownLimit, text
		}
		if l.Stabilized < lower {
			return l.bound(lower, reason, by)
		}
	}
	return l.free()
}

// upLimit returns how many replicas the policies allow at most.
func (s *State) upLimit(r *Rules, now time.Time, current int32) (int32, string) {
	return s.policies(r, now, current, func(start int32, p Policy) (int32, string) {
		if p.Type == Pods {
			return start + p.Value, fmt.Sprintf("%d + %d", start, p.Value)
		}
		// The order of the operations counts: 50 * 1.1 is a little above 55.
		return ceil(float64(start) * (1 + float64(p.Value)/100)), fmt.Sprintf("ceil(%d + %d%%)", start, p.Value)
	}, 1)
}

// downLimit returns how many replicas the policies allow at least.
func (s *State) downLimit(r *Rules, now time.Time, current int32) (int32, string) {
	return s.policies(r, now, current, func(start int32, p Policy) (int32, string) {
		if p.Type == Pods {
			return start - p.Value, fmt.Sprintf("%d - %d", start, p.Value)
		}
		return int32(float64(start) * (1 - float64(p.Value)/100)), fmt.Sprintf("floor(%d - %d%%)", start, p.Value)
	}, -1)
}

// policies returns what the selected policy allows, and says how. Direction is 1
// where more replicas are the larger change, else -1.
func (s *State) policies(r *Rules, now time.Time, current int32, allowed func(start int32, p Policy) (int32, string), direction int32) (int32, string) {
	if r.Select == SelectDisabled {
		return current, "scaling in this direction is disabled"
	}
	if r.Select == SelectMin {
		direction = -direction
	}
	best, texts := int32(0), make([]string, len(r.Policies))
	for i, p := range r.Policies {
		since := now.Add(-time.Duration(p.Period) * time.Second)
		start := current - changed(s.ScaleUps, since) + changed(s.ScaleDowns, since)
		n, text := allowed(start, p)
		texts[i] = fmt.Sprintf("%s = %d in %ds", text, n, p.Period)
		if i == 0 || (direction > 0) == (n > best) {
			best = n
		}
	}
	text := "the policy " + texts[0]
	if len(texts) > 1 {
		text = fmt.Sprintf("%s of the policies %s", r.Select, strings.Join(texts, ", "))
	}
	return best, text
}

// changed adds up the events after since.
func changed(events []Event, since time.Time) int32 {
	sum := int32(0)
	for _, e := range events {
		if e.At.After(since) {
			sum += e.Change
		}
	}
	return sum
}
