package scaledjob

import (
	"context"
	"fmt"
	"log/slog"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/engine"
)

// OnReadings is for the engine's Config: it asks for those owners to be evaluated
// whose readings may say something new.
func (r *Reconciler) OnReadings(owners []engine.Owner) {
	for _, o := range owners {
		k, ours := scaled.Job.Key(o)
		if !ours {
			continue
		}
		if st := r.objects.Find(k); st == nil || !r.unchanged(st) {
			r.queue.Add(k)
		}
	}
}

// OnReference is for kube.NewWatches: it asks for the objects to be planned anew
// that depend on a Secret, a ConfigMap or a ServiceAccount, which are named as
// References.Set named them.
func (r *Reconciler) OnReference(dependents []string) {
	for _, d := range dependents {
		if k, ok := scaled.Job.Key(engine.Owner(d)); ok {
			r.ask(k, scaled.Replan)
		}
	}
}

// ask asks for an object to be reconciled.
func (r *Reconciler) ask(k client.ObjectKey, what scaled.Effect) {
	if st := r.objects.Find(k); st != nil && what == scaled.Replan {
		st.dirty.Store(true)
	}
	r.queue.Add(k)
}

// SetUp registers the reconciler with a manager, with so many objects at a time.
func (r *Reconciler) SetUp(ctx context.Context, m ctrl.Manager, concurrency int) error {
	for _, i := range indexes() {
		if err := m.GetFieldIndexer().IndexField(ctx, i.object, i.name, i.keys); err != nil {
			return fmt.Errorf("adding index %q: %w", i.name, err)
		}
	}
	return ctrl.NewControllerManagedBy(m).
		Named("scaledjob").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](scaled.RetryFirst, scaled.RetryLast),
		}).
		For(&v1alpha1.ScaledJob{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&batchv1.Job{}, r.fromJob()).
		Watches(&v1alpha1.TriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindTriggerAuthentication)).
		Watches(&v1alpha1.ClusterTriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindClusterTriggerAuthentication)).
		WatchesRawSource(source.Func(r.queue.Start)).
		Complete(r)
}

// index is what the reconciler looks things up by in the cache.
type index struct {
	object client.Object
	name   string
	keys   client.IndexerFunc
}

func indexes() []index {
	return []index{
		{&batchv1.Job{}, indexOwner, ownerKeys},
		{&v1alpha1.ScaledJob{}, scaled.IndexAuth, authKeys},
	}
}

func authKeys(o client.Object) []string {
	sj, ok := o.(*v1alpha1.ScaledJob)
	if !ok {
		return nil
	}
	return scaled.AuthKeys(sj.Spec.Triggers)
}

// finder finds the ScaledJobs that a change of another object concerns.
func (r *Reconciler) finder() scaled.Finder {
	return scaled.Finder{
		Cache: r.Client, List: func() client.ObjectList { return new(v1alpha1.ScaledJobList) }, Ask: r.ask,
		Log: r.Log.With(slog.String("kind", v1alpha1.KindScaledJob)),
	}
}

// fromJob notes when a Job ended or went, and evaluates its ScaledJob then: there
// is room for another, or one too many to keep.
func (r *Reconciler) fromJob() handler.EventHandler {
	type q = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ q) {
			if !hasEnded(e.ObjectOld) && hasEnded(e.ObjectNew) {
				r.jobEnded(e.ObjectNew)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ q) {
			if !hasEnded(e.Object) {
				r.jobEnded(e.Object)
			}
		},
	}
}

func hasEnded(o client.Object) bool {
	j, ok := o.(*batchv1.Job)
	if !ok {
		return false
	}
	_, _, ended := endOf(j)
	return ended
}

func (r *Reconciler) jobEnded(o client.Object) {
	c := metav1.GetControllerOf(o)
	if c == nil || c.Kind != v1alpha1.KindScaledJob {
		return
	}
	key := client.ObjectKey{Namespace: o.GetNamespace(), Name: c.Name}
	if st := r.objects.Find(key); st != nil {
		st.ledger.end(o.GetName(), r.Now())
		r.queue.Add(key)
	}
}
