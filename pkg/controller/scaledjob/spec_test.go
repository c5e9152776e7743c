package scaledjob_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/engine"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*v1alpha1.ScaledJob)
		want   string
	}{
		{"no template", func(sj *v1alpha1.ScaledJob) { sj.Spec.JobTargetRef = nil }, "spec.jobTargetRef: is required"},
		{
			"metric type", func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers[0].MetricType = "AverageValue" },
			"spec.triggers[0].metricType: is for ScaledObjects only; remove it",
		},
		{"unknown type", func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers[0].Type = "fakr" }, `spec.triggers[0].type: trigger type "fakr" is not known; did you mean "fake"?`},
		{
			"all at once", func(sj *v1alpha1.ScaledJob) {
				sj.Spec.Triggers[0].MetricType, sj.Spec.Triggers[0].Metadata = "Value", map[string]string{}
			},
			"spec.triggers[0].metricType: is for ScaledObjects only; remove it; spec.triggers[0].metadata.name: is required; set it in the trigger's metadata",
		},
		{
			"missing credentials", func(sj *v1alpha1.ScaledJob) {
				sj.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "creds"}
			},
			`spec.triggers[0].authenticationRef: TriggerAuthentication "creds" in namespace "ns" does not exist; create it or correct the reference`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, scaledJob(row.change))
			equal(t, "looks again after", w.pass(), 30*time.Second)
			w.does("status of ScaledJob a")
			w.Tells("Warning ScaledJobCheckFailed: " + row.want)
			w.says("Ready", "False ScaledJobCheckFailed: "+row.want, "Active", "Unknown UnknownState: the object is not in force; see Ready")
			for range 3 {
				w.pass()
			}
			w.asks()
			snap, _ := w.r.Snapshot("ns", "a")
			if snap.Problem != row.want || snap.Errors != 1 {
				t.Errorf("snapshot %+v", snap)
			}

			// It is put right; or broken while it was in force, which goes on.
			w.edits(func(sj *v1alpha1.ScaledJob) { sj.Spec = scaledJob().Spec })
			w.pass()
			w.polls(time.Second, 2)
			w.has(2, 0)
			w.says("Ready", ready)
			w.edits(row.change)
			w.polls(time.Second, 3)
			w.says("Ready", "False ScaledJobCheckFailed: "+row.want)
			w.has(3, 0)
			equal(t, "generation", w.jobs()[2].Annotations[v1alpha1.AnnotationScaledJobGeneration], "2")
		})
	}
}

func TestALongNameIsAProblem(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("x", 64)
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Name = name }))
	if _, err := w.r.Reconcile(t.Context(), named64(name)); err != nil {
		t.Fatal(err)
	}
	w.Tells("Warning ScaledJobCheckFailed: metadata.name: has more than 63 characters, and is a label's value on the Jobs and their pods; shorten it")

	name = strings.Repeat("y", 63)
	w = newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Name = name }))
	w.reads("jobs", 1)
	if _, err := w.r.Reconcile(t.Context(), named64(name)); err != nil {
		t.Fatal(err)
	}
	if got := w.jobs()[0].Name; len(got) != 63 || !strings.HasPrefix(got, name[:58]) {
		t.Errorf("the Job is called %q", got)
	}
}

func TestDoubtsAreWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(between(7, 5), func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers[0].UseCachedMetrics = true }))
	w.reads("jobs", 0)
	w.pass()
	const doubts = "spec.triggers[0].useCachedMetrics: has no effect on a ScaledJob, whose triggers are read by polls only; " +
		"spec.minReplicaCount: is more than maxReplicaCount, which is 5 and which the Jobs never exceed"
	w.says("Ready", "True ScaledJobReady: the object is ready for scaling; warning: "+doubts)
	equal(t, "events", strings.Join(w.Events[:2], "\n"), "Normal KEDAScalersStarted: measuring s0-fake-jobs every 30s\nWarning KEDAScalerInfo: "+doubts)
	w.has(5, 0)
}

