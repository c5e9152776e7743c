// Package authentication says of every TriggerAuthentication and
// ClusterTriggerAuthentication who refers to it, in its status, and tells in
// events when one comes, changes or goes. It lets those go that are being deleted:
// KEDA has put its finalizer on them, and nobody else would take it off.
//
// A status is computed anew from the cache, never appended to. It shows names
// only where whoever may read it belongs: see referrers.
package authentication

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/kube"
)

// Reconciler keeps the objects of one kind. It is safe for concurrent use.
type Reconciler struct {
	client client.Client
	events events.EventRecorder
	kind   kind
}

// kind is one of the two, with the reasons of its events.
type kind struct {
	name                    string
	empty                   func() client.Object
	added, updated, deleted string
}

// kinds are both.
func kinds() []kind {
	return []kind{
		{
			v1alpha1.KindTriggerAuthentication, func() client.Object { return new(v1alpha1.TriggerAuthentication) },
			// That the reason of a change names the other kind is how KEDA has it, and what alerts look for.
			v1alpha1.EventTriggerAuthenticationAdded, v1alpha1.EventClusterTriggerAuthenticationUpdated, v1alpha1.EventTriggerAuthenticationDeleted,
		},
		{
			v1alpha1.KindClusterTriggerAuthentication, func() client.Object { return new(v1alpha1.ClusterTriggerAuthentication) },
			v1alpha1.EventClusterTriggerAuthenticationAdded, v1alpha1.EventClusterTriggerAuthenticationUpdated, v1alpha1.EventClusterTriggerAuthenticationDeleted,
		},
	}
}

// SetUp registers reconcilers of both kinds with a manager. The indexes that they
// read belong to the controllers of ScaledObjects and ScaledJobs.
func SetUp(m ctrl.Manager, recorder events.EventRecorder) error {
	for _, k := range kinds() {
		r := &Reconciler{m.GetClient(), recorder, k}
		err := ctrl.NewControllerManagedBy(m).Named(strings.ToLower(k.name)).
			Watches(k.empty(), r.ofItself()).
			Watches(&v1alpha1.ScaledObject{}, r.ofReferrers()).
			Watches(&v1alpha1.ScaledJob{}, r.ofReferrers()).
			Complete(r)
		if err != nil {
			return fmt.Errorf("setting up the controller of %ss: %w", k.name, err)
		}
	}
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	o := r.kind.empty()
	if err := r.client.Get(ctx, req.NamespacedName, o); err != nil {
		if err = client.IgnoreNotFound(err); err != nil {
			err = fmt.Errorf("reading %s %q: %w", r.kind.name, req.NamespacedName, err)
		}
		return reconcile.Result{}, err
	}
	if !o.GetDeletionTimestamp().IsZero() {
		return reconcile.Result{}, client.IgnoreNotFound(kube.RemoveFinalizer(ctx, r.client, o))
	}
	return reconcile.Result{}, r.writeStatus(ctx, o)
}
