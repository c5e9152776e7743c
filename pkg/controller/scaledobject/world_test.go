package scaledobject_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/controller/scaledobject"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
)

// start is when every test begins.
func start() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }

// world is a cluster with a reconciler in it. What the reconciler asks of the
// cluster goes through call, which records it and may let it fail.
type world struct {
	t      testing.TB
	api    client.WithWatch // the cluster, without the recording
	r      *scaledobject.Reconciler
	engine *fakeEngine
	now    time.Time
	def    *scalers.Definition

	mu     sync.Mutex // guards calls and writes while they are recorded
	calls  []string   // everything asked of the API server, in order
	writes []string   // those that write
	events []string
	fail   func(call string) error // nil lets everything pass

	stores   kube.Stores
	replicas map[string]int32              // of workloads of the custom kind
	cached   map[string]*appsv1.Deployment // what a stale cache says, by name
	selector string                        // of the pods of every workload
	refs     map[string][]kube.Ref
	queue    fakeQueue
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, now: start(), def: definition(), engine: newFakeEngine(),
		replicas: map[string]int32{}, cached: map[string]*appsv1.Deployment{}, refs: map[string][]kube.Ref{},
		queue: fakeQueue{asked: map[string]bool{}},
	}
	w.api = scaledobject.WithIndexes(fake.NewClientBuilder().WithScheme(scheme)).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ScaledObject{}, &appsv1.Deployment{}, &autoscalingv2.HorizontalPodAutoscaler{}).
		Build()
	w.restart()
	return w
}

// restart forgets all that was in memory.
func (w *world) restart() {
	registry, err := scalers.NewRegistry(w.def, naming(), pushing(), pods())
	if err != nil {
		w.t.Fatal(err)
	}
	recording := interceptor.NewClient(w.api, w.recorded())
	w.engine.uses = map[engine.Owner][]engine.Use{}
	w.r = scaledobject.New(scaledobject.Config{
		Client: recording, Live: recording, Scales: fakeScales{w}, Engine: w.engine, Registry: registry,
		Credentials: kube.Credentials{Objects: secrets{w}, ClusterNamespace: "weir-system", Stores: w.stores},
		References:  w, Events: w, Log: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Now: func() time.Time { return w.now },
	})
	w.r.Attach(&w.queue)
}

// Set implements scaled.References.
func (w *world) Set(owner string, refs []kube.Ref) { w.refs[owner] = refs }

// Eventf implements events.EventRecorder, with the limits of the API server.
func (w *world) Eventf(_, _ runtime.Object, kind, reason, action, note string, args ...any) {
	note = fmt.Sprintf(note, args...)
	if len(note) > 1024 || len(action) > 128 || len(reason) > 128 || action == "" || reason == "" || note == "" {
		w.t.Errorf("the API server refuses event %s %s with action %q and a note of %d bytes", kind, reason, action, len(note))
	}
	w.events = append(w.events, fmt.Sprintf("%s %s: %s", kind, reason, note))
}

// call records one call and says whether it fails.
func (w *world) call(write bool, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, text)
	if w.fail != nil {
		if err := w.fail(text); err != nil {
			return err
		}
	}
	if write {
		w.writes = append(w.writes, text)
	}
	return nil
}

func kindOf(o any) string {
	name := fmt.Sprintf("%T", o)
	return strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "List")
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