func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(between(1, 9)))
	w.reads("jobs", 3)
	w.pass()
	w.pass() // the work, after the minimum
	w.settles()
	w.has(4, 0)
	w.edits(annotated("autoscaling.keda.sh/paused", "")) // lenient
	w.finish(1, batchv1.JobComplete)
	w.pass()
	w.asks("status of ScaledJob a")
	w.Tells("Normal KEDAScalersStopped: measuring stopped", "Normal ScaledJobPaused: scaling is paused by annotation")
	w.says("Paused", "True ScaledJobPaused: scaling is paused by annotation", "Active", active,
		"Ready", "True ScaledJobReady: the object is ready; scaling is paused by annotation")
	equal(t, "measured", len(w.engine.Uses), 0)
	w.has(3, 1)
	w.pass()
	w.restart()
	w.pass()
	w.asks()
	w.Tells()
	snap, ok := w.r.Snapshot("ns", "a")
	if !ok || !snap.Paused || len(snap.Triggers) != 0 {
		t.Errorf("snapshot %+v", snap)
	}

	// Also a spec that is wrong is paused, and only then.
	w.edits(func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers[0].Type = "none" })
	w.pass()
	w.does("status of ScaledJob a")
	w.edits(func(sj *v1alpha1.ScaledJob) { sj.Spec.Triggers[0].Type = "fake" })
	w.edits(annotated("autoscaling.keda.sh/paused", "false"))
	w.reads("jobs", 0)
	w.forgets()
	w.pass()
	w.has(0, 0) // rolled out: the spec has changed twice
	w.pass()
	w.has(1, 0)
	w.says("Paused", "False ScaledJobUnpaused: scaling is not paused", "Ready", ready)
	equal(t, "unpaused", fmt.Sprint(w.Events[len(w.Events)-1]), "Normal KEDAJobsCreated: created 1 Job: 0 Jobs unfinished, fewer than the minimum of 1: creating 1")
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Spec.SuccessfulJobsHistoryLimit, sj.Spec.FailedJobsHistoryLimit = new(int32(2)), new(int32(1))
	}), job("ok-c", 1, batchv1.JobComplete, 1), job("ok-a", 1, batchv1.JobComplete, 3), job("failed-b", 1, batchv1.JobFailed, 9), job("running", 1, "", 0))
	w.polls(0, 0)
	w.does("status of ScaledJob a")
	for _, j := range []*batchv1.Job{job("ok-b", 1, batchv1.JobComplete, 2), job("failed-a", 1, batchv1.JobFailed, 8), job("failed-c", 1, batchv1.JobFailed, 7)} {
		if err := w.api.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	w.lagging = true
	w.syncs()
	w.Fail = func(call string) error {
		switch {
		case strings.HasPrefix(call, "delete Job failed-a"):
			return apierrors.NewNotFound(schema.GroupResource{Resource: "jobs"}, "failed-a")
		case strings.HasPrefix(call, "delete Job failed-c"): // another of its name
			return apierrors.NewConflict(schema.GroupResource{Resource: "jobs"}, "failed-c", errors.New("the UID differs"))
		}
		return nil
	}
	w.pass()
	w.does("delete Job ok-c Background")
	w.pass() // the cache still shows them
	w.does()
	w.lagging = false
	w.Fail = failOn("delete Job failed-b", errors.New("timeout"))
	w.pass()
	w.edits(func(sj *v1alpha1.ScaledJob) {
		sj.Spec.Rollout.Strategy, sj.Spec.FailedJobsHistoryLimit = v1alpha1.RolloutGradual, new(int32(0))
	})
	w.failing(`deleting Job "failed-b": timeout`)
	w.Fail = nil
	w.forgets()
	w.pass()
	w.does("delete Job failed-b Background", "status of ScaledJob a")
	w.has(1, 4) // the cache is late to forget failed-a and failed-c
	w.pass()
	w.asks()
}

