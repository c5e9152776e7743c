package scaledjob

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Queue is what a controller gives to its sources.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// WithIndexes adds the indexes to a fake client, as SetUp does to a cache.
func WithIndexes(b *fake.ClientBuilder) *fake.ClientBuilder {
	for _, i := range indexes() {
		b = b.WithIndex(i.object, i.name, i.keys)
	}
	return b
}

// Attach gives r the queue that SetUp gives it.
func (r *Reconciler) Attach(q Queue) {
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
