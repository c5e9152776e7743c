package v1alpha1_test

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func at(minute int) *metav1.Time {
	return new(metav1.Date(2026, time.January, 2, 3, minute, 0, 0, time.UTC))
}

func TestSetCondition(t *testing.T) {
	t.Parallel()
	ready := v1alpha1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonScaledObjectReady, Message: "ready", LastTransitionTime: at(1), ObservedGeneration: 1,
	}
	active := v1alpha1.Condition{Type: v1alpha1.ConditionActive, Status: metav1.ConditionUnknown}
	with := func(c v1alpha1.Condition, change func(*v1alpha1.Condition)) v1alpha1.Condition {
		change(&c)
		return c
	}
	for _, tc := range []struct {
		name    string
		before  []v1alpha1.Condition
		set     v1alpha1.Condition
		after   []v1alpha1.Condition
		changed bool
	}{
		{
			"the first condition is added",
			nil, ready,
			[]v1alpha1.Condition{ready},
			true,
		},
		{
			"a new condition goes to the end",
			[]v1alpha1.Condition{active},
			ready,
			[]v1alpha1.Condition{active, ready},
			true,
		},
		{
			"the same observation later changes nothing",
			[]v1alpha1.Condition{active, ready},
			with(ready, func(c *v1alpha1.Condition) { c.LastTransitionTime = at(2) }),
			[]v1alpha1.Condition{active, ready},
			false,
		},
		{
			"another status moves the time and keeps the place",
			[]v1alpha1.Condition{ready, active},
			with(ready, func(c *v1alpha1.Condition) { c.Status, c.LastTransitionTime = metav1.ConditionFalse, at(2) }),
			[]v1alpha1.Condition{
				with(ready, func(c *v1alpha1.Condition) { c.Status, c.LastTransitionTime = metav1.ConditionFalse, at(2) }),
				active,
			},
			true,
		},
		{
			"another reason does not move the time",
			[]v1alpha1.Condition{ready},
			with(ready, func(c *v1alpha1.Condition) { c.Reason, c.LastTransitionTime = "Other", at(2) }),
			[]v1alpha1.Condition{with(ready, func(c *v1alpha1.Condition) { c.Reason = "Other" })},
			true,
		},
		{
			"another message does not move the time",
			[]v1alpha1.Condition{ready},
			with(ready, func(c *v1alpha1.Condition) { c.Message, c.LastTransitionTime = "other", at(2) }),
			[]v1alpha1.Condition{with(ready, func(c *v1alpha1.Condition) { c.Message = "other" })},
			true,
		},
		{
			"another generation does not move the time",
			[]v1alpha1.Condition{ready},
			with(ready, func(c *v1alpha1.Condition) { c.ObservedGeneration, c.LastTransitionTime = 2, at(2) }),
			[]v1alpha1.Condition{with(ready, func(c *v1alpha1.Condition) { c.ObservedGeneration = 2 })},
			true,
		},
		{
			"a condition kept without time gains one",
			[]v1alpha1.Condition{active},
			with(active, func(c *v1alpha1.Condition) { c.LastTransitionTime = at(2) }),
			[]v1alpha1.Condition{with(active, func(c *v1alpha1.Condition) { c.LastTransitionTime = at(2) })},
			true,
		},
		{
			"a condition kept without time gains one with its status",
			[]v1alpha1.Condition{active},
			with(active, func(c *v1alpha1.Condition) { c.Status, c.LastTransitionTime = metav1.ConditionTrue, at(2) }),
			[]v1alpha1.Condition{with(active, func(c *v1alpha1.Condition) { c.Status, c.LastTransitionTime = metav1.ConditionTrue, at(2) })},
			true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conds := (&v1alpha1.ScaledObjectStatus{Conditions: tc.before}).DeepCopy().Conditions
			if changed := v1alpha1.SetCondition(&conds, tc.set); changed != tc.changed {
				t.Errorf("changed %t, want %t", changed, tc.changed)
			}
			if !reflect.DeepEqual(conds, tc.after) {
				t.Errorf("conditions %+v, want %+v", conds, tc.after)
			}
		})
	}
}

func TestSetConditionKeepsNoPointerOfTheCaller(t *testing.T) {
	t.Parallel()
	now := at(1)
	var conds []v1alpha1.Condition
	v1alpha1.SetCondition(&conds, v1alpha1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: now})
	*now = *at(2)
	if got := conds[0].LastTransitionTime; !got.Equal(at(1)) {
		t.Errorf("the kept time moved to %v", got)
	}
}

func TestFindCondition(t *testing.T) {
	t.Parallel()
	conds := []v1alpha1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue},
		{Type: v1alpha1.ConditionPaused, Status: metav1.ConditionFalse},
	}
	if got := v1alpha1.FindCondition(conds, v1alpha1.ConditionPaused); got != &conds[1] {
		t.Errorf("found %v, want the second condition", got)
	}
	if got := v1alpha1.FindCondition(conds, v1alpha1.ConditionActive); got != nil {
		t.Errorf("found %v, want none", got)
	}
	for want, condition := range map[metav1.ConditionStatus]v1alpha1.ConditionType{
		metav1.ConditionTrue:    v1alpha1.ConditionReady,
		metav1.ConditionFalse:   v1alpha1.ConditionPaused,
		metav1.ConditionUnknown: v1alpha1.ConditionActive,
	} {
		if got := v1alpha1.ConditionStatus(conds, condition); got != want {
			t.Errorf("%s is %s, want %s", condition, got, want)
		}
	}
}