func TestALongHistoryGoesBitByBit(t *testing.T) {
	t.Parallel()
	objects := []*batchv1.Job{}
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Spec.SuccessfulJobsHistoryLimit = new(int32(5)) }))
	for i := range 125 {
		objects = append(objects, job(fmt.Sprintf("j%d", i), 1, batchv1.JobComplete, i))
	}
	for _, j := range objects {
		if err := w.api.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	w.queue.Taken()
	for _, want := range []int{75, 25, 5, 5} {
		w.pass()
		equal(t, "Jobs left", len(w.jobs()), want)
		equal(t, "asked for", len(w.queue.Taken()), min(want-5, 1))
	}
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(), job("running", 1, "", 0))
	w.polls(0, 0)
	w.settles()
	w.Fail = failOn("patch", apierrors.NewConflict(schema.GroupResource{Resource: "scaledjobs"}, "a", errors.New("it has changed")))
	if err := w.api.Delete(t.Context(), w.object()); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a conflict", w.pass(), 100*time.Millisecond)
	w.Fail = nil
	w.pass()
	w.does("patch ScaledJob a")
	w.Tells("Normal KEDAScalersStopped: measuring stopped", "Warning ScaledJobDeleted: the ScaledJob was deleted")
	w.has(1, 0)
	w.pass() // it is gone
	equal(t, "known", w.r.Known(request().NamespacedName), false)
	equal(t, "measured", len(w.engine.Uses), 0)
	equal(t, "watched", len(w.Refs["scaledjob/ns/a"]), 0)
}

func TestAnObjectThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) { sj.Finalizers = nil }), job("old", 1, "", 0))
	w.polls(0, 2)
	w.has(2, 0)
	sj := w.object()
	sj.Finalizers = nil
	if err := errors.Join(w.api.Update(t.Context(), sj), w.api.Delete(t.Context(), sj), w.api.Create(t.Context(), scaledJob(func(sj *v1alpha1.ScaledJob) { sj.UID = "uid-b" }))); err != nil {
		t.Fatal(err)
	}
	w.polls(time.Second, 2)
	w.has(4, 0) // the Jobs of the other are none of its own
}

func TestWhatAnotherControllerLeft(t *testing.T) {
	t.Parallel()
	sj := scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Status.Conditions = []v1alpha1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "ScaledJobReady", Message: "fine"},
			{Type: v1alpha1.ConditionFallback, Status: metav1.ConditionUnknown},
		}
		sj.Generation = 7
	})
	w := newWorld(t, sj, job("j1", 6, "", 0)) // of an earlier generation: it is not for a restart to delete it
	w.pass()
	w.does("status of ScaledJob a")
	w.says("Fallback", "", "Ready", "True ScaledJobReady: fine")
	w.has(1, 0)
}

func TestFailuresOfTheAPIServer(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "scaledjobs"}, "a", errors.New("it has changed"))
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "scaledjobs"}, "a")
	for _, row := range []struct {
		call    string
		err     error
		want    string // the error
		after   time.Duration
		without bool // a finalizer
	}{
		{call: "cached ScaledJob", err: boom, want: `reading the object "ns/a": boom`},
		{call: "patch ScaledJob", err: boom, want: "adding the finalizer: boom", without: true},
		{call: "patch ScaledJob", err: conflict, after: 100 * time.Millisecond, without: true},
		{call: "status of", err: boom, want: `writing the status of ScaledJob "a": boom`},
		{call: "status of", err: conflict, after: 100 * time.Millisecond},
		{call: "status of", err: gone},
	} {
		t.Run(row.call+" "+row.err.Error(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
				if row.without {
					sj.Finalizers = nil
				}
			}))
			w.reads("jobs", 2)
			w.Fail = failOn(row.call, row.err)
			for range 2 {
				if row.want != "" {
					w.failing(row.want)
				} else if after := w.pass(); row.after != 0 {
					equal(t, "looks again after", after, row.after)
				}
			}
			w.Fail = nil
			for range 3 {
				w.pass()
			}
			w.has(2, 0) // not four
			w.says("Ready", ready, "Active", active)
		})
	}
}

