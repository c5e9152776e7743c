// Package authentication lets TriggerAuthentications and
// ClusterTriggerAuthentications go that are being deleted: KEDA has put its
// finalizer on them, and nobody else would take it off.
package authentication

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

// Reconciler removes the finalizer from objects of one kind that are being
// deleted.
type Reconciler struct {
	client client.Client
	empty  func() client.Object
}

// New makes a Reconciler for the kind that empty makes an object of.
func New(c client.Client, empty func() client.Object) *Reconciler { return &Reconciler{c, empty} }

// SetUp registers reconcilers for both kinds with a manager.
func SetUp(m ctrl.Manager) error {
	for name, empty := range map[string]func() client.Object{
		"triggerauthentication":        func() client.Object { return new(v1alpha1.TriggerAuthentication) },
		"clustertriggerauthentication": func() client.Object { return new(v1alpha1.ClusterTriggerAuthentication) },
	} {
		deleted := predicate.NewPredicateFuncs(func(o client.Object) bool { return !o.GetDeletionTimestamp().IsZero() })
		err := ctrl.NewControllerManagedBy(m).Named(name).For(empty(), builder.WithPredicates(deleted)).Complete(New(m.GetClient(), empty))
		if err != nil {
			return fmt.Errorf("setting up the controller %s: %w", name, err)
		}
	}
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	o := r.empty()
	if err := r.client.Get(ctx, req.NamespacedName, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if o.GetDeletionTimestamp().IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(kube.RemoveFinalizer(ctx, r.client, o))
}
