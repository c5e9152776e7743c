// Package health judges ScaledObjects and ScaledJobs by what is in their status,
// as tools do that roll manifests out. Tests hold what the controllers write
// against it; nothing else uses it.
package health

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/weir-sh/weir/pkg/api/v1alpha1"
)

// Kstatus is the word of kstatus, by which kubectl plug-ins, Flux and Helm wait:
// "Current", "InProgress", "Failed" or "Terminating". Of an object that is not ready
// it is "InProgress": most of what is wrong with one is put right by another, such as
// a Secret that is applied after it, and what is not is refused at admission. A
// condition Stalled would make it "Failed", also under KEDA, which would never remove
// it.
func Kstatus(o *unstructured.Unstructured) (string, error) {
	result, err := status.Compute(o)
	if err != nil {
		return "", fmt.Errorf("computing the status of %s %q: %w", o.GetKind(), o.GetName(), err)
	}
	return result.Status.String(), nil
}

// ArgoCD is what Argo CD shows by its built-in rules of 2026 for the two kinds:
// "Healthy", "Suspended", "Degraded" or "Progressing", and the message beside it,
// which is that of the last condition that has a say; empty where the tool has a
// text of its own.
func ArgoCD(o *unstructured.Unstructured) (word, message string, err error) {
	var has struct {
		Status struct {
			Conditions []v1alpha1.Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &has); err != nil {
		return "", "", fmt.Errorf("reading the conditions of %s %q: %w", o.GetKind(), o.GetName(), err)
	}
	if o.GetDeletionTimestamp() != nil {
		return "Progressing", "", nil
	}
	words := map[string]bool{}
	for _, c := range has.Status.Conditions {
		if word := says(o.GetKind(), c); word != "" {
			words[word], message = true, c.Message
		}
	}
	switch {
	case words["Degraded"]:
		return "Degraded", message, nil
	case words["Healthy"] && words["Suspended"]:
		return "Suspended", message, nil
	case words["Healthy"]:
		return "Healthy", message, nil
	}
	return "Progressing", "", nil
}

// says is what one condition means to Argo CD; empty when it has no say.
func says(kind string, c v1alpha1.Condition) string {
	switch {
	case c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue:
		return "Healthy"
	case c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionFalse,
		c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionUnknown && kind == "ScaledJob",
		c.Type == v1alpha1.ConditionFallback && c.Status == metav1.ConditionTrue && kind == "ScaledObject":
		return "Degraded"
	case c.Type == v1alpha1.ConditionPaused && c.Status == metav1.ConditionTrue:
		return "Suspended"
	}
	return ""
}
