package scaledjob_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/internal/scaledtest"
	"github.com/weir-sh/weir/pkg/controller/scaledjob"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
	"github.com/weir-sh/weir/pkg/snapshot"
)

// world is a cluster with a reconciler in it. What the reconciler asks of the
// cluster, but for reads from its cache, goes through Call, which records it and may
// let it fail. Of Jobs the cache shows what it was last synchronised to.
type world struct {
	scaledtest.Record

	api    client.WithWatch // the cluster, without the recording
	r      *scaledjob.Reconciler
	engine *scaledtest.Engine
	now    time.Time
	def    *scalers.Definition
	named  *scalers.Definition // its upstream names its metrics

	lose func() bool // whether a creation succeeds and its answer is lost; nil: never
	uids int
	made []string // the names of the Jobs that were created; guarded, like the two above, by Mu: that happens side by side

	told    []string // by OnDecision
	cache   map[string]*batchv1.Job
	lagging bool // the cache is not synchronised before a pass
	queue   scaledtest.Queue
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		Record: scaledtest.Record{T: t}, now: scaledtest.Start(), def: scaledtest.Fake(1), named: scaledtest.Naming("named", false),
		engine: scaledtest.NewEngine(), cache: map[string]*batchv1.Job{},
	}
	w.api = scaledtest.Cluster(t, scaledjob.Indexes(), objects...).WithStatusSubresource(&v1alpha1.ScaledJob{}).Build()
	w.restart()
	return w
}

// restart forgets all that was in memory. The new cache is up to date.
func (w *world) restart() {
	registry, err := scalers.NewRegistry(w.def, w.named, scaledtest.Resource())
	if err != nil {
		w.T.Fatal(err)
	}
	clear(w.engine.Uses)
	clear(w.engine.Samples)
	w.r = scaledjob.New(scaledjob.Config{
		Client: interceptor.NewClient(w.api, w.cached()), Live: interceptor.NewClient(w.api, interceptor.Funcs{List: w.Recorded().List}),
		Engine: w.engine, Registry: registry,
		Credentials: kube.Credentials{Objects: scaledtest.Objects{Reader: kube.Reader{Cache: w.api}, Record: &w.Record}, ClusterNamespace: "weir-system"},
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

// cached is what is read from the cache, and what is written.
func (w *world) cached() interceptor.Funcs {
	out := w.Recorded()
	out.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		if err := w.fails("cached " + scaledtest.KindOf(l)); err != nil {
			return err
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
	}
	out.Create = w.create
	out.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if err := w.fails("cached " + scaledtest.KindOf(o)); err != nil {
			return err
		}
		return c.Get(ctx, key, o, opts...)
	}
	out.Delete = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		var how client.DeleteOptions
		how.ApplyOptions(opts)
		if err := w.Call(true, "delete %s %s %s", scaledtest.KindOf(o), o.GetName(), *how.PropagationPolicy); err != nil {
			return err
		}
		return c.Delete(ctx, o, opts...)
	}
	return out
}

// fails says whether a read from the cache fails.
func (w *world) fails(read string) error {
	if w.Fail == nil {
		return nil
	}
	return w.Fail(read)
}

// create is the API server's part of a creation.
func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if err := w.Call(true, "create %s", scaledtest.KindOf(o)); err != nil {
		return err
	}
	w.Mu.Lock()
	defer w.Mu.Unlock()
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
	w.T.Helper()
	var list batchv1.JobList
	if err := w.api.List(w.T.Context(), &list); err != nil {
		w.T.Fatal(err)
	}
	return list.Items
}

// syncs lets the cache know of all Jobs as they are now.
func (w *world) syncs() {
	w.T.Helper()
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
		handler.Create(w.T.Context(), event.CreateEvent{Object: j}, nil)
	} else {
		handler.Update(w.T.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: j}, nil)
	}
}

// hides takes a Job out of the cache.
func (w *world) hides(name string) {
	j := w.cache[name]
	delete(w.cache, name)
	w.r.FromJob().Delete(w.T.Context(), event.DeleteEvent{Object: j}, nil)
}

// query is what a trigger on the thing measures.
func (w *world) query(name string) scalers.Query {
	w.T.Helper()
	return scaledtest.Query(w.T, w.def, name, "")
}

// reads lets things have values, measured now.
func (w *world) reads(name string, value float64) {
	w.T.Helper()
	w.engine.Reads(w.query(name), value, w.now)
}

// breaks lets a thing fail; what was last measured stays.
func (w *world) breaks(name string, err error) {
	w.T.Helper()
	w.engine.Breaks(w.query(name), err, w.now)
}
