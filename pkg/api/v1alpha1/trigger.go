package v1alpha1

import (
	"cmp"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// Trigger names one thing to measure, and how much of it one replica or Job
// should handle.
type Trigger struct {
	// Kind of source to measure, such as "rabbitmq" or "redis". An unknown type
	// is refused at admission and, without that, reported in the Ready condition.
	// +kubebuilder:validation:MinLength=1
	Type string `json:"type"`

	// Parameters of the trigger type: where to measure, what to measure, and the
	// target. All values are strings; quote numbers and booleans. Which keys
	// exist depends on the type. A key ending in "FromEnv" takes its value from
	// the environment variable of the workload that it names.
	Metadata map[string]string `json:"metadata"`

	// Name of the trigger, unique within the object. It is the variable of this
	// trigger in a scaling formula and its label in exported metrics.
	// +optional
	Name string `json:"name,omitempty"`

	// Answer reads of the HorizontalPodAutoscaler with the value of the last
	// poll, up to pollingInterval old, instead of measuring anew. Not available
	// for cpu, memory and cron triggers; has no effect on a ScaledJob.
	// +optional
	UseCachedMetrics bool `json:"useCachedMetrics,omitempty"`

	// Object that holds the credentials of this trigger.
	// +optional
	AuthenticationRef *AuthenticationRef `json:"authenticationRef,omitempty"`

	// How the target is compared with the measured value. AverageValue, the
	// default, divides the value by the number of replicas; Value does not. The
	// types cpu and memory have no default: they need Utilization (percent of
	// the request) or AverageValue.
	// +optional
	MetricType autoscalingv2.MetricTargetType `json:"metricType,omitempty"`
}

// AuthenticationRef points at the object that supplies a trigger's credentials.
type AuthenticationRef struct {
	// Name of the TriggerAuthentication, which must be in the namespace of the
	// object with the trigger, or of the ClusterTriggerAuthentication.
	Name string `json:"name"`

	// Kind of the object; TriggerAuthentication when unset.
	// +kubebuilder:validation:Enum=TriggerAuthentication;ClusterTriggerAuthentication
	// +optional
	Kind string `json:"kind,omitempty"`
}

// EffectiveKind returns the kind referred to: TriggerAuthentication when unset.
func (r AuthenticationRef) EffectiveKind() string {
	return cmp.Or(r.Kind, KindTriggerAuthentication)
}
