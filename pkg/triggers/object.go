package triggers

import (
	"fmt"
	"slices"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// CheckScaledObject returns what is wrong with o apart from its triggers'
// parameters, and what this version does not act on yet. It needs no other
// object.
func CheckScaledObject(o *v1alpha1.ScaledObject) (problems, warnings []Problem) {
	s := &o.Spec
	for _, check := range []func(*v1alpha1.ScaledObject) []Problem{checkTarget, checkCounts, checkUnsupported, checkCached} {
		problems = append(problems, check(o)...)
	}
	if s.Fallback != nil {
		warnings = append(warnings, Problem{-1, "spec.fallback", FallbackNotSupported})
	}
	return problems, append(warnings, inEffect(s)...)
}

// checkTarget looks at what is scaled, and at names made of the object's own.
func checkTarget(o *v1alpha1.ScaledObject) (out []Problem) {
	if o.Spec.ScaleTargetRef.Name == "" {
		out = append(out, Problem{-1, "spec.scaleTargetRef.name", "is required"})
	}
	if _, err := o.Spec.ScaleTargetRef.GroupVersionKind(); err != nil {
		out = append(out, Problem{-1, "spec.scaleTargetRef.apiVersion", err.Error()})
	}
	if len(o.Name) > longestLabel {
		out = append(out, Problem{-1, "metadata.name", fmt.Sprintf(
			"has more than %d characters, and is a label's value on the HorizontalPodAutoscaler; shorten it", longestLabel)})
	} else if len(o.HPAName()) > longestLabel {
		out = append(out, Problem{-1, "spec.advanced.horizontalPodAutoscalerConfig.name", fmt.Sprintf(
			"is, or would be by default, a name of more than %d characters; set a shorter one", longestLabel)})
	}
	return out
}

// longestLabel is how long Kubernetes lets the value of a label be.
const longestLabel = 63

// checkCounts looks at replica counts.
func checkCounts(o *v1alpha1.ScaledObject) (out []Problem) {
	s := &o.Spec
	if s.HPAMinReplicas() > s.MaxReplicas() {
		out = append(out, Problem{-1, "spec.minReplicaCount", fmt.Sprintf(
			"is more than maxReplicaCount, which is %d; lower it or raise maxReplicaCount", s.MaxReplicas())})
	}
	if s.IdleReplicaCount != nil && *s.IdleReplicaCount >= s.HPAMinReplicas() {
		out = append(out, Problem{-1, "spec.idleReplicaCount", fmt.Sprintf(
			"must be less than minReplicaCount, which counts as %d here", s.HPAMinReplicas())})
	}
	if _, err := o.PausedReplicas(); err != nil {
		out = append(out, Problem{-1, "metadata.annotations", err.Error()})
	}
	if f := s.Fallback; f != nil && (f.FailureThreshold < 0 || f.Replicas < 0) {
		out = append(out, Problem{-1, "spec.fallback", "failureThreshold and replicas must not be negative"})
	}
	return out
}

// checkUnsupported refuses what would scale otherwise than the user means.
func checkUnsupported(o *v1alpha1.ScaledObject) []Problem {
	if !o.Spec.Modifiers().InUse() {
		return nil
	}
	return []Problem{{-1, "spec.advanced.scalingModifiers", "is not supported by this version; remove it, and each trigger scales on its own"}}
}

// checkCached refuses cached metrics of triggers that have none.
func checkCached(o *v1alpha1.ScaledObject) (out []Problem) {
	for i, t := range o.Spec.Triggers {
		if t.UseCachedMetrics && slices.Contains([]string{"cpu", "memory", "cron"}, t.Type) {
			out = append(out, Problem{-1, fmt.Sprintf("spec.triggers[%d].useCachedMetrics", i), fmt.Sprintf("cannot be used with %s triggers; remove it", t.Type)})
		}
	}
	return out
}

// FallbackNotSupported is said wherever a fallback is configured.
const FallbackNotSupported = "is not acted on by this version: while a trigger cannot be measured, the workload keeps its replicas"

// inEffect warns about periods that have no effect.
func inEffect(s *v1alpha1.ScaledObjectSpec) []Problem {
	if s.MinReplicas() == 0 || s.IdleReplicaCount != nil {
		return nil
	}
	if s.CooldownPeriod == nil {
		return nil
	}
	return []Problem{{-1, "spec.cooldownPeriod", "has no effect, since minReplicaCount is above zero and no idleReplicaCount is set"}}
}

// ScaledJobNotSupported is said of every ScaledJob.
const ScaledJobNotSupported = "ScaledJobs are not acted on by this version: no Jobs are created for them"
