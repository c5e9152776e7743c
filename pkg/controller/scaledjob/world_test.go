package scaledjob_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/scalers/param"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// start is when every test begins.
func start() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }

// world is a cluster with a reconciler in it. What the reconciler asks of the
// cluster goes through call, which records it and may let it fail. Of Jobs the
// reconciler's cache shows what it was last synchronised to.
type world struct {
	t      testing.TB
	api    client.WithWatch // the cluster, without the recording
	r      *scaledjob.Reconciler
	engine *fakeEngine
	now    time.Time
	def    *scalers.Definition
	named  *scalers.Definition // its upstream names its metrics

	mu     sync.Mutex              // guards the fields below: Jobs are created side by side
	calls  []string                // everything asked of the API server, in order, but reads from the cache
	writes []string                // those that write
	fail   func(call string) error // nil lets everything pass
	lose   func() bool             // whether a creation succeeds and its answer is lost; nil: never
	uids   int
	made   []string // the names of the Jobs that were created

	events  []string
	told    []string // by OnDecision
	cache   map[string]*batchv1.Job
	lagging bool // the cache is not synchronised before a pass
	refs    map[string][]kube.Ref
	queue   fakeQueue
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, now: start(), def: definition(), named: named(), engine: &fakeEngine{}, cache: map[string]*batchv1.Job{}, refs: map[string][]kube.Ref{},
		queue: fakeQueue{asked: map[string]bool{}},
	}
	w.api = scaledjob.WithIndexes(fake.NewClientBuilder().WithScheme(scheme)).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ScaledJob{}).Build()
	w.restart()
	return w
}

// restart forgets all that was in memory. The new cache is up to date.
func (w *world) restart() {
	registry, err := scalers.NewRegistry(w.def, w.named, resource())
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine.uses, w.engine.samples = map[engine.Owner][]engine.Use{}, map[scalers.Query]engine.Sample{}
	w.r = scaledjob.New(scaledjob.Config{
		Client: interceptor.NewClient(w.api, w.cached()), Live: interceptor.NewClient(w.api, w.live()), Engine: w.engine, Registry: registry,
		Credentials: kube.Credentials{Objects: objects{Reader: kube.Reader{Cache: w.api}, w: w}, ClusterNamespace: "weir-system"},
		References:  w, Events: w, Log: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Now: func() time.Time { return w.now },
		OnDecision: func(namespace, name string, d snapshot.Decision) {
			w.told = append(w.told, fmt.Sprintf("%s/%s %s %d to %d: %s", namespace, name, d.Action, d.From, d.To, d.Reason))
		},
		OnCreated: func(c scaledjob.Created) {
			w.told = append(w.told, fmt.Sprintf("%s/%s has %d more, measured %s ago, error %v", c.Namespace, c.Name, c.Decision.Create, c.Done.Sub(c.Measured), c.Err))
		},
	})
	w.r.Attach(&w.queue)
	clear(w.cache)
	w.syncs()
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
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprintf(format, args...)
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

// live is what is read from the API server.
func (w *world) live() interceptor.Funcs {
	return interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := w.call(false, "list %s", kindOf(l)); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
	}
}

// cached is what is read from the cache, and what is written.
func (w *world) cached() interceptor.Funcs {
	return interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if w.fail != nil {
				if err := w.fail("cached " + kindOf(l)); err != nil {
					return err
				}
			}
			list, ok := l.(*batchv1.JobList)
			if !ok {
				return c.List(ctx, l, opts...)
			}
			var o client.ListOptions
			o.ApplyOptions(opts)
			for _, name := range slices.Sorted(maps.Keys(w.cache)) {
				j := w.cache[name]
				if j.Namespace == o.Namespace && slices.ContainsFunc(scaledjob.OwnerKeys(j), func(k string) bool { return strings.HasSuffix(o.FieldSelector.String(), "="+k) }) {
					list.Items = append(list.Items, *j)
				}
			}
			return nil
		},
		Create: w.create,
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if w.fail != nil {
				if err := w.fail("cached " + kindOf(o)); err != nil {
					return err
				}
			}
			return c.Get(ctx, key, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.call(true, "patch %s %s", kindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			var how client.DeleteOptions
			how.ApplyOptions(opts)
			if err := w.call(true, "delete %s %s %s", kindOf(o), o.GetName(), *how.PropagationPolicy); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, _ string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.call(true, "status of %s %s", kindOf(o), o.GetName()); err != nil {
				return err
			}
			return c.Status().Patch(ctx, o, p, opts...)
		},
	}
}

// create is the API server's part of a creation.
func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if err := w.call(true, "create %s", kindOf(o)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uids++
	o.SetUID(types.UID(fmt.Sprintf("uid-job-%d", w.uids)))
	o.SetCreationTimestamp(metav1.NewTime(w.now))
	if err := c.Create(ctx, o, opts...); err != nil {
		return err
	}
	w.made = append(w.made, o.GetName())
	if w.lose != nil && w.lose() {
		return context.DeadlineExceeded
	}
	return nil
}

