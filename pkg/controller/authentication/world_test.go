package authentication_test

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/authentication"
)

// world is a cluster that counts writes of status and lets calls fail.
type world struct {
	client.Client

	t      *testing.T
	writes int
	events []string
	fail   map[string]error // by verb: get, list, patch, status
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, fail: map[string]error{}}
	w.Client = authentication.WithIndexes(fake.NewClientBuilder().WithScheme(scheme)).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.TriggerAuthentication{}, &v1alpha1.ClusterTriggerAuthentication{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if err := w.fail["get"]; err != nil {
					return err
				}
				return c.Get(ctx, key, o, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if err := w.fail["list"]; err != nil {
					return err
				}
				return c.List(ctx, list, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				if err := w.fail["patch"]; err != nil {
					return err
				}
				return c.Patch(ctx, o, p, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, _ string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				w.writes++
				if err := w.fail["status"]; err != nil {
					return err
				}
				return c.Status().Patch(ctx, o, p, opts...)
			},
		}).Build()
	return w
}

// Eventf implements events.EventRecorder.
func (w *world) Eventf(o, _ runtime.Object, kind, reason, action, note string, args ...any) {
	name := "?"
	if o, ok := o.(client.Object); ok {
		name = client.ObjectKeyFromObject(o).String()
	}
	w.events = append(w.events, fmt.Sprintf("%s %s %s %s: %s", name, kind, reason, action, fmt.Sprintf(note, args...)))
}

// reconcile reconciles the object of a kind once.
func (w *world) reconcile(kind, namespace, name string) error {
	w.t.Helper()
	key := client.ObjectKey{Namespace: namespace, Name: name}
	result, err := authentication.New(w, w, kind).Reconcile(w.t.Context(), reconcile.Request{NamespacedName: key})
	if result != (reconcile.Result{}) {
		w.t.Errorf("it asks to be called again: %+v", result)
	}
	return err
}

// status returns who refers to the object.
func (w *world) status(namespace, name string) v1alpha1.TriggerAuthenticationStatus {
	w.t.Helper()
	o := auth(namespace, name)
	if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	switch o := o.(type) {
	case *v1alpha1.TriggerAuthentication:
		return o.Status
	case *v1alpha1.ClusterTriggerAuthentication:
		return o.Status
	}
	w.t.Fatalf("%T has no such status", o)
	return v1alpha1.TriggerAuthenticationStatus{}
}

// auth is a TriggerAuthentication, or without a namespace a ClusterTriggerAuthentication.
func auth(namespace, name string) client.Object {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "1", Generation: 1}
	if namespace == "" {
		return &v1alpha1.ClusterTriggerAuthentication{ObjectMeta: meta}
	}
	return &v1alpha1.TriggerAuthentication{ObjectMeta: meta}
}

// triggers refer to authentication objects: "name", or "cluster/name".
func triggers(refs ...string) (list []v1alpha1.Trigger) {
	for _, ref := range refs {
		to := &v1alpha1.AuthenticationRef{Name: ref}
		if name, ok := cutCluster(ref); ok {
			to.Name, to.Kind = name, v1alpha1.KindClusterTriggerAuthentication
		}
		list = append(list, v1alpha1.Trigger{Type: "redis", AuthenticationRef: to})
	}
	return append(list, v1alpha1.Trigger{Type: "cron"})
}

func object(namespace, name string, refs ...string) *v1alpha1.ScaledObject {
	return &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1},
		Spec:       v1alpha1.ScaledObjectSpec{Triggers: triggers(refs...)},
	}
}

func job(namespace, name string, refs ...string) *v1alpha1.ScaledJob {
	return &v1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1},
		Spec:       v1alpha1.ScaledJobSpec{Triggers: triggers(refs...)},
	}
}
