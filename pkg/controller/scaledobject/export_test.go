package scaledobject

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

// Handlers returns what SetUp registers for the kinds that are watched, by kind.
func (r *Reconciler) Handlers() map[string]handler.EventHandler {
	return map[string]handler.EventHandler{
		"ScaledObject":                 r.siblings(),
		"HorizontalPodAutoscaler":      r.fromHPA(),
		"Deployment":                   r.fromTarget("Deployment"),
		"StatefulSet":                  r.fromTarget("StatefulSet"),
		"TriggerAuthentication":        r.finder().FromAuthentication("TriggerAuthentication"),
		"ClusterTriggerAuthentication": r.finder().FromAuthentication("ClusterTriggerAuthentication"),
	}
}

// Known reports whether r remembers an object.
func (r *Reconciler) Known(key client.ObjectKey) bool { return r.objects.Find(key) != nil }
