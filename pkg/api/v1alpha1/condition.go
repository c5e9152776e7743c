package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition is one observation about an object. Conditions form a map keyed by
// type, so that each may have an owner of its own under server-side apply.
type Condition struct {
	// What is observed, such as Ready.
	Type ConditionType `json:"type"`

	// Whether it is so: True, False or Unknown.
	// +kubebuilder:validation:Enum=True;False;Unknown
	Status metav1.ConditionStatus `json:"status"`

	// Why, as one word for programs.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Why, as a sentence for people.
	// +optional
	Message string `json:"message,omitempty"`

	// When status last changed. Unset when the condition was written by a
	// controller that does not keep it.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`

	// Generation of the spec that this condition answers; unset when the
	// condition does not depend on the spec.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// FindCondition returns the condition of type t in conds, or nil. The result
// points into conds.
func FindCondition(conds []Condition, t ConditionType) *Condition {
	for i := range conds {
		if conds[i].Type == t {
			return &conds[i]
		}
	}
	return nil
}

// ConditionStatus returns the status of type t in conds: Unknown when there is
// no such condition.
func ConditionStatus(conds []Condition, t ConditionType) metav1.ConditionStatus {
	if c := FindCondition(conds, t); c != nil {
		return c.Status
	}
	return metav1.ConditionUnknown
}

// SetCondition puts c in place of the condition of its type, or at the end of
// conds, and reports whether conds changed. c.LastTransitionTime is the present
// instant: it is kept only when the condition is new, its status changed, or there
// is no earlier instant, as where another controller wrote the condition; otherwise
// the earlier one stays, so that repeating an observation changes nothing. Other conditions and their order stay as they are.
func SetCondition(conds *[]Condition, c Condition) bool {
	old := FindCondition(*conds, c.Type)
	if old == nil {
		*conds = append(*conds, *c.DeepCopy())
		return true
	}
	if old.Status == c.Status && old.LastTransitionTime != nil {
		c.LastTransitionTime = old.LastTransitionTime
	}
	if *old == c {
		return false
	}
	*old = *c.DeepCopy()
	return true
}
