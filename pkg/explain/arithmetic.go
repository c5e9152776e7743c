package explain

import (
	"fmt"
	"math"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-sh/weir/pkg/hpa"
)

// spec is what an HPA asks for, for its arithmetic.
func spec(h *autoscalingv2.HorizontalPodAutoscaler) hpa.Spec {
	out := hpa.Spec{Min: 1, Max: h.Spec.MaxReplicas}
	if h.Spec.MinReplicas != nil {
		out.Min = *h.Spec.MinReplicas
	}
	for _, m := range h.Spec.Metrics {
		if metric, ok := metricOf(m); ok {
			out.Metrics = append(out.Metrics, metric)
		}
	}
	if b := h.Spec.Behavior; b != nil {
		out.Behavior = &hpa.Behavior{ScaleUp: rules(b.ScaleUp), ScaleDown: rules(b.ScaleDown)}
	}
	return out
}

func rules(r *autoscalingv2.HPAScalingRules) hpa.Rules {
	if r == nil {
		return hpa.Rules{}
	}
	out := hpa.Rules{Window: r.StabilizationWindowSeconds}
	if r.SelectPolicy != nil {
		out.Select = hpa.Select(*r.SelectPolicy)
	}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, hpa.Policy{Type: hpa.PolicyType(p.Type), Value: p.Value, Period: p.PeriodSeconds})
	}
	if r.Tolerance != nil {
		out.Tolerance = new(r.Tolerance.AsApproximateFloat64())
	}
	return out
}

// metricOf is a metric of an HPA; false for kinds that weir never asks for.
func metricOf(m autoscalingv2.MetricSpec) (hpa.Metric, bool) {
	switch {
	case m.External != nil:
		return measure(hpa.External, m.External.Metric.Name, "", m.External.Target), true
	case m.Resource != nil:
		return measure(hpa.Resource, string(m.Resource.Name), "", m.Resource.Target), true
	case m.ContainerResource != nil:
		return measure(hpa.ContainerResource, string(m.ContainerResource.Name), m.ContainerResource.Container, m.ContainerResource.Target), true
	}
	return hpa.Metric{}, false
}

func measure(kind hpa.Kind, name, container string, t autoscalingv2.MetricTarget) hpa.Metric {
	out := hpa.Metric{Kind: kind, Name: name, Container: container, Type: hpa.TargetType(t.Type)}
	switch {
	case t.AverageUtilization != nil:
		out.Target = int64(*t.AverageUtilization)
	case t.AverageValue != nil:
		out.Target = t.AverageValue.MilliValue()
	case t.Value != nil:
		out.Target = t.Value.MilliValue()
	}
	return out
}

// targetOf is the target in its unit.
func targetOf(m hpa.Metric) float64 {
	if m.Type == hpa.Utilization {
		return float64(m.Target)
	}
	return float64(m.Target) / 1000
}

// milli is a value in thousandths, as the HPA counts.
func milli(v float64) int64 { return int64(math.Round(min(v, 9e15) * 1000)) }

// podsOf are the pods as an HPA counts them.
func podsOf(pods []corev1.Pod) []hpa.Pod {
	out := make([]hpa.Pod, 0, len(pods))
	for i := range pods {
		p := hpa.Pod{Name: pods[i].Name, Phase: hpa.Phase(pods[i].Status.Phase)}
		for _, c := range pods[i].Status.Conditions {
			if c.Type == corev1.PodReady {
				p.Ready = string(c.Status)
			}
		}
		out = append(out, p)
	}
	return out
}

// pacedNever is the pace of a direction that is closed.
const pacedNever = "not at all"

// pace is the rules of one direction on one line; window is that of an HPA
// controller that was not told otherwise.
func pace(r *autoscalingv2.HPAScalingRules, window time.Duration) string {
	if r == nil {
		return "as the HPA controller does by default"
	}
	if r.SelectPolicy != nil && *r.SelectPolicy == autoscalingv2.DisabledPolicySelect {
		return pacedNever
	}
	how := "the larger of "
	if r.SelectPolicy != nil && *r.SelectPolicy == autoscalingv2.MinChangePolicySelect {
		how = "the smaller of "
	}
	var policies []string
	for _, p := range r.Policies {
		unit := count(p.Value, "pod")
		if p.Type == autoscalingv2.PercentScalingPolicy {
			unit = fmt.Sprintf("%d %%", p.Value)
		}
		policies = append(policies, unit+" in "+span(time.Duration(p.PeriodSeconds)*time.Second))
	}
	if len(policies) < 2 {
		how = ""
	}
	if r.StabilizationWindowSeconds != nil {
		window = time.Duration(*r.StabilizationWindowSeconds) * time.Second
	}
	return how + strings.Join(policies, " and ") + ", window " + span(window)
}

// downWindow is the time for which earlier values hold the replicas up.
func downWindow(h *autoscalingv2.HorizontalPodAutoscaler) time.Duration {
	if b := h.Spec.Behavior; b != nil && b.ScaleDown != nil && b.ScaleDown.StabilizationWindowSeconds != nil {
		return time.Duration(*b.ScaleDown.StabilizationWindowSeconds) * time.Second
	}
	return hpa.DefaultFlags().Downscale
}

// quantity is a quantity in JSON.
type quantity struct{ resource.Quantity }

func (q quantity) value() float64 { return q.AsApproximateFloat64() }
