package scaled_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
)

func TestReadyNamesWhatIsDoubtfulOnlyWhenItIsTrue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status         decide.Status
		warnings, want string
	}{
		{"True", "", "text"},
		{"True", "odd", "text; warning: odd"},
		{"False", "odd", "text"},
		{"Unknown", "odd", "text"},
	} {
		got := scaled.Doubtful(decide.Condition{Status: tc.status, Message: "text"}, tc.warnings)
		equal(t, string(tc.status)+" "+tc.warnings, got.Message, tc.want)
	}
}

func TestWhatNeverWasPausedHasNoReason(t *testing.T) {
	t.Parallel()
	unpaused := decide.Condition{Status: "False", Reason: "Unpaused", Message: "it is not paused"}
	paused := decide.Condition{Status: "True", Reason: "Paused", Message: "it is paused"}
	none := decide.Condition{Status: "False"}
	was := v1alpha1.Condition{Type: v1alpha1.ConditionPaused, Status: metav1.ConditionTrue, Reason: "Paused"}
	for name, tc := range map[string]struct {
		decided decide.Condition
		before  []v1alpha1.Condition
		want    decide.Condition
	}{
		"a new object":           {unpaused, nil, none},
		"one that never was":     {unpaused, []v1alpha1.Condition{condition(v1alpha1.ConditionPaused, metav1.ConditionFalse)}, none},
		"one that was":           {unpaused, []v1alpha1.Condition{was}, unpaused},
		"one that is":            {paused, nil, paused},
		"one that is, and still": {paused, []v1alpha1.Condition{was}, paused},
	} {
		equal(t, name, scaled.Paused(tc.decided, tc.before), tc.want)
	}
}

func TestTheTimeOfLastActivityIsWrittenOnTransitions(t *testing.T) {
	t.Parallel()
	at := scaledtest.Start().Add(time.Millisecond)
	have, rounded := new(metav1.NewTime(at.Add(-time.Hour))), scaledtest.Start().Add(time.Second)
	list := func(s metav1.ConditionStatus) []v1alpha1.Condition {
		return []v1alpha1.Condition{condition(v1alpha1.ConditionActive, s)}
	}
	for name, tc := range map[string]struct {
		have     *metav1.Time
		was, is  metav1.ConditionStatus
		at, want time.Time
	}{
		"stays active":         {have, "True", "True", at, have.Time},
		"becomes active":       {have, "False", "True", at, rounded},
		"ceases to be":         {have, "True", "False", at, rounded},
		"was not written yet":  {nil, "True", "True", at, rounded},
		"was never active":     {nil, "Unknown", "False", time.Time{}, time.Time{}},
		"is in whole seconds":  {nil, "False", "True", rounded, rounded},
		"is not known anymore": {have, "True", "Unknown", time.Time{}, have.Time},
	} {
		var got time.Time
		if is := scaled.LastActive(tc.have, list(tc.was), list(tc.is), tc.at); is != nil {
			got = is.Time
		}
		equal(t, name, got, tc.want)
	}
}
