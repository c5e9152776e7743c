package v1alpha1

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ScaledObject scales a workload that has a /scale subresource, such as a
// Deployment, by the amount of work its triggers measure: between zero and one
// replica directly, above that through a HorizontalPodAutoscaler it owns.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=scaledobjects,scope=Namespaced,shortName=so
// +kubebuilder:printcolumn:name="ScaleTargetKind",type="string",JSONPath=".status.scaleTargetKind"
// +kubebuilder:printcolumn:name="ScaleTargetName",type="string",JSONPath=".spec.scaleTargetRef.name"
// +kubebuilder:printcolumn:name="Min",type="integer",JSONPath=".spec.minReplicaCount"
// +kubebuilder:printcolumn:name="Max",type="integer",JSONPath=".spec.maxReplicaCount"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Active",type="string",JSONPath=".status.conditions[?(@.type==\"Active\")].status"
// +kubebuilder:printcolumn:name="Fallback",type="string",JSONPath=".status.conditions[?(@.type==\"Fallback\")].status"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=".status.conditions[?(@.type==\"Paused\")].status"
// +kubebuilder:printcolumn:name="Triggers",type="string",JSONPath=".status.triggersTypes"
// +kubebuilder:printcolumn:name="Authentications",type="string",JSONPath=".status.authenticationsTypes"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type ScaledObject struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// What to scale, by what, and within which limits.
	Spec ScaledObjectSpec `json:"spec"`

	// What was last found and done. Written by the controller only.
	// +optional
	Status ScaledObjectStatus `json:"status,omitzero"`
}

// ScaledObjectList is a list of ScaledObjects.
//
// +kubebuilder:object:root=true
type ScaledObjectList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ScaledObject `json:"items"`
}

// ScaledObjectSpec is what the user of a ScaledObject asks for.
//
// +kubebuilder:validation:XValidation:rule="(has(self.minReplicaCount) ? self.minReplicaCount : 0) <= (has(self.maxReplicaCount) ? self.maxReplicaCount : 100)",message="minReplicaCount must not be greater than maxReplicaCount, which is 100 when unset",reason=FieldValueInvalid,fieldPath=".minReplicaCount"
type ScaledObjectSpec struct {
	// Workload to scale, in the namespace of the ScaledObject.
	ScaleTargetRef ScaleTargetRef `json:"scaleTargetRef"`

	// Seconds from the start of one measurement of the triggers to the start of
	// the next; 30 when unset.
	// +kubebuilder:validation:Minimum=1
	// +optional
	PollingInterval *int32 `json:"pollingInterval,omitempty"`

	// Seconds without work that must pass before the workload goes to zero, or to
	// idleReplicaCount; 300 when unset. Steps between one and more replicas are
	// paced by advanced.horizontalPodAutoscalerConfig.behavior instead.
	// +kubebuilder:validation:Minimum=0
	// +optional
	CooldownPeriod *int32 `json:"cooldownPeriod,omitempty"`

	// Seconds after its creation during which a ScaledObject that never saw work
	// does not go to zero; 0 when unset. Once there was work, only cooldownPeriod
	// counts.
	// +kubebuilder:validation:Minimum=0
	// +optional
	InitialCooldownPeriod *int32 `json:"initialCooldownPeriod,omitempty"`

	// Replicas to keep while there is no work, when that is to be fewer than
	// minReplicaCount. Only 0 is stable: the HorizontalPodAutoscaler raises any
	// other number to minReplicaCount at once.
	// +kubebuilder:validation:Minimum=0
	// +optional
	IdleReplicaCount *int32 `json:"idleReplicaCount,omitempty"`

	// Fewest replicas; 0 when unset, which lets the workload go to zero when
	// there is no work.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicaCount *int32 `json:"minReplicaCount,omitempty"`

	// Most replicas; 100 when unset.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxReplicaCount *int32 `json:"maxReplicaCount,omitempty"`

	// Settings few workloads need.
	// +optional
	Advanced *AdvancedConfig `json:"advanced,omitempty"`

	// Replicas to hold when triggers cannot be measured. When unset, the workload
	// stays as it is for as long as they cannot.
	// +optional
	Fallback *Fallback `json:"fallback,omitempty"`

	// What to measure. The workload follows the trigger that asks for the most
	// replicas, unless a formula combines them. The order matters: a trigger's
	// position is part of its metric name.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Triggers []Trigger `json:"triggers"`
}

