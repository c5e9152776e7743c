package triggers

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// readByHPA reports whether a trigger is one that the HPA reads itself.
func readByHPA(t v1alpha1.Trigger) bool { return t.Type == "cpu" || t.Type == "memory" }

// onlyResources reports whether triggers are all of the kind that the HPA reads
// itself, so that weir measures nothing.
func onlyResources(list []v1alpha1.Trigger) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(t v1alpha1.Trigger) bool { return !readByHPA(t) })
}

// CheckResources returns what is wrong with the cpu and memory triggers of o,
// given the pod template of its workload and the LimitRanges of its namespace.
// With a nil pod, for a workload that does not exist or is not known, only what
// does not need it is looked at. Workloads other than Deployments and
// StatefulSets are not judged.
func CheckResources(o *v1alpha1.ScaledObject, pod *corev1.PodSpec, limits []corev1.LimitRange) (problems, warnings []Problem) {
	kind, err := o.Spec.ScaleTargetRef.GroupVersionKind()
	if err != nil || !slices.Contains(podOwners(), kind.GroupKind()) {
		return nil, nil
	}
	if onlyResources(o.Spec.Triggers) && o.Spec.MinReplicas() == 0 {
		problems = append(problems, broken(ReasonNoScaleToZero, "spec.minReplicaCount",
			"must be at least 1 where all triggers are of type cpu or memory: without pods there is nothing to measure, and nothing would wake the workload"))
	}
	if pod == nil {
		return problems, nil
	}
	for i, t := range o.Spec.Triggers {
		if readByHPA(t) {
			p, w := checkRequests(i, t, pod, limits)
			problems, warnings = append(problems, p...), append(warnings, w...)
		}
	}
	return problems, warnings
}

// podOwners are the kinds whose pod templates are looked at.
func podOwners() []schema.GroupKind {
	return []schema.GroupKind{{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}}
}

// checkRequests looks for a request in each container that counts: the HPA
// measures utilization as a share of it. A limit counts too, as Kubernetes makes
// it the request.
func checkRequests(i int, t v1alpha1.Trigger, pod *corev1.PodSpec, limits []corev1.LimitRange) (problems, warnings []Problem) {
	resource, only := corev1.ResourceName(t.Type), strings.TrimSpace(t.Metadata["containerName"])
	var without []string
	found := only == ""
	for _, c := range pod.Containers {
		if only != "" && c.Name != only {
			continue
		}
		found = true
		if !positive(c.Resources.Requests, resource) && !positive(c.Resources.Limits, resource) {
			without = append(without, fmt.Sprintf("%q", c.Name))
		}
	}
	field := fmt.Sprintf("spec.triggers[%d]", i)
	if !found {
		warnings = append(warnings, Problem{
			Trigger: i, Field: field + ".metadata.containerName",
			Message: "is no container of the workload's pod template; unless something adds it to the pods, the HPA reads nothing",
		})
	}
	if len(without) == 0 || t.MetricType != autoscalingv2.UtilizationMetricType || defaulted(limits, resource) || podLevel(pod, only, resource) {
		return nil, warnings
	}
	return []Problem{{Trigger: i, Field: field, Reason: ReasonRequests, Message: fmt.Sprintf(
		"needs a request of %s in each container that counts, and there is none in %s; set resources.requests.%s there, or use metricType AverageValue",
		resource, strings.Join(without, ", "), resource)}}, warnings
}

// defaulted reports whether the namespace gives containers a request.
func defaulted(limits []corev1.LimitRange, resource corev1.ResourceName) bool {
	return slices.ContainsFunc(limits, func(l corev1.LimitRange) bool {
		return slices.ContainsFunc(l.Spec.Limits, func(item corev1.LimitRangeItem) bool {
			return item.Type == corev1.LimitTypeContainer && (positive(item.DefaultRequest, resource) || positive(item.Default, resource))
		})
	})
}

// podLevel reports whether the pod as a whole has a request, which counts where
// no single container is meant.
func podLevel(pod *corev1.PodSpec, only string, resource corev1.ResourceName) bool {
	return only == "" && pod.Resources != nil && (positive(pod.Resources.Requests, resource) || positive(pod.Resources.Limits, resource))
}

func positive(list corev1.ResourceList, name corev1.ResourceName) bool {
	q, ok := list[name]
	return ok && q.Sign() > 0
}
