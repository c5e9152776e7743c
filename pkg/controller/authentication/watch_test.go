package authentication_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/controller/authentication"
)

// asked is a queue that remembers what was asked for, and when it is due.
type asked struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	names []string
}

func (a *asked) Add(r reconcile.Request) { a.names = append(a.names, r.String()+" now") }

func (a *asked) AddAfter(r reconcile.Request, after time.Duration) {
	a.names = append(a.names, fmt.Sprintf("%s in %s", r, after))
}

// changed is object with change made to it.
func changed(o client.Object, change func(client.Object)) client.Object {
	next, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		panic("no object")
	}
	change(next)
	return next
}

func newSpec(o client.Object) { o.SetGeneration(o.GetGeneration() + 1) }

func TestEventsTellWhatHappensWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, namespace string
		was, is         func(client.Object) client.Object // nil: there is none
		initial         bool
		event           string // without the object's name
		asked           bool
	}{
		"created": {
			kind: namespaced, namespace: "ns", is: same, asked: true,
			event: "Normal TriggerAuthenticationAdded creating: the TriggerAuthentication was created",
		},
		"created, cluster-wide": {
			kind: cluster, is: same, asked: true,
			event: "Normal ClusterTriggerAuthenticationAdded creating: the ClusterTriggerAuthentication was created",
		},
		"found at the start": {kind: namespaced, namespace: "ns", is: same, initial: true, asked: true},
		"changed": {
			kind: namespaced, namespace: "ns", was: same, is: respecified, asked: true,
			event: "Normal ClusterTriggerAuthenticationUpdated updating: the TriggerAuthentication was changed",
		},
		"changed, cluster-wide": {
			kind: cluster, was: same, is: respecified, asked: true,
			event: "Normal ClusterTriggerAuthenticationUpdated updating: the ClusterTriggerAuthentication was changed",
		},
		"given another status or label": {kind: namespaced, namespace: "ns", was: same, is: same},
		"being deleted":                 {kind: namespaced, namespace: "ns", was: same, is: deleting, asked: true},
		"deleted and created in between": {
			kind: namespaced, namespace: "ns", was: same, is: remade, asked: true,
			event: "Normal TriggerAuthenticationAdded creating: the TriggerAuthentication was created anew",
		},
		"deleted": {
			kind: namespaced, namespace: "ns", was: same,
			event: "Normal TriggerAuthenticationDeleted deleting: the TriggerAuthentication was deleted",
		},
		"deleted, cluster-wide": {
			kind: cluster, was: same,
			event: "Normal ClusterTriggerAuthenticationDeleted deleting: the ClusterTriggerAuthentication was deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, q := newWorld(t), new(asked)
			fire(t, authentication.New(w, w, tc.kind).OfItself(), q, make1(tc.was, tc.namespace), make1(tc.is, tc.namespace), tc.initial)
			prefix := client.ObjectKeyFromObject(auth(tc.namespace, "a")).String() + " "
			var want []string
			if tc.event != "" {
				want = []string{prefix + tc.event}
			}
			if !slices.Equal(w.events, want) {
				t.Errorf("events %q, want %q", w.events, want)
			}
			if got := len(q.names) == 1; got != tc.asked {
				t.Errorf("asked for %q", q.names)
			}
		})
	}
}

func same(o client.Object) client.Object        { return o }
func respecified(o client.Object) client.Object { return changed(o, newSpec) }
func remade(o client.Object) client.Object {
	return changed(o, func(o client.Object) { o.SetUID("2") })
}

func make1(change func(client.Object) client.Object, namespace string) client.Object {
	if change == nil {
		return nil
	}
	return change(auth(namespace, "a"))
}

// fire gives a handler the change from was to is, where nil means that there is
// none.
func fire(t *testing.T, h handler.EventHandler, q authQueue, was, is client.Object, initial bool) {
	t.Helper()
	switch {
	case was == nil:
		h.Create(t.Context(), event.CreateEvent{Object: is, IsInInitialList: initial}, q)
	case is == nil:
		h.Delete(t.Context(), event.DeleteEvent{Object: was}, q)
	default:
		h.Update(t.Context(), event.UpdateEvent{ObjectOld: was, ObjectNew: is}, q)
	}
}

type authQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func TestChangesOfReferrersAskForWhatTheyConcern(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind    string
		was, is client.Object
		want    []string
	}{
		"created":                  {namespaced, nil, object("ns", "o", "a", "b", "cluster/c"), []string{"ns/a", "ns/b"}},
		"created, cluster-wide":    {cluster, nil, job("ns", "j", "a", "cluster/c"), []string{"/c"}},
		"deleted":                  {namespaced, job("ns", "j", "a"), nil, []string{"ns/a"}},
		"refers to another":        {namespaced, object("ns", "o", "a", "b"), changed(object("ns", "o", "b", "c"), newSpec), []string{"ns/a", "ns/c"}},
		"changed in other respect": {namespaced, object("ns", "o", "a"), changed(object("ns", "o", "a"), newSpec), nil},
		"changed in status":        {namespaced, object("ns", "o", "a"), object("ns", "o", "a"), nil},
		"refers to nothing":        {namespaced, nil, object("ns", "o"), nil},
		"of another kind":          {namespaced, nil, auth("ns", "a"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, q := newWorld(t), new(asked)
			fire(t, authentication.New(w, w, tc.kind).OfReferrers(), q, tc.was, tc.is, false)
			var want []string
			for _, key := range tc.want {
				want = append(want, key+" in 2s")
			}
			if !slices.Equal(q.names, want) {
				t.Errorf("asked for %q, want %q", q.names, want)
			}
			if len(w.events) > 0 {
				t.Errorf("events %q", w.events)
			}
		})
	}
}

func TestABurstOfReferrersIsOneWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth("ns", "a"))
	r := authentication.New(w, w, namespaced)
	synctest.Test(t, func(t *testing.T) {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		done := make(chan int)
		go func() {
			passes := 0
			for {
				req, shutdown := q.Get()
				if shutdown {
					done <- passes
					return
				}
				if _, err := r.Reconcile(t.Context(), req); err != nil {
					t.Error(err)
				}
				passes++
				q.Done(req)
			}
		}()
		const n = 150
		for i := range n {
			o := object("ns", fmt.Sprintf("o%d", i), "a")
			if err := w.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			r.OfReferrers().Create(t.Context(), event.CreateEvent{Object: o}, q)
			time.Sleep(authentication.Settle / n / 2)
		}
		time.Sleep(2 * authentication.Settle)
		synctest.Wait()
		q.ShutDown()
		if passes := <-done; passes != 1 || w.writes != 1 {
			t.Errorf("%d passes and %d writes for a burst of %d; want one of each", passes, w.writes, n)
		}
		if got := strings.Count(w.status("ns", "a").ScaledObjectNames, ",") + 1; got != n {
			t.Errorf("%d names, want %d", got, n)
		}
	})
}
