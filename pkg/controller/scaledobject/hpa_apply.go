package scaledobject

import (
	"context"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
)

// applyHPA makes the HPA what is wanted. It writes only when something differs.
func (r *Reconciler) applyHPA(ctx context.Context, so *v1alpha1.ScaledObject, st *object, want *autoscalingv2.HorizontalPodAutoscaler) error {
	have, err := r.hpa(ctx, want)
	if err != nil {
		return err
	}
	if have != nil && !ours(have, so) {
		if have, err = r.takeOver(ctx, so, have); err != nil {
			return err
		}
	}
	wanted := st.Sum(want.Labels, want.Annotations)
	if have != nil && covers(have, want) && (st.applied == wanted || st.Sum(have.Labels, have.Annotations) == wanted) {
		st.applied = wanted
		return nil
	}
	if err := r.writeHPA(ctx, have, want); err != nil {
		return err
	}
	st.applied = wanted
	return nil
}

// writeHPA writes what is wanted; have is nil when there is no HPA yet.
func (r *Reconciler) writeHPA(ctx context.Context, have, want *autoscalingv2.HorizontalPodAutoscaler) error {
	err := kube.Apply(ctx, r.Client, autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), want)
	if err == nil && have != nil && !sameSpec(have.Spec, want.Spec) {
		err = r.repairHPA(ctx, want)
	}
	if apierrors.IsInvalid(err) {
		return scaled.Problem("the API server refuses the HorizontalPodAutoscaler: %v", err)
	}
	return err
}

// hpa returns the HPA of want's name, or nil. It is looked up once more on the
// API server when the cache has none: server-side apply would take over one that
// came just now.
func (r *Reconciler) hpa(ctx context.Context, want *autoscalingv2.HorizontalPodAutoscaler) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	h := new(autoscalingv2.HorizontalPodAutoscaler)
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), h)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(want), h)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading HorizontalPodAutoscaler %q: %w", want.Name, err)
	}
	return h, nil
}

// takeOver returns h if so may have it. What is left of an object of the same
// name that is gone is deleted, as the garbage collector is about to do, and nil
// is returned.
func (r *Reconciler) takeOver(ctx context.Context, so *v1alpha1.ScaledObject, h *autoscalingv2.HorizontalPodAutoscaler) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	if scaledObjectOf(h) == so.Name {
		return nil, r.deleteHPA(ctx, h)
	}
	return h, mayTake(h, so)
}

// repairHPA sets the spec as a whole after an apply: that leaves alone what
// somebody else has set and we leave empty, such as a stabilization window.
func (r *Reconciler) repairHPA(ctx context.Context, want *autoscalingv2.HorizontalPodAutoscaler) error {
	live := new(autoscalingv2.HorizontalPodAutoscaler)
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(want), live); err != nil {
		return fmt.Errorf("reading HorizontalPodAutoscaler %q: %w", want.Name, err)
	}
	if sameSpec(live.Spec, want.Spec) {
		return nil
	}
	patch := client.MergeFromWithOptions(live.DeepCopy(), client.MergeFromWithOptimisticLock{})
	live.Spec = want.Spec
	if err := r.Client.Patch(ctx, live, patch, client.FieldOwner(kube.FieldManager)); err != nil {
		return fmt.Errorf("repairing HorizontalPodAutoscaler %q: %w", want.Name, err)
	}
	return nil
}

// deleteHPAs deletes the HPAs that belong to so, but the one to keep: an earlier
// name, or all of them when keep is empty.
func (r *Reconciler) deleteHPAs(ctx context.Context, so *v1alpha1.ScaledObject, keep string) error {
	var hpas autoscalingv2.HorizontalPodAutoscalerList
	err := r.Client.List(ctx, &hpas, client.InNamespace(so.Namespace), client.MatchingFields{indexOwner: so.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing HorizontalPodAutoscalers: %w", err)
	}
	for i := range hpas.Items {
		h := &hpas.Items[i]
		if h.Name == keep || !ours(h, so) || !h.DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.deleteHPA(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// deleteHPA deletes h, and no other of its name. It is no error when h is gone.
func (r *Reconciler) deleteHPA(ctx context.Context, h *autoscalingv2.HorizontalPodAutoscaler) error {
	gone := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: h.Name}}
	if err := client.IgnoreNotFound(r.Client.Delete(ctx, gone, client.Preconditions{UID: &h.UID})); err != nil {
		return fmt.Errorf("deleting HorizontalPodAutoscaler %q: %w", h.Name, err)
	}
	return nil
}

// covers reports whether an HPA has all that is wanted, and its spec nothing
// else. Labels and annotations may come from others as well; which of them were
// ours is known to the API server only.
func covers(have, want *autoscalingv2.HorizontalPodAutoscaler) bool {
	return sameSpec(have.Spec, want.Spec) &&
		contains(have.Labels, want.Labels) &&
		contains(have.Annotations, want.Annotations) &&
		equality.Semantic.DeepEqual(metav1.GetControllerOfNoCopy(have), metav1.GetControllerOfNoCopy(want))
}

// sameSpec reports whether two specs ask for the same. The order of metrics does not
// count: an HPA takes the largest of what they ask for, and an API server that stores
// HPAs of autoscaling/v1 puts CPU last, however often it is written otherwise.
func sameSpec(a, b autoscalingv2.HorizontalPodAutoscalerSpec) bool {
	rest := slices.Clone(b.Metrics)
	for _, m := range a.Metrics {
		i := slices.IndexFunc(rest, func(other autoscalingv2.MetricSpec) bool { return equality.Semantic.DeepEqual(m, other) })
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	a.Metrics, b.Metrics = nil, nil
	return len(rest) == 0 && equality.Semantic.DeepEqual(a, b)
}

// contains reports whether have has all entries of want.
func contains(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}
