package scaledobject_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
)

// scaled is a ScaledObject for Deployment "web" with one trigger, created an
// hour before the test begins, as changes make it.
func scaledObject(name string, changes ...func(*v1alpha1.ScaledObject)) *v1alpha1.ScaledObject {
	so := &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Generation: 1,
			CreationTimestamp: metav1.NewTime(scaledtest.Start().Add(-time.Hour)),
		},
		Spec: v1alpha1.ScaledObjectSpec{
			ScaleTargetRef: v1alpha1.ScaleTargetRef{Name: "web"},
			Triggers:       []v1alpha1.Trigger{trigger("jobs")},
		},
	}
	for _, change := range changes {
		change(so)
	}
	return so
}

func trigger(name string) v1alpha1.Trigger {
	return v1alpha1.Trigger{Type: "fake", Metadata: map[string]string{"name": name}}
}

func triggers(names ...string) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) {
		so.Spec.Triggers = nil
		for _, n := range names {
			so.Spec.Triggers = append(so.Spec.Triggers, trigger(n))
		}
	}
}

func annotated(pairs ...string) func(*v1alpha1.ScaledObject) {
	return func(so *v1alpha1.ScaledObject) {
		so.Annotations = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			so.Annotations[pairs[i]] = pairs[i+1]
		}
	}
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}},
		},
	}
}

// hpa is an HPA of somebody else for Deployment target.
func hpa(name, target string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-hpa-" + name)},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target},
			MaxReplicas:    3,
		},
	}
}

// ownedBy makes so the controller of an HPA.
func ownedBy(h *autoscalingv2.HorizontalPodAutoscaler, so *v1alpha1.ScaledObject) *autoscalingv2.HorizontalPodAutoscaler {
	h.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(so, v1alpha1.GroupVersion.WithKind("ScaledObject"))}
	return h
}

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "ns", Name: name}}
}

// pass reconciles an object once, without an error, and returns when it is to be
// looked at again.
func (w *world) pass(name string) time.Duration {
	w.T.Helper()
	result, err := w.r.Reconcile(w.T.Context(), request(name))
	if err != nil {
		w.T.Fatalf("reconciling %s: %v", name, err)
	}
	return result.RequeueAfter
}

// failing reconciles an object once and returns the error.
func (w *world) failing(name string) string {
	w.T.Helper()
	_, err := w.r.Reconcile(w.T.Context(), request(name))
	if err == nil {
		w.T.Fatalf("reconciling %s succeeds", name)
	}
	return err.Error()
}

// settles reconciles objects that have nothing to do any more, and forgets what
// was told until now.
func (w *world) settles(names ...string) {
	w.T.Helper()
	for range 3 {
		for _, n := range names {
			w.pass(n)
		}
	}
	w.Forgets()
}

// get reads an object of the cluster.
func (w *world) object(name string) *v1alpha1.ScaledObject {
	w.T.Helper()
	so := new(v1alpha1.ScaledObject)
	if err := w.api.Get(w.T.Context(), client.ObjectKey{Namespace: "ns", Name: name}, so); err != nil {
		w.T.Fatal(err)
	}
	return so
}

// edits changes an object as a user does: a new spec is a new generation.
func (w *world) edits(name string, change func(*v1alpha1.ScaledObject)) {
	w.T.Helper()
	so := w.object(name)
	before := so.Spec.DeepCopy()
	change(so)
	if scaledtest.YAML(w.T, before) != scaledtest.YAML(w.T, so.Spec) {
		so.Generation++
	}
	if err := w.api.Update(w.T.Context(), so); err != nil {
		w.T.Fatal(err)
	}
}

// condition returns a condition as text.
func (w *world) condition(name string, t v1alpha1.ConditionType) string {
	w.T.Helper()
	return scaledtest.Said(w.object(name).Status.Conditions, t)
}

// says checks conditions, given as type and text in turn.
func (w *world) says(name string, want ...string) {
	w.T.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := w.condition(name, v1alpha1.ConditionType(want[i])); got != want[i+1] {
			w.T.Errorf("%s of %s is\n\t%s\nwant\n\t%s", want[i], name, got, want[i+1])
		}
	}
}

// hpas returns the names of all HPAs.
func (w *world) hpas() []string {
	w.T.Helper()
	var list autoscalingv2.HorizontalPodAutoscalerList
	if err := w.api.List(w.T.Context(), &list); err != nil {
		w.T.Fatal(err)
	}
	var names []string
	for _, h := range list.Items {
		names = append(names, h.Name)
	}
	return names
}

func (w *world) hpa(name string) *autoscalingv2.HorizontalPodAutoscaler {
	w.T.Helper()
	h := new(autoscalingv2.HorizontalPodAutoscaler)
	if err := w.api.Get(w.T.Context(), client.ObjectKey{Namespace: "ns", Name: name}, h); err != nil {
		w.T.Fatal(err)
	}
	return h
}

// has checks the replicas of Deployment "web".
func (w *world) has(want int32) {
	w.T.Helper()
	got, _, err := w.workload(w.T.Context(), "Deployment", "web")
	if err != nil {
		w.T.Fatal(err)
	}
	if got != want {
		w.T.Errorf("%d replicas, want %d", got, want)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n\t%v\nwant\n\t%v", what, got, want)
	}
}

// retryProblem is when an object with a problem is looked at again.
const retryProblem = 30 * time.Second
