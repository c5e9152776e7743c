package triggers

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// CheckScaledObject returns what is wrong with o apart from its triggers'
// parameters, and what is doubtful. It needs no other object: what does is for
// CheckResources and CheckNeighbours.
func CheckScaledObject(o *v1alpha1.ScaledObject) (problems, warnings []Problem) {
	for _, check := range []func(*v1alpha1.ScaledObject) []Problem{
		checkTarget, checkNames, checkCounts, checkPausedReplicas, checkFallback, checkModifiers, checkCached,
	} {
		problems = append(problems, check(o)...)
	}
	warnings = append(checkLenient(o.Annotations, lenient()), inEffect(&o.Spec)...)
	return problems, warnings
}

// CheckAnnotations returns what is wrong with the annotations of o, which users
// change without changing the spec.
func CheckAnnotations(o *v1alpha1.ScaledObject) (problems, warnings []Problem) {
	return checkPausedReplicas(o), checkLenient(o.Annotations, lenient())
}

// checkTarget looks at what is scaled.
func checkTarget(o *v1alpha1.ScaledObject) (out []Problem) {
	if o.Spec.ScaleTargetRef.Name == "" {
		out = append(out, broken(ReasonTarget, "spec.scaleTargetRef.name", "is required"))
	}
	if _, err := o.Spec.ScaleTargetRef.GroupVersionKind(); err != nil {
		out = append(out, broken(ReasonTarget, "spec.scaleTargetRef.apiVersion", err.Error()))
	}
	return out
}

// longestLabel is how long Kubernetes lets the value of a label be.
const longestLabel = 63

// checkNames looks at names made of the object's own.
func checkNames(o *v1alpha1.ScaledObject) []Problem {
	if len(o.Name) > longestLabel {
		return []Problem{broken(ReasonNameTooLong, "metadata.name", fmt.Sprintf(
			"has more than %d characters, and is a label's value on the HorizontalPodAutoscaler; shorten it", longestLabel))}
	}
	if len(o.HPAName()) > longestLabel {
		return []Problem{broken(ReasonHPANameTooLong, fieldHPAName, fmt.Sprintf(
			"is, or would be by default, a name of more than %d characters; set a shorter one", longestLabel))}
	}
	return nil
}

const fieldHPAName = "spec.advanced.horizontalPodAutoscalerConfig.name"

// checkCounts looks at replica counts.
func checkCounts(o *v1alpha1.ScaledObject) (out []Problem) {
	s := &o.Spec
	if s.HPAMinReplicas() > s.MaxReplicas() {
		out = append(out, broken(ReasonReplicas, "spec.minReplicaCount", fmt.Sprintf(
			"is more than maxReplicaCount, which is %d; lower it or raise maxReplicaCount", s.MaxReplicas())))
	}
	if s.IdleReplicaCount != nil && *s.IdleReplicaCount >= s.HPAMinReplicas() {
		out = append(out, broken(ReasonReplicas, "spec.idleReplicaCount", fmt.Sprintf(
			"must be less than minReplicaCount, which counts as %d here", s.HPAMinReplicas())))
	}
	return out
}

func checkPausedReplicas(o *v1alpha1.ScaledObject) []Problem {
	if _, err := o.PausedReplicas(); err != nil {
		return []Problem{broken(ReasonAnnotations, "metadata.annotations", err.Error())}
	}
	return nil
}

// checkFallback looks at the fallback as far as it concerns no formula.
func checkFallback(o *v1alpha1.ScaledObject) (out []Problem) {
	f := o.Spec.Fallback
	if f == nil {
		return nil
	}
	if f.FailureThreshold < 0 || f.Replicas < 0 {
		out = append(out, broken(ReasonFallback, "spec.fallback", "failureThreshold and replicas must not be negative"))
	}
	if onlyResources(o.Spec.Triggers) && !o.Spec.Modifiers().InUse() {
		out = append(out, broken(ReasonFallback, "spec.fallback",
			"needs a trigger that is measured: the HPA reads cpu and memory itself; remove it or add another trigger"))
	}
	return out
}

// uncached are the trigger types whose metrics cannot be cached.
func uncached() []string { return []string{"cpu", "memory", "cron"} }

// checkCached refuses cached metrics of triggers that have none.
func checkCached(o *v1alpha1.ScaledObject) []Problem { return cachedMetrics(o.Spec.Triggers) }

func cachedMetrics(list []v1alpha1.Trigger) (out []Problem) {
	for i, t := range list {
		if t.UseCachedMetrics && slices.Contains(uncached(), t.Type) {
			out = append(out, broken(ReasonTriggers, fmt.Sprintf("spec.triggers[%d].useCachedMetrics", i),
				fmt.Sprintf("cannot be used with %s triggers; remove it", t.Type)))
		}
	}
	return out
}

// lenient are the annotations of a ScaledObject that are lenient bools.
func lenient() []string {
	return []string{
		v1alpha1.AnnotationPaused, v1alpha1.AnnotationPausedScaleIn,
		v1alpha1.AnnotationPausedScaleOut, v1alpha1.AnnotationForceActivation,
	}
}

// checkLenient warns about values that mean true without saying so.
func checkLenient(annotations map[string]string, keys []string) (out []Problem) {
	for _, k := range keys {
		v, ok := annotations[k]
		if _, err := strconv.ParseBool(v); ok && err != nil {
			out = append(out, doubtful("metadata.annotations["+k+"]",
				`is neither "true" nor "false" and counts as true, as any other value does, also an empty one; write "true", or remove the annotation`))
		}
	}
	return out
}

// inEffect warns about a period that has no effect. A pollingInterval always has
// one: readings are judged by it.
func inEffect(s *v1alpha1.ScaledObjectSpec) []Problem {
	if s.MinReplicas() == 0 || s.IdleReplicaCount != nil || s.CooldownPeriod == nil {
		return nil
	}
	return []Problem{doubtful("spec.cooldownPeriod", "has no effect, since minReplicaCount is above zero and no idleReplicaCount is set")}
}
