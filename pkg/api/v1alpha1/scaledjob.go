package v1alpha1

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ScaledJob creates Jobs by the amount of work its triggers measure. Each Job
// runs to its end: a ScaledJob never stops one because there is less work.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=scaledjobs,scope=Namespaced,shortName=sj
// +kubebuilder:printcolumn:name="Min",type="integer",JSONPath=".spec.minReplicaCount"
// +kubebuilder:printcolumn:name="Max",type="integer",JSONPath=".spec.maxReplicaCount"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Active",type="string",JSONPath=".status.conditions[?(@.type==\"Active\")].status"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=".status.conditions[?(@.type==\"Paused\")].status"
// +kubebuilder:printcolumn:name="Triggers",type="string",JSONPath=".status.triggersTypes"
// +kubebuilder:printcolumn:name="Authentications",type="string",JSONPath=".status.authenticationsTypes"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type ScaledJob struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Which Jobs to create, by what, and within which limits.
	// +optional
	Spec ScaledJobSpec `json:"spec,omitzero"`

	// What was last found and done. Written by the controller only.
	// +optional
	Status ScaledJobStatus `json:"status,omitzero"`
}

// ScaledJobList is a list of ScaledJobs.
//
// +kubebuilder:object:root=true
type ScaledJobList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ScaledJob `json:"items"`
}

// ScaledJobSpec is what the user of a ScaledJob asks for.
type ScaledJobSpec struct {
	// Jobs to create, as the spec of a Job of batch/v1. Labels and annotations of
	// the pod template reach the pods.
	JobTargetRef *batchv1.JobSpec `json:"jobTargetRef"`

	// Seconds from the start of one measurement of the triggers to the start of
	// the next; 30 when unset.
	// +kubebuilder:validation:Minimum=1
	// +optional
	PollingInterval *int32 `json:"pollingInterval,omitempty"`

	// How many succeeded Jobs to keep; 100 when unset.
	// +kubebuilder:validation:Minimum=0
	// +optional
	SuccessfulJobsHistoryLimit *int32 `json:"successfulJobsHistoryLimit,omitempty"`

	// How many failed Jobs to keep; 100 when unset.
	// +kubebuilder:validation:Minimum=0
	// +optional
	FailedJobsHistoryLimit *int32 `json:"failedJobsHistoryLimit,omitempty"`

	// Deprecated: use rollout.strategy, which this field overrides when set.
	// +kubebuilder:validation:Enum=gradual;immediate
	// +optional
	RolloutStrategy RolloutStrategy `json:"rolloutStrategy,omitempty"`

	// What happens to existing Jobs when the spec changes.
	// +optional
	Rollout Rollout `json:"rollout,omitzero"`

	// Container whose environment supplies the "...FromEnv" parameters of the
	// triggers; the first container of the pod template when unset.
	// +optional
	EnvSourceContainerName string `json:"envSourceContainerName,omitempty"`

	// Jobs to keep running even when there is no work; 0 when unset.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicaCount *int32 `json:"minReplicaCount,omitempty"`

	// Most Jobs to run at a time; 100 when unset.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxReplicaCount *int32 `json:"maxReplicaCount,omitempty"`

	// How the number of new Jobs follows from the work and from the Jobs that run.
	// +optional
	ScalingStrategy ScalingStrategy `json:"scalingStrategy,omitzero"`

	// What to measure.
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	Triggers []Trigger `json:"triggers"`
}

// Rollout says what happens to existing Jobs when the spec changes.
type Rollout struct {
	// immediate deletes all Jobs of earlier specs, running ones too; gradual
	// leaves them to their end. immediate when unset.
	// +kubebuilder:validation:Enum=gradual;immediate
	// +optional
	Strategy RolloutStrategy `json:"strategy,omitempty"`

	// How Jobs are deleted: background, the default, removes the Job first and
	// its pods after; foreground the other way round.
	// +kubebuilder:validation:Enum=foreground;background
	// +optional
	PropagationPolicy PropagationPolicy `json:"propagationPolicy,omitempty"`
}

// RolloutStrategy is what happens to existing Jobs when a ScaledJob changes.
type RolloutStrategy string

const (
	// RolloutImmediate deletes the Jobs of earlier specs. It also holds when no
	// strategy is set.
	RolloutImmediate RolloutStrategy = "immediate"
	// RolloutGradual lets the Jobs of earlier specs run to their end.
	RolloutGradual RolloutStrategy = "gradual"
)

