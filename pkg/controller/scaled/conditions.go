package scaled

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/decide"
)

// RewriteAfter is how long the text of a failure stands while status and reason
// do not change: a source that fails in changing ways must not cause a write per
// attempt.
const RewriteAfter = time.Minute

// Conditions are those of a status in the making; see Memory.Conditions.
type Conditions struct {
	List *[]v1alpha1.Condition

	now        time.Time
	generation int64 // of the newest spec
	mayReword  bool  // the texts of failures alone may be rewritten
	reworded   bool  // one was
	stale      bool  // one was not, as it was not yet allowed
}

// Set puts a decided condition into the list; an empty one changes nothing.
func (s *Conditions) Set(t v1alpha1.ConditionType, c decide.Condition) { s.SetFor(s.generation, t, c) }

// SetFor is Set for a condition that answers a generation of the spec which may not be
// the newest.
func (s *Conditions) SetFor(generation int64, t v1alpha1.ConditionType, c decide.Condition) {
	if c.Status == "" {
		return
	}
	const longest = 4096
	at := metav1.NewTime(s.now.Truncate(time.Second))
	next := v1alpha1.Condition{
		Type: t, Status: metav1.ConditionStatus(c.Status), Reason: string(c.Reason), Message: cut(c.Message, longest),
		LastTransitionTime: &at, ObservedGeneration: generation,
	}
	old := v1alpha1.FindCondition(*s.List, t)
	tellsFailure := (t == v1alpha1.ConditionReady || t == v1alpha1.ConditionHPAActive) && c.Status != decide.StatusTrue
	reworded := tellsFailure && old != nil && differsInMessage(*old, next)
	if reworded && !s.mayReword {
		s.stale = true
		return
	}
	s.reworded = s.reworded || reworded
	v1alpha1.SetCondition(s.List, next)
}

// differsInMessage reports whether two conditions differ in the message alone.
func differsInMessage(a, b v1alpha1.Condition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.ObservedGeneration == b.ObservedGeneration && a.Message != b.Message
}

// NotInForce is the condition Active of an object that has a problem, and no plan.
func NotInForce() decide.Condition {
	return decide.Condition{Status: decide.StatusUnknown, Reason: v1alpha1.ReasonUnknownState, Message: "the object is not in force; see Ready"}
}

// andWarning stands in the condition Ready before what is doubtful about an object
// that is ready. There is an event for that alone; see Teller.Warnings.
const andWarning = "; warning: "

// Doubtful is a condition Ready with the warnings added, if it is True and there are
// any.
func Doubtful(ready decide.Condition, warnings string) decide.Condition {
	if ready.Status == decide.StatusTrue && warnings != "" {
		ready.Message += andWarning + warnings
	}
	return ready
}

// Paused is a decided condition Paused as it is to be written after the conditions
// before: that of an object that never was paused has no reason and no message.
func Paused(decided decide.Condition, before []v1alpha1.Condition) decide.Condition {
	was := v1alpha1.FindCondition(before, v1alpha1.ConditionPaused)
	if decided.Status == decide.StatusFalse && (was == nil || was.Reason == "") {
		decided.Reason, decided.Message = "", ""
	}
	return decided
}

// LastActive is the status' time of last activity, which was have before: at is told
// on transitions of Active only; zero changes nothing. It is rounded up to the seconds
// that are stored: a cooldown must not begin earlier after a restart.
func LastActive(have *metav1.Time, before, after []v1alpha1.Condition, at time.Time) *metav1.Time {
	was, is := v1alpha1.ConditionStatus(before, v1alpha1.ConditionActive), v1alpha1.ConditionStatus(after, v1alpha1.ConditionActive)
	if at.IsZero() || was == is && have != nil {
		return have
	}
	return new(metav1.NewTime(at.Add(time.Second - 1).Truncate(time.Second)))
}
