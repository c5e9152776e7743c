package explain

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
	"github.com/weir-sh/weir/pkg/hpa"
)

func (v *view) nextResume() {
	v.expect("remove annotation %s to resume", v.annotations(v1alpha1.AnnotationPaused, v1alpha1.AnnotationPausedReplicas))
}

func (v *view) nextTarget() {
	v.expect("scales as soon as %s %q exists; create it, or correct spec.scaleTargetRef", v.r.Target.Kind, v.r.Target.Name)
}

func (v *view) nextMeasured() {
	v.expect("scales by its work again as soon as %s can be measured", v.unmeasured())
}

func (v *view) nextScaleOut() {
	v.expect("remove annotation %s to let it grow", v1alpha1.AnnotationPausedScaleOut)
}

func (v *view) nextScaleIn() {
	v.expect("remove annotation %s to let it shrink", v1alpha1.AnnotationPausedScaleIn)
}

func (v *view) nextWaking() {
	v.expect("goes to %s at once; if it does not, the events say why", count(v.low(), "replica"))
}

func (v *view) nextHPA() { v.expect("%s", hpaAdvice(v.r.HPA.Reason)) }

func (v *view) nextMax() {
	v.expect("raise spec.maxReplicaCount for more than %s", count(v.high(), "replica"))
	v.nextLess()
}

func (v *view) nextSteps() {
	if v.so.ActivationForced() && len(v.busy) == 0 && v.r.Min == 0 {
		v.expect("goes to zero without annotation %s", v1alpha1.AnnotationForceActivation)
	}
	v.nextMore()
	v.nextLess()
}

// hpaAdvice is what to look at when an HPA does not scale.
func hpaAdvice(reason string) string {
	switch reason {
	case "FailedGetExternalMetric":
		return "scales when the API server gets metrics from weir: kubectl get apiservice v1beta1.external.metrics.k8s.io"
	case "FailedGetResourceMetric", "FailedGetContainerResourceMetric":
		return "scales when metrics-server knows the pods, and their containers request cpu and memory: kubectl top pods"
	case "AmbiguousSelector":
		return "scales when no other HPA selects the same pods"
	case "InvalidSelector", "FailedGetScale":
		return "scales when the target has a scale with a selector"
	}
	return "scales when that is put right"
}

func (v *view) nextWork() {
	if v.so.ScaleOutPaused() {
		v.expect("does not wake: remove annotation %s", v1alpha1.AnnotationPausedScaleOut)
		return
	}
	v.expect("wakes to %s when %s", count(v.low(), "replica"), v.whenWork())
}

// whenWork says when there will be work.
func (v *view) whenWork() string {
	var when []string
	for _, t := range v.quiet {
		switch {
		case t.Activation == nil:
			when = append(when, t.Metric+" has work")
		case t.Value != nil && *t.Value > *t.Activation: // it knows better than the numbers
			when = append(when, t.Metric+" says there is work")
		default:
			when = append(when, t.Metric+" is above "+number(*t.Activation))
		}
	}
	if len(when) == 0 {
		return "a trigger has work"
	}
	return list(when, "or")
}

func (v *view) nextRest() {
	rest, _ := v.resting()
	left, whole := v.cooldown()
	field := "cooldownPeriod"
	if v.so.Status.LastActiveTime == nil {
		field = "initialCooldownPeriod"
	}
	if left <= 0 {
		v.expect("goes to %d now: %s %s is over", rest, field, span(whole))
		return
	}
	v.expect("goes to %d in %s, at %s, if no work arrives (%s %s)", rest, span(left), clock(v.now.Add(left), v.now), field, span(whole))
}

func (v *view) nextShrinking() {
	switch {
	case v.r.HPA == nil:
		v.expect("the HPA takes replicas away after its stabilisation window")
		return
	case v.r.HPA.Down == pacedNever:
		v.expect("goes down when advanced.horizontalPodAutoscalerConfig.behavior.scaleDown allows it")
		return
	case len(v.failing) > 0:
		v.nextMeasured()
		return
	}
	window := downWindow(v.hpa)
	v.expect("the HPA goes below %d by %s at the latest if the work stays this low (its window is %s)",
		v.replicas(), clock(v.now.Add(window), v.now), span(window))
}

// single is the trigger that alone decides, with the work that one replica is to
// have; false when there are several or the value is compared in another way.
func (v *view) single() (per float64, ok bool) {
	if v.lead == nil || v.hpa == nil || len(v.hpa.Spec.Metrics) != 1 || v.lead.Target == nil || v.lead.MetricType != string(autoscalingv2.AverageValueMetricType) {
		return 0, false
	}
	return *v.lead.Target, v.lead.Type != "cpu" && v.lead.Type != "memory" && v.created() == v.replicas() && v.replicas() > 0
}

func (v *view) nextMore() {
	per, ok := v.single()
	if !ok || v.replicas() >= v.high() {
		return
	}
	s := spec(v.hpa)
	v.expect("adds replicas when %s is above %s", v.lead.Metric, number(per*float64(v.replicas())*(1+s.Tolerance(hpa.DefaultFlags()).Up)))
}

func (v *view) nextLess() {
	per, ok := v.single()
	if !ok || v.replicas() <= v.low() {
		return
	}
	s := spec(v.hpa)
	n := float64(v.replicas())
	fewer, tolerated := per*(n-1), per*n*(1-s.Tolerance(hpa.DefaultFlags()).Down)
	at := "at " + number(fewer) + " or less"
	if tolerated <= fewer {
		at = "below " + number(tolerated)
	}
	v.expect("takes replicas away when %s stays %s for %s", v.lead.Metric, at, span(downWindow(v.hpa)))
}