func TestWhoIsAskedFor(t *testing.T) {
	t.Parallel()
	ours, others := engine.Owner("scaledjob/ns/a"), engine.Owner("scaledobject/ns/a")
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Spec.Triggers[0].AuthenticationRef = &v1alpha1.AuthenticationRef{Name: "creds"}
	}), &v1alpha1.TriggerAuthentication{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"},
		Spec:       v1alpha1.TriggerAuthenticationSpec{SecretTargetRef: []v1alpha1.TargetRef{{Parameter: "password", Name: "creds", Key: "p"}}},
	}, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"}, Data: map[string][]byte{"p": []byte("x")}})
	asked := func(what string, want ...string) {
		t.Helper()
		w.Same("asked for after "+what, w.queue.Taken(), want)
	}
	w.r.OnReadings([]engine.Owner{ours})
	asked("a reading of what is not known", "a")
	w.pass()
	equal(t, "watched", len(w.Refs[string(ours)]), 2)
	q := w.engine.Uses[ours][0].Query
	w.r.OnReadings([]engine.Owner{ours})
	asked("the first reading: none yet")
	w.engine.Samples[q] = engine.Sample{OK: true, Measured: w.now}
	w.r.OnReadings([]engine.Owner{others, ours})
	asked("a reading", "a")
	w.pass()
	w.r.OnReadings([]engine.Owner{ours})
	asked("the same again")
	w.engine.Samples[q] = engine.Sample{OK: true, Measured: w.now, Value: 1, Work: 1}
	w.r.OnReadings([]engine.Owner{ours})
	asked("work", "a")
	w.pass()
	w.r.OnReadings([]engine.Owner{ours})
	asked("work again", "a")

	w.forgets()
	w.r.OnReference([]string{string(others), string(ours)})
	asked("a change of the Secret", "a")
	w.r.OnReadings([]engine.Owner{ours})
	asked("a reading before the new plan", "a")
	w.pass()
	w.Same("calls", w.Calls, []string{"get Secret creds"})
	ta := &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds", Generation: 2}}
	w.r.FromAuthentication().Update(t.Context(), event.UpdateEvent{ObjectOld: &v1alpha1.TriggerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"}}, ObjectNew: ta}, nil)
	asked("a change of the authentication", "a")
}

func TestASecretThatCannotBeReadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scaledJob(func(sj *v1alpha1.ScaledJob) {
		sj.Spec.JobTargetRef.Template.Spec.Containers = []corev1.Container{{Name: "side"}, {Name: "main", Env: []corev1.EnvVar{
			{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "creds"}, Key: "p"}}},
		}}}
		sj.Spec.EnvSourceContainerName = "main"
		sj.Spec.Triggers[0].Metadata["passwordFromEnv"] = "PASSWORD"
	}), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "creds"}, Data: map[string][]byte{"p": []byte("x")}})
	w.Fail = failOn("get Secret", errors.New("timeout"))
	w.failing(`reading Secret "creds" in namespace "ns": timeout`)
	w.Fail = nil
	w.pass()
	q := w.engine.Uses["scaledjob/ns/a"][0].Query
	if q == w.query("jobs") {
		t.Error("the password has no part in what is measured")
	}
	w.engine.Samples[q] = engine.Sample{OK: true, Measured: w.now, Value: 2, Work: 2}
	w.pass()
	w.has(2, 0)
	snaps := w.r.Snapshots()
	if len(snaps) != 1 || len(snaps[0].Triggers) != 1 || len(snaps[0].Decisions) != 0 {
		t.Fatalf("snapshots %+v", snaps)
	}
	got := snaps[0].Triggers[0]
	equal(t, "trigger", strings.TrimSpace(fmt.Sprintln(got.Index, got.Type, got.Metric, got.MetricType, got.Target, got.Known, got.Value, got.Active)), "0 fake s0-fake-jobs AverageValue 1 true 2 true")
	snap, ok := w.r.Snapshot("ns", "a")
	if last := snap.Decisions[len(snap.Decisions)-1]; !ok || last.From != 0 || last.To != 2 || last.Reason != "WorkWaiting" || last.Triggers[0].State != "busy" {
		t.Errorf("decision %+v", last)
	}
	if _, ok := w.r.Snapshot("ns", "b"); ok {
		t.Error("a snapshot of what is not known")
	}
}
