package scaled

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Index is what objects are looked up by in the cache.
type Index struct {
	Object client.Object // of the kind
	Name   string
	Keys   client.IndexerFunc
}

// AddIndexes adds indexes to a cache.
func AddIndexes(ctx context.Context, to client.FieldIndexer, list []Index) error {
	for _, i := range list {
		if err := to.IndexField(ctx, i.Object, i.Name, i.Keys); err != nil {
			return fmt.Errorf("adding index %q: %w", i.Name, err)
		}
	}
	return nil
}

// Options are those of a controller that reconciles so many objects at a time.
func Options(concurrency int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](RetryFirst, RetryLast),
	}
}

// Reconcile reads the object that is asked for into o and passes over it; one that
// is gone is forgotten. A conflict is no error: somebody else wrote in between, and
// the cache is about to tell what.
func Reconcile[T client.Object](
	ctx context.Context, from client.Reader, req reconcile.Request, o T,
	forget func(client.ObjectKey), pass func(context.Context, T) (reconcile.Result, error),
) (reconcile.Result, error) {
	err := from.Get(ctx, req.NamespacedName, o)
	switch {
	case apierrors.IsNotFound(err):
		forget(req.NamespacedName)
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading the object %q: %w", req.NamespacedName, err)
	}
	result, err := pass(ctx, o)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: RetryFirst}, nil
	}
	return result, err
}
