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

// Conditions are those of a status in the making.
type Conditions struct {
	List       *[]v1alpha1.Condition
	Now        time.Time
	Generation int64 // of the spec that they answer
	MayReword  bool  // the texts of failures alone may be rewritten
	Reworded   bool  // set when one was
	Stale      bool  // set when one was not, as it was not yet allowed
}

// Set puts a decided condition into the list; an empty one changes nothing.
func (s *Conditions) Set(t v1alpha1.ConditionType, c decide.Condition) {
	if c.Status == "" {
		return
	}
	const longest = 4096
	at := metav1.NewTime(s.Now.Truncate(time.Second))
	next := v1alpha1.Condition{
		Type: t, Status: metav1.ConditionStatus(c.Status), Reason: string(c.Reason), Message: cut(c.Message, longest),
		LastTransitionTime: &at, ObservedGeneration: s.Generation,
	}
	old := v1alpha1.FindCondition(*s.List, t)
	tellsFailure := (t == v1alpha1.ConditionReady || t == v1alpha1.ConditionHPAActive) && c.Status != decide.StatusTrue
	reworded := tellsFailure && old != nil && differsInMessage(*old, next)
	if reworded && !s.MayReword {
		s.Stale = true
		return
	}
	s.Reworded = s.Reworded || reworded
	v1alpha1.SetCondition(s.List, next)
}

// differsInMessage reports whether two conditions differ in the message alone.
func differsInMessage(a, b v1alpha1.Condition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.ObservedGeneration == b.ObservedGeneration && a.Message != b.Message
}
