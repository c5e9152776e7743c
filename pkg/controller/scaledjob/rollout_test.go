package scaledjob_test

import (
	"errors"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

func TestRollout(t *testing.T) {
	t.Parallel()
	edit := func(strategy v1alpha1.RolloutStrategy, how v1alpha1.PropagationPolicy) func(*v1alpha1.ScaledJob) {
		return func(sj *v1alpha1.ScaledJob) {
			sj.Spec.Rollout = v1alpha1.Rollout{Strategy: strategy, PropagationPolicy: how}
		}
	}
	const began, done = "Normal ScaledJobRolloutCleanupStarted: deleting ", "Normal ScaledJobRolloutCleanupCompleted: deleted "
	for _, row := range []struct {
		name   string
		edit   func(*v1alpha1.ScaledJob)
		writes []string
		events []string
		left   int
	}{
		{
			"the default", func(sj *v1alpha1.ScaledJob) { sj.Spec.PollingInterval = new(int32(5)) },
			[]string{"list Job", "delete Job j1 Background", "delete Job j2 Background", "delete Job j3 Background", "status of ScaledJob a"},
			[]string{began + "3 Jobs of earlier generations than 2, with propagation policy Background", done + "3 Jobs of earlier generations than 2"},
			2,
		},
		{
			"foreground", edit(v1alpha1.RolloutImmediate, v1alpha1.PropagationForeground),
			[]string{"list Job", "delete Job j1 Foreground", "delete Job j2 Foreground", "delete Job j3 Foreground", "status of ScaledJob a"},
			[]string{began + "3 Jobs of earlier generations than 2, with propagation policy Foreground", done + "3 Jobs of earlier generations than 2"},
			2,
		},
		{"gradual", edit(v1alpha1.RolloutGradual, ""), []string{"status of ScaledJob a"}, nil, 5},
		{
			"the deprecated field wins", func(sj *v1alpha1.ScaledJob) {
				edit(v1alpha1.RolloutGradual, "")(sj)
				sj.Spec.RolloutStrategy = v1alpha1.RolloutImmediate //nolint:staticcheck // manifests still have it
			},
			[]string{"list Job", "delete Job j1 Background", "delete Job j2 Background", "delete Job j3 Background", "status of ScaledJob a"},
			[]string{
				began + "3 Jobs of earlier generations than 2, with propagation policy Background", done + "3 Jobs of earlier generations than 2",
				"Warning KEDAScalerInfo: spec.rolloutStrategy: is deprecated and overrides rollout.strategy; set that instead",
			},
			2,
		},
		{"labels only", func(sj *v1alpha1.ScaledJob) { sj.Labels = map[string]string{"x": "y"} }, nil, nil, 5},
		{"annotations only", annotated("x", "y"), nil, nil, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			foreign := job("foreign", 1, "", 0)
			foreign.OwnerReferences[0].UID = "uid-of-another"
			w := newWorld(t, scaledJob(), job("j1", 1, "", 0), job("j2", 1, batchv1.JobFailed, 0), job("j3", 0, batchv1.JobComplete, 0), job("j4", 2, "", 0), foreign)
			w.polls(0, 0)
			w.settles()
			w.has(3, 2)
			w.edits(row.edit)
			w.pass()
			w.asks(row.writes...)
			w.Tells(row.events...)
			equal(t, "Jobs left", len(w.jobs()), row.left)
			w.pass()
			w.restart()
			w.pass()
			w.asks()
		})
	}
}

func TestARolloutThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(), job("j1", 1, "", 0), job("j2", 1, "", 0))
	w.polls(0, 0)
	w.settles()
	w.edits(func(sj *v1alpha1.ScaledJob) { sj.Spec.PollingInterval = new(int32(5)) })
	w.Fail = failOn("delete Job j2", errors.New("timeout"))
	for range 2 {
		w.failing(`deleting Job "j2": timeout`)
	}
	w.Tells("Normal ScaledJobRolloutCleanupStarted: deleting 2 Jobs of earlier generations than 2, with propagation policy Background",
		`Warning ScaledJobRolloutCleanupFailed: deleting Job "j2": timeout`, `Warning ScaledJobCheckFailed: deleting Job "j2": timeout`)
	w.Fail = failOn("list Job", errors.New("no route"))
	w.failing("listing the Jobs: no route")
	w.Fail = nil
	w.forgets()
	w.pass()
	w.does("delete Job j2 Background", "status of ScaledJob a")
	w.Tells("Normal ScaledJobRolloutCleanupCompleted: deleted 1 Job of earlier generations than 2", "Normal ScaledJobReady: the object is ready for scaling")
}

// TestARolloutThatIsOwedOutlivesARestart, also when the newest spec has been in the
// status for long.
func TestARolloutThatIsOwedOutlivesARestart(t *testing.T) {
	t.Parallel()
	changed := func(sj *v1alpha1.ScaledJob) { sj.Spec.PollingInterval = new(int32(5)) }
	for _, row := range []struct {
		name   string
		breaks func(*world) // keeps the newest spec from being rolled out
		mends  func(*world)
	}{
		{
			"as the object is paused",
			func(w *world) {
				w.edits(annotated(v1alpha1.AnnotationPaused, "true"))
				w.edits(changed)
			},
			func(w *world) { w.edits(annotated(v1alpha1.AnnotationPaused, "false")) },
		},
		{
			"as it refers to what is missing",
			func(w *world) {
				w.edits(func(sj *v1alpha1.ScaledJob) {
					sj.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "creds"}
				})
			},
			func(w *world) {
				if err := w.api.Create(w.T.Context(), &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"}}); err != nil {
					w.T.Fatal(err)
				}
				w.now = w.now.Add(time.Minute)
			},
		},
		{
			"as a Job cannot be deleted",
			func(w *world) {
				w.edits(changed)
				w.Fail = failOn("delete Job j2", errors.New("timeout"))
			},
			func(w *world) { w.Fail = nil },
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, scaledJob(), job("j1", 1, "", 0), job("j2", 1, "", 0))
			w.polls(0, 0)
			w.settles()
			row.breaks(w)
			for range 2 {
				w.restart()
				for range 2 {
					if _, err := w.tries(); err != nil && w.Fail == nil {
						t.Fatal(err)
					}
				}
			}
			equal(t, "observedGeneration", w.object().Status.ObservedGeneration, 2)
			if len(w.jobs()) == 0 {
				t.Fatal("the Jobs are gone too early")
			}
			row.mends(w)
			w.pass()
			w.has(0, 0)
			w.polls(time.Second, 0)
			equal(t, "rolled out", v1alpha1.FindCondition(w.object().Status.Conditions, v1alpha1.ConditionActive).ObservedGeneration, 2)
			w.restart()
			w.forgets()
			w.pass()
			w.asks()
		})
	}
}
