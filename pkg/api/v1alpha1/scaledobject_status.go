package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ScaledObjectStatus is what the controller last found and did.
type ScaledObjectStatus struct {
	// Generation of the spec that this status answers.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// API version and kind of the workload, as "group/version.Kind".
	// +optional
	ScaleTargetKind string `json:"scaleTargetKind,omitempty"`

	// Group, version, kind and resource name of the workload.
	// +optional
	ScaleTargetGVKR *GroupVersionKindResource `json:"scaleTargetGVKR,omitempty"`

	// Replicas the workload had when it was found. Restored when the ScaledObject
	// is deleted, if advanced.restoreToOriginalReplicaCount is set.
	// +optional
	OriginalReplicaCount *int32 `json:"originalReplicaCount,omitempty"`

	// When there was work last; the cooldown counts from here.
	// +optional
	LastActiveTime *metav1.Time `json:"lastActiveTime,omitempty"`

	// Names of the external metrics in the HorizontalPodAutoscaler, in the order
	// of the triggers.
	// +listType=atomic
	// +optional
	ExternalMetricNames []string `json:"externalMetricNames,omitempty"`

	// Names of the resource metrics (cpu, memory) in the HorizontalPodAutoscaler.
	// +listType=atomic
	// +optional
	ResourceMetricNames []string `json:"resourceMetricNames,omitempty"`

	// Name of the metric that carries the result of the formula.
	// +optional
	CompositeScalerName string `json:"compositeScalerName,omitempty"`

	// Whether the object is usable (Ready), has work (Active), is in fallback
	// (Fallback), is paused (Paused), and whether its HorizontalPodAutoscaler
	// scales (HPAActive).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []Condition `json:"conditions,omitempty"`

	// Failures of each trigger by metric name; kept while a fallback is set.
	// +optional
	Health map[string]HealthStatus `json:"health,omitempty"`

	// Whether each trigger has work, by metric name.
	// +optional
	TriggersActivity map[string]TriggerActivity `json:"triggersActivity,omitempty"`

	// Replicas at which the annotation autoscaling.keda.sh/paused-replicas holds
	// the workload.
	// +optional
	PausedReplicaCount *int32 `json:"pausedReplicaCount,omitempty"`

	// Name of the HorizontalPodAutoscaler that the ScaledObject owns.
	// +optional
	HPAName string `json:"hpaName,omitempty"`

	// Types of the triggers, each once, joined with commas.
	// +optional
	TriggersTypes *string `json:"triggersTypes,omitempty"`

	// Names of the authentication objects the triggers refer to, each once,
	// joined with commas.
	// +optional
	AuthenticationsTypes *string `json:"authenticationsTypes,omitempty"`
}

// GroupVersionKindResource identifies a kind of workload completely.
type GroupVersionKindResource struct {
	// API group; empty for the core group.
	Group string `json:"group"`

	// Version within the group.
	Version string `json:"version"`

	// Kind, such as Deployment.
	Kind string `json:"kind"`

	// Plural name in URLs, such as deployments.
	Resource string `json:"resource"`
}

// KindString returns "group/version.Kind", the form of
// ScaledObjectStatus.ScaleTargetKind. It begins with a slash for the core group.
func (g GroupVersionKindResource) KindString() string {
	return g.Group + "/" + g.Version + "." + g.Kind
}

// HealthStatus counts the failures of one trigger.
type HealthStatus struct {
	// Failures in a row, counted up to one more than the fallback bears: one when
	// the trigger begins to fail, and one per pollingInterval.
	// +optional
	NumberOfFailures *int32 `json:"numberOfFailures,omitempty"`

	// Outcome of the last measurement: Happy or Failing.
	// +kubebuilder:validation:Enum=Happy;Failing
	// +optional
	Status HealthStatusType `json:"status,omitempty"`
}

// HealthStatusType is the outcome of a trigger's last measurement.
type HealthStatusType string

const (
	// HealthStatusHappy means that the last measurement succeeded.
	HealthStatusHappy HealthStatusType = "Happy"
	// HealthStatusFailing means that the last measurement failed.
	HealthStatusFailing HealthStatusType = "Failing"
)

// TriggerActivity tells whether one trigger has work.
type TriggerActivity struct {
	// Whether the trigger's value is above its activation value.
	IsActive bool `json:"isActive"`
}
