package triggers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Neighbours answers what the rules ask about the objects around one: admission
// from its caches, the command line from its input. Answers are only read, in
// any order, and those that something does not exist are no errors.
type Neighbours interface {
	// Rivals returns ScaledObjects of the namespace of o that scale the same
	// workload, in whatever version of its kind, or whose HPA has the same name; o
	// itself may be among them.
	Rivals(ctx context.Context, o *v1alpha1.ScaledObject) ([]*v1alpha1.ScaledObject, error)
	// HPAs returns those of the namespace of o that scale its workload, or have
	// the name of its HPA.
	HPAs(ctx context.Context, o *v1alpha1.ScaledObject) ([]*autoscalingv2.HorizontalPodAutoscaler, error)
	// Pods returns the pod template of the workload of o. Where the workload does
	// not exist the error is a *NoTargetError; without one, a nil template is that
	// of a workload nothing is known of.
	Pods(ctx context.Context, o *v1alpha1.ScaledObject) (*corev1.PodSpec, error)
	// LimitRanges returns those of a namespace.
	LimitRanges(ctx context.Context, namespace string) ([]corev1.LimitRange, error)
}

// NoTargetError says that a workload does not exist.
type NoTargetError struct{ Kind, Namespace, Name string }

// Error implements error.
func (e *NoTargetError) Error() string {
	return fmt.Sprintf("%s %q does not exist; create it, or correct the reference", e.Kind, e.Namespace+"/"+e.Name)
}

// CheckNeighbours returns what is wrong with o beside other objects, and beside
// its workload. Before is o as it was, or nil if it is new: one that is there
// already, and older than the other that wants the same, may stay.
func CheckNeighbours(ctx context.Context, n Neighbours, o, before *v1alpha1.ScaledObject) (problems, warnings []Problem, err error) {
	problems, warnings, err = checkWorkload(ctx, n, o)
	if err != nil {
		return nil, nil, err
	}
	rivals, err := n.Rivals(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for other ScaledObjects: %w", err)
	}
	problems = append(problems, checkRivals(rivals, o, before)...)
	hpas, err := n.HPAs(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for HorizontalPodAutoscalers: %w", err)
	}
	return append(problems, checkHPAs(hpas, o)...), warnings, nil
}

// checkWorkload applies the rules about the workload of o.
func checkWorkload(ctx context.Context, n Neighbours, o *v1alpha1.ScaledObject) (problems, warnings []Problem, err error) {
	pod, err := n.Pods(ctx, o)
	missing, isMissing := errors.AsType[*NoTargetError](err)
	switch {
	case isMissing:
		// It may be applied next.
		warnings = append(warnings, doubtful("spec.scaleTargetRef", missing.Error()))
	case err != nil:
		return nil, nil, fmt.Errorf("looking for the workload: %w", err)
	}
	var limits []corev1.LimitRange
	if pod != nil && slices.ContainsFunc(o.Spec.Triggers, readByHPA) {
		if limits, err = n.LimitRanges(ctx, o.Namespace); err != nil {
			return nil, nil, fmt.Errorf("looking for LimitRanges: %w", err)
		}
	}
	p, w := CheckResources(o, pod, limits)
	return append(problems, p...), append(warnings, w...), nil
}

// checkRivals refuses what another ScaledObject has: the older one keeps it.
func checkRivals(rivals []*v1alpha1.ScaledObject, o, before *v1alpha1.ScaledObject) (out []Problem) {
	rivals = slices.SortedFunc(slices.Values(rivals), func(a, b *v1alpha1.ScaledObject) int { return cmp.Compare(a.Name, b.Name) })
	target, hpa := TargetKey(o), o.HPAName()
	for _, rule := range []struct {
		reason         Reason
		field, message string
		same           func(*v1alpha1.ScaledObject) bool
	}{
		{
			ReasonOtherObject, "spec.scaleTargetRef", "is also the target of ScaledObject %q; a workload can have one ScaledObject",
			func(other *v1alpha1.ScaledObject) bool { return target != "" && TargetKey(other) == target },
		},
		{
			ReasonOtherObjectHPA, fieldHPAName, "is also the HPA name of ScaledObject %q; give one of them another",
			func(other *v1alpha1.ScaledObject) bool { return other.HPAName() == hpa },
		},
	} {
		kept := before != nil && rule.same(before)
		for _, other := range rivals {
			if other.Name != o.Name && other.DeletionTimestamp.IsZero() && rule.same(other) && (!kept || Older(other, before)) {
				out = append(out, broken(rule.reason, rule.field, fmt.Sprintf(rule.message, other.Name)))
				break
			}
		}
	}
	return out
}

