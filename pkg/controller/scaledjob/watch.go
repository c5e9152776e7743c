package scaledjob

import (
	"context"
	"log/slog"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	for key := range scaled.KeysOf(scaled.Job, owners) {
		if st := r.objects.Find(key); st == nil || !r.unchanged(st) {
			r.queue.Add(key)
		}
	}
}

// OnReference is for kube.NewWatches: it asks for the objects to be planned anew
// that depend on a Secret, a ConfigMap or a ServiceAccount, which are named as
// References.Set named them.
func (r *Reconciler) OnReference(dependents []string) {
	for key := range scaled.KeysOf(scaled.Job, dependents) {
		r.ask(key, scaled.Replan)
	}
}

// ask asks for an object to be reconciled.
func (r *Reconciler) ask(k client.ObjectKey, what scaled.Effect) {
	if st := r.objects.Find(k); st != nil && what == scaled.Replan {
		st.Dirty.Store(true)
	}
	r.queue.Add(k)
}

// SetUp registers the reconciler with a manager, with so many objects at a time.
func (r *Reconciler) SetUp(ctx context.Context, m ctrl.Manager, concurrency int) error {
	if err := scaled.AddIndexes(ctx, m.GetFieldIndexer(), indexes()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(m).
		Named("scaledjob").
		WithOptions(scaled.Options(concurrency)).
		For(&v1alpha1.ScaledJob{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&batchv1.Job{}, r.fromJob()).
		Watches(&v1alpha1.TriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindTriggerAuthentication)).
		Watches(&v1alpha1.ClusterTriggerAuthentication{}, r.finder().FromAuthentication(v1alpha1.KindClusterTriggerAuthentication)).
		WatchesRawSource(source.Func(r.queue.Start)).
		Complete(r)
}

// indexes are what the reconciler looks things up by in the cache.
func indexes() []scaled.Index {
	return []scaled.Index{
		{Object: &batchv1.Job{}, Name: indexOwner, Keys: ownerKeys},
		{Object: &v1alpha1.ScaledJob{}, Name: scaled.IndexAuth, Keys: scaled.AuthKeys},
	}
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
