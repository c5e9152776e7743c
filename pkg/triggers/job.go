package triggers

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// CheckScaledJob returns what is wrong with j apart from its triggers'
// parameters, and what is doubtful. It needs no other object.
func CheckScaledJob(j *v1alpha1.ScaledJob) (problems, warnings []Problem) {
	if len(j.Name) > longestLabel {
		// The names of Jobs are no limit: the API server cuts what it generates
		// them from.
		problems = append(problems, broken(ReasonNameTooLong, "metadata.name", fmt.Sprintf(
			"has more than %d characters, and is a label's value on the Jobs and their pods; shorten it", longestLabel)))
	}
	problems = append(problems, checkTemplate(j)...)
	p, w := checkJobTriggers(j.Spec.Triggers)
	return append(problems, p...), slices.Concat(w, jobDoubts(j))
}

// checkTemplate refuses what no Job can be made of.
func checkTemplate(j *v1alpha1.ScaledJob) []Problem {
	const field = "spec.jobTargetRef"
	if j.Spec.JobTargetRef == nil {
		return []Problem{broken(ReasonJobs, field, "is required")}
	}
	if j.Spec.JobTargetRef.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		return nil // others the API server refuses
	}
	return []Problem{broken(ReasonJobs, field+".template.spec.restartPolicy", "must be OnFailure or Never for Jobs; OnFailure holds when it is unset")}
}

// checkJobTriggers looks at what triggers of a ScaledJob cannot have.
func checkJobTriggers(list []v1alpha1.Trigger) (problems, warnings []Problem) {
	if onlyResources(list) {
		problems = append(problems, broken(ReasonTriggers, "spec.triggers", "are all of type cpu or memory, which cannot be measured for Jobs; add another"))
	}
	problems = append(problems, cachedMetrics(list)...)
	for i, t := range list {
		field := fmt.Sprintf("spec.triggers[%d]", i)
		switch {
		case readByHPA(t):
			warnings = append(warnings, Problem{Trigger: i, Field: field, Message: fmt.Sprintf("is ignored: %s cannot be measured for Jobs", t.Type)})
			continue // they need a metric type
		case t.MetricType != "":
			problems = append(problems, Problem{Trigger: i, Field: field + ".metricType", Reason: ReasonTriggers, Message: "is for ScaledObjects only; remove it"})
		}
		if t.UseCachedMetrics && !slices.Contains(uncached(), t.Type) {
			warnings = append(warnings, Problem{Trigger: i, Field: field + ".useCachedMetrics", Message: "has no effect on a ScaledJob, whose triggers are read by polls only"})
		}
	}
	return problems, warnings
}

// jobDoubts warns about what does not mean what it seems to.
func jobDoubts(j *v1alpha1.ScaledJob) []Problem {
	s, out := &j.Spec, checkLenient(j.Annotations, []string{v1alpha1.AnnotationPaused})
	for _, k := range []string{
		v1alpha1.AnnotationPausedReplicas, v1alpha1.AnnotationPausedScaleIn,
		v1alpha1.AnnotationPausedScaleOut, v1alpha1.AnnotationForceActivation,
	} {
		if _, ok := j.Annotations[k]; ok {
			out = append(out, doubtful("metadata.annotations["+k+"]", "has no effect on a ScaledJob; "+v1alpha1.AnnotationPaused+" pauses one"))
		}
	}
	if s.MinReplicas() > s.MaxReplicas() {
		out = append(out, doubtful("spec.minReplicaCount", fmt.Sprintf(
			"is more than maxReplicaCount, which is %d and which the Jobs never exceed", s.MaxReplicas())))
	}
	if s.RolloutStrategy != "" { //nolint:staticcheck // deprecated for users; here they are told
		out = append(out, doubtful("spec.rolloutStrategy", "is deprecated and overrides rollout.strategy; set that instead"))
	}
	if _, ok := number(s.ScalingStrategy.CustomScalingRunningJobPercentage); !ok && s.ScalingStrategy.EffectiveStrategy() == v1alpha1.StrategyCustom {
		out = append(out, doubtful("spec.scalingStrategy.customScalingRunningJobPercentage",
			`is no number such as "0.5", so that the strategy is default instead of custom`))
	}
	return out
}