// Older reports whether a comes before b, by age and then by name: of two that
// want the same, the older one has it.
func Older(a, b *v1alpha1.ScaledObject) bool {
	at, bt := a.CreationTimestamp, b.CreationTimestamp
	return at.Before(&bt) || at.Equal(&bt) && a.Name < b.Name
}

// TargetKey identifies the workload of o within its namespace, such as
// "Deployment.apps/orders"; versions of one kind are the same. It is empty when o
// has none. Indexes of ScaledObjects by workload have these keys.
func TargetKey(o *v1alpha1.ScaledObject) string {
	kind, err := o.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil || o.Spec.ScaleTargetRef.Name == "" {
		return ""
	}
	return kind.GroupKind().String() + "/" + o.Spec.ScaleTargetRef.Name
}

// checkHPAs refuses a workload, or the name of an HPA, that somebody else's HPA
// has. Those of other ScaledObjects do not count: one of the two objects yields,
// and its HPA goes.
func checkHPAs(hpas []*autoscalingv2.HorizontalPodAutoscaler, o *v1alpha1.ScaledObject) (out []Problem) {
	hpas = slices.SortedFunc(slices.Values(hpas), func(a, b *autoscalingv2.HorizontalPodAutoscaler) int { return cmp.Compare(a.Name, b.Name) })
	for _, h := range hpas {
		if owned(h) || h.Annotations[v1alpha1.AnnotationValidateHPAOwnership] == "false" {
			continue
		}
		if p := CheckHPA(h, o); p != nil {
			out = append(out, *p)
		}
	}
	return out
}

// owned reports whether a ScaledObject controls h.
func owned(h *autoscalingv2.HorizontalPodAutoscaler) bool {
	c := metav1.GetControllerOfNoCopy(h)
	return c != nil && c.Kind == v1alpha1.KindScaledObject && strings.HasPrefix(c.APIVersion, v1alpha1.Group+"/")
}

// CheckHPA says why o may not take over h, which is not its own and scales the
// same workload or has the name of its HPA; nil when it may.
func CheckHPA(h *autoscalingv2.HorizontalPodAutoscaler, o *v1alpha1.ScaledObject) *Problem {
	reason, message := Reason(""), ""
	c := metav1.GetControllerOfNoCopy(h)
	switch {
	case c != nil:
		reason, message = ReasonOtherHPA, fmt.Sprintf("HorizontalPodAutoscaler %q belongs to %s %q; delete one of the two, or set another advanced.horizontalPodAutoscalerConfig.name",
			h.Name, c.Kind, c.Name)
	case !o.HPATransferAllowed():
		reason, message = ReasonOtherHPA, fmt.Sprintf("HorizontalPodAutoscaler %q does not belong to this ScaledObject and scales the same workload or has the name of its HPA; delete it, "+
			"or set annotation %s to \"true\" and advanced.horizontalPodAutoscalerConfig.name to its name to take it over",
			h.Name, v1alpha1.AnnotationTransferHPAOwnership)
	case h.Name != o.HPAName():
		reason, message = ReasonTransferName, fmt.Sprintf("HorizontalPodAutoscaler %q is to be taken over, but advanced.horizontalPodAutoscalerConfig.name is not its name; set it", h.Name)
	default:
		return nil
	}
	p := broken(reason, "", message)
	return &p
}
