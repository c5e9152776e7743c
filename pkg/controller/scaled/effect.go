package scaled

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// IndexAuth is the index of the cache by which ScaledObjects and ScaledJobs are
// found by the authentication objects they refer to; see AuthKeys.
const IndexAuth = "weir.auth"

// AuthKeys are the index keys of the authentication objects that a ScaledObject or a
// ScaledJob refers to; none of anything else.
func AuthKeys(o client.Object) []string {
	var list []v1alpha1.Trigger
	switch o := o.(type) {
	case *v1alpha1.ScaledObject:
		list = o.Spec.Triggers
	case *v1alpha1.ScaledJob:
		list = o.Spec.Triggers
	}
	var keys []string
	for _, t := range list {
		if t.AuthenticationRef != nil {
			keys = append(keys, AuthKey(t.AuthenticationRef.EffectiveKind(), t.AuthenticationRef.Name))
		}
	}
	return keys
}

// AuthKey is the index key of an authentication object.
func AuthKey(kind, name string) string { return kind + "/" + name }

// Effect is what a change of an object means for those it concerns.
type Effect int

// The effects.
const (
	Nothing Effect = iota
	Look           // evaluate them
	Replan         // plan them anew, and evaluate them
)

// NewGeneration is the effect of a change that counts when the spec changed.
func NewGeneration(before, after client.Object) Effect {
	if before.GetGeneration() == after.GetGeneration() {
		return Nothing
	}
	return Replan
}

// Query finds objects by an index; without a namespace, in all of them.
type Query struct{ Namespace, Index, Key string }

// Finder finds the objects of one kind that a change of another object concerns.
// All fields are required.
type Finder struct {
	Cache client.Reader
	List  func() client.ObjectList // an empty list of the kind
	Ask   func(key client.ObjectKey, what Effect)
	Log   *slog.Logger
}

// Affects makes a handler of the changes of objects: what is created or deleted
// makes those concerned plan anew, a change has the effect that compare says.
func (f Finder) Affects(compare func(before, after client.Object) Effect, concerned func(client.Object) []Query) handler.EventHandler {
	type q = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ q) {
			f.affect(ctx, e.Object, Replan, concerned(e.Object))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ q) {
			f.affect(ctx, e.Object, Replan, concerned(e.Object))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, _ q) {
			if what := compare(e.ObjectOld, e.ObjectNew); what != Nothing {
				queries := append(concerned(e.ObjectOld), concerned(e.ObjectNew)...)
				slices.SortFunc(queries, func(a, b Query) int { return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Key, b.Key)) })
				f.affect(ctx, e.ObjectNew, what, slices.Compact(queries))
			}
		},
	}
}

// FromAuthentication plans anew what refers to an authentication object of a kind.
func (f Finder) FromAuthentication(kind string) handler.EventHandler {
	return f.Affects(NewGeneration, func(o client.Object) []Query {
		return []Query{{o.GetNamespace(), IndexAuth, AuthKey(kind, o.GetName())}}
	})
}

// affect has the effect on all objects that queries find, but on the one that
// changed itself.
func (f Finder) affect(ctx context.Context, changed client.Object, what Effect, queries []Query) {
	for _, q := range queries {
		list := f.List()
		err := f.Cache.List(ctx, list, client.InNamespace(q.Namespace), client.MatchingFields{q.Index: q.Key}, client.UnsafeDisableDeepCopy)
		if err == nil {
			err = meta.EachListItem(list, func(item runtime.Object) error {
				o, ok := item.(client.Object)
				if !ok {
					return fmt.Errorf("%T is no object", item)
				}
				if o.GetUID() != changed.GetUID() {
					f.Ask(client.ObjectKeyFromObject(o), what)
				}
				return nil
			})
		}
		if err != nil {
			f.Log.Error("looking up objects failed", slog.String("index", q.Index), slog.Any("error", err))
		}
	}
}