// PropagationPolicy is how Jobs of earlier specs are deleted.
type PropagationPolicy string

const (
	// PropagationBackground deletes the pods after their Job. It also holds when
	// the field is empty.
	PropagationBackground PropagationPolicy = "background"
	// PropagationForeground deletes the pods before their Job.
	PropagationForeground PropagationPolicy = "foreground"
)

// ScalingStrategy says how many Jobs to create.
type ScalingStrategy struct {
	// default: as many as there is work for, less the running ones. accurate: for
	// queues whose length does not count messages being worked on; only Jobs
	// still pending are deducted. eager: use all free room up to
	// maxReplicaCount while there is work. custom: deduct as the two custom
	// fields say.
	// +kubebuilder:validation:Enum=default;custom;accurate;eager
	// +optional
	Strategy ScalingStrategyType `json:"strategy,omitempty"`

	// With custom: number to deduct from the Jobs wanted; 0 when unset.
	// +optional
	CustomScalingQueueLengthDeduction *int32 `json:"customScalingQueueLengthDeduction,omitempty"`

	// With custom: share of the running Jobs to deduct from the Jobs wanted, as a
	// number such as "0.5". When it is not a number, default is used instead.
	// +optional
	CustomScalingRunningJobPercentage string `json:"customScalingRunningJobPercentage,omitempty"`

	// Condition types that a pod must all have as True for its Job not to count
	// as pending. When empty, a Job is pending until one of its pods runs.
	// +listType=atomic
	// +optional
	PendingPodConditions []string `json:"pendingPodConditions,omitempty"`

	// How several triggers are combined: the one with the most work (max), with
	// the least (min), their mean (avg) or their sum (sum). Triggers without work
	// do not count. max when unset.
	// +kubebuilder:validation:Enum=min;avg;sum;max
	// +optional
	MultipleScalersCalculation MultipleScalersCalculation `json:"multipleScalersCalculation,omitempty"`
}

// ScalingStrategyType is a way to compute the number of Jobs to create.
type ScalingStrategyType string

const (
	// StrategyDefault deducts the running Jobs. It also holds when the field is empty.
	StrategyDefault ScalingStrategyType = "default"
	// StrategyCustom deducts what the custom fields say.
	StrategyCustom ScalingStrategyType = "custom"
	// StrategyAccurate deducts the pending Jobs only.
	StrategyAccurate ScalingStrategyType = "accurate"
	// StrategyEager fills all room up to the maximum while there is work.
	StrategyEager ScalingStrategyType = "eager"
)

// MultipleScalersCalculation is a way to combine the triggers of a ScaledJob.
type MultipleScalersCalculation string

const (
	// CalculationMax takes the trigger with the most work. It also holds when
	// the field is empty.
	CalculationMax MultipleScalersCalculation = "max"
	// CalculationMin takes the trigger with the least work.
	CalculationMin MultipleScalersCalculation = "min"
	// CalculationAvg takes the mean of the triggers.
	CalculationAvg MultipleScalersCalculation = "avg"
	// CalculationSum takes the sum of the triggers.
	CalculationSum MultipleScalersCalculation = "sum"
)

// ScaledJobStatus is what the controller last found and did.
type ScaledJobStatus struct {
	// Generation of the spec that this status answers.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// When there was work last.
	// +optional
	LastActiveTime *metav1.Time `json:"lastActiveTime,omitempty"`

	// Whether the object is usable (Ready), has work (Active) and is paused
	// (Paused).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []Condition `json:"conditions,omitempty"`

	// Unused; the Paused condition tells. Kept so that older objects remain valid.
	// +optional
	Paused string `json:"Paused,omitempty"`

	// Types of the triggers, each once, joined with commas.
	// +optional
	TriggersTypes *string `json:"triggersTypes,omitempty"`

	// Names of the authentication objects the triggers refer to, each once,
	// joined with commas.
	// +optional
	AuthenticationsTypes *string `json:"authenticationsTypes,omitempty"`

	// Names of the metrics of the triggers, in their order.
	// +listType=atomic
	// +optional
	ExternalMetricNames []string `json:"externalMetricNames,omitempty"`

	// Whether each trigger has work, by metric name.
	// +optional
	TriggersActivity map[string]TriggerActivity `json:"triggersActivity,omitempty"`
}
