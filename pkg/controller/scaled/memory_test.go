package scaled_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
)

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n\t%v\nwant\n\t%v", what, got, want)
	}
}

// object is ScaledObject "a" of a generation.
func object(generation int64) *v1alpha1.ScaledObject {
	return &v1alpha1.ScaledObject{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: types.UID("uid-a"), Generation: generation}}
}

// condition is one of a type and a status.
func condition(of v1alpha1.ConditionType, is metav1.ConditionStatus) v1alpha1.Condition {
	return v1alpha1.Condition{Type: of, Status: is}
}

func TestAnObjectThatWasActiveCountsAsActiveUntilItIsSeenAgain(t *testing.T) {
	t.Parallel()
	now := scaledtest.Start()
	long := new(metav1.NewTime(now.Add(-time.Hour)))
	for name, tc := range map[string]struct {
		active metav1.ConditionStatus
		last   *metav1.Time
		want   time.Time
	}{
		"never active":    {metav1.ConditionUnknown, nil, time.Time{}},
		"once active":     {metav1.ConditionFalse, long, long.Time},
		"active":          {metav1.ConditionTrue, long, now},
		"active, undated": {metav1.ConditionTrue, nil, now},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m scaled.Memory
			m.Begin(object(1), []v1alpha1.Condition{condition(v1alpha1.ConditionActive, tc.active)}, tc.last, now)
			equal(t, "last active", m.LastActive, tc.want)
			equal(t, "UID", m.UID, "uid-a")
			equal(t, "plan due", m.PlanDue(object(1), now), true)
		})
	}
}

func TestAPlanIsDueWhenSomethingItDependsOnChanged(t *testing.T) {
	t.Parallel()
	now := scaledtest.Start()
	labels, annotations := map[string]string{"a": "1"}, map[string]string{"b": "2"}
	problem := scaled.Problem("wrong")
	for name, tc := range map[string]struct {
		err    error // of the plan before
		change func(m *scaled.Memory)
		after  time.Duration
		now    int64             // generation
		notes  map[string]string // instead of the annotations
		want   bool
	}{
		"nothing changed":                       {now: 1, after: time.Hour},
		"the spec":                              {now: 2, want: true},
		"an annotation":                         {now: 1, notes: map[string]string{"b": "3"}, want: true},
		"one more annotation":                   {now: 1, notes: map[string]string{"b": "2", "c": ""}, want: true},
		"an annotation less":                    {now: 1, notes: map[string]string{}, want: true},
		"a label that became an annotation":     {now: 1, notes: labels, want: true},
		"something it refers to":                {now: 1, change: func(m *scaled.Memory) { m.Dirty.Store(true) }, want: true},
		"credentials that are not stale yet":    {now: 1, change: func(m *scaled.Memory) { m.StaleAt = now.Add(time.Minute) }, after: time.Minute - 1},
		"credentials that are stale":            {now: 1, change: func(m *scaled.Memory) { m.StaleAt = now.Add(time.Minute) }, after: time.Minute, want: true},
		"a problem, just looked at":             {err: problem, now: 1, after: scaled.RetryProblem - 1},
		"a problem, to be looked at again":      {err: problem, now: 1, after: scaled.RetryProblem, want: true},
		"a failure that was none of the user's": {err: errors.New("boom"), now: 1, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m scaled.Memory
			m.Begin(object(1), nil, nil, now)
			equal(t, "due at first", m.PlanDue(object(1), now, labels, annotations), true)
			err := m.Planned(object(1), now, tc.err, labels, annotations)
			equal(t, "error", fmt.Sprint(err), map[bool]string{true: "boom", false: "<nil>"}[tc.err != nil && scaled.AsProblem(tc.err) == nil])
			equal(t, "problem", m.Problem, map[bool]string{true: "wrong", false: ""}[scaled.AsProblem(tc.err) != nil])
			if tc.change != nil {
				tc.change(&m)
			}
			notes := annotations
			if tc.notes != nil {
				notes = tc.notes
			}
			equal(t, "due", m.PlanDue(object(tc.now), now.Add(tc.after), labels, notes), tc.want)
		})
	}
}

func TestAnObjectIsLookedAtAgainWhenTheFirstThingIsDue(t *testing.T) {
	t.Parallel()
	now := scaledtest.Start()
	for name, tc := range map[string]struct {
		change func(m *scaled.Memory)
		after  time.Duration
		at     []time.Time
		want   time.Duration
	}{
		"nothing":              {},
		"a span":               {after: time.Hour, want: time.Hour},
		"an instant":           {at: []time.Time{{}, now.Add(time.Minute), now.Add(time.Hour)}, want: time.Minute},
		"both":                 {after: time.Second, at: []time.Time{now.Add(time.Minute)}, want: time.Second},
		"what is due already":  {after: time.Hour, at: []time.Time{now.Add(-time.Minute)}, want: time.Millisecond},
		"credentials":          {func(m *scaled.Memory) { m.StaleAt = now.Add(time.Second) }, time.Minute, nil, time.Second},
		"no problem any more":  {func(m *scaled.Memory) { m.Problem = "" }, 0, nil, 0},
		"a problem, at latest": {func(m *scaled.Memory) { plan(m, now, scaled.Problem("wrong")) }, time.Hour, nil, scaled.RetryProblem},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m scaled.Memory
			m.Begin(object(1), nil, nil, now)
			if tc.change != nil {
				tc.change(&m)
			}
			equal(t, "after", m.Recheck(now, tc.after, tc.at...), tc.want)
		})
	}
}

// plan lets a plan end with an error that is told.
func plan(m *scaled.Memory, now time.Time, err error) {
	if err := m.Planned(object(1), now, err); err != nil {
		panic(err)
	}
}

func TestTheTextOfAFailureIsRewrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	var m scaled.Memory
	now := scaledtest.Start()
	m.Begin(object(3), nil, nil, now)
	var list []v1alpha1.Condition
	// says writes Ready, and checks what stands there and when it is looked at again.
	says := func(at time.Duration, status decide.Status, message, want string, again time.Duration) {
		t.Helper()
		c := m.Conditions(object(3), &list, now.Add(at))
		c.Set(v1alpha1.ConditionReady, decide.Condition{Status: status, Reason: "R", Message: message})
		m.Written(c)
		equal(t, "Ready", scaledtest.Said(list, v1alpha1.ConditionReady), want)
		equal(t, "looked at again", m.Recheck(now.Add(at), 0), again)
		equal(t, "conditions", len(list), 1)
	}
	says(0, "False", "one", "False R: one", 0)
	says(time.Second, "False", "two", "False R: two", 0) // the first of a minute
	says(20*time.Second, "False", "three", "False R: two", 41*time.Second)
	says(30*time.Second, "False", "two", "False R: two", 0) // what stands there is right again
	says(40*time.Second, "True", "fine", "True R: fine", 0)
	says(45*time.Second, "True", "very fine", "True R: very fine", 0)
	says(50*time.Second, "False", "four", "False R: four", 0)
	says(55*time.Second, "", "", "False R: four", 0)
	says(61*time.Second, "False", "five", "False R: five", 0)
	equal(t, "since", list[0].LastTransitionTime.Time, now.Add(50*time.Second))
	equal(t, "of generation", list[0].ObservedGeneration, 3)

	c := m.Conditions(object(3), &list, now)
	c.SetFor(2, v1alpha1.ConditionActive, decide.Condition{Status: "True", Message: strings.Repeat("x", 5000)})
	equal(t, "of generation", list[1].ObservedGeneration, 2)
	equal(t, "length", len(list[1].Message), 4096)
}
