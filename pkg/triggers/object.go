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
	add := func(field, format string, args ...any) {
		problems = append(problems, Problem{-1, field, fmt.Sprintf(format, args...)})
	}
	if s.ScaleTargetRef.Name == "" {
		add("spec.scaleTargetRef.name", "is required")
	}
	if _, err := s.ScaleTargetRef.GroupVersionKind(); err != nil {
		add("spec.scaleTargetRef.apiVersion", "%v", err)
	}
	if s.HPAMinReplicas() > s.MaxReplicas() {
		add("spec.minReplicaCount", "is more than maxReplicaCount, which is %d; lower it or raise maxReplicaCount", s.MaxReplicas())
	}
	if s.IdleReplicaCount != nil && *s.IdleReplicaCount >= s.HPAMinReplicas() {
		add("spec.idleReplicaCount", "must be less than minReplicaCount, which counts as %d here", s.HPAMinReplicas())
	}
	if _, err := o.PausedReplicas(); err != nil {
		add("metadata.annotations", "%v", err)
	}
	if s.Modifiers().InUse() {
		add("spec.advanced.scalingModifiers", "is not supported by this version; remove it, and each trigger scales on its own")
	}
	if f := s.Fallback; f != nil && (f.FailureThreshold < 0 || f.Replicas < 0) {
		add("spec.fallback", "failureThreshold and replicas must not be negative")
	}
	for i, t := range s.Triggers {
		if t.UseCachedMetrics && slices.Contains([]string{"cpu", "memory", "cron"}, t.Type) {
			add(fmt.Sprintf("spec.triggers[%d].useCachedMetrics", i), "cannot be used with %s triggers; remove it", t.Type)
		}
	}
	if s.Fallback != nil {
		warnings = append(warnings, Problem{-1, "spec.fallback", FallbackNotSupported})
	}
	return problems, append(warnings, inEffect(s)...)
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
