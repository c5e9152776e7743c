// Package scaled is what the controllers of ScaledObjects and of ScaledJobs have
// in common: how an object's triggers are resolved and watched, what a reading
// says, what is remembered of an object between two passes, how problems, events
// and conditions are told, and who is asked to look at an object again. It decides
// nothing and writes nothing.
package scaled

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/engine"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/scalers"
)

// Engine measures.
type Engine interface {
	// Set replaces what owner measures.
	Set(owner engine.Owner, uses []engine.Use)
	// Remove ends what owner measures.
	Remove(owner engine.Owner)
	// Latest returns the newest reading of a query, from memory.
	Latest(q scalers.Query) engine.Sample
	// Fresh returns a reading of at most maxAge if one can be had at once or
	// soon, else the newest there is.
	Fresh(ctx context.Context, q scalers.Query, maxAge time.Duration) engine.Sample
}

// References tells which Secrets and ConfigMaps an owner depends on, so that
// they are watched.
type References interface {
	Set(owner string, refs []kube.Ref)
}

// How long an object waits.
const (
	// RetryProblem is how long an object whose spec, target or references are
	// wrong waits before it is looked at again, when nothing tells of a change
	// earlier.
	RetryProblem = 30 * time.Second
	// RetryFirst and RetryLast are how long an object waits after a failure of the
	// API server: doubling from the first to the last.
	RetryFirst = 100 * time.Millisecond
	RetryLast  = 30 * time.Second
)

// Sooner returns the shorter of two spans, where zero means none.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Kind begins the names of a kind's objects in the engine and among the
// dependents of references.
type Kind string

// The kinds.
const (
	Object Kind = "scaledobject/"
	Job    Kind = "scaledjob/"
)

// Owner is the name of an object in the engine, and as a dependent.
func (k Kind) Owner(key client.ObjectKey) engine.Owner { return engine.Owner(string(k) + key.String()) }

// Key undoes Owner; ok is false for owners of another kind.
func (k Kind) Key(o engine.Owner) (key client.ObjectKey, ok bool) {
	rest, ours := strings.CutPrefix(string(o), string(k))
	namespace, name, ok := strings.Cut(rest, "/")
	return client.ObjectKey{Namespace: namespace, Name: name}, ours && ok
}

// KeysOf are the objects of a kind among owners, or dependents.
func KeysOf[S ~string](k Kind, owners []S) iter.Seq[client.ObjectKey] {
	return func(yield func(client.ObjectKey) bool) {
		for _, o := range owners {
			if key, ours := k.Key(engine.Owner(o)); ours && !yield(key) {
				return
			}
		}
	}
}

// Queue is a controller's queue, once it runs. Its zero value is ready for use;
// it is safe for concurrent use.
type Queue struct {
	q atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// Start is a source of the controller that learns of its queue.
func (q *Queue) Start(_ context.Context, to workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	q.q.Store(&to)
	return nil
}

// Add asks for an object to be reconciled; before the controller runs it does
// nothing, as every object is reconciled when it starts.
func (q *Queue) Add(key client.ObjectKey) {
	if to := q.q.Load(); to != nil {
		(*to).Add(reconcile.Request{NamespacedName: key})
	}
}

// Known holds what is remembered of each object of a kind, as a *T. Its zero
// value is empty; it is safe for concurrent use.
type Known[T any] struct {
	mu     sync.RWMutex // guards byName
	byName map[client.ObjectKey]*T
}

// Get returns what is known of key, which is a new T at first.
func (k *Known[T]) Get(key client.ObjectKey) *T {
	if found := k.Find(key); found != nil {
		return found
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byName == nil {
		k.byName = map[client.ObjectKey]*T{}
	}
	if k.byName[key] == nil {
		k.byName[key] = new(T)
	}
	return k.byName[key]
}

// Find returns nil for what is not known.
func (k *Known[T]) Find(key client.ObjectKey) *T {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byName[key]
}

// Remove forgets key.
func (k *Known[T]) Remove(key client.ObjectKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byName, key)
}

// Keys returns all keys, by namespace and name.
func (k *Known[T]) Keys() []client.ObjectKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	keys := make([]client.ObjectKey, 0, len(k.byName))
	for key := range k.byName {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b client.ObjectKey) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return keys
}
