package scaledobject

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
)

// pause stops measuring, removes the HPA and, where the annotation gives a
// number, sets the replicas: in this order, as the HPA would undo the last. A bad
// number must not cost the object its HPA.
func (r *Reconciler) pause(ctx context.Context, so *v1alpha1.ScaledObject, st *object) error {
	replicas, err := so.PausedReplicas()
	if err != nil {
		return scaled.Problem("metadata.annotations: %v", err)
	}
	r.stop(so, st)
	st.Paused, st.yielded = true, false
	if err := r.deleteHPAs(ctx, so, ""); err != nil || replicas == nil {
		return err
	}
	return r.scaleTo(ctx, so, *replicas)
}

// stop ends measuring.
func (r *Reconciler) stop(so *v1alpha1.ScaledObject, st *object) {
	key := client.ObjectKeyFromObject(so)
	before := st.replace(nil, r.Engine.Latest)
	r.Engine.Remove(scaled.Object.Owner(key))
	r.resolver.Forget(scaled.Object.Owner(key))
	r.tell.Stopped(so, &st.Memory, before != nil)
	st.Watching, st.marks, st.countAt = false, nil, time.Time{}
}

// scaleTo sets the replicas of the workload if they differ.
func (r *Reconciler) scaleTo(ctx context.Context, so *v1alpha1.ScaledObject, replicas int32) error {
	target, err := r.target(so)
	if err != nil {
		return err
	}
	scale, err := r.scale(ctx, target)
	if err != nil || scale.Spec.Replicas == replicas {
		return err
	}
	return r.Scales.Set(ctx, target, scale, replicas)
}

// finalize lets go of an object that is being deleted.
func (r *Reconciler) finalize(ctx context.Context, so *v1alpha1.ScaledObject) error {
	key := client.ObjectKeyFromObject(so)
	if !controllerutil.ContainsFinalizer(so, v1alpha1.Finalizer) {
		r.forget(key)
		return nil
	}
	r.stop(so, r.objects.Get(key))
	if so.Spec.Advanced != nil && so.Spec.Advanced.RestoreToOriginalReplicaCount {
		if err := r.restore(ctx, so); err != nil {
			return err
		}
	}
	if err := kube.RemoveFinalizer(ctx, r.Client, so); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.tell.Warning(so, v1alpha1.EventScaledObjectDeleted, "deleting", "the ScaledObject was deleted")
	r.forget(key)
	return nil
}

// restoreFor is how long restoring the replicas of a deleted object is tried: a
// failure must not keep the object, and its namespace, from going.
const restoreFor = time.Minute

// restore puts the replicas back that the workload had before it was scaled. The
// HPA goes first, or it would undo that. An error asks to be called again; one
// that stays is logged and told instead.
func (r *Reconciler) restore(ctx context.Context, so *v1alpha1.ScaledObject) error {
	original := so.Status.OriginalReplicaCount
	if original == nil {
		return nil
	}
	err := r.deleteHPAs(ctx, so, "")
	if err == nil {
		err = r.scaleTo(ctx, so, *original)
	}
	if err == nil {
		return nil
	}
	if scaled.AsProblem(err) == nil && r.Now().Sub(so.DeletionTimestamp.Time) < restoreFor {
		return fmt.Errorf("restoring %d replicas: %w", *original, err)
	}
	r.Log.Error("restoring the replicas of a deleted object failed",
		scaled.Named(so), slog.Any("error", err))
	r.tell.Warning(so, v1alpha1.EventScaledObjectUpdateFailed, "deleting",
		fmt.Sprintf("restoring %d replicas: %v", *original, err))
	return nil
}
