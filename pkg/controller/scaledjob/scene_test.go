package scaledjob_test

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/scalers"
)

type metric = scalers.Metric

const busy = scalers.Busy

// scaledJob is ScaledJob "a" with one trigger on the thing "jobs", as changes make it.
func scaledJob(changes ...func(*v1alpha1.ScaledJob)) *v1alpha1.ScaledJob {
	sj := &v1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: "uid-a", Generation: 1, Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.ScaledJobSpec{
			JobTargetRef: &batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "worker:1"}}}}},
			Triggers:     []v1alpha1.Trigger{on("jobs")},
		},
	}
	for _, c := range changes {
		c(sj)
	}
	return sj
}

// on is a trigger on a thing.
func on(name string) v1alpha1.Trigger {
	return v1alpha1.Trigger{Type: "fake", Metadata: map[string]string{"name": name}}
}

func between(least, most int32) func(*v1alpha1.ScaledJob) {
	return func(sj *v1alpha1.ScaledJob) { sj.Spec.MinReplicaCount, sj.Spec.MaxReplicaCount = &least, &most }
}

func strategy(s v1alpha1.ScalingStrategyType) func(*v1alpha1.ScaledJob) {
	return func(sj *v1alpha1.ScaledJob) { sj.Spec.ScalingStrategy.Strategy = s }
}

func annotated(key, value string) func(*v1alpha1.ScaledJob) {
	return func(sj *v1alpha1.ScaledJob) { metav1.SetMetaDataAnnotation(&sj.ObjectMeta, key, value) }
}

// job is a Job of "a" of a generation, which may have ended: "" for one that has
// not, else "Complete" or "Failed", so many minutes after the start.
func job(name string, generation int, end batchv1.JobConditionType, minutes int) *batchv1.Job {
	sj := scaledJob()
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(scaledtest.Start().Add(-time.Hour)),
		Labels:          map[string]string{v1alpha1.LabelScaledJobName: "a"},
		Annotations:     map[string]string{v1alpha1.AnnotationScaledJobGeneration: fmt.Sprint(generation)},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(sj, v1alpha1.GroupVersion.WithKind("ScaledJob"))},
	}}
	if end != "" {
		ends(j, end, scaledtest.Start().Add(time.Duration(minutes)*time.Minute))
	}
	return j
}

// ends lets a Job end, as the Job controller does.
func ends(j *batchv1.Job, how batchv1.JobConditionType, at time.Time) {
	j.Status.Conditions = append(j.Status.Conditions,
		batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionFalse},
		batchv1.JobCondition{Type: how, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)})
	if how == batchv1.JobComplete {
		j.Status.CompletionTime = new(metav1.NewTime(at))
	}
}

func request() reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "ns", Name: "a"}}
}

// named64 is a request for an object of another name.
func named64(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "ns", Name: name}}
}

// pass reconciles the object once, without an error, and returns when it is to be
// looked at again.
func (w *world) pass() time.Duration {
	w.T.Helper()
	after, err := w.tries()
	if err != nil {
		w.T.Fatalf("reconciling: %v", err)
	}
	return after
}

// tries reconciles the object once.
func (w *world) tries() (time.Duration, error) {
	w.T.Helper()
	if !w.lagging {
		w.syncs()
	}
	result, err := w.r.Reconcile(w.T.Context(), request())
	return result.RequeueAfter, err
}

// failing reconciles the object once and checks the error.
func (w *world) failing(want string) {
	w.T.Helper()
	_, err := w.tries()
	if err == nil || err.Error() != want {
		w.T.Errorf("error\n\t%v\nwant\n\t%s", err, want)
	}
}

// polls reconciles the object after a poll that gave a value, so much later.
func (w *world) polls(after time.Duration, value float64) time.Duration {
	w.T.Helper()
	w.now = w.now.Add(after)
	w.reads("jobs", value)
	return w.pass()
}

// settles reconciles an object that has nothing to do any more, and forgets what
// was told until now.
func (w *world) settles() {
	w.T.Helper()
	for range 3 {
		w.pass()
	}
	w.forgets()
}

func (w *world) forgets() {
	w.Forgets()
	w.told = nil
}

// does checks the writes since the last check, and forgets them. Creations are
// given as one, with their number.
func (w *world) does(want ...string) {
	w.T.Helper()
	w.Same("writes", counted(w.Writes), want)
	w.Calls, w.Writes = nil, nil
}

// asks checks the calls since the last check, as does does.
func (w *world) asks(want ...string) {
	w.T.Helper()
	w.Same("calls", counted(w.Calls), want)
	w.Calls, w.Writes = nil, nil
}

// counted makes one of equal calls in a row.
func counted(calls []string) (out []string) {
	for i := 0; i < len(calls); {
		n := 1
		for i+n < len(calls) && calls[i+n] == calls[i] {
			n++
		}
		if n == 1 {
			out = append(out, calls[i])
		} else {
			out = append(out, fmt.Sprintf("%s x%d", calls[i], n))
		}
		i += n
	}
	return out
}

func (w *world) object() *v1alpha1.ScaledJob {
	w.T.Helper()
	sj := new(v1alpha1.ScaledJob)
	if err := w.api.Get(w.T.Context(), request().NamespacedName, sj); err != nil {
		w.T.Fatal(err)
	}
	return sj
}

// edits changes the object as a user does: a new spec is a new generation.
func (w *world) edits(change func(*v1alpha1.ScaledJob)) {
	w.T.Helper()
	sj := w.object()
	before := sj.Spec.DeepCopy()
	change(sj)
	if scaledtest.YAML(w.T, before) != scaledtest.YAML(w.T, sj.Spec) {
		sj.Generation++
	}
	if err := w.api.Update(w.T.Context(), sj); err != nil {
		w.T.Fatal(err)
	}
}

// says checks conditions, given as type and text in turn.
func (w *world) says(want ...string) {
	w.T.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := scaledtest.Said(w.object().Status.Conditions, v1alpha1.ConditionType(want[i])); got != want[i+1] {
			w.T.Errorf("%s is\n\t%s\nwant\n\t%s", want[i], got, want[i+1])
		}
	}
}

// has checks how many Jobs there are that have not ended, and that have.
func (w *world) has(unfinished, ended int) {
	w.T.Helper()
	var u, e int
	for _, j := range w.jobs() {
		if len(j.Status.Conditions) == 0 {
			u++
		} else {
			e++
		}
	}
	if u != unfinished || e != ended {
		w.T.Errorf("%d Jobs have not ended, %d have; want %d and %d", u, e, unfinished, ended)
	}
}

// finish lets n Jobs end.
func (w *world) finish(n int, how batchv1.JobConditionType) {
	w.T.Helper()
	for _, j := range w.jobs() {
		if n > 0 && len(j.Status.Conditions) == 0 {
			ends(&j, how, w.now)
			if err := w.api.Status().Update(w.T.Context(), &j); err != nil {
				w.T.Fatal(err)
			}
			n--
		}
	}
	if n > 0 {
		w.T.Fatalf("%d Jobs too few", n)
	}
}

func deletion(o client.Object) event.DeleteEvent { return event.DeleteEvent{Object: o} }

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n\t%v\nwant\n\t%v", what, got, want)
	}
}
