package v1alpha1

import (
	"cmp"
	"errors"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What holds when a field is unset.
const (
	// DefaultPollingInterval is the time between measurements.
	DefaultPollingInterval = 30 * time.Second
	// DefaultCooldownPeriod is the time without work before a workload goes to zero.
	DefaultCooldownPeriod = 300 * time.Second
	// DefaultMaxReplicaCount is the most replicas, or Jobs at a time.
	DefaultMaxReplicaCount int32 = 100
	// DefaultJobsHistoryLimit is how many succeeded, and how many failed, Jobs are kept.
	DefaultJobsHistoryLimit int32 = 100
	// DefaultTargetAPIVersion is the API version of a workload.
	DefaultTargetAPIVersion = "apps/v1"
	// DefaultTargetKind is the kind of a workload, whatever its API version.
	DefaultTargetKind = "Deployment"
	// HPANamePrefix and the name of a ScaledObject make the name of its HorizontalPodAutoscaler.
	HPANamePrefix = "keda-hpa-"
	// CompositeMetricName is the metric that carries the result of a formula.
	CompositeMetricName = "composite-metric"
)

// HPAName returns the name of the HorizontalPodAutoscaler that o asks for.
func (o *ScaledObject) HPAName() string {
	if a := o.Spec.Advanced; a != nil && a.HorizontalPodAutoscalerConfig != nil && a.HorizontalPodAutoscalerConfig.Name != "" {
		return a.HorizontalPodAutoscalerConfig.Name
	}
	return HPANamePrefix + o.Name
}

// HPABehavior returns the behavior that s gives its HorizontalPodAutoscaler, or
// nil. The result points into s.
func (s *ScaledObjectSpec) HPABehavior() *autoscalingv2.HorizontalPodAutoscalerBehavior {
	if s.Advanced == nil || s.Advanced.HorizontalPodAutoscalerConfig == nil {
		return nil
	}
	return s.Advanced.HorizontalPodAutoscalerConfig.Behavior
}

// PollingIntervalDuration returns the time between measurements.
func (s *ScaledObjectSpec) PollingIntervalDuration() time.Duration {
	return seconds(s.PollingInterval, DefaultPollingInterval)
}

// CooldownDuration returns the time without work before the workload goes to
// zero or to its idle count.
func (s *ScaledObjectSpec) CooldownDuration() time.Duration {
	return seconds(s.CooldownPeriod, DefaultCooldownPeriod)
}

// InitialCooldownDuration returns how long after its creation an object that
// never had work stays above zero; zero when unset.
func (s *ScaledObjectSpec) InitialCooldownDuration() time.Duration {
	return seconds(s.InitialCooldownPeriod, 0)
}

// MinReplicas returns the fewest replicas the workload may have while it is not
// idle; zero when unset.
func (s *ScaledObjectSpec) MinReplicas() int32 { return valueOr(s.MinReplicaCount, 0) }

// MaxReplicas returns the most replicas, which is also the maxReplicas of the
// HorizontalPodAutoscaler.
func (s *ScaledObjectSpec) MaxReplicas() int32 {
	return valueOr(s.MaxReplicaCount, DefaultMaxReplicaCount)
}

// HPAMinReplicas returns the minReplicas of the HorizontalPodAutoscaler, which
// is MinReplicas but at least 1: zero is not the autoscaler's business. An
// idleReplicaCount makes sense only below this number.
func (s *ScaledObjectSpec) HPAMinReplicas() int32 { return max(1, s.MinReplicas()) }

// Modifiers returns the formula of s; the zero value when there is none.
func (s *ScaledObjectSpec) Modifiers() ScalingModifiers {
	if s.Advanced == nil {
		return ScalingModifiers{}
	}
	return s.Advanced.ScalingModifiers
}

// InUse reports whether any field is set, so that a formula is meant to apply.
func (m ScalingModifiers) InUse() bool { return m != ScalingModifiers{} }

// EffectiveMetricType returns how the target is compared: AverageValue when unset.
func (m ScalingModifiers) EffectiveMetricType() autoscalingv2.MetricTargetType {
	return cmp.Or(m.MetricType, autoscalingv2.AverageValueMetricType)
}

// EffectiveBehavior returns how Replicas is used: static when unset.
func (f *Fallback) EffectiveBehavior() FallbackBehavior {
	return cmp.Or(f.Behavior, FallbackStatic)
}

// GroupVersionKind returns the kind of workload referred to. An unset kind is
// Deployment even beside an API version other than apps/v1. The error is
// non-nil when the API version has more than one slash; it does not repeat it.
func (r ScaleTargetRef) GroupVersionKind() (schema.GroupVersionKind, error) {
	gv, err := schema.ParseGroupVersion(cmp.Or(r.APIVersion, DefaultTargetAPIVersion))
	if err != nil {
		return schema.GroupVersionKind{}, errors.New(`scaleTargetRef.apiVersion has more than one slash; write "group/version" or "version"`)
	}
	return gv.WithKind(cmp.Or(r.Kind, DefaultTargetKind)), nil
}

// PollingIntervalDuration returns the time between measurements.
func (s *ScaledJobSpec) PollingIntervalDuration() time.Duration {
	return seconds(s.PollingInterval, DefaultPollingInterval)
}

// MinReplicas returns how many Jobs to keep running without work; zero when unset.
func (s *ScaledJobSpec) MinReplicas() int32 { return valueOr(s.MinReplicaCount, 0) }

// MaxReplicas returns the most Jobs to run at a time.
func (s *ScaledJobSpec) MaxReplicas() int32 {
	return valueOr(s.MaxReplicaCount, DefaultMaxReplicaCount)
}

// SuccessfulHistoryLimit returns how many succeeded Jobs to keep.
func (s *ScaledJobSpec) SuccessfulHistoryLimit() int32 {
	return valueOr(s.SuccessfulJobsHistoryLimit, DefaultJobsHistoryLimit)
}

// FailedHistoryLimit returns how many failed Jobs to keep.
func (s *ScaledJobSpec) FailedHistoryLimit() int32 {
	return valueOr(s.FailedJobsHistoryLimit, DefaultJobsHistoryLimit)
}

// EffectiveRolloutStrategy returns what happens to the Jobs of earlier specs:
// the deprecated field wins over the newer one, and immediate holds when
// neither is set.
func (s *ScaledJobSpec) EffectiveRolloutStrategy() RolloutStrategy {
	return cmp.Or(s.RolloutStrategy, s.Rollout.Strategy, RolloutImmediate)
}

// Propagation returns how the Jobs of earlier specs are deleted: in the
// background when unset.
func (r Rollout) Propagation() metav1.DeletionPropagation {
	if r.PropagationPolicy == PropagationForeground {
		return metav1.DeletePropagationForeground
	}
	return metav1.DeletePropagationBackground
}

// EffectiveStrategy returns how the number of new Jobs is computed: default when unset.
func (s *ScalingStrategy) EffectiveStrategy() ScalingStrategyType {
	return cmp.Or(s.Strategy, StrategyDefault)
}

// EffectiveCalculation returns how triggers are combined: max when unset.
func (s *ScalingStrategy) EffectiveCalculation() MultipleScalersCalculation {
	return cmp.Or(s.MultipleScalersCalculation, CalculationMax)
}

func seconds(p *int32, unset time.Duration) time.Duration {
	if p == nil {
		return unset
	}
	return time.Duration(*p) * time.Second
}

func valueOr(p *int32, unset int32) int32 {
	if p == nil {
		return unset
	}
	return *p
}
