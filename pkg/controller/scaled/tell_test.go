package scaled_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/decide"
	"github.com/weir-sh/weir/pkg/triggers"
)

// told is a Teller and what it told.
type told struct {
	scaledtest.Record
	scaled.Teller

	log bytes.Buffer
}

func newTold(t *testing.T) *told {
	t.Helper()
	w := &told{Record: scaledtest.Record{T: t}}
	w.Teller = scaled.Teller{
		Events: &w.Record, Ready: "BecameReady", CheckFailed: "CheckFailed", PausedBy: "BecamePaused", Unpaused: "BecameUnpaused",
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}
	return w
}

// logs checks the log since the last check, and forgets it.
func (w *told) logs(want ...string) {
	w.T.Helper()
	var got []string
	if w.log.Len() > 0 {
		got = strings.Split(strings.TrimSpace(w.log.String()), "\n")
	}
	w.Same("log", got, want)
	w.log.Reset()
}

func TestFailuresAreToldWhenTheyBegin(t *testing.T) {
	t.Parallel()
	w, m := newTold(t), new(scaled.Memory)
	const (
		fails    = `level=WARN msg="trigger cannot be measured" object=ns/a trigger=`
		recovers = `level=INFO msg="trigger can be measured again" object=ns/a trigger=`
	)
	measures := func(list ...decide.Trigger) { w.Failures(object(1), m, "Failed", list) }
	broken := func(name, err string) decide.Trigger { return decide.Trigger{Name: name, Err: err} }
	works := func(name string) decide.Trigger { return decide.Trigger{Name: name, State: decide.Idle} }

	measures(works("x"), broken("y", "down"))
	w.Tells("Warning Failed: y: down")
	w.logs(fails + "y error=down")
	measures(broken("x", "away"), broken("y", "down for another reason"))
	w.Tells("Warning Failed: x: away")
	w.logs(fails + "x error=away")
	measures(works("x"), decide.Trigger{Name: "y"}) // y is not measured yet, with other settings
	w.Tells()
	w.logs(recovers + "x")
	measures(works("x"), broken("y", "down"))
	w.Tells()
	w.logs()
	measures(works("x"), works("y"))
	w.logs(recovers + "y")

	measures(broken("x", "away"))
	w.Tells("Warning Failed: x: away")
	w.logs(fails + "x error=away")
	w.Stopped(object(1), m, true)
	w.Tells("Normal KEDAScalersStopped: measuring stopped")
	w.Stopped(object(1), m, false)
	w.Tells()
	measures(broken("x", "away"))
	w.Tells("Warning Failed: x: away")
}

func TestWarningsAreToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	w, m := newTold(t), new(scaled.Memory)
	odd, strange := triggers.Problem{Field: "spec.x", Message: "is odd"}, triggers.Problem{Message: "it is strange"}
	for _, step := range []struct {
		list []triggers.Problem
		want []string
	}{
		{nil, nil},
		{[]triggers.Problem{odd}, []string{"Warning KEDAScalerInfo: spec.x: is odd"}},
		{[]triggers.Problem{odd}, nil},
		{[]triggers.Problem{odd, strange}, []string{"Warning KEDAScalerInfo: spec.x: is odd; it is strange"}},
		{nil, nil},
		{[]triggers.Problem{odd}, []string{"Warning KEDAScalerInfo: spec.x: is odd"}},
	} {
		w.Warnings(object(1), m, step.list)
		w.Tells(step.want...)
		equal(t, "warned", m.Warned, scaled.Text(step.list))
	}
}

func TestConditionsAreToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	ready := func(s metav1.ConditionStatus, reason, message string) v1alpha1.Condition {
		return v1alpha1.Condition{Type: v1alpha1.ConditionReady, Status: s, Reason: reason, Message: message}
	}
	paused := func(s metav1.ConditionStatus) v1alpha1.Condition {
		return v1alpha1.Condition{Type: v1alpha1.ConditionPaused, Status: s, Message: "see the annotation"}
	}
	fine, wrong, failing := ready("True", "Fine", "it is fine"), ready("False", "CheckFailed", "it is wrong"), ready("False", "TriggerError", "down")
	for name, tc := range map[string]struct {
		before, after []v1alpha1.Condition
		events, log   []string
	}{
		"nothing":           {},
		"becomes ready":     {nil, []v1alpha1.Condition{fine}, []string{"Normal BecameReady: it is fine"}, []string{"level=INFO msg=ready object=ns/a"}},
		"stays ready":       {[]v1alpha1.Condition{fine}, []v1alpha1.Condition{ready("True", "Fine", "in other words")}, nil, nil},
		"ready with doubts": {nil, []v1alpha1.Condition{ready("True", "Fine", "it is fine; warning: odd")}, []string{"Normal BecameReady: it is fine"}, []string{"level=INFO msg=ready object=ns/a"}},
		"becomes wrong":     {[]v1alpha1.Condition{fine}, []v1alpha1.Condition{wrong}, []string{"Warning CheckFailed: it is wrong"}, []string{`level=WARN msg="not ready" object=ns/a problem="it is wrong"`}},
		"stays wrong":       {[]v1alpha1.Condition{wrong}, []v1alpha1.Condition{wrong}, nil, nil},
		"wrong otherwise": {
			[]v1alpha1.Condition{wrong},
			[]v1alpha1.Condition{ready("False", "CheckFailed", "and more")},
			[]string{"Warning CheckFailed: and more"},
			[]string{`level=WARN msg="not ready" object=ns/a problem="and more"`},
		},
		"a source fails, which is told apart": {[]v1alpha1.Condition{fine}, []v1alpha1.Condition{failing}, nil, nil},
		"pauses":                              {nil, []v1alpha1.Condition{paused("True")}, []string{"Normal BecamePaused: see the annotation"}, nil},
		"goes on":                             {[]v1alpha1.Condition{paused("True")}, []v1alpha1.Condition{paused("False")}, []string{"Normal BecameUnpaused: see the annotation"}, nil},
		"was never paused":                    {nil, []v1alpha1.Condition{paused("False")}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTold(t)
			w.Conditions(object(1), tc.before, tc.after)
			w.Tells(tc.events...)
			w.logs(tc.log...)
		})
	}
}

func TestNotesAreCutToWhatTheAPIServerTakes(t *testing.T) {
	t.Parallel()
	w := newTold(t)
	w.Normal(object(1), "Reason", "acting", strings.Repeat("ä", 600))
	equal(t, "note", w.Record.Events[0], "Normal Reason: "+strings.Repeat("ä", 510)+"...")
}

func TestProblemsAreGatheredAndOtherErrorsAreNot(t *testing.T) {
	t.Parallel()
	first := []triggers.Problem{{Field: "spec.x", Message: "is required"}}
	list, err := scaled.Collect(first, scaled.Problem("Deployment %q does not exist", "web"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "problems", scaled.Problems(list).Error(), `spec.x: is required; Deployment "web" does not exist`)
	boom := errors.New("boom")
	if list, err := scaled.Collect(first, boom); !errors.Is(err, boom) || len(list) != 1 {
		t.Errorf("%v with error %v", list, err)
	}
	if err := scaled.Problems(nil); err != nil || scaled.AsProblem(boom) != nil {
		t.Errorf("no problems give %v", err)
	}
}
