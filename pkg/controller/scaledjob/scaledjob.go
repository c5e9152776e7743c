// Package scaledjob says of every ScaledJob that it is not acted on: a user must
// not wait for Jobs that never come. It also lets go of ScaledJobs that another
// controller held by the finalizer.
package scaledjob

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
	"github.com/weir-sh/weir/pkg/triggers"
)

// Reconciler writes the status of ScaledJobs. It is safe for concurrent use.
type Reconciler struct{ client client.Client }

// New makes a Reconciler.
func New(c client.Client) *Reconciler { return &Reconciler{c} }

// SetUp registers the reconciler with a manager.
func (r *Reconciler) SetUp(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).
		Named("scaledjob").
		For(&v1alpha1.ScaledJob{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	sj := new(v1alpha1.ScaledJob)
	err := r.client.Get(ctx, req.NamespacedName, sj)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading ScaledJob %q: %w", req.NamespacedName, err)
	case !sj.DeletionTimestamp.IsZero():
		// There is nothing to do before it may go. Its Jobs go after it, as it owns them.
		err = kube.RemoveFinalizer(ctx, r.client, sj)
	default:
		err = r.writeStatus(ctx, sj)
	}
	if apierrors.IsConflict(err) {
		// It was changed, or deleted, in between; the cache is about to tell.
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// writeStatus writes the status if it differs.
func (r *Reconciler) writeStatus(ctx context.Context, sj *v1alpha1.ScaledJob) error {
	next := sj.Status.DeepCopy()
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	types, auths := triggers.Types(sj.Spec.Triggers), triggers.Authentications(sj.Spec.Triggers)
	next.ObservedGeneration, next.TriggersTypes, next.AuthenticationsTypes = sj.Generation, &types, &auths
	v1alpha1.SetCondition(&next.Conditions, v1alpha1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonScaledJobCheckFailed,
		Message: triggers.ScaledJobNotSupported, LastTransitionTime: &now, ObservedGeneration: sj.Generation,
	})
	if equality.Semantic.DeepEqual(&sj.Status, next) {
		return nil
	}
	name := metav1.ObjectMeta{Name: sj.Name, Namespace: sj.Namespace}
	was := &v1alpha1.ScaledJob{ObjectMeta: name, Status: *sj.Status.DeepCopy()}
	is := &v1alpha1.ScaledJob{ObjectMeta: name, Status: *next}
	is.UID = sj.UID
	return kube.PatchStatus(ctx, r.client, was, is)
}
