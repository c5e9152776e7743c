package scaledobject

import (
	"maps"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/triggers"
)

// desiredHPA is the HPA that a ScaledObject and its plan come to. It is complete:
// what the API server would fill in is filled in, so that comparing with what it
// returns finds true differences only.
func desiredHPA(so *v1alpha1.ScaledObject, p *plan, version string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{
			Name:        p.hpaName,
			Namespace:   so.Namespace,
			Labels:      hpaLabels(so, p.hpaName, version),
			Annotations: hpaAnnotations(so),
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(so, v1alpha1.GroupVersion.WithKind(v1alpha1.KindScaledObject)),
			},
		},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: p.target.Kind.GroupVersion().String(), Kind: p.target.Kind.Kind, Name: p.target.Name,
			},
			MinReplicas: new(so.Spec.HPAMinReplicas()),
			MaxReplicas: so.Spec.MaxReplicas(),
			Metrics:     hpaMetrics(so, p),
			Behavior:    hpaBehavior(so),
		},
	}
}

// hpaMetrics is what the HPA scales by, in the order of the triggers. The result of
// a formula, which comes first, replaces all that weir serves.
func hpaMetrics(so *v1alpha1.ScaledObject, p *plan) []autoscalingv2.MetricSpec {
	var out []autoscalingv2.MetricSpec
	if m := p.modifiers; m != nil {
		out = append(out, externalMetric(so, m.Name, m.as, m.Target))
	}
	for i, t := range p.triggers {
		switch {
		case t.Resource != nil:
			out = append(out, resourceMetric(t.Resource))
		case p.modifiers != nil:
		case t.Source.Definition().NamesMetrics:
			for _, m := range p.named[i] {
				out = append(out, externalMetric(so, namedMetric(t, m.Name), t.MetricType, m.Target))
			}
		default:
			out = append(out, externalMetric(so, t.MetricName, t.MetricType, t.Target))
		}
	}
	return out
}

// externalMetric is a metric that weir serves.
func externalMetric(so *v1alpha1.ScaledObject, name string, as autoscalingv2.MetricTargetType, per float64) autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{Type: as}
	quantity := triggers.Quantity(per)
	if as == autoscalingv2.AverageValueMetricType {
		target.AverageValue = &quantity
	} else {
		target.Value = &quantity
	}
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ExternalMetricSourceType,
		External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{
				Name:     name,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelScaledObjectName: so.Name}},
			},
			Target: target,
		},
	}
}

// resourceMetric is a metric that the HPA reads itself.
func resourceMetric(r *triggers.Resource) autoscalingv2.MetricSpec {
	if r.Container != "" {
		return autoscalingv2.MetricSpec{
			Type:              autoscalingv2.ContainerResourceMetricSourceType,
			ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: r.Name, Container: r.Container, Target: r.Target},
		}
	}
	return autoscalingv2.MetricSpec{
		Type:     autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{Name: r.Name, Target: r.Target},
	}
}

// hpaLabels are the object's labels, less those excluded, and our own last.
func hpaLabels(so *v1alpha1.ScaledObject, name, version string) map[string]string {
	out := maps.Clone(so.Labels)
	if out == nil {
		out = map[string]string{}
	}
	for _, k := range so.HPAExcludedLabels() {
		delete(out, k)
	}
	out[v1alpha1.LabelName] = labelValue(name)
	out[v1alpha1.LabelVersion] = labelValue(version)
	out[v1alpha1.LabelPartOf] = labelValue(so.Name)
	out[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	out[v1alpha1.LabelScaledObjectName] = so.Name
	return out
}

// labelValue cuts s to what a label may hold.
func labelValue(s string) string {
	if len(s) > maxLabelValue {
		s = s[:maxLabelValue]
	}
	return strings.TrimRightFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// hpaAnnotations are the object's annotations, less those that mean something
// only where they were written.
func hpaAnnotations(so *v1alpha1.ScaledObject) map[string]string {
	out := maps.Clone(so.Annotations)
	delete(out, "kubectl.kubernetes.io/last-applied-configuration")
	for _, k := range []string{
		v1alpha1.AnnotationPaused, v1alpha1.AnnotationPausedReplicas, v1alpha1.AnnotationPausedScaleIn,
		v1alpha1.AnnotationPausedScaleOut, v1alpha1.AnnotationForceActivation,
	} {
		delete(out, k)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// hpaBehavior is the object's behavior with all defaults written out. It is
// never nil: an HPA without a behavior forgets nothing while its workload is at
// zero, and brings the last peak back after it wakes.
func hpaBehavior(so *v1alpha1.ScaledObject) *autoscalingv2.HorizontalPodAutoscalerBehavior {
	out := &autoscalingv2.HorizontalPodAutoscalerBehavior{}
	if b := so.Spec.HPABehavior(); b != nil {
		out = b.DeepCopy()
	}
	out.ScaleUp = rules(out.ScaleUp, ptr.To[int32](0),
		autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
		autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15})
	out.ScaleDown = rules(out.ScaleDown, nil,
		autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15})
	if so.ScaleInPaused() {
		out.ScaleDown.SelectPolicy = ptr.To(autoscalingv2.DisabledPolicySelect)
	}
	if so.ScaleOutPaused() {
		out.ScaleUp.SelectPolicy = ptr.To(autoscalingv2.DisabledPolicySelect)
	}
	return out
}

// rules fills in what the API server would: window is nil where the default is
// a flag of the HPA controller.
func rules(r *autoscalingv2.HPAScalingRules, window *int32, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	if r == nil {
		r = &autoscalingv2.HPAScalingRules{}
	}
	if r.StabilizationWindowSeconds == nil {
		r.StabilizationWindowSeconds = window
	}
	if r.SelectPolicy == nil {
		r.SelectPolicy = ptr.To(autoscalingv2.MaxChangePolicySelect)
	}
	if len(r.Policies) == 0 {
		r.Policies = slices.Clone(policies)
	}
	return r
}
