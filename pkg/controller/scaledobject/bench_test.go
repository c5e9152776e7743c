package scaledobject_test

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/engine"
)

// fleet is how many objects the benchmarks have.
const fleet = 10_000

// atRest is a world with a fleet of objects at rest, each with a workload, a
// thing and a namespace of its own: the fake cluster lists a namespace by going
// through it. It returns the requests for them.
func atRest(b *testing.B) (*world, []reconcile.Request) {
	b.Helper()
	objects := make([]client.Object, 0, 2*fleet)
	requests := make([]reconcile.Request, fleet)
	for i := range requests {
		namespace := fmt.Sprintf("n%05d", i)
		so, web := scaledObject("a", triggers(namespace)), deployment("web", 0)
		so.Namespace, web.Namespace = namespace, namespace
		objects = append(objects, so, web)
		requests[i].NamespacedName = client.ObjectKeyFromObject(so)
	}
	w := newWorld(b, objects...)
	w.r.Attach(quietQueue{})
	for _, r := range requests {
		w.reads(map[string]float64{r.Namespace: 0})
		w.reconcile(r)
	}
	w.Forgets()
	return w, requests
}

func (w *world) reconcile(r reconcile.Request) {
	w.T.Helper()
	if _, err := w.r.Reconcile(w.T.Context(), r); err != nil {
		w.T.Fatal(err)
	}
}

// BenchmarkAtRest measures what objects at rest cost: a reading that says nothing
// new, and a pass that does nothing. The latter includes reads from the fake
// cluster, which are slower than those from a cache.
func BenchmarkAtRest(b *testing.B) {
	w, requests := atRest(b)
	owners := make([]engine.Owner, len(requests))
	for i, r := range requests {
		owners[i] = engine.Owner("scaledobject/" + r.String())
	}
	for name, one := range map[string]func(int){
		"reading": func(i int) { w.r.OnReadings(owners[i : i+1]) },
		"pass":    func(i int) { w.reconcile(requests[i]) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				one(i % fleet)
				i++
			}
		})
	}
	w.Does()
}