// ScaleTargetRef names the workload to scale.
type ScaleTargetRef struct {
	// Name of the workload.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// API version of the workload, as "group/version"; apps/v1 when unset.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// Kind of the workload; Deployment when unset. Any kind with a /scale
	// subresource will do.
	// +optional
	Kind string `json:"kind,omitempty"`

	// Container whose environment supplies the "...FromEnv" parameters of the
	// triggers; the first container of the pod template when unset.
	// +optional
	EnvSourceContainerName string `json:"envSourceContainerName,omitempty"`
}

// AdvancedConfig holds settings few workloads need.
type AdvancedConfig struct {
	// Settings of the HorizontalPodAutoscaler that the ScaledObject owns.
	// +optional
	HorizontalPodAutoscalerConfig *HorizontalPodAutoscalerConfig `json:"horizontalPodAutoscalerConfig,omitempty"`

	// When the ScaledObject is deleted, give the workload back the number of
	// replicas it had when the ScaledObject found it. Otherwise it keeps the
	// number it has, which may be zero.
	// +optional
	RestoreToOriginalReplicaCount bool `json:"restoreToOriginalReplicaCount,omitempty"`

	// Formula that combines the values of all triggers into one.
	// +optional
	ScalingModifiers ScalingModifiers `json:"scalingModifiers,omitzero"`
}

// HorizontalPodAutoscalerConfig shapes the HorizontalPodAutoscaler a
// ScaledObject owns.
type HorizontalPodAutoscalerConfig struct {
	// Name of the HorizontalPodAutoscaler; keda-hpa- and the name of the
	// ScaledObject when unset.
	// +optional
	Name string `json:"name,omitempty"`

	// Pace of scaling up and down between one and maxReplicaCount, as in a
	// HorizontalPodAutoscaler of autoscaling/v2.
	// +optional
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}

// ScalingModifiers computes one value from those of several triggers. It is in
// use when any of its fields is set; formula and target are then both needed.
type ScalingModifiers struct {
	// Expression in the language of expr-lang.org whose variables are the names
	// of the triggers, such as "max(orders, refunds * 2)". Every trigger the
	// formula uses needs a name; cpu and memory cannot take part.
	// +optional
	Formula string `json:"formula,omitempty"`

	// Amount of the formula's result that one replica should handle, as a number
	// greater than 0.
	// +optional
	Target string `json:"target,omitempty"`

	// The workload leaves zero when the formula's result is greater than this
	// number; 0 when unset.
	// +optional
	ActivationTarget string `json:"activationTarget,omitempty"`

	// How target is compared with the result. AverageValue, the default, divides
	// the result by the number of replicas; Value does not.
	// +kubebuilder:validation:Enum=AverageValue;Value
	// +optional
	MetricType autoscalingv2.MetricTargetType `json:"metricType,omitempty"`
}

// Fallback says how many replicas to hold when triggers cannot be measured.
type Fallback struct {
	// Failures of a trigger in a row that are borne: the fallback starts with the
	// first beyond this number and ends with the first success. A trigger that
	// cannot be measured has one failure at once, and one more per pollingInterval.
	// +kubebuilder:validation:Minimum=0
	FailureThreshold int32 `json:"failureThreshold"`

	// Replicas to hold.
	// +kubebuilder:validation:Minimum=0
	Replicas int32 `json:"replicas"`

	// How replicas is used. static: hold that number. currentReplicas: hold the
	// number there is. currentReplicasIfHigher and currentReplicasIfLower: hold
	// the greater, or the smaller, of the two. scalingModifiers: leave it to the
	// formula, which sees the failing trigger as nil.
	// +kubebuilder:validation:Enum=static;currentReplicas;currentReplicasIfHigher;currentReplicasIfLower;scalingModifiers
	// +kubebuilder:default=static
	// +optional
	Behavior FallbackBehavior `json:"behavior,omitempty"`
}

// FallbackBehavior is how Fallback.Replicas is used; see the constants.
type FallbackBehavior string

const (
	// FallbackStatic holds Fallback.Replicas. It also holds when the field is empty.
	FallbackStatic FallbackBehavior = "static"
	// FallbackCurrentReplicas holds the replicas the workload has.
	FallbackCurrentReplicas FallbackBehavior = "currentReplicas"
	// FallbackCurrentReplicasIfHigher holds the greater of the workload's replicas and Fallback.Replicas.
	FallbackCurrentReplicasIfHigher FallbackBehavior = "currentReplicasIfHigher"
	// FallbackCurrentReplicasIfLower holds the smaller of the workload's replicas and Fallback.Replicas.
	FallbackCurrentReplicasIfLower FallbackBehavior = "currentReplicasIfLower"
	// FallbackScalingModifiers gives the formula nil for the failing trigger.
	FallbackScalingModifiers FallbackBehavior = "scalingModifiers"
)
