package triggers

import (
	"cmp"
	"slices"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Reason names the rule that a problem breaks. Metrics count refusals by it, so
// the words are fixed; those that KEDA has are KEDA's.
type Reason string

// The reasons, in the order in which rules are applied and told.
const (
	ReasonTarget            Reason = "incorrect-target"
	ReasonNameTooLong       Reason = "name-too-long"
	ReasonHPANameTooLong    Reason = "hpa-name-too-long"
	ReasonReplicas          Reason = "incorrect-replicas"
	ReasonAnnotations       Reason = "incorrect-annotations"
	ReasonFallback          Reason = "incorrect-fallback"
	ReasonModifiers         Reason = "scaling-modifiers"
	ReasonModifiersFallback Reason = "scaling-modifiers-fallback"
	ReasonJobs              Reason = "incorrect-jobs"
	ReasonTriggers          Reason = "incorrect-triggers"
	ReasonNoScaleToZero     Reason = "scale-to-zero-requirements-not-met"
	ReasonRequests          Reason = "missing-requests"
	ReasonOtherObject       Reason = "other-scaled-object"
	ReasonOtherObjectHPA    Reason = "other-scaled-object-hpa"
	ReasonOtherHPA          Reason = "other-hpa"
	ReasonTransferName      Reason = "transfer-ownership-missing-hpa-name"
	ReasonAuthentication    Reason = "incorrect-authentication"
)

// Rule is what a reason stands for, for reference pages.
type Rule struct {
	Reason Reason
	Kinds  []string // of keda.sh/v1alpha1 that it concerns
	Doc    string   // when an object is refused; a sentence in Markdown
}

// Rules returns every rule by which objects are refused, in the order in which
// they are applied.
func Rules() []Rule {
	object, job := []string{v1alpha1.KindScaledObject}, []string{v1alpha1.KindScaledJob}
	both := slices.Concat(object, job)
	auth := []string{v1alpha1.KindTriggerAuthentication, v1alpha1.KindClusterTriggerAuthentication}
	return []Rule{
		{ReasonTarget, object, "`scaleTargetRef` has no name, or an API version with more than one slash."},
		{ReasonNameTooLong, both, "The name has more than 63 characters: it is the value of a label."},
		{ReasonHPANameTooLong, object, "The name of the HPA, given or by default `keda-hpa-` and the object's name, has more than 63 characters."},
		{ReasonReplicas, object, "`minReplicaCount` is above `maxReplicaCount`, or `idleReplicaCount` is not below `minReplicaCount`, which counts as 1 when it is 0 or unset."},
		{ReasonAnnotations, object, "`autoscaling.keda.sh/paused-replicas` is no whole number from 0 up."},
		{ReasonFallback, object, "A number of `fallback` is negative, or all triggers are of type cpu or memory, which are never measured by Weir, and there is no formula."},
		{ReasonModifiers, object, "`scalingModifiers` has no formula, a formula that does not compile over the names of the triggers, no `target` above 0, an `activationTarget` that is no number, or a `metricType` other than AverageValue and Value."},
		{ReasonModifiersFallback, object, "`fallback.behavior` is scalingModifiers and there is no formula."},
		{ReasonJobs, job, "`jobTargetRef` is missing, or its pods have a `restartPolicy` that Jobs cannot have."},
		{ReasonTriggers, both, "There is no trigger, a type is unknown, a name occurs twice, a parameter is missing or wrong as the type itself says, `metricType` does not fit, or `useCachedMetrics` is set on cpu, memory or cron. On a ScaledJob also: any `metricType`, and no trigger but cpu and memory."},
		{ReasonNoScaleToZero, object, "All triggers are of type cpu or memory and `minReplicaCount` is 0 or unset: without pods nothing would ever wake the workload. For Deployments and StatefulSets."},
		{ReasonRequests, object, "A cpu or memory trigger compares with `Utilization`, and a container that counts has neither request nor limit of that resource, nor does a LimitRange of the namespace give it one. For Deployments and StatefulSets that exist."},
		{ReasonOtherObject, object, "Another ScaledObject of the namespace scales the same workload."},
		{ReasonOtherObjectHPA, object, "Another ScaledObject of the namespace has an HPA of the same name."},
		{ReasonOtherHPA, object, "An HPA that is not the object's own scales the same workload, or has the name of its HPA. An HPA with the annotation `validations.keda.sh/hpa-ownership: \"false\"` does not count."},
		{ReasonTransferName, object, "`scaledobject.keda.sh/transfer-hpa-ownership` is `\"true\"`, but the HPA to take over is not the one that `horizontalPodAutoscalerConfig.name` names."},
		{ReasonAuthentication, auth, "A pod identity or `oauth2` contradicts itself or is incomplete, or `filePath` is set on a TriggerAuthentication."},
	}
}

// Sort brings problems into the order of the rules they break, and within one into
// the order of triggers. What breaks no rule comes last.
func Sort(problems []Problem) {
	place := map[Reason]int{"": len(Rules())}
	for i, r := range Rules() {
		place[r.Reason] = i
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place[a.Reason], place[b.Reason]), cmp.Compare(a.Trigger, b.Trigger))
	})
}

// broken makes a problem of the object as a whole.
func broken(reason Reason, field, message string) Problem {
	return Problem{Trigger: -1, Field: field, Message: message, Reason: reason}
}

// doubtful makes a warning about the object as a whole.
func doubtful(field, message string) Problem {
	return Problem{Trigger: -1, Field: field, Message: message}
}
