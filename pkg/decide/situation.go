package decide

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// situation is an Input in the form the rules ask for: with bounds in order and
// triggers sorted by what they say.
type situation struct {
	Input
	triggers  []Trigger // all, with the State that counts
	voting    int       // triggers that take part: all but cpu, memory and what feeds a formula, or cpu and memory when there is nothing else
	resources bool      // those that take part are cpu and memory
	formula   bool      // a formula takes part
	busy      []Trigger // have work
	standIn   []Trigger // fail, and their fallback counts as work
	idle      []Trigger // a fresh reading without work
	failing   []Trigger // cannot be read
	pending   []Trigger // not measured yet
}

func observe(in Input) *situation {
	s := &situation{Input: in, triggers: make([]Trigger, len(in.Triggers))}
	s.Min, s.Idle = max(s.Min, 0), max(s.Idle, 0)
	if s.Max > 0 {
		s.Min = min(s.Min, s.Max)
	}
	s.count()
	for _, t := range s.triggers {
		switch {
		case t.Resource != s.resources:
		case t.Feeds:
			s.sortInput(t)
		default:
			s.sort(t)
		}
	}
	return s
}

// count fills in the triggers and how many of them take part.
func (s *situation) count() {
	s.formula = slices.ContainsFunc(s.Triggers, func(t Trigger) bool { return t.Formula && !t.Resource })
	for i, t := range s.Triggers {
		t.Feeds = t.Feeds && s.formula && !t.Formula
		s.triggers[i] = s.counted(t, i)
		if !t.Resource && !t.Feeds {
			s.voting++
		}
	}
	if s.voting == 0 {
		s.resources, s.voting = true, len(s.triggers)
	}
}

// counted returns t with the State that counts and finite numbers.
func (s *situation) counted(t Trigger, index int) Trigger {
	if t.Name == "" {
		t.Name = fmt.Sprintf("trigger %d", index)
	}
	for _, n := range []*float64{&t.Value, &t.Target, &t.Activation} {
		if math.IsNaN(*n) || math.IsInf(*n, 0) {
			if t.Err == "" {
				t.Err = fmt.Sprintf("%v is not a usable number", *n)
			}
			*n = 0
		}
	}
	t.FallbackActive = t.FallbackActive && !t.Resource
	switch {
	case t.FallbackActive && s.Fallback && s.FallbackReplicas > 0 && !t.Feeds:
		t.State = Busy
	case t.FallbackActive, t.Resource, t.Err != "", t.State > Busy:
		t.State = Unknown
	}
	return t
}

func (s *situation) sort(t Trigger) {
	switch {
	case t.State == Busy && t.FallbackActive:
		s.standIn = append(s.standIn, t)
	case t.State == Busy:
		s.busy = append(s.busy, t)
	case t.State == Idle:
		s.idle = append(s.idle, t)
	case t.Err != "" || t.FallbackActive:
		s.failing = append(s.failing, t)
	case t.Formula && (s.fails() || s.unmeasured()): // what feeds it says why
	case !t.Resource: // the HPA measures those
		s.pending = append(s.pending, t)
	}
}

// sortInput sorts a trigger that feeds a formula: it has a part only when it keeps
// the formula from having a result.
func (s *situation) sortInput(t Trigger) {
	if t.State == Unknown && !t.FallbackActive {
		s.sort(t)
	}
}

func (s *situation) paused() bool      { return s.Paused || s.PausedReplicas != nil }
func (s *situation) blind() bool       { return !s.ReplicasKnown }
func (s *situation) hasWork() bool     { return len(s.busy) > 0 }
func (s *situation) hasStandIn() bool  { return len(s.standIn) > 0 }
func (s *situation) forced() bool      { return s.ForceActivation }
func (s *situation) triggerless() bool { return s.voting == 0 }
func (s *situation) unmeasured() bool  { return len(s.pending) > 0 }
func (s *situation) fails() bool       { return len(s.failing) > 0 }
func (s *situation) always() bool      { return true }

// miscalculates says that the formula has no result, for which no fallback ever
// stands in.
func (s *situation) miscalculates() bool {
	return slices.ContainsFunc(s.failing, func(t Trigger) bool { return t.Formula && !t.FallbackActive })
}

// resourceOnly is what KEDA calls active for want of a trigger that could tell. A
// cpu or memory trigger fails only when it is not understood.
func (s *situation) resourceOnly() bool {
	return s.resources && s.voting > 0 && !s.fails()
}

// active says whether the object should have replicas that the HPA may scale.
func (s *situation) active() bool {
	return s.hasWork() || s.hasStandIn() || s.resourceOnly() || s.forced()
}

// asleep says that only a decision, not the HPA, can give the object its replicas.
func (s *situation) asleep() bool {
	return s.Replicas == 0 || s.HasIdle && s.Replicas < s.Min
}

func (s *situation) mayNotWake() bool {
	return s.PausedScaleOut && s.asleep() && s.active()
}

// resting is where the workload goes without work.
func (s *situation) resting() int32 {
	if s.HasIdle {
		return s.Idle
	}
	return 0
}

// awakeForNothing is asked when no trigger has work. A minimum without an idle count
// keeps the workload awake.
func (s *situation) awakeForNothing() bool {
	return s.Replicas > s.resting() && (s.HasIdle || s.Min == 0)
}

func (s *situation) mayNotRest() bool { return s.PausedScaleIn && s.awakeForNothing() }

func (s *situation) cooling() bool {
	_, left := s.calm()
	return s.awakeForNothing() && left > 0
}

// calm says how long there was no work, and returns the rest of the cooldown. A
// start in the future (clocks differ) or a missing one counts as now.
func (s *situation) calm() (text string, left time.Duration) {
	if !s.LastActive.IsZero() {
		since := max(s.Now.Sub(s.LastActive), 0)
		return fmt.Sprintf("idle for %s", span(since)), s.Cooldown - since
	}
	var since time.Duration
	if !s.Created.IsZero() {
		since = max(s.Now.Sub(s.Created), 0)
	}
	return fmt.Sprintf("no work so far, created %s ago", span(since)), s.InitialCooldown - since
}

// belowMin is normal for an object with an idle count.
func (s *situation) belowMin() bool { return !s.HasIdle && s.Replicas < s.Min }

func (s *situation) mayNotCorrect() bool { return s.PausedScaleOut && s.belowMin() }
