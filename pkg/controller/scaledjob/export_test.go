package scaledjob

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-sh/weir/pkg/controller/scaled"
)

// Indexes are those that SetUp adds to a cache.
func Indexes() []scaled.Index { return indexes() }

// Attach gives r the queue that SetUp gives it.
func (r *Reconciler) Attach(q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if err := r.queue.Start(context.Background(), q); err != nil {
		panic(err) // it has no way to fail
	}
}

// FromJob is what SetUp registers for Jobs.
func (r *Reconciler) FromJob() handler.EventHandler { return r.fromJob() }

// FromAuthentication is what SetUp registers for TriggerAuthentications.
func (r *Reconciler) FromAuthentication() handler.EventHandler {
	return r.finder().FromAuthentication("TriggerAuthentication")
}

// OwnerKeys are the keys by which Jobs are found.
func OwnerKeys(o client.Object) []string { return ownerKeys(o) }

// Known reports whether r remembers an object.
func (r *Reconciler) Known(key client.ObjectKey) bool { return r.objects.Find(key) != nil }