// jobs returns the Jobs of the cluster.
func (w *world) jobs() []batchv1.Job {
	w.t.Helper()
	var list batchv1.JobList
	if err := w.api.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// syncs lets the cache know of all Jobs as they are now.
func (w *world) syncs() {
	w.t.Helper()
	gone := maps.Clone(w.cache)
	for _, j := range w.jobs() {
		w.shows(&j)
		delete(gone, j.Name)
	}
	for name := range gone {
		w.hides(name)
	}
}

// shows puts a Job into the cache, as it came from the API server.
func (w *world) shows(j *batchv1.Job) {
	before, handler := w.cache[j.Name], w.r.FromJob()
	w.cache[j.Name] = j
	if before == nil {
		handler.Create(w.t.Context(), event.CreateEvent{Object: j}, nil)
	} else {
		handler.Update(w.t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: j}, nil)
	}
}

// hides takes a Job out of the cache.
func (w *world) hides(name string) {
	j := w.cache[name]
	delete(w.cache, name)
	w.r.FromJob().Delete(w.t.Context(), event.DeleteEvent{Object: j}, nil)
}

// fakeQueue remembers what was asked for, each name once.
type fakeQueue struct {
	scaledjob.Queue

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
	samples map[scalers.Query]engine.Sample
}

func (e *fakeEngine) Set(owner engine.Owner, uses []engine.Use) { e.uses[owner] = uses }
func (e *fakeEngine) Remove(owner engine.Owner)                 { delete(e.uses, owner) }
func (e *fakeEngine) Latest(q scalers.Query) engine.Sample      { return e.samples[q] }

func (e *fakeEngine) Fresh(context.Context, scalers.Query, time.Duration) engine.Sample {
	panic("nobody reads the metrics of a ScaledJob")
}

// The scaler under test: things at a place.
type (
	place struct{ password param.Secret }
	thing struct{ name string }
)

func spec(of string) scalers.Spec[place, thing] {
	return scalers.Spec[place, thing]{
		Type: of, Summary: "Scales on nothing.", Unit: "things",
		Settings: func(s *place, p *param.Set) {
			p.Secret(&s.password, "password", "Password.", param.From(param.Env, param.Auth))
		},
		Query:  func(q *thing, p *param.Set) { p.String(&q.name, "name", "Name.", param.Required) },
		Target: scalers.Target{Param: "target", Default: 1, Activation: "activation"},
		Open: func(context.Context, scalers.Env, place) (scalers.Source[thing], error) {
			return nil, errors.New("the tests measure nothing")
		},
	}
}

func definition() *scalers.Definition {
	s := spec("fake")
	s.Watches, s.MetricName = true, func(_ place, q thing) string { return "fake-" + q.name }
	return scalers.Define(s)
}

// named is a scaler whose upstream names its metrics.
func named() *scalers.Definition {
	s := spec("named")
	s.NamesMetrics, s.Target, s.MetricName = true, scalers.Target{}, func(place, thing) string { return "named" }
	return scalers.Define(s)
}

// resource is a scaler that the HPA reads itself.
func resource() *scalers.Definition {
	return scalers.Define(scalers.Spec[struct{}, scalers.Resource]{
		Type: "cpu", Summary: "Scales on CPU.", Unit: "percent",
		Query: func(q *scalers.Resource, p *param.Set) {
			q.Name = "cpu"
			p.String(&q.Target, "value", "Target.", param.Required)
		},
		MetricName: func(struct{}, scalers.Resource) string { return "cpu" },
	})
}

// query is what a trigger on the thing measures.
func (w *world) query(name string) scalers.Query {
	w.t.Helper()
	trigger, _, err := w.def.Parse(param.Values{Metadata: map[string]string{"name": name}})
	if err != nil {
		w.t.Fatal(err)
	}
	return trigger.Query
}

// reads lets things have values, measured now.
func (w *world) reads(name string, value float64) {
	w.t.Helper()
	w.engine.samples[w.query(name)] = engine.Sample{OK: true, Value: value, Work: value, At: w.now, Measured: w.now}
}

// breaks lets a thing fail; what was last measured stays.
func (w *world) breaks(name string, err error) {
	w.t.Helper()
	s := w.engine.samples[w.query(name)]
	s.Err, s.ErrSince, s.Failures = err, w.now, s.Failures+1
	w.engine.samples[w.query(name)] = s
}

// objects reads Secrets from the cluster.
type objects struct {
	kube.Reader

	w *world
}

func (o objects) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	if err := o.w.call(false, "get Secret %s", name); err != nil {
		return nil, err
	}
	s := new(corev1.Secret)
	err := o.w.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
	return s.Data, err
}

var (
	_ scaled.Engine        = (*fakeEngine)(nil)
	_ events.EventRecorder = (*world)(nil)
	_ kube.Objects         = objects{}
)