func (w *world) recorded() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := w.call(false, "get %s %s", kindOf(o), key.Name); err != nil {
				return err
			}
			if d, ok := o.(*appsv1.Deployment); ok && w.cached[key.Name] != nil {
				w.cached[key.Name].DeepCopyInto(d)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := w.call(false, "list %s", kindOf(l)); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.call(true, "patch %s %s", kindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.call(true, "delete %s %s", kindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if err := w.call(true, "apply %s", describe(o)); err != nil {
				return err
			}
			return c.Apply(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, _ string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.call(true, "apply status of %s %s", kindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Status().Patch(ctx, o, p, opts...)
		},
	}
}

// fakeQueue remembers what was asked for, each name once.
type fakeQueue struct {
	scaledobject.Queue

	asked map[string]bool
}

func (q *fakeQueue) Add(r reconcile.Request) { q.asked[r.Name] = true }

// taken returns what was asked for since it was last called.
func (q *fakeQueue) taken() []string {
	out := slices.Sorted(maps.Keys(q.asked))
	clear(q.asked)
	return out
}

// fakeEngine answers with the samples that a test sets.
type fakeEngine struct {
	uses    map[engine.Owner][]engine.Use
	wait    func() // what Fresh does before it answers; nil for nothing
	sets    int
	samples map[scalers.Query]engine.Sample
	asked   atomic.Int64 // the age that Fresh was last asked for
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{uses: map[engine.Owner][]engine.Use{}, samples: map[scalers.Query]engine.Sample{}}
}

func (e *fakeEngine) Set(owner engine.Owner, uses []engine.Use) {
	e.uses[owner], e.sets = uses, e.sets+1
}
func (e *fakeEngine) Remove(owner engine.Owner)            { delete(e.uses, owner) }
func (e *fakeEngine) Latest(q scalers.Query) engine.Sample { return e.samples[q] }

func (e *fakeEngine) Fresh(_ context.Context, q scalers.Query, maxAge time.Duration) engine.Sample {
	e.asked.Store(int64(maxAge))
	if e.wait != nil {
		e.wait()
	}
	return e.samples[q]
}

// The scaler under test: things at a place.
type (
	place struct {
		addr     string
		password param.Secret
	}
	thing struct{ name string }
)

func definition() *scalers.Definition {
	return scalers.Define(scalers.Spec[place, thing]{
		Type: "fake", Summary: "Scales on nothing.", Unit: "things", Watches: true,
		Settings: func(s *place, p *param.Set) {
			s.addr = "here"
			p.String(&s.addr, "addr", "Address.")
			p.Secret(&s.password, "password", "Password.", param.From(param.Env, param.Auth))
		},
		Query:      func(q *thing, p *param.Set) { p.String(&q.name, "name", "Name.", param.Required) },
		Target:     scalers.Target{Param: "target", Default: 5, Activation: "activation"},
		MetricName: func(_ place, q thing) string { return "fake-" + q.name },
		Open: func(context.Context, scalers.Env, place) (scalers.Source[thing], error) {
			return nil, errors.New("the tests measure nothing")
		},
	})
}

// query is what a trigger on the thing measures, with a password or without.
func (w *world) query(name, password string) scalers.Query {
	w.t.Helper()
	values := param.Values{Metadata: map[string]string{"name": name}}
	if password != "" {
		values.Auth = map[string]string{"password": password}
	}
	trigger, _, err := w.def.Parse(values)
	if err != nil {
		w.t.Fatal(err)
	}
	return trigger.Query
}

// reads lets things have values, measured now.
func (w *world) reads(values map[string]float64) {
	w.t.Helper()
	for name, v := range values {
		w.engine.samples[w.query(name, "")] = engine.Sample{OK: true, Value: v, Work: v, At: w.now, Measured: w.now}
	}
}

// breaks lets a thing fail; what was last measured stays.
func (w *world) breaks(name string, err error) {
	w.t.Helper()
	s := w.engine.samples[w.query(name, "")]
	if s.Err == nil {
		s.ErrSince = w.now
	}
	s.Err = err
	w.engine.samples[w.query(name, "")] = s
}

// secrets reads Secrets and authentication objects from the cluster.
type secrets struct{ w *world }

func (s secrets) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	if err := s.w.call(false, "get Secret %s", name); err != nil {
		return nil, err
	}
	o := new(corev1.Secret)
	err := s.w.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
	return o.Data, err
}

func (s secrets) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	o := new(corev1.ConfigMap)
	err := s.w.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
	return o.Data, err
}

func (s secrets) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	o := new(corev1.ServiceAccount)
	return o, s.w.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
}

func (s secrets) TriggerAuthentication(ctx context.Context, namespace, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return kube.Reader{Cache: s.w.api}.TriggerAuthentication(ctx, namespace, name)
}

func (s secrets) ClusterTriggerAuthentication(ctx context.Context, name string) (*v1alpha1.TriggerAuthenticationSpec, error) {
	return kube.Reader{Cache: s.w.api}.ClusterTriggerAuthentication(ctx, name)
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
	if err := f.w.call(false, "get scale of %s %s", t.Kind.Kind, t.Name); err != nil {
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
	if err := f.w.call(true, "scale %s %s to %d", t.Kind.Kind, t.Name, replicas); err != nil {
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
	w.t.Helper()
	var o client.Object = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if kind == "StatefulSet" {
		o = &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
	if err := w.api.Patch(w.t.Context(), o, patch); err != nil {
		w.t.Fatal(err)
	}
}

var (
	_ scaledobject.Scales  = fakeScales{}
	_ scaled.Engine        = (*fakeEngine)(nil)
	_ events.EventRecorder = (*world)(nil)
	_ kube.Objects         = secrets{}
)
