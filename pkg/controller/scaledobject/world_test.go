package scaledobject_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
)

// world is a cluster with a reconciler in it. What the reconciler asks of the
// cluster goes through Call, which records it and may let it fail.
type world struct {
	scaledtest.Record

	api    client.WithWatch // the cluster, without the recording
	r      *scaledobject.Reconciler
	engine *scaledtest.Engine
	now    time.Time
	def    *scalers.Definition

	stores   kube.Stores
	replicas map[string]int32              // of workloads of the custom kind
	cached   map[string]*appsv1.Deployment // what a stale cache says, by name
	selector string                        // of the pods of every workload
	queue    scaledtest.Queue
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		Record: scaledtest.Record{T: t}, now: scaledtest.Start(), def: scaledtest.Fake(5), engine: scaledtest.NewEngine(),
		replicas: map[string]int32{}, cached: map[string]*appsv1.Deployment{},
	}
	w.api = scaledtest.Cluster(t, scaledobject.Indexes(), objects...).
		WithStatusSubresource(&v1alpha1.ScaledObject{}, &appsv1.Deployment{}, &autoscalingv2.HorizontalPodAutoscaler{}).
		Build()
	w.restart()
	return w
}

// restart forgets all that was in memory.
func (w *world) restart() {
	registry, err := scalers.NewRegistry(w.def, scaledtest.Naming("naming", false), scaledtest.Naming("pushing", true), scaledtest.Resource())
	if err != nil {
		w.T.Fatal(err)
	}
	recording := interceptor.NewClient(w.api, w.recorded())
	clear(w.engine.Uses)
	w.r = scaledobject.New(scaledobject.Config{
		Client: recording, Live: recording, Scales: fakeScales{w}, Engine: w.engine, Registry: registry,
		Credentials: kube.Credentials{
			Objects: scaledtest.Objects{Reader: kube.Reader{Cache: w.api}, Record: &w.Record}, ClusterNamespace: "weir-system", Stores: w.stores,
		},
		References: w, Events: w, Log: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Now: func() time.Time { return w.now },
	})
	w.r.Attach(&w.queue)
}

// recorded is what Record has of the cluster, and what only this controller asks of it.
func (w *world) recorded() interceptor.Funcs {
	out := w.Recorded()
	get := out.Get
	out.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if err := get(ctx, c, key, o, opts...); w.cached[key.Name] == nil {
			return err
		}
		if d, ok := o.(*appsv1.Deployment); ok {
			w.cached[key.Name].DeepCopyInto(d)
		}
		return nil
	}
	out.Delete = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		if err := w.Call(true, "delete %s %s", scaledtest.KindOf(o), o.GetName()); err != nil {
			return err
		}
		return c.Delete(ctx, o, opts...)
	}
	out.Apply = func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
		if err := w.Call(true, "apply %s", describe(o)); err != nil {
			return err
		}
		return c.Apply(ctx, o, opts...)
	}
	return out
}

func describe(o runtime.ApplyConfiguration) string {
	a, ok := o.(interface {
		GetKind() string
		GetName() string
	})
	if !ok {
		return fmt.Sprintf("%T", o)
	}
	return a.GetKind() + " " + a.GetName()
}

// query is what a trigger on the thing measures, with a password or without.
func (w *world) query(name, password string) scalers.Query {
	w.T.Helper()
	return scaledtest.Query(w.T, w.def, name, password)
}

// reads lets things have values, measured now.
func (w *world) reads(values map[string]float64) {
	w.T.Helper()
	for name, v := range values {
		w.engine.Reads(w.query(name, ""), v, w.now)
	}
}

// breaks lets a thing fail; what was last measured stays.
func (w *world) breaks(name string, err error) {
	w.T.Helper()
	w.engine.Breaks(w.query(name, ""), err, w.now)
}

// fakeScales is the scale subresource: of Deployments and StatefulSets as they
// are in the cluster, and of Rollouts as a table says.
type fakeScales struct{ w *world }

func (f fakeScales) Find(kind schema.GroupVersionKind, namespace, name string) (kube.Target, error) {
	resources := map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "Rollout": "rollouts", "Secret": "secrets"}
	if resources[kind.Kind] == "" {
		return kube.Target{}, &kube.UnknownKindError{Kind: kind}
	}
	return kube.Target{Kind: kind, Resource: kind.GroupVersion().WithResource(resources[kind.Kind]), Namespace: namespace, Name: name}, nil
}

func (f fakeScales) Get(ctx context.Context, t kube.Target) (*autoscalingv1.Scale, error) {
	if err := f.w.Call(false, "get scale of %s %s", t.Kind.Kind, t.Name); err != nil {
		return nil, fmt.Errorf("reading the scale of %v: %w", t, err)
	}
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}}
	scale.Status.Selector = f.w.selector
	if n, ok := f.w.replicas[t.Name]; ok && t.Kind.Kind == "Rollout" {
		scale.Spec.Replicas = n
		return scale, nil
	}
	n, version, err := f.w.workload(ctx, t.Kind.Kind, t.Name)
	if err != nil {
		return nil, &kube.NoScaleError{Target: t}
	}
	scale.Spec.Replicas, scale.ResourceVersion = n, version
	return scale, nil
}

func (f fakeScales) Set(ctx context.Context, t kube.Target, was *autoscalingv1.Scale, replicas int32) error {
	if err := f.w.Call(true, "scale %s %s to %d", t.Kind.Kind, t.Name, replicas); err != nil {
		return fmt.Errorf("scaling %v to %d: %w", t, replicas, err)
	}
	if t.Kind.Kind == "Rollout" {
		f.w.replicas[t.Name] = replicas
		return nil
	}
	_, version, err := f.w.workload(ctx, t.Kind.Kind, t.Name)
	if err == nil && version != was.ResourceVersion {
		err = conflict()
	}
	if err != nil {
		return fmt.Errorf("scaling %v to %d: %w", t, replicas, err)
	}
	f.w.scale(t.Kind.Kind, t.Name, replicas) //nolint:contextcheck // it takes the test's own
	return nil
}

func conflict() error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "thing", errors.New("it has changed"))
}

// workload returns the replicas and the version of a workload.
func (w *world) workload(ctx context.Context, kind, name string) (int32, string, error) {
	key := client.ObjectKey{Namespace: "ns", Name: name}
	var n *int32
	var err error
	var o client.Object
	if kind == "StatefulSet" {
		s := new(appsv1.StatefulSet)
		err = w.api.Get(ctx, key, s)
		n, o = s.Spec.Replicas, s
	} else {
		d := new(appsv1.Deployment)
		err = w.api.Get(ctx, key, d)
		n, o = d.Spec.Replicas, d
	}
	if n == nil {
		return 1, o.GetResourceVersion(), err
	}
	return *n, o.GetResourceVersion(), err
}

// scale sets the replicas of a workload, as kubectl does.
func (w *world) scale(kind, name string, n int32) {
	w.T.Helper()
	var o client.Object = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if kind == "StatefulSet" {
		o = &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
	if err := w.api.Patch(w.T.Context(), o, patch); err != nil {
		w.T.Fatal(err)
	}
}

var _ scaledobject.Scales = fakeScales{}
