package serve

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// cache is what is kept of the cluster in memory.
func (o *options) cache() cache.Options {
	c := cacheOptions(o.watchNamespaces)
	if o.watched != nil || o.auths != nil {
		c.NewInformer = o.informer
	}
	return c
}

// informer follows those objects of the keda.sh kinds that the environment
// selects, and all of other kinds. The selectors are not given for each kind by
// name, as strip is not, and for the same reason.
func (e *environment) informer(from toolscache.ListerWatcher, kind runtime.Object, resync time.Duration, by toolscache.Indexers) toolscache.SharedIndexInformer {
	if s := e.selects(kind); s != nil {
		from = selecting{toolscache.ToListerWatcherWithContext(from), s.String()}
	}
	return toolscache.NewSharedIndexInformer(from, kind, resync, by)
}

// selects returns the selector of a kind; nil means all.
func (e *environment) selects(kind runtime.Object) labels.Selector {
	switch kind.(type) {
	case *v1alpha1.ScaledObject, *v1alpha1.ScaledJob:
		return e.watched
	case *v1alpha1.TriggerAuthentication, *v1alpha1.ClusterTriggerAuthentication:
		return e.auths
	}
	return nil
}

// selecting lists and watches what has labels.
type selecting struct {
	from   toolscache.ListerWatcherWithContext
	labels string
}

// ListWithContext implements toolscache.ListerWatcherWithContext.
func (s selecting) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	o.LabelSelector = s.labels
	return s.from.ListWithContext(ctx, o)
}

// WatchWithContext implements toolscache.ListerWatcherWithContext.
func (s selecting) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.LabelSelector = s.labels
	return s.from.WatchWithContext(ctx, o)
}

// List implements toolscache.ListerWatcher.
func (s selecting) List(o metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), o)
}

// Watch implements toolscache.ListerWatcher.
func (s selecting) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), o)
}
