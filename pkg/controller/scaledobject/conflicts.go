package scaledobject

import (
	"context"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/controller/scaled"
	"github.com/weir-sh/weir/pkg/kube"
)

// Indexes of the cache.
const (
	indexTarget = "weir.target" // ScaledObjects and HPAs by the workload they scale
	indexHPA    = "weir.hpa"    // ScaledObjects by the name of their HPA
	indexOwner  = "weir.owner"  // HPAs by the name of the ScaledObject that controls them
)

// workload is the index key of a workload: versions of one kind are the same.
func workload(kind schema.GroupKind, name string) string { return kind.String() + "/" + name }

// targetOf is the index key of a ScaledObject's workload; empty when it has none.
func targetOf(so *v1alpha1.ScaledObject) string {
	kind, err := so.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil || so.Spec.ScaleTargetRef.Name == "" {
		return ""
	}
	return workload(kind.GroupKind(), so.Spec.ScaleTargetRef.Name)
}

// rivals refuses an object whose workload or HPA name belongs to another
// ScaledObject: the older one has what both ask for.
func (r *Reconciler) rivals(ctx context.Context, so *v1alpha1.ScaledObject, t kube.Target) error {
	for _, rule := range []struct{ index, key, what string }{
		{indexTarget, workload(t.Kind.GroupKind(), t.Name), "scales " + t.String()},
		{indexHPA, so.HPAName(), fmt.Sprintf("has an HPA named %q", so.HPAName())},
	} {
		var others v1alpha1.ScaledObjectList
		err := r.Client.List(ctx, &others, client.InNamespace(so.Namespace), client.MatchingFields{rule.index: rule.key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return fmt.Errorf("listing ScaledObjects: %w", err)
		}
		for i := range others.Items {
			if older(&others.Items[i], so) {
				return scaled.Problem("ScaledObject %q, which is older, already %s; delete one of the two or change its target or HPA name",
					others.Items[i].Name, rule.what)
			}
		}
	}
	return nil
}

// yield leaves the workload to the object that err names: two that scale the
// same workload undo what the other does. Any other error is just returned.
func (r *Reconciler) yield(ctx context.Context, so *v1alpha1.ScaledObject, st *object, err error) error {
	if scaled.AsProblem(err) == nil {
		return err
	}
	r.stop(so, st)
	st.yielded = true
	if failure := r.deleteHPAs(ctx, so, ""); failure != nil {
		return failure
	}
	return err
}

// older reports whether other comes before so: by age, then by name.
func older(other, so *v1alpha1.ScaledObject) bool {
	if other.UID == so.UID || !other.DeletionTimestamp.IsZero() {
		return false
	}
	a, b := other.CreationTimestamp, so.CreationTimestamp
	return a.Before(&b) || a.Equal(&b) && other.Name < so.Name
}

// foreignHPA refuses a workload that an HPA of somebody else scales. Those of
// other ScaledObjects do not count: rivals decides between the objects, and the
// HPA of the one that yields goes.
func (r *Reconciler) foreignHPA(ctx context.Context, so *v1alpha1.ScaledObject, t kube.Target) error {
	var hpas autoscalingv2.HorizontalPodAutoscalerList
	key := workload(t.Kind.GroupKind(), t.Name)
	err := r.Client.List(ctx, &hpas, client.InNamespace(so.Namespace), client.MatchingFields{indexTarget: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing HorizontalPodAutoscalers: %w", err)
	}
	for i := range hpas.Items {
		h := &hpas.Items[i]
		if scaledObjectOf(h) != "" || h.Annotations[v1alpha1.AnnotationValidateHPAOwnership] == "false" {
			continue
		}
		if err := mayTake(h, so); err != nil {
			return err
		}
	}
	return nil
}

// ours reports whether so controls h.
func ours(h *autoscalingv2.HorizontalPodAutoscaler, so *v1alpha1.ScaledObject) bool {
	return metav1.IsControlledBy(h, so)
}

// scaledObjectOf returns the name of the ScaledObject that controls h, or "".
func scaledObjectOf(h *autoscalingv2.HorizontalPodAutoscaler) string {
	c := metav1.GetControllerOfNoCopy(h)
	if c == nil || c.Kind != v1alpha1.KindScaledObject || !strings.HasPrefix(c.APIVersion, v1alpha1.Group+"/") {
		return ""
	}
	return c.Name
}

// mayTake says why so may not take h over, or nil if it may.
func mayTake(h *autoscalingv2.HorizontalPodAutoscaler, so *v1alpha1.ScaledObject) error {
	c := metav1.GetControllerOfNoCopy(h)
	switch {
	case c != nil:
		return scaled.Problem("HorizontalPodAutoscaler %q belongs to %s %q; delete one of the two, or set another advanced.horizontalPodAutoscalerConfig.name",
			h.Name, c.Kind, c.Name)
	case !so.HPATransferAllowed():
		return scaled.Problem("HorizontalPodAutoscaler %q does not belong to this ScaledObject and scales the same workload or has the name of its HPA; delete it, "+
			"or set annotation %s to \"true\" and advanced.horizontalPodAutoscalerConfig.name to its name to take it over",
			h.Name, v1alpha1.AnnotationTransferHPAOwnership)
	case h.Name != so.HPAName():
		return scaled.Problem("HorizontalPodAutoscaler %q is to be taken over, but advanced.horizontalPodAutoscalerConfig.name is not its name; set it", h.Name)
	}
	return nil
}
